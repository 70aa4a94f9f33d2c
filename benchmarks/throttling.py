"""
Whether limits hold what they say, and what they cost.

    python benchmarks/throttling.py
    python benchmarks/throttling.py --only rates --seconds 3
    python benchmarks/throttling.py --only upload,overhead

C{rates}: clients that want more than they get, for messages, bytes received and bytes sent;
one connection, 100 that have a rate each, and 100 that share one; lines over TCP, WebSockets of
Twisted and of Autobahn: what they got in a window of ten seconds, when the bursts were spent,
against what was configured.  C{upload}: 50 MB from a client that is held back, its checksum,
and the server's memory before and after.  C{overhead}: instructions and calls per small
keep-alive request of a site with limits that nobody reaches, against one without
(C{throttlingcount.py} is one run of that).

The server is C{throttlingserver.py}, the clients are in C{throttlingclients.py}.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.common import HERE, ROOT, Workspace, raiseDescriptorLimit
from benchmarks.figures import Figure, arguments, exitStatus, show
from benchmarks.throttlingclients import Client, Rate, measure, upload
from benchmarks.throttlingcount import VARIANTS

KINDS = {"lines": "lines", "websocket": "WebSocket", "autobahn": "Autobahn"}

#: How many bytes a message has, where bytes and where messages are counted.
SIZES = {"messages": 100, "received": 1000, "sent": 0}

#: C{(connections, per, rates)}.
CASES: list[tuple[int, str, dict[str, int]]] = [
    (1, "connection", {"messages": 200, "received": 500_000, "sent": 500_000}),
    (100, "connection", {"messages": 5, "received": 20_000, "sent": 20_000}),
    (100, "all", {"messages": 500, "received": 1_000_000, "sent": 1_000_000}),
]

#: How much may be wrong, in per cent.
TOLERANCE = 2.0

UPLOAD = 50_000_000
PIECE = 10_000

#: By how much memory may grow meanwhile: a few buffers.
GROWTH = 4_000_000


class Server:
    """
    A process with ports.
    """

    def __init__(self, ports: list[dict[str, Any]], certificate: str = "") -> None:
        path = [str(ROOT), str(HERE), os.environ.get("PYTHONPATH", "")]
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "throttlingserver.py"), json.dumps(ports), certificate],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))},
        )
        assert self._process.stdin and self._process.stdout
        self._ask, self._answer = self._process.stdin, self._process.stdout
        self.ports: list[int] = json.loads(self._answer.readline())

    def memory(self) -> tuple[int, int]:
        """
        How many bytes are resident, now and at most until now.
        """
        self._ask.write("\n")
        self._ask.flush()
        now, most = self._answer.readline().split()
        return int(now), int(most)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *exception: object) -> None:
        self._ask.close()
        self._process.wait(10)
        self._answer.close()


# -- rates


def _clients(kind: str, port: int, what: str, count: int) -> list[Client]:
    clients = [Client(kind, port) for _ in range(count)]
    for client in clients:
        if what == "sent":
            client.socket.sendall(client.pack(b"send"))
        else:
            client.flood(b"x" * SIZES[what])
    return clients


def _units(client: Client, what: str, bytes_: float) -> float:
    """
    How much was let through, by how many bytes came back.
    """
    if what == "sent":
        return bytes_
    messages = bytes_ / client.answer
    return messages if what == "messages" else messages * len(client.pack(b"x" * SIZES[what]))


def rates(seconds: float, cases: Any = CASES) -> list[dict[str, Any]]:
    """
    What clients get.

    @param seconds: for how long it counts.
    """
    found = []
    for count, per, configured in cases:
        # By default, a burst is what comes in a second.
        wanted = [(kind, what, rate) for kind in KINDS for what, rate in configured.items()]
        ports = [
            {"kind": kind, "limits": [f"{what}={rate}/s:per={per}"]} for kind, what, rate in wanted
        ]
        with Server(ports) as server:
            groups = [
                _clients(kind, port, what, count)
                for port, (kind, what, _) in zip(server.ports, wanted, strict=True)
            ]
            measured = measure(groups, 3.0, seconds)
            for group, (kind, what, rate), got in zip(groups, wanted, measured, strict=True):
                numbers = [_units(group[0], what, each) for each in vars(got).values()]
                row = {"kind": kind, "what": what, "per": per, "connections": count, "rate": rate}
                found.append({**row, "got": vars(Rate(*numbers))})
    return found


def _rateFigure(row: dict[str, Any], tolerance: float) -> Figure:
    got, rate, count = row["got"], row["rate"], row["connections"]
    whole = rate * count if row["per"] == "connection" else rate
    off = (got["total"] / whole - 1) * 100
    text = f"{got['total']:,.0f} of {whole:,}/s, {off:+.2f} %"
    good = abs(off) <= tolerance
    if count > 1:
        text += f" (each {got['least']:,.1f} to {got['most']:,.1f})"
    whose = "" if count == 1 else ", each its own" if row["per"] == "connection" else ", shared"
    what = f"{row['what']}, {KINDS[row['kind']]}, {count}{whose}"
    return Figure(what, text, f"+-{tolerance:g} %", good)


# -- much at once


def uploads(size: int = UPLOAD) -> list[dict[str, Any]]:
    """
    What becomes of much that is sent at once.
    """
    limits = {
        "messages": f"messages={size // PIECE // 4}/s",
        "delayed": f"messages={size // PIECE // 4}/s:over=delay",
        "received": f"received={size // 4}/s",
    }
    wanted = [
        (kind, what, limit) for kind in (*KINDS, "lines+tls") for what, limit in limits.items()
    ]
    workspace = Workspace()
    ports = [{"kind": kind, "limits": [limit]} for kind, _, limit in wanted]
    found = []
    with Server(ports, str(workspace.certificate())) as server:
        for kind, port in zip(("lines", "websocket", "autobahn"), server.ports[::3], strict=False):
            # What a first connection takes is no growth.
            upload(kind, port, PIECE * 10, PIECE)
        for port, (kind, what, _) in zip(server.ports, wanted, strict=True):
            before, _ = server.memory()
            done = upload(kind, port, size, PIECE)
            after, most = server.memory()
            row = {"kind": kind, "what": what, "before": before, "after": after, "most": most}
            found.append({**row, **vars(done)})
    return found


def _uploadFigure(row: dict[str, Any]) -> Figure:
    kind, _, tls = row["kind"].partition("+")
    name = f"{KINDS[kind]}{' over TLS' if tls else ''}"
    memory = f"{row['before'] / 1e6:.1f} MB before, {row['after'] / 1e6:.1f} MB after"
    sum_ = "same checksum" if row["whole"] else "ANOTHER CHECKSUM"
    grown = row["after"] - row["before"]
    good = row["whole"] and grown < GROWTH
    text = f"{sum_}, {row['seconds']:.1f} s, {memory}"
    return Figure(f"50 MB held back by {row['what']}, {name}", text, "same, flat", good)


# -- what it costs


def _count(words: list[str], prefix: tuple[str, ...] = (), seed: int = 0) -> tuple[str, str]:
    path = [str(ROOT), str(HERE), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONHASHSEED": str(seed),
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
    }
    command = [*prefix, sys.executable, str(HERE / "throttlingcount.py"), *words]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=300, check=True
    )
    return done.stdout, done.stderr


def _instructions(job: tuple[str, int, int]) -> int:
    variant, requests, seed = job
    valgrind = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")
    _, told = _count(["requests", variant, str(requests)], valgrind, seed)
    found = re.search(r"Collected : (\d+)", told)
    assert found, told
    return int(found[1])


def overhead(options: Any) -> dict[str, Any]:
    """
    Calls and instructions per request, of each variant.
    """
    found: dict[str, Any] = {
        name: json.loads(_count(["calls", name, "100"])[0]) for name in VARIANTS
    }
    if not options.callgrind or not shutil.which("valgrind"):
        return found
    lengths = (options.short, options.short + options.requests)
    runs = [(name, seed) for name in VARIANTS for seed in range(options.seeds)]
    jobs = [(name, length, seed) for name, seed in runs for length in lengths]
    with ThreadPoolExecutor(options.jobs) as pool:
        counts = dict(zip(jobs, pool.map(_instructions, jobs), strict=True))
    for name, seed in runs:
        short, long = (counts[name, length, seed] for length in lengths)
        found[name].setdefault("instructions", []).append((long - short) / options.requests)
    return found


def _overheadFigures(found: dict[str, Any]) -> list[Figure]:
    figures = []
    for name, seen in found.items():
        what = "without limits" if name == "none" else f"idle limits: {name}"
        calls = (
            f"{seen['python'] - found['none']['python']:+g} calls of {found['none']['python']:g}"
        )
        if "instructions" not in seen:
            figures.append(Figure(what, calls))
            continue
        count, bare = (statistics.median(found[key]["instructions"]) for key in (name, "none"))
        more = (count / bare - 1) * 100
        text = f"{count:,.0f} instructions, {more:+.2f} %, {calls}"
        wanted = name not in ("none", "all three")
        figures.append(
            Figure(what, text, "< +2 %" if wanted else "", more < 2.0 if wanted else None)
        )
    return figures


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--only", default="rates,upload,overhead")
    parser.add_argument("--seconds", type=float, default=10.0, help="for which rates count")
    parser.add_argument("--short", type=int, default=200, help="the shorter run, requests")
    parser.add_argument("--requests", type=int, default=1000, help="more in the longer")
    parser.add_argument("--seeds", type=int, default=3, help="memory layouts")
    parser.add_argument("--jobs", type=int, default=2, help="runs at the same time")
    parser.add_argument("--no-callgrind", dest="callgrind", action="store_false")
    options = parser.parse_args()
    raiseDescriptorLimit()
    only = options.only.split(",")
    result: dict[str, Any] = {}
    lines: list[Figure] = []
    if "rates" in only:
        result["rates"] = rates(options.seconds)
        lines += [_rateFigure(row, TOLERANCE) for row in result["rates"]]
    if "upload" in only:
        result["upload"] = uploads()
        lines += [_uploadFigure(row) for row in result["upload"]]
    if "overhead" in only:
        result["overhead"] = overhead(options)
        lines += _overheadFigures(result["overhead"])
    show(result, lines, options.json)
    return exitStatus(lines)


if __name__ == "__main__":
    sys.exit(main())
