"""
What Prometheus is told of a server.

Needs C{prometheus_client} (C{pip install txterminable[metrics]}).  The names, and what they
mean, are part of the API; they stand in the documentation.
"""

from __future__ import annotations

import math
import queue
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any
from weakref import WeakKeyDictionary

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import Metric
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python import threadable

from terminable.admin.families import family, many, one
from terminable.admin.spooled import SpoolMetrics
from terminable.admin.tally import BUCKETS, CHOSEN, OPENED, Tally
from terminable.admin.watched import Watched
from terminable.admin.words import STATES, WAITING, stateOf
from terminable.admin.work import Work
from terminable.admission.refusing import REASONS
from terminable.policy.ledger import Outcome, State
from terminable.policy.phases import Phase
from terminable.tracking import internals, sockets

#: For how many seconds a count is good at least, and for how many times what it has taken.
FRESH = 1.0
TIMES = 50.0

#: How many protocols have a name of their own; the others share L{OTHER}.
PROTOCOLS = 50
OTHER = "other"

#: How long somebody in another thread waits for the reactor to count, in seconds.
PATIENCE = 10.0


class Count:
    """
    What connections are doing.

    @ivar states: how many there are, by what they are doing and their protocol's name.
    @ivar held: how many are held back by a limit.
    @ivar requests: how many requests, messages and commands are in flight.
    @ivar oldest: when the busy one was opened that was opened first; C{None} if there is none.
    """

    def __init__(self, protocols: set[str]) -> None:
        """
        @param protocols: the names of those that have one of their own; new ones are added.
        """
        self._protocols = protocols
        self.states: Counter[tuple[str, str]] = Counter()
        self.held = 0
        self.requests = 0
        self.oldest: float | None = None

    def look(self, item: tuple[Any, Any]) -> None:
        """
        Count one connection, unless it is over.

        @param item: the gate that has recorded it, and its transport.
        """
        gate, transport = item
        if transport not in gate.ledger:
            return
        connection = gate.drain.roll.connection(transport)
        state = stateOf(connection)
        self.states[state, self._named(connection.protocolName)] += 1
        self.held += state != WAITING and connection.isHeld()
        if state == State.BUSY.value:
            channel = internals.httpChannel(connection.protocol)
            self.requests += len(channel.streams) if internals.isHTTP2(channel) else 1
            opened = connection.openedAt
            self.oldest = opened if self.oldest is None else min(self.oldest, opened)

    def _named(self, name: str) -> str:
        if name not in self._protocols and len(self._protocols) >= PROTOCOLS:
            return OTHER
        self._protocols.add(name)
        return name


class TerminatorMetrics:
    """
    Collects what there is to tell of one terminator, for any registry of
    C{prometheus_client}.

    What connections are doing is looked up when somebody asks: a few in each turn of the reactor
    if that is by L{counted} or from another thread, all of them at once if not.
    """

    def __init__(
        self,
        terminator: Any,
        tally: Tally | None = None,
        work: Work | None = None,
        spools: Sequence[Any] = (),
    ) -> None:
        """
        @param terminator: a L{terminable.Terminator}.
        @param tally: what adds up its accounts; by default, one that begins now.
        @param work: what counts, among other things; by default, nothing else.
        @param spools: each a L{terminable.spool.Spool}, whose items are counted too.
        """
        self._terminator = terminator
        self._reactor = terminator.reactor
        self._tally = Tally(terminator) if tally is None else tally
        self._work = Work(terminator.reactor) if work is None else work
        self._spools = SpoolMetrics(terminator.reactor, spools)
        self._protocols: set[str] = set()
        self._found: Count | None = None
        self._until = -1.0
        self._counting: list[Deferred[None]] = []

    def register(self, registry: CollectorRegistry) -> None:
        """
        Have a registry ask from now on, such as C{prometheus_client.REGISTRY}.

        @raise ValueError: it asks about another terminator already.
        """
        registry.register(self)

    # -- counting

    def _servers(self) -> list[Any]:
        return [*self._terminator.generations, self._terminator]

    def _connections(self) -> list[tuple[Any, Any]]:
        gates = [server.gate for server in self._servers()]
        return [(gate, transport) for gate in gates for transport in gate.ledger]

    def counted(self) -> Deferred[None]:
        """
        Count in slices, unless that was done a moment ago.

        @return: fires when L{collect} need not.
        """
        if self._reactor.seconds() < self._until:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._counting.append(waiting)
        if len(self._counting) == 1:
            Deferred.fromCoroutine(self._countAll())
        return waiting

    async def _countAll(self) -> None:
        count = Count(self._protocols)
        took = await self._work.each(self._connections(), count.look)
        await self._spools.ask()
        self._found = count
        # Looking is to be a small part of the time, whoever asks how often.
        self._until = self._reactor.seconds() + max(FRESH, TIMES * took)
        waiting, self._counting = self._counting, []
        for each in waiting:
            each.callback(None)

    def _count(self) -> Count:
        if self._found is None or self._reactor.seconds() >= self._until:
            self._found = Count(self._protocols)
            for item in self._connections():
                self._found.look(item)
        return self._found

    # -- for a registry

    def describe(self) -> Iterable[Metric]:
        """
        @return: the names that L{collect} uses, with no numbers.
        """
        return [family(name) for name in self._spools.names()]

    def collect(self) -> Iterable[Metric]:
        """
        @return: the metrics as they are now.  In another thread than the reactor's this waits for
            the reactor, and returns none if that takes longer than 10 s.
        """
        if not self._elsewhere():
            return list(self._collect())
        found: queue.Queue[list[Metric]] = queue.Queue()

        def ask() -> None:
            self.counted().addCallback(lambda _: found.put(list(self._collect())))

        self._reactor.callFromThread(ask)
        try:
            return found.get(timeout=PATIENCE)
        except queue.Empty:
            # It does not run any more, or is stuck.
            return []

    def _elsewhere(self) -> bool:
        if threadable.ioThread is None or not IReactorFromThreads.providedBy(self._reactor):
            return False
        return not threadable.isInIOThread()

    def _collect(self) -> Iterator[Metric]:
        terminator = self._terminator
        count, totals, throttle = self._count(), self._tally.totals(), terminator.throttle.counts
        oldest = 0.0 if count.oldest is None else self._reactor.seconds() - count.oldest
        phases = {phase.value: int(phase is terminator.phase) for phase in Phase}
        ended = {each.value: totals[each.value] for each in Outcome}
        throttled = {name: getattr(throttle, name) for name in ("held", "refused", "disconnected")}
        left = terminator.progress().left if terminator.phase.stopping else None
        version = getattr(sys.modules["terminable"], "__version__", "")
        yield one("build_info", 1, version)
        yield many("phase", phases)
        yield self._states(count)
        yield many("phase_connections", self._phases())
        yield one("requests_in_flight", count.requests)
        yield one("oldest_busy_seconds", oldest)
        yield one("opened", totals[OPENED])
        yield many("ended", ended)
        yield one("drained", totals[CHOSEN])
        yield one("draining_connections", len(terminator.gate.drain.roll.chosen))
        yield one("draining_generations", len(terminator.generations))
        yield one("waiting", terminator.waiting)
        yield many("refused", self._refused())
        yield one("accept_queue", sum(map(_queued, terminator.ports.listeners)))
        yield many("throttled", throttled)
        yield one("throttled_connections", count.held)
        yield from self._spools.collect()
        yield one("longest_turn_seconds", terminator.longestTurn)
        yield one("time_left_seconds", math.inf if left is None else left)
        yield self._stops()

    def _refused(self) -> dict[str, int]:
        room = self._terminator.room
        return dict.fromkeys(REASONS, 0) if room is None else dict(room.refused)

    def _phases(self) -> dict[str, int]:
        phases = dict.fromkeys((phase.value for phase in Phase), 0)
        for server in self._servers():
            phases[server.phase.value] += len(server.gate.ledger)
        return phases

    def _states(self, count: Count) -> Any:
        found = family("connections")
        for protocol in sorted({protocol for _, protocol in count.states} | self._protocols):
            for state in STATES:
                found.add_metric([state, protocol], count.states[state, protocol])
        return found

    def _stops(self) -> Any:
        found = family("stop_duration_seconds")
        bounds = [*map(str, BUCKETS), "+Inf"]
        found.add_metric(
            [], list(zip(bounds, accumulate(self._tally.stops), strict=True)), self._tally.seconds
        )
        return found


def _queued(listener: Any) -> int:
    sock = getattr(listener.port, "socket", None)
    return 0 if sock is None else sockets.queued(sock)


# -- for the admin door


class _Door:
    """
    A registry with one server, and its process.
    """

    def __init__(self, watched: Watched) -> None:
        self.registry = CollectorRegistry()
        self.metrics = TerminatorMetrics(
            watched.terminator, watched.tally, watched.work, watched.spools
        )
        self.metrics.register(self.registry)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)


_doors: WeakKeyDictionary[Watched, _Door] = WeakKeyDictionary()


def _doorOf(watched: Watched) -> _Door:
    if watched not in _doors:
        _doors[watched] = _Door(watched)
    return _doors[watched]


def metricsOf(watched: Watched) -> tuple[bytes, bytes]:
    """
    @return: the media type, and what C{/metrics} answers.  Connections are counted at once, unless
        L{counted} has done so a moment ago.
    """
    return CONTENT_TYPE_LATEST.encode(), generate_latest(_doorOf(watched).registry)


def counted(watched: Watched) -> Deferred[None]:
    """
    Count connections in slices.

    @return: fires when L{metricsOf} need not.
    """
    return _doorOf(watched).metrics.counted()
