"""
All benchmarks, one table.

Quickly (some minutes), with few stops; C{--full} stops as often as the figures
in the README were made with.  The exit status is 1 if a figure is not as wanted.

    python benchmarks/run.py
    python benchmarks/run.py --full
    python benchmarks/run.py --only lost,hostile
"""

from __future__ import annotations

import os
import platform
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from typing import Any

import acceptqueue
import download
import hostile
import idle
import lost
import tracking
from figures import Figure, arguments, exitStatus, show

Program = Callable[[Namespace], list[Figure]]


def _lost(options: Namespace) -> list[Figure]:
    common = {
        "clients": 50,
        "grace": 10.0,
        "idle_grace": None,
        "only": "",
        "verbose": False,
    }
    lines = []
    # The clients must be able to fail: plain Twisted has to lose something.
    for server in dict.fromkeys((options.server, "plain")):
        stops = (20 if options.full else 3) if server != "plain" else 3
        chosen = Namespace(server=server, stops=stops, **common)
        lines += lost.figures(_record(options, f"lost {server}", lost.measure(chosen)))
    return lines


def _acceptqueue(options: Namespace) -> list[Figure]:
    stops = 20 if options.full else 3
    chosen = Namespace(server=options.server, stops=stops, clients=30, block=0.5, grace=10.0)
    measured = acceptqueue.measure(chosen)
    return acceptqueue.figures(_record(options, "acceptqueue", measured))


def _download(options: Namespace) -> list[Figure]:
    stops = 5 if options.full else 1
    chosen = Namespace(server=options.server, stops=stops, grace=10.0)
    return download.figures(_record(options, "download", download.measure(chosen)))


def _hostile(options: Namespace) -> list[Figure]:
    lines = []
    # Only a command line of ours has an option for the exit status.
    for failing in (False, True) if options.server == "terminable" else (False,):
        chosen = Namespace(server=options.server, grace=2.0, fail_on_straggler=failing)
        measured = _record(options, f"hostile {failing}", hostile.measure(chosen))
        found = hostile.figures(measured)
        lines += [one for one in found if not failing or "process" in one.what]
    return lines


def _idle(options: Namespace) -> list[Figure]:
    chosen = Namespace(
        server=options.server,
        stops=5 if options.full else 1,
        idle=10_000,
        busy=50,
        seconds=1.5,
        grace=10.0,
        idle_grace=1.0,
    )
    return idle.figures(_record(options, "idle", idle.measure(chosen)))


def _tracking(options: Namespace) -> list[Figure]:
    chosen = Namespace(
        server=options.server,
        idle=5000,
        short=200,
        requests=1000,
        seeds=5 if options.full else 1,
        jobs=os.cpu_count() or 1,
        callgrind=True,
    )
    return tracking.figures(_record(options, "tracking", tracking.measure(chosen)))


PROGRAMS: dict[str, Program] = {
    "lost": _lost,
    "acceptqueue": _acceptqueue,
    "download": _download,
    "hostile": _hostile,
    "idle": _idle,
    "tracking": _tracking,
}


def _record(options: Namespace, name: str, result: Any) -> Any:
    options.results[name] = result
    return result


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument(
        "--full", action="store_true", help="more stops of each, 20 where requests may be lost"
    )
    parser.add_argument("--only", default=",".join(PROGRAMS), help="names, by commas")
    options = parser.parse_args()
    options.results = {}
    lines: list[Figure] = []
    for name in options.only.split(","):
        began = time.monotonic()
        try:
            found = PROGRAMS[name](options)
        except (OSError, RuntimeError) as reason:
            found = [Figure(name, f"failed: {str(reason)[-300:]}", "", False)]
        lines += found
        if not options.json:
            seconds = time.monotonic() - began
            print(f"{name}: {seconds:.0f} s", file=sys.stderr)
    if not options.json:
        print(
            f"{options.server}, {platform.system()} {platform.release()}, "
            f"{platform.python_implementation()} {platform.python_version()}, "
            f"{os.cpu_count()} cores\n"
        )
    show(options.results, lines, options.json)
    return exitStatus(lines)


if __name__ == "__main__":
    sys.exit(main())
