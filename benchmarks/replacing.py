"""
What clients notice while a server is replaced, side by side, each by its own way: terminable by
an upgrade (SIGUSR2), others by the signal that replaces their workers.  Plain Twisted is stopped
and started again.  Who has no way of its own is left out.

50 clients that never retry ask numbered questions; failed are those whose connection was refused,
broken, reset or lost, and those without the right answer; see C{restarts.py}, which measures
terminable alone, and more of it.

    python benchmarks/replacing.py --stops 5
"""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.machine import Listen, Workspace
from benchmarks.peers.base import Peer, Running
from benchmarks.peers.registry import ALL
from benchmarks.restartclients import Load
from benchmarks.restartprocesses import Family, adoptingOrphans
from benchmarks.restarts import Restartable, stopAndStart, upgrade
from benchmarks.sheets import Sheet
from benchmarks.sidebyside import failed, parser, repeating, run, servers

CLIENTS = 50

#: Seconds until a load is steady, seconds that are watched after a restart, and those that old
#: workers may stay.
STEADY, AFTERMATH, PATIENCE = 1.0, 1.0, 20.0

#: Whether connections are kept, and how long each client is silent after an answer.
LOADS = {
    "keep-alive": (True, 0.0),
    "5 ms pause": (True, 0.005),
    "new connection each": (False, 0.0),
}

#: Replaces the server; a sentence if something went wrong.
Replace = Callable[[], str]


def _workers(family: Family, master: int) -> set[int]:
    """
    Those of its processes that serve.
    """
    found = set()
    for pid in family.living():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        # What multiprocessing starts besides is not replaced.
        if pid != master and b"resource_tracker" not in words:
            found.add(pid)
    return found


@contextmanager
def _bySignal(peer: Peer, workspace: Workspace, listen: Listen) -> Iterator[Replace]:
    with Running(peer, workspace, listen, forRestarts=True) as server:
        family = Family(server.pid)

        def replace() -> str:
            old = _workers(family, server.pid)
            server.signalled(peer.restartSignal)
            deadline = time.monotonic() + PATIENCE
            while old & (now := _workers(family, server.pid)) or not now:
                if time.monotonic() > deadline:
                    return f"old workers stayed for {PATIENCE:g} s"
                time.sleep(0.05)
            return ""

        try:
            yield replace
        finally:
            family.end()


@contextmanager
def _byOurselves(peer: Peer, workspace: Workspace, listen: Listen) -> Iterator[Replace]:
    kind = "terminable" if peer.isOurs else "plain"
    way = upgrade if peer.isOurs else stopAndStart
    with Restartable(kind, workspace, [listen]) as server:

        def replace() -> str:
            way(server)()
            return ""

        yield replace
        server.finish()


def _failed(load: Load) -> int:
    return sum(load.failures().values())


def underLoad(
    peer: Peer, kind: str, restarts: int, workspace: Workspace, told: Callable[[float, str], None]
) -> dict[str, object]:
    """
    Replace a server that is under load.

    @param told: called with the failures of each restart, and what went wrong.
    @return: what else was seen.
    """
    listen = Listen(backlog=1024)
    keepAlive, think = LOADS[kind]
    way = _bySignal if peer.restartSignal else _byOurselves
    with way(peer, workspace, listen) as replace:
        load = Load(listen.port, CLIENTS, keepAlive, think=think)
        load.start()
        try:
            time.sleep(STEADY)
            for _ in range(restarts):
                before = _failed(load)
                problem = replace()
                time.sleep(AFTERMATH)
                told(_failed(load) - before, problem)
        finally:
            load.stop()
    return {"requests": len(load.samples), "failures": load.failures()}


def measure(options: Namespace) -> list[Sheet]:
    """
    All servers that can be replaced, with all loads.
    """
    command = repeating("replacing", stops=options.stops)
    sheet = Sheet("restarts", "Requests that fail at a restart", "requests", list(LOADS), command)
    workspace = Workspace()
    among = [peer for peer in ALL if peer.restartSignal or peer.hasReactor]
    with adoptingOrphans():
        for peer in servers(options, among, ()):
            for kind in LOADS:

                def told(count: float, problem: str, peer: Peer = peer, kind: str = kind) -> None:
                    sheet.add(peer.name, kind, count, problem)

                try:
                    more = underLoad(peer, kind, options.stops, workspace, told)
                except (OSError, RuntimeError) as reason:
                    failed(sheet, peer.name, kind, reason)
                else:
                    sheet.more.setdefault(peer.name, {})[kind] = more
    return [sheet]


if __name__ == "__main__":
    sys.exit(run(measure, parser(__doc__, 5).parse_args()))
