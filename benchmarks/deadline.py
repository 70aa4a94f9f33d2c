"""
Whether a grace of 2 s ends after 2 s, with clients that will not leave.

A reader that is stuck, half a header, half an upload, a request of 60 s, and one that never
speaks; see C{hostile.py}, which tells more of terminable alone.  Counted is how long the process
stays, and how many of those five were told that it is over, by a status of HTTP.

    python benchmarks/deadline.py
"""

from __future__ import annotations

import sys
import time
from argparse import Namespace

from benchmarks.hostile import HOSTILES, Watcher
from benchmarks.machine import Listen, Workspace
from benchmarks.peers.base import Peer, Running
from benchmarks.sheets import Sheet
from benchmarks.sidebyside import failed, parser, repeating, run, servers

GRACE, LATEST = 2.0, 14.0
GONE = "process gone"


def stopOnce(peer: Peer, workspace: Workspace) -> tuple[float, list[int], bool]:
    """
    One server with all of them.

    @return: seconds until it was gone, the statuses that were told, and whether we had to end it.
    """
    listen = Listen(backlog=1024)
    with Running(peer, workspace, listen, GRACE) as server:
        until = time.monotonic() + LATEST + 2.0
        chosen = [hostile for hostile in HOSTILES if hostile.port == "http"]
        watchers = [Watcher(hostile, listen.port, until) for hostile in chosen]
        for watcher in watchers:
            watcher.start()
        time.sleep(0.4)
        began = server.terminate()
        stop = server.waitOrEnd(LATEST)
        for watcher in watchers:
            watcher.join(5.0)
    seen = [watcher.seen(began, "", GRACE).told for watcher in watchers]
    # What a stuck reader was told is the beginning of its download.
    return stop.seconds, [int(told) for told in seen if told not in ("-", "200")], stop.ended


def measure(options: Namespace) -> list[Sheet]:
    """
    All servers.
    """
    command = repeating("deadline", stops=options.stops)
    sheet = Sheet("deadline", f"Stop with a deadline of {GRACE:g} s", "s", [GONE], command, 1)
    workspace = Workspace()
    for peer in servers(options):
        for _ in range(options.stops):
            try:
                seconds, told, ended = stopOnce(peer, workspace)
            except (OSError, RuntimeError) as reason:
                failed(sheet, peer.name, GONE, reason)
                continue
            problem = f"had to be ended after {LATEST:g} s" if ended else ""
            sheet.add(peer.name, GONE, seconds, problem)
            sheet.more.setdefault(peer.name, []).append({"told": told})
    return [sheet]


if __name__ == "__main__":
    sys.exit(run(measure, parser(__doc__, 2).parse_args()))
