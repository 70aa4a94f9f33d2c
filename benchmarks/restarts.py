"""
What clients notice of a server that is replaced under load.

    upgrade     SIGUSR2: the server starts its successor, which takes over
    rolling     SIGHUP to the parent of four workers, who are replaced one by one
    invisible   upgrades that move connections alive; clients are 20 ms away
    stopstart   SIGTERM, and a new start: the proof that these clients can fail

Each request is numbered, and its answer must carry that number.  None is repeated.
A request has failed if its connection was refused, broken, reset or lost, if the
answer was wrong, or if none came.  Latency is compared within one run: requests
that were under way between a signal and one second after the successor has taken
over, and those of as long a time without a restart.

    python benchmarks/restarts.py
    python benchmarks/restarts.py --only upgrade,stopstart --restarts 2
    python benchmarks/restarts.py --only stopstart --server plain
    python benchmarks/restarts.py --only rolling --load "keep-alive, TLS"
"""

from __future__ import annotations

import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.common import Listen, Server, Workspace, raiseDescriptorLimit
from benchmarks.figures import Figure, arguments, exitStatus, show
from benchmarks.restartclients import Load, percentile
from benchmarks.restartprocesses import Family, Tail, adoptingOrphans
from benchmarks.restartrelay import Relay

#: What the old process logs when its successor has taken over; the number is the successor's.
TOOK_OVER = r"upgrade: (\d+) serves now"
#: What the parent of workers logs when all of them have been replaced.
ROLLED = r"rolling restart: done"
#: What they log instead.
FAILED, NOT_ROLLED = r"upgrade failed", r"rolling restart failed"
#: What is logged of each worker when it serves; before, it cannot be replaced.
READY = r"worker \d+ is ready"

WORKERS = 4
#: Seconds until a load is steady: after the start of its clients, and after a restart.
STEADY = 1.0
#: Seconds after a takeover that still count as disturbed.
AFTERMATH = 1.0
#: Seconds that a restart may take; only one that fails takes so long.
PATIENCE = 60.0
#: How much longer the 99th percentile may be around a restart.
RATIO = 3.0
#: Seconds between an end and the next start.  Whose request to connect is ignored while a port
#: closes asks again a second later, and would find the next server as if nothing had happened.
DOWN = 1.0
#: Of the invisible upgrades: clients, their pause and half a round trip, in seconds.
CROWD, THINK, HALF_TRIP = 200, 1.0, 0.01


@dataclass(frozen=True)
class Kind:
    """
    What the clients of a load do.
    """

    name: str
    keepAlive: bool
    tls: bool


KINDS_OF_LOAD = [
    Kind(name + (", TLS" if tls else ""), keepAlive, tls)
    for tls in (False, True)
    for name, keepAlive in (("keep-alive", True), ("new connection each", False))
]


class Restartable(Server):
    """
    A server that is replaced, by itself or by us, and leaves none of its processes behind.

    @ivar pid: who takes signals now.
    @ivar statuses: how those ended that were told to go.
    """

    family: Family | None = None

    def __enter__(self) -> Restartable:
        super().__enter__()
        self.family = Family(self.pid)
        self.tail = Tail(self.logPath, self.family)
        self.statuses: list[int | None] = getattr(self, "statuses", [])
        return self

    def __exit__(self, *exception: object) -> None:
        if self.family is not None:
            self.family.end()
            self.family = None
        super().__exit__()

    def awaitWorkers(self, count: int) -> None:
        """
        Wait until so many workers have come to serve.
        """
        deadline = time.monotonic() + PATIENCE
        while len(re.findall(READY, self.log())) < count:
            if time.monotonic() > deadline:
                raise RuntimeError(f"no {count} workers:\n{self.log()[-2000:]}")
            time.sleep(0.05)

    def ended(self, pid: int, seconds: float = PATIENCE) -> None:
        """
        Wait until one of the processes has ended, and note how.
        """
        assert self.family is not None
        status = self.family.awaitEnd(pid, seconds)
        self.statuses.append(self._process.wait() if pid == self._process.pid else status)

    def signal(self, number: int) -> None:
        """
        Send a signal to the process that takes them.
        """
        assert self.family is not None
        self.family.send(self.pid, number)

    def finish(self) -> None:
        """
        Stop it for good.
        """
        self.signal(signal.SIGTERM)
        self.ended(self.pid)


# -- ways to restart: each returns when the successor serves ------------------


def upgrade(server: Restartable) -> Callable[[], None]:
    """
    Have it start its successor; return a wait for the end of the old process.
    """
    old = server.pid
    server.signal(signal.SIGUSR2)
    server.pid = int(server.tail.awaitLine(TOOK_OVER, PATIENCE, FAILED)[1])
    return lambda: server.ended(old)


def roll(server: Restartable) -> Callable[[], None]:
    """
    Have its workers replaced.
    """
    server.signal(signal.SIGHUP)
    server.tail.awaitLine(ROLLED, PATIENCE, NOT_ROLLED)
    return lambda: None


def stopAndStart(server: Restartable) -> Callable[[], None]:
    """
    Stop it, and start another on the same port.
    """
    server.finish()
    time.sleep(DOWN)
    server.__exit__()
    server.__enter__()
    return lambda: None


@dataclass(frozen=True)
class Program:
    """
    What to measure.

    @ivar restarts: how often, unless somebody says otherwise.
    @ivar extra: what the command line needs.
    @ivar workers: how many come of it.
    @ivar invisible: whether connections are to live on; clients are few and far away.
    @ivar fails: whether this is the proof that clients can fail.
    """

    restart: Callable[[Restartable], Callable[[], None]]
    restarts: int
    extra: Sequence[str] = ()
    workers: int = 0
    invisible: bool = False
    fails: bool = False


PROGRAMS = {
    "upgrade": Program(upgrade, 5),
    "rolling": Program(roll, 10, ["--workers", str(WORKERS)], WORKERS),
    "invisible": Program(upgrade, 5, ["--invisible"], invisible=True),
    "stopstart": Program(stopAndStart, 2, fails=True),
}


# -- measuring -----------------------------------------------------------------


def restartOften(
    program: Program, server: Restartable, times: int, seen: list[list[float]]
) -> None:
    """
    Restart a server that is under load.

    @param seen: told of each restart when it began, when its aftermath was over, and when as
        long a time without one began.
    """
    for _ in range(times):
        began = time.monotonic()
        awaitOld = program.restart(server)
        time.sleep(AFTERMATH)
        over = time.monotonic()
        awaitOld()
        time.sleep(STEADY)
        quiet = time.monotonic()
        seen.append([began, over, quiet])
        if not program.invisible:
            time.sleep(over - began)


def underLoad(
    options: Any, program: Program, kind: Kind, workspace: Workspace, restarts: int
) -> dict[str, Any]:
    """
    One server, one load, some restarts; what was seen.
    """
    listen = Listen(tls=kind.tls, backlog=512)
    tls = workspace.tlsContext() if kind.tls else None
    with Restartable(options.server, workspace, [listen], extra=program.extra) as server:
        server.awaitWorkers(program.workers)
        relay = Relay(listen.port, HALF_TRIP) if program.invisible else None
        port = listen.port if relay is None else relay.port
        clients, think = (CROWD, THINK) if program.invisible else (options.clients, 0.0)
        load = Load(port, clients, kind.keepAlive, tls, think)
        for thread in filter(None, (relay, load)):
            thread.start()
        problem = ""
        seen: list[list[float]] = []
        try:
            time.sleep(2 * STEADY)
            restartOften(program, server, restarts, seen)
        except (OSError, RuntimeError) as reason:
            problem = str(reason)[-2000:]
        finally:
            load.stop()
            if relay is not None:
                relay.stop()
        if not problem:
            server.finish()
        return {"problem": problem, "statuses": server.statuses, **summary(load, seen)}


def summary(load: Load, seen: Sequence[Sequence[float]]) -> dict[str, Any]:
    """
    What a load has noticed.
    """
    failures = load.failures()
    disturbed = [(began, over) for began, over, _ in seen]
    quiet = [(start, start + over - began) for began, over, start in seen]
    latencies, calm = load.latencies(disturbed), load.latencies(quiet)
    around, usual = percentile(latencies, 99), percentile(calm, 99)
    each = zip(disturbed, quiet, strict=True)
    return {
        "requests": len(load.samples),
        "failed": sum(failures.values()),
        "failures": failures,
        "connections": load.connections,
        "told": load.told,
        "closedIdle": load.endedIdle,
        "perSecond": len(load.samples) / load.seconds,
        "clientCpu": load.cpuSeconds / load.seconds,
        "windowSeconds": [over - began for began, over in disturbed],
        "p99Around": around,
        "p99Usual": usual,
        "ratio": around / usual if around and usual else None,
        "longestAround": max(latencies, default=None),
        "longestUsual": max(calm, default=None),
        "p99Each": [[percentile(load.latencies([window]), 99) for window in pair] for pair in each],
    }


def measure(options: Any) -> dict[str, Any]:
    """
    All programs that were chosen, each with its loads.
    """
    raiseDescriptorLimit()
    workspace = Workspace()
    result: dict[str, Any] = {"server": options.server, "clients": options.clients}
    with adoptingOrphans():
        for name in options.only.split(","):
            program = PROGRAMS[name]
            kinds = KINDS_OF_LOAD[:1] if program.invisible else KINDS_OF_LOAD
            restarts = options.restarts or program.restarts
            result[name] = {
                kind.name: underLoad(options, program, kind, workspace, restarts)
                for kind in kinds
                if options.load in (None, kind.name)
            }
    return result


# -- telling ---------------------------------------------------------------------


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value * 1000:.0f}"


def _counted(name: str, kind: str, seen: dict[str, Any]) -> Figure:
    text = f"{seen['failed']} of {seen['requests']} failed"
    if seen["failures"]:
        text += " (" + ", ".join(f"{n} {why}" for why, n in sorted(seen["failures"].items())) + ")"
    restarts = len(seen["windowSeconds"])
    text += f"; {restarts} restarts, {seen['perSecond']:.0f} requests/s"
    if seen["closedIdle"]:
        text += f", {seen['closedIdle']} closed idle"
    if seen["problem"]:
        text += f"; {seen['problem'].splitlines()[-1]}"
    what = f"restarts, {name}: {kind}"
    if PROGRAMS[name].fails:
        return Figure(what, text)
    return Figure(what, text, "0", not seen["failed"] and not seen["problem"])


def _compared(name: str, kind: str, seen: dict[str, Any]) -> Figure:
    around, usual = _milliseconds(seen["p99Around"]), _milliseconds(seen["p99Usual"])
    ratio = seen["ratio"]
    text = f"{around} / {usual} ms" + ("" if ratio is None else f" = {ratio:.1f}")
    longest = (_milliseconds(seen[which]) for which in ("longestAround", "longestUsual"))
    text += "; longest " + " / ".join(longest) + " ms"
    what = f"p99 around / without, {name}: {kind}"
    if PROGRAMS[name].fails:
        return Figure(what, text)
    return Figure(what, text, f"<= {RATIO:g}", ratio is not None and ratio <= RATIO)


def _kept(name: str, seen: dict[str, Any]) -> Figure:
    ended = Counter(told=seen["told"], idle=seen["closedIdle"])
    extra = seen["connections"] - CROWD
    text = f"{extra} connections replaced, {ended['told']} told to go, {ended['idle']} closed idle"
    good = not extra and not ended.total()
    return Figure(f"restarts, {name}: connections of {CROWD} clients", text, "0", good)


def figures(result: dict[str, Any]) -> list[Figure]:
    """
    Lines for each program and load.
    """
    lines = []
    for name, program in PROGRAMS.items():
        loads = result.get(name, {})
        for kind, seen in loads.items():
            lines.append(_counted(name, kind, seen))
            if program.invisible:
                lines.append(_kept(name, seen))
            else:
                lines.append(_compared(name, kind, seen))
        if program.fails and loads:
            failed = sum(seen["failed"] for seen in loads.values())
            good = failed > 0 and not any(seen["problem"] for seen in loads.values())
            lines.append(Figure(f"restarts, {name}: all failures", str(failed), "> 0", good))
    return lines


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--only", default=",".join(PROGRAMS), help="programs, by commas")
    parser.add_argument("--load", help="only this kind of load")
    parser.add_argument("--restarts", type=int, help="of each kind [5, 10, 5, 2]")
    parser.add_argument("--clients", type=int, default=50)
    options = parser.parse_args()
    if unknown := set(options.only.split(",")) - set(PROGRAMS):
        parser.error(f"--only {','.join(unknown)}: expected names out of {', '.join(PROGRAMS)}")
    result = measure(options)
    lines = figures(result)
    show(result, lines, options.json)
    return exitStatus(lines)


if __name__ == "__main__":
    sys.exit(main())
