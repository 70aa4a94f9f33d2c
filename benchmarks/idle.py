"""
How long a stop takes with 1,000, 10,000 and 30,000 idle connections and 50 busy ones.

Counted from the signal, for terminable from the end of its idle grace, until the last idle client
saw its connection end; against plain loops in Python and C (C{closer.py}, C{closer.c}) that end
as many, seen by the same client in the same run.  The servers of Twisted also measure the turns
of their reactors, whoever fills them.

While the idle grace lasts, terminable looks at each connection.  On a machine on which that takes
longer than the idle grace, as in an emulator, the rest of it would be measured too: C{--slower}
makes all limits longer.

    python benchmarks/idle.py
    python benchmarks/idle.py --servers "terminable,plain Twisted" --counts 10000 --stops 5
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path

from benchmarks.clients import Client, Incomplete, get
from benchmarks.crowds import Crowd, closerInC, closerInPython, floor
from benchmarks.goals import PYTHON
from benchmarks.machine import Listen, Workspace, raiseDescriptorLimit
from benchmarks.peers import terminable
from benchmarks.peers.base import Peer, Running
from benchmarks.peers.registry import ALL
from benchmarks.sheets import Sheet
from benchmarks.sidebyside import failed, parser, repeating, run, servers

GRACE, IDLE_GRACE, LATEST = 10.0, 1.0, 20.0

#: Connections that wait for an answer, for so many seconds.
BUSY, SECONDS = 50, 1.5

#: Descriptors that a process needs besides.
SPARE = 150


@dataclass
class Seen:
    """
    What one stop has shown.

    @ivar lastGone: seconds until the last idle client was gone.
    @ivar left: how many were not.
    @ivar answered: how many of the busy ones were answered.
    @ivar stall: the longest turn of the reactor since the signal, in milliseconds, if somebody
        knows.
    @ivar collection: the longest run of the garbage collector since.
    @ivar ours: the longest turn that C{Terminator.longestTurn} owns up to, in milliseconds.
    """

    lastGone: float
    left: int
    answered: int
    stall: float | None
    collection: float | None
    ours: float | None

    @property
    def problem(self) -> str:
        """
        What makes it no figure, or a doubtful one.
        """
        if self.left:
            return f"{self.left} idle connections were left"
        return "" if self.answered == BUSY else f"{BUSY - self.answered} busy ones were cut"


def _answered(clients: list[Client]) -> int:
    count = 0
    for client in clients:
        with contextlib.suppress(Incomplete, OSError):
            count += client.answer().status == 200
        client.close()
    return count


def _heartbeat(beats: Path, began: float) -> dict[str, float | None]:
    """
    What the server has seen of itself since the signal.
    """
    if not beats.exists():
        return dict.fromkeys(("stall", "collection", "ours"))
    seen = json.loads(beats.read_text())
    stall, collection = (
        max((each for moment, each in seen[what] if moment > began), default=0.0)
        for what in ("stalls", "collections")
    )
    return {"stall": stall, "collection": collection, "ours": seen["ours"]}


def stopOnce(peer: Peer, count: int, workspace: Workspace, slower: float = 1.0) -> Seen:
    """
    Fill the server with idle and busy connections, stop it, watch.

    @param slower: all limits are so many times as long.
    """
    beats = workspace.path / "heartbeat.json"
    beats.unlink(missing_ok=True)
    environment = {"BENCH_HEARTBEAT": str(beats)} if peer.hasReactor else {}
    grace = IDLE_GRACE * slower if peer.isOurs else None
    latest = LATEST * slower
    listen = Listen(backlog=1024)
    with Running(peer, workspace, listen, GRACE * slower, grace, environment) as server:
        crowd = Crowd(listen.port, count)
        busy = [Client(listen.port) for _ in range(BUSY)]
        for client in busy:
            client.send(get(f"/slow?seconds={SECONDS}"))
        time.sleep(0.3)
        began = server.terminate()
        ended = crowd.watch(latest)
        left = len(crowd.sockets)
        crowd.leave()
        answered = _answered(busy)
        server.waitOrEnd(latest)
    last = max(ended, default=began) - began - (grace or 0.0)
    return Seen(last, left, answered, **_heartbeat(beats, began))


def _counts(wanted: str) -> dict[str, int]:
    """
    The sizes of the crowds, by their names in tables; as large as this machine allows.
    """
    most = raiseDescriptorLimit() - BUSY - SPARE
    found = {}
    for word in wanted.split(","):
        count = min(int(word), most)
        if count < int(word):
            print(f"not {int(word):,}: {most:,} descriptors can be had", file=sys.stderr)
        found[f"{count:,} idle"] = count
    return found


def _floors(sheet: Sheet, column: str, count: int, inC: Path | None) -> None:
    closers = {"plain C loop": [str(inC)]} if inC is not None else {}
    closers[PYTHON] = closerInPython()
    for name, closer in closers.items():
        try:
            sheet.add(name, column, floor(closer, count) * 1000)
        except (OSError, RuntimeError) as reason:
            failed(sheet, name, column, reason)


def _fill(
    sheets: list[Sheet], peer: Peer, column: str, workspace: Workspace, slower: float
) -> None:
    idle, stalls, turns = sheets
    try:
        seen = stopOnce(peer, idle.more["counts"][column], workspace, slower)
    except (OSError, RuntimeError) as reason:
        failed(idle, peer.name, column, reason)
        return
    idle.add(peer.name, column, None if seen.left else seen.lastGone * 1000, seen.problem)
    if seen.stall is not None:
        stalls.add(peer.name, column, seen.stall)
        kept = stalls.more.setdefault(peer.name, {}).setdefault(column, [])
        kept.append({"longestCollection": round(seen.collection or 0.0, 2)})
    if seen.ours is not None:
        turns.add(peer.name, column, seen.ours)


def measure(options: Namespace) -> list[Sheet]:
    """
    All servers with all crowds, between plain loops.
    """
    counts = _counts(options.counts)
    settings = {"stops": options.stops, "counts": options.counts}
    if options.slower != 1:
        settings["slower"] = options.slower
    command = repeating("idle", **settings)
    columns = list(counts)
    idle = Sheet("idle", "Until the last idle connection was gone", "ms", columns, command)
    idle.more["counts"] = counts
    stalls = Sheet("stalls", "Longest turn of the reactor in a stop", "ms", columns, command, 1)
    turns = Sheet("turns", "Longest turn of our own in a stop", "ms", columns, command, 1)
    workspace = Workspace()
    inC = closerInC(workspace.path)
    peers = servers(options, [*ALL, terminable.WITHOUT_TIMERS])
    for column, count in counts.items():
        for _ in range(options.stops):
            # Before and after: the machine may have other things to do.
            _floors(idle, column, count, inC)
            for peer in peers:
                _fill([idle, stalls, turns], peer, column, workspace, options.slower)
            _floors(idle, column, count, inC)
    return [idle, stalls, turns]


def main() -> int:
    """
    The command line.
    """
    found = parser(__doc__)
    found.add_argument("--counts", default="1000,10000,30000", help="by commas [%(default)s]")
    found.add_argument("--slower", type=float, default=1.0, help="times all limits [%(default)s]")
    return run(measure, found.parse_args())


if __name__ == "__main__":
    sys.exit(main())
