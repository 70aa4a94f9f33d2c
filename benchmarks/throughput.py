"""
How many requests a second a server answers whose connections are known, against one of Twisted
alone.

Both are there; windows of time in which one is loaded take turns with windows of the other.

    python benchmarks/throughput.py --stops 5
"""

from __future__ import annotations

import statistics
import sys
import time
from argparse import Namespace

from benchmarks.machine import Listen, Workspace
from benchmarks.peers import plaintwisted, terminable
from benchmarks.peers.base import Running
from benchmarks.restartclients import Load
from benchmarks.sheets import Sheet
from benchmarks.sidebyside import parser, repeating, run

CLIENTS = 50
LOADS = {"keep-alive": True, "new connection each": False}


def window(port: int, keepAlive: bool, seconds: float) -> float:
    """
    Load a server for so long.

    @return: requests that were answered in a second.
    """
    load = Load(port, CLIENTS, keepAlive)
    load.start()
    time.sleep(seconds)
    load.stop()
    return (len(load.samples) - sum(load.failures().values())) / load.seconds


def measure(options: Namespace) -> list[Sheet]:
    """
    C{options.stops} windows for each of the two, in both ways.
    """
    command = repeating("throughput", stops=options.stops)
    sheet = Sheet("throughput", "Requests answered", "a second", list(LOADS), command)
    workspace = Workspace()
    plain, ours = Listen(backlog=1024), Listen(backlog=1024)
    with (
        Running(plaintwisted.PEER, workspace, plain),
        Running(terminable.PEER, workspace, ours),
    ):
        for column, keepAlive in LOADS.items():
            for _ in range(options.stops):
                for peer, listen in ((plaintwisted.PEER, plain), (terminable.PEER, ours)):
                    sheet.add(peer.name, column, window(listen.port, keepAlive, options.seconds))
    for column in LOADS:
        pair = (sheet.cells[name][column].runs for name in ("terminable", "plain Twisted"))
        ratios = [mine / theirs for mine, theirs in zip(*pair, strict=True)]
        sheet.more[column] = {"ratio": round(statistics.median(ratios), 4)}
    return [sheet]


def main() -> int:
    """
    The command line.
    """
    found = parser(__doc__, 5)
    found.add_argument("--seconds", type=float, default=2.0, help="of a window [%(default)s]")
    return run(measure, found.parse_args())


if __name__ == "__main__":
    sys.exit(main())
