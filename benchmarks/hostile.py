"""
A stop with clients that will not leave: does it end at its deadline?

Each client below hangs on to the server when SIGTERM arrives.  Printed are: what
it was told, when its connection was gone, whether the log names it afterwards,
when the process was gone, and with which status.  The raw protocol that ignores
every goodbye has a server process of its own.

    python benchmarks/hostile.py --grace 2
    python benchmarks/hostile.py --fail-on-straggler
"""

from __future__ import annotations

import select
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from benchmarks.clients import Client, get
from benchmarks.common import Listen, Server, Workspace
from benchmarks.figures import Figure, arguments, exitStatus, show

POST = b"POST /upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n"


@dataclass(frozen=True)
class Hostile:
    """
    One way not to leave.

    @ivar port: which port to go to: C{"http"}, C{"https"} or C{"raw"}.
    @ivar told: the statuses that it may be told; 0 is none.
    @ivar reads: whether it reads at all.
    @ivar named: whether the report has to name it.
    """

    name: str
    port: str
    sends: bytes
    told: tuple[int, ...]
    reads: bool = True
    named: bool = True


HOSTILES = [
    Hostile("stuck reader", "http", get("/download?bytes=67108864"), (0,), False),
    Hostile("half a header", "http", b"GET / HTTP/1.1\r\nHost: 127", (408,)),
    Hostile("half an upload", "http", POST + b"x" * 50000, (408, 503)),
    Hostile("60 s request", "http", get("/slow?seconds=60"), (503,)),
    Hostile("TCP, never speaks", "http", b"", (0,)),
    Hostile("TLS, no hello", "https", b"", (0,)),
    Hostile("raw, busy, ignores us", "raw", b"busy", (0,)),
    # To us an idle connection like any other: it need not be named.
    Hostile("raw, never lets go", "raw", b"hello", (0,), named=False),
]


@dataclass
class Seen:
    """
    What one client saw.
    """

    name: str
    told: str = "-"
    retryAfter: str = ""
    gone: float | None = None
    named: str = ""
    asWanted: bool = False


@dataclass
class Watcher(threading.Thread):
    """
    Watches one connection until it ends.
    """

    hostile: Hostile
    port: int
    until: float
    heard: bytes = b""
    gone: float | None = None
    client: Client = field(init=False)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)
        # The little receive buffer makes the stuck reader stick at once.
        self.client = Client(self.port, receiveBuffer=16384)
        if self.hostile.sends:
            self.client.send(self.hostile.sends)

    # A dataclass defines equality and so loses its hash; a thread needs one.
    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        if self.hostile.reads:
            self._read()
        else:
            self._look()
        self.client.close()

    def _read(self) -> None:
        self.client.socket.settimeout(max(0.1, self.until - time.monotonic()))
        while True:
            try:
                data = self.client.socket.recv(65536)
            except TimeoutError:
                return
            except OSError:
                data = b""
            if not data:
                self.gone = time.monotonic()
                return
            self.heard += data

    def _look(self) -> None:
        poll = select.poll()
        poll.register(self.client.socket, select.POLLRDHUP)
        if poll.poll(max(0.1, self.until - time.monotonic()) * 1000):
            self.gone = time.monotonic()

    def seen(self, began: float, log: str, grace: float) -> Seen:
        """
        What came of it; C{log} is what the server wrote since the stop began.
        """
        told, retryAfter = _told(self.heard)
        gone = None if self.gone is None else round(self.gone - began, 3)
        return Seen(
            self.hostile.name,
            str(told or "-"),
            retryAfter,
            gone,
            "yes" if self.client.name in log else "no",
            gone is not None
            and gone <= grace + 0.2
            and told in self.hostile.told
            and (self.client.name in log or not self.hostile.named),
        )


def _told(heard: bytes) -> tuple[int, str]:
    """
    The status of an HTTP answer, and its Retry-After.
    """
    if not heard.startswith(b"HTTP/1"):
        return 0, ""
    head = heard.split(b"\r\n\r\n")[0].split(b"\r\n")
    for line in head[1:]:
        if line.lower().startswith(b"retry-after:"):
            return int(head[0].split()[1]), line.split(b":")[1].strip().decode()
    return int(head[0].split()[1]), ""


def stopOnce(options: Any, workspace: Workspace, listens: dict[str, Listen]) -> dict[str, Any]:
    """
    One server process with all the clients that belong to its ports.
    """
    extra = ["--fail-on-straggler"] if options.fail_on_straggler else []
    with Server(
        options.server,
        workspace,
        list(listens.values()),
        None if "raw" in listens else "resources.Root",
        grace=options.grace,
        extra=extra,
    ) as server:
        until = time.monotonic() + options.grace + 8.0
        watchers = [
            Watcher(hostile, listens[hostile.port].port, until)
            for hostile in HOSTILES
            if hostile.port in listens
        ]
        for watcher in watchers:
            watcher.start()
        time.sleep(0.4)
        before = len(server.log())
        began = server.terminate()
        stop = server.wait(options.grace + 10.0)
        for watcher in watchers:
            watcher.join(5.0)
        log = server.log()[before:]
    # Progress lines name clients too; only what is said at the end counts.
    report = "\n".join(line for line in log.splitlines() if "draining:" not in line)
    return {
        "clients": [vars(watcher.seen(began, report, options.grace)) for watcher in watchers],
        "exitSeconds": round(stop.seconds, 3),
        "status": stop.status,
        "log": log.splitlines()[-40:],
    }


def measure(options: Any) -> dict[str, Any]:
    """
    The web server with two ports, then the raw one.
    """
    workspace = Workspace()
    web = {"http": Listen(), "https": Listen(tls=True)}
    return {
        "server": options.server,
        "grace": options.grace,
        "failOnStraggler": options.fail_on_straggler,
        "web": stopOnce(options, workspace, web),
        "raw": stopOnce(options, workspace, {"raw": Listen()}),
    }


def figures(result: dict[str, Any]) -> list[Figure]:
    """
    A line for each client and each process.
    """
    lines = []
    latest = result["grace"] + 0.2
    failing = result["failOnStraggler"]
    for which in ("web", "raw"):
        stop = result[which]
        for client in stop["clients"]:
            told = client["told"]
            if client["retryAfter"]:
                told += f" (Retry-After: {client['retryAfter']})"
            lines.append(
                Figure(
                    f"hostile: {client['name']}",
                    f"told {told}, gone after {client['gone']} s, named: {client['named']}",
                    f"<= {latest} s, told",
                    client["asWanted"],
                )
            )
        lines.append(
            Figure(
                f"hostile: {which} process",
                f"gone after {stop['exitSeconds']} s, status {stop['status']}",
                f"<= {latest} s{', status 1' if failing else ''}",
                stop["exitSeconds"] <= latest and (stop["status"] == 1 or not failing),
            )
        )
    return lines


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--grace", type=float, default=2.0)
    parser.add_argument("--fail-on-straggler", action="store_true")
    parser.add_argument("--log", action="store_true", help="the servers' last words")
    options = parser.parse_args()
    result = measure(options)
    lines = figures(result)
    show(result, lines, options.json)
    if options.log and not options.json:
        for which in ("web", "raw"):
            print(f"\n{which}:", *result[which]["log"], sep="\n  ")
    return exitStatus(lines)


if __name__ == "__main__":
    sys.exit(main())
