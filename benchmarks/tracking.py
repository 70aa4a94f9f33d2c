"""
What it costs to know every connection, on a server that is not stopping.

Three ways to serve the same small site: "bare" is C{reactor.listenTCP} with a
plain C{Site}; "own" is C{terminator.listen}; "pair" is C{terminator.wrap(site)}
on C{reactor.listenTCP}.  For each: instructions per small keep-alive request
(callgrind, the difference of two run lengths), exact calls of Python functions
per request, memory per idle connection.

    python benchmarks/tracking.py
    python benchmarks/tracking.py --no-callgrind

All of a run is one process with the clients in it and a clock that stands
still, so that two runs do the same.  C{track.py} is that process.
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

from benchmarks.common import HERE, ROOT, raiseDescriptorLimit
from benchmarks.figures import Figure, arguments, exitStatus, show
from benchmarks.sheets import Sheet

VARIANTS = ("bare", "own", "pair")


def _run(words: list[str], prefix: tuple[str, ...] = (), seed: int = 0) -> tuple[str, str]:
    command = [*prefix, sys.executable, str(HERE / "track.py"), *words]
    path = [str(ROOT), str(HERE), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONHASHSEED": str(seed),
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr[-2000:]}")
    return done.stdout, done.stderr


def instructions(variant: str, requests: int, seed: int) -> int:
    """
    Instructions of a whole run with so many requests.
    """
    valgrind = (
        "valgrind",
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
    )
    _, told = _run(["requests", variant, str(requests)], valgrind, seed)
    found = re.search(r"Collected : (\d+)", told)
    assert found, told
    return int(found[1])


def measure(options: Any) -> dict[str, Any]:
    """
    All three variants, or only the bare one while there is no C{terminable}.
    """
    raiseDescriptorLimit()
    variants = [name for name in VARIANTS if options.server != "plain" or name == "bare"]
    result: dict[str, Any] = {
        name: {
            "calls": json.loads(_run(["calls", name, "100"])[0]),
            "memory": json.loads(_run(["memory", name, str(options.idle)])[0]),
            "rss": json.loads(_run(["rss", name, str(options.idle)])[0]),
        }
        for name in variants
    }
    if options.callgrind and shutil.which("valgrind"):
        _count(result, variants, options)
    return result


def _count(result: dict[str, Any], variants: list[str], options: Any) -> None:
    short, long = options.short, options.short + options.requests
    # Where things lie in memory is worth some tenths of a per cent either way (what
    # collides in the interpreter's caches): so several layouts, and their median.
    runs = [(name, seed) for name in variants for seed in range(options.seeds)]
    jobs = [(name, length, seed) for name, seed in runs for length in (short, long)]
    with ThreadPoolExecutor(options.jobs) as pool:
        found = pool.map(lambda job: instructions(*job), jobs)
        counts = dict(zip(jobs, found, strict=True))
    for name in variants:
        result[name]["instructions"] = [
            (counts[name, long, seed] - counts[name, short, seed]) / options.requests
            for seed in range(options.seeds)
        ]


def _ratio(result: dict[str, Any], name: str, limit: float) -> Figure:
    what = f"instructions per request, {name}"
    if "instructions" not in result[name]:
        return Figure(what, "not counted")
    seen = result[name]["instructions"]
    count, bare = (statistics.median(result[key]["instructions"]) for key in (name, "bare"))
    spread = f"{min(seen):,.0f} to {max(seen):,.0f}"
    more = (count / bare - 1) * 100
    if name == "bare":
        return Figure(what, f"{count:,.0f} ({spread})")
    text = f"{count:,.0f} ({spread}), {more:+.2f} %"
    return Figure(what, text, f"<= +{limit:g} %", more <= limit)


def figures(result: dict[str, Any]) -> list[Figure]:
    """
    Each variant against the bare one.
    """
    # On our own ports nothing is added, as the equal calls show: the rest is noise.
    limits = {"bare": 0.0, "own": 0.5, "pair": 1.0}
    lines = [_ratio(result, name, limits[name]) for name in result]
    bare = result["bare"]
    for name, seen in result.items():
        calls = f"{seen['calls']['python']:g} Python, {seen['calls']['c']:g} C"
        what = f"calls per request, {name}"
        if name != "own":
            lines.append(Figure(what, calls))
        else:
            same = seen["calls"] == bare["calls"]
            lines.append(Figure(what, calls, "as bare", same))
    for name, seen in result.items():
        what = f"bytes per idle connection, {name}"
        more = seen["memory"]["bytes"] - bare["memory"]["bytes"]
        text = f"{seen['memory']['bytes']:,.0f} (RSS {seen['rss']['bytes']:,.0f})"
        if name == "bare":
            lines.append(Figure(what, text))
        else:
            lines.append(Figure(what, f"{text}, {more:+.0f}", "<= +256", more <= 256))
    return lines


def sheets(result: dict[str, Any]) -> list[Sheet]:
    """
    What was counted, for the record.
    """
    command = "python benchmarks/tracking.py"
    rows = {"bare": "plain Twisted", "own": "terminable", "pair": "terminable (wrapped factory)"}
    work = Sheet("instructions", "Work for a request", "instructions", ["a request"], command)
    memory = Sheet("memory", "Memory for an idle connection", "bytes", ["a connection"], command)
    for name, seen in result.items():
        for count in seen.get("instructions", []):
            work.add(rows[name], work.columns[0], count)
        memory.add(rows[name], memory.columns[0], seen["memory"]["bytes"])
    return [sheet for sheet in (work, memory) if sheet.cells]


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--idle", type=int, default=5000, help="connections")
    parser.add_argument("--short", type=int, default=200, help="the shorter run")
    parser.add_argument("--requests", type=int, default=1000, help="more in the longer")
    parser.add_argument("--seeds", type=int, default=3, help="memory layouts")
    parser.add_argument("--jobs", type=int, default=2, help="runs at the same time")
    parser.add_argument("--no-callgrind", dest="callgrind", action="store_false")
    options = parser.parse_args()
    result = measure(options)
    lines = figures(result)
    show(result, lines, options.json)
    return exitStatus(lines)


if __name__ == "__main__":
    sys.exit(main())
