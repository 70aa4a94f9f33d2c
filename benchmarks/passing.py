"""
How fast live connections move to a successor.

Idle connections to C{twistd terminable --invisible}, and an upgrade: from the moment in which the
successor serves until the last of them has moved.  Then some are asked again; all must answer.

    python benchmarks/passing.py --count 5000
"""

from __future__ import annotations

import re
import sys
import time
from argparse import Namespace

from benchmarks.clients import get
from benchmarks.crowds import Crowd
from benchmarks.machine import Listen, Workspace
from benchmarks.restartprocesses import adoptingOrphans
from benchmarks.restarts import PATIENCE, Restartable, upgrade
from benchmarks.sheets import Sheet
from benchmarks.sidebyside import failed, parser, repeating, run

#: How many are asked again.
ASKED = 100

#: What the old process logs when all have moved.
MOVED = r"to \d+: (\d+) moved, (\d+) ended"


def _answers(crowd: Crowd) -> int:
    """
    How many of some answer that have moved.
    """
    count = 0
    for connection in list(crowd.sockets.values())[:ASKED]:
        connection.settimeout(5.0)
        try:
            connection.sendall(get())
            count += b"hello" in connection.recv(4096)
        except OSError:
            continue
    return count


def moveOnce(count: int, workspace: Workspace) -> tuple[float | None, str]:
    """
    Upgrade a server that has so many connections.

    @return: how many moved in a second, and what went wrong.
    """
    listen = Listen(backlog=1024)
    extra = ["--invisible"]
    with Restartable("terminable", workspace, [listen], extra=extra) as server:
        crowd = Crowd(listen.port, count)
        try:
            awaitOld = upgrade(server)
            began = time.monotonic()
            moved = re.search(r"\d+", server.tail.awaitLine(MOVED, PATIENCE)[1])
            seconds = time.monotonic() - began
            awaitOld()
            answers = _answers(crowd)
        finally:
            crowd.leave()
        server.finish()
    arrived = int(moved[0]) if moved else 0
    if arrived < count:
        return None, f"{count - arrived} of {count} did not move"
    problem = "" if answers == ASKED else f"{ASKED - answers} of {ASKED} did not answer any more"
    return arrived / seconds, problem


def measure(options: Namespace) -> list[Sheet]:
    """
    Some upgrades.
    """
    command = repeating("passing", stops=options.stops, count=options.count)
    column = f"{options.count:,} idle"
    sheet = Sheet("passing", "Live connections moved", "a second", [column], command)
    workspace = Workspace()
    with adoptingOrphans():
        for _ in range(options.stops):
            try:
                sheet.add("terminable", column, *moveOnce(options.count, workspace))
            except (OSError, RuntimeError) as reason:
                failed(sheet, "terminable", column, reason)
    return [sheet]


def main() -> int:
    """
    The command line.
    """
    found = parser(__doc__)
    found.add_argument("--count", type=int, default=5000, help="connections [%(default)s]")
    return run(measure, found.parse_args())


if __name__ == "__main__":
    sys.exit(main())
