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
from collections.abc import Iterable, Iterator
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
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python import threadable

from terminable.admin.tally import BUCKETS, CHOSEN, OPENED, Tally
from terminable.admin.watched import Watched
from terminable.admin.words import STATES, stateOf
from terminable.admin.work import Work
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
    @ivar requests: how many requests, messages and commands are in flight.
    @ivar oldest: when the busy one was opened that was opened first; C{None} if there is none.
    """

    def __init__(self, protocols: set[str]) -> None:
        """
        @param protocols: the names of those that have one of their own; new ones are added.
        """
        self._protocols = protocols
        self.states: Counter[tuple[str, str]] = Counter()
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
        self, terminator: Any, tally: Tally | None = None, work: Work | None = None
    ) -> None:
        """
        @param terminator: a L{terminable.Terminator}.
        @param tally: what adds up its accounts; by default, one that begins now.
        @param work: what counts, among other things; by default, nothing else.
        """
        self._terminator = terminator
        self._reactor = terminator.reactor
        self._tally = Tally(terminator) if tally is None else tally
        self._work = Work(terminator.reactor) if work is None else work
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

    def _items(self) -> list[tuple[Any, Any]]:
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
            count = Count(self._protocols)
            self._work.each(self._items(), count.look).addCallback(self._over, count)
        return waiting

    def _over(self, took: float, count: Count) -> None:
        self._found = count
        # Looking is to be a small part of the time, whoever asks how often.
        self._until = self._reactor.seconds() + max(FRESH, TIMES * took)
        waiting, self._counting = self._counting, []
        for each in waiting:
            each.callback(None)

    def _count(self) -> Count:
        if self._found is None or self._reactor.seconds() >= self._until:
            self._found = Count(self._protocols)
            for item in self._items():
                self._found.look(item)
        return self._found

    # -- for a registry

    def describe(self) -> Iterable[Metric]:
        """
        @return: the names that L{collect} uses, with no numbers.
        """
        return [_family(name) for name in _FAMILIES]

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
        yield _one("build_info", 1, version)
        yield _many("phase", phases)
        yield self._states(count)
        yield _many("phase_connections", self._phases())
        yield _one("requests_in_flight", count.requests)
        yield _one("oldest_busy_seconds", oldest)
        yield _one("opened", totals[OPENED])
        yield _many("ended", ended)
        yield _one("drained", totals[CHOSEN])
        yield _one("draining_connections", len(terminator.gate.drain.roll.chosen))
        yield _one("draining_generations", len(terminator.generations))
        yield _one("waiting", terminator.waiting)
        yield _one("accept_queue", sum(map(_queued, terminator.ports.listeners)))
        yield _many("throttled", throttled)
        yield _one("longest_turn_seconds", terminator.longestTurn)
        yield _one("time_left_seconds", math.inf if left is None else left)
        yield self._stops()

    def _phases(self) -> dict[str, int]:
        phases = dict.fromkeys((phase.value for phase in Phase), 0)
        for server in self._servers():
            phases[server.phase.value] += len(server.gate.ledger)
        return phases

    def _states(self, count: Count) -> Any:
        family = _family("connections")
        for protocol in sorted({protocol for _, protocol in count.states} | self._protocols):
            for state in STATES:
                family.add_metric([state, protocol], count.states[state, protocol])
        return family

    def _stops(self) -> Any:
        family = _family("stop_duration_seconds")
        bounds = [*map(str, BUCKETS), "+Inf"]
        family.add_metric(
            [], list(zip(bounds, accumulate(self._tally.stops), strict=True)), self._tally.seconds
        )
        return family


def _queued(listener: Any) -> int:
    sock = getattr(listener.port, "socket", None)
    return 0 if sock is None else sockets.queued(sock)


# -- what there is

_GAUGE, _COUNTER, _HISTOGRAM = GaugeMetricFamily, CounterMetricFamily, HistogramMetricFamily

#: The metrics by their names without C{terminable_}: kind, meaning, labels.
_FAMILIES: dict[str, tuple[Any, str, tuple[str, ...]]] = {
    "build_info": (_GAUGE, "Always 1.", ("version",)),
    "phase": (_GAUGE, "1 for the phase in which the server is, 0 for the others.", ("phase",)),
    "connections": (
        _GAUGE,
        "Live connections, by what they are doing and their protocol's class.",
        ("state", "protocol"),
    ),
    "phase_connections": (
        _GAUGE,
        "Live connections, by the phase of their generation.",
        ("phase",),
    ),
    "requests_in_flight": (
        _GAUGE,
        "Streams of HTTP/2, and one for each other busy connection.",
        (),
    ),
    "oldest_busy_seconds": (
        _GAUGE,
        "Age of the oldest busy connection; 0 if none is busy.",
        (),
    ),
    "opened": (_COUNTER, "Connections that were accepted.", ()),
    "ended": (
        _COUNTER,
        "Connections that are over: before a stop began, or in it idle, finished, left, aborted.",
        ("outcome",),
    ),
    "drained": (_COUNTER, "Connections that were drained while others stayed.", ()),
    "draining_connections": (_GAUGE, "Connections that are being drained while others stay.", ()),
    "draining_generations": (_GAUGE, "Older generations that are still draining.", ()),
    "waiting": (_GAUGE, "Connections that wait to be admitted.", ()),
    "accept_queue": (_GAUGE, "Connections in the queues of the ports, not accepted yet.", ()),
    "throttled": (
        _COUNTER,
        "How often a limit held a connection, refused a message, disconnected a peer.",
        ("what",),
    ),
    "longest_turn_seconds": (
        _GAUGE,
        "Most processor time that a turn of the reactor was spent on draining.",
        (),
    ),
    "time_left_seconds": (
        _GAUGE,
        "Time until the deadline of the stop; infinite if there is none.",
        (),
    ),
    "stop_duration_seconds": (_HISTOGRAM, "How long stops took.", ()),
}


def _family(name: str) -> Any:
    kind, text, labels = _FAMILIES[name]
    return kind(f"terminable_{name}", text, labels=labels)


def _one(name: str, value: float, *labels: str) -> Any:
    family = _family(name)
    family.add_metric(labels, value)
    return family


def _many(name: str, values: dict[str, int]) -> Any:
    family = _family(name)
    for label, value in values.items():
        family.add_metric([label], value)
    return family


# -- for the admin door


class _Door:
    """
    A registry with one server, and its process.
    """

    def __init__(self, watched: Watched) -> None:
        self.registry = CollectorRegistry()
        self.metrics = TerminatorMetrics(watched.terminator, watched.tally, watched.work)
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
