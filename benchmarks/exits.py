"""
How soon after its last answer a server is gone.

1,000 idle connections and one that waits for an answer of 1.5 s; the server is told to stop; from
the last byte of that answer until the end of the process.

    python benchmarks/exits.py --stops 5
"""

from __future__ import annotations

import sys
import time
from argparse import Namespace

from benchmarks.clients import Client, Incomplete, get
from benchmarks.crowds import Crowd
from benchmarks.machine import Listen, Workspace
from benchmarks.peers.base import Peer, Running
from benchmarks.sheets import Sheet
from benchmarks.sidebyside import failed, parser, repeating, run, servers

GRACE, LATEST = 10.0, 15.0
IDLE, SECONDS = 1000, 1.5
COLUMN = f"{IDLE:,} idle, 1 busy"


def stopOnce(peer: Peer, workspace: Workspace) -> tuple[float | None, str]:
    """
    Stop a server while it works on an answer.

    @return: milliseconds from its last byte, if it came, and what went wrong.
    """
    listen = Listen(backlog=1024)
    with Running(peer, workspace, listen, GRACE) as server:
        crowd = Crowd(listen.port, IDLE)
        busy = Client(listen.port, timeout=LATEST)
        busy.send(get(f"/slow?seconds={SECONDS}"))
        time.sleep(0.3)
        server.terminate()
        try:
            status = busy.answer().status
        except Incomplete:
            return None, "the answer was cut"
        else:
            last = time.monotonic()
        finally:
            busy.close()
            stop = server.waitOrEnd(LATEST)
            crowd.leave()
    problem = "" if status == 200 else f"the answer was {status}"
    if stop.ended:
        problem = f"had to be ended after {LATEST:g} s"
    return (stop.gone - last) * 1000, problem


def measure(options: Namespace) -> list[Sheet]:
    """
    All servers.
    """
    command = repeating("exits", stops=options.stops)
    sheet = Sheet(
        "exits", "From the last answer to the end of the process", "ms", [COLUMN], command
    )
    workspace = Workspace()
    for peer in servers(options):
        for _ in range(options.stops):
            try:
                sheet.add(peer.name, COLUMN, *stopOnce(peer, workspace))
            except (OSError, RuntimeError) as reason:
                failed(sheet, peer.name, COLUMN, reason)
    return [sheet]


if __name__ == "__main__":
    sys.exit(run(measure, parser(__doc__, 5).parse_args()))
