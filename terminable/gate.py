"""
Where connections come in and go out: the one account under both ways of recording.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred

from terminable.choosing import Choice
from terminable.drainers import library
from terminable.draining import Drain
from terminable.policy.accounts import Accounts
from terminable.policy.ledger import Outcome, Progress, Report, State
from terminable.policy.phases import Phase
from terminable.policy.schedule import Schedule, Times
from terminable.roll import Course
from terminable.throttling.throttle import Throttle
from terminable.tracking import lingering
from terminable.tracking.connection import Connection
from terminable.tracking.layers import abort, applicationOf


class Gate:
    """
    What transports and factories tell about connections.

    @ivar ledger: the account.
    @ivar drain: what ends the connections in it.
    @ivar room: the L{Room<terminable.admission.room.Room>} that decides who is admitted
        when; C{None} if everybody is at once.
    """

    def __init__(
        self,
        reactor: Any,
        schedule: Schedule,
        phase: Callable[[], Phase],
        started: Callable[[Any], object],
        changed: Callable[[], object],
        throttle: Throttle,
        room: Any = None,
    ) -> None:
        """
        @param phase: tells where the terminator stands.
        @param started: called with a wrapped factory that somebody begins to use.
        @param changed: called when a connection is over.
        @param throttle: what holds connections to limits.
        @param room: decides who is admitted when, if anybody does.
        """
        self.room = room
        self._reactor = reactor
        self._schedule = schedule
        self._phase = phase
        self._started = started
        self._changed = changed
        self._throttle = throttle
        self.reset()

    def reset(self) -> None:
        """
        Begin a new account.
        """
        self.ledger: Accounts[Any] = Accounts()
        self.drain = Drain(self._reactor, self.ledger, self._schedule)

    @property
    def accepting(self) -> bool:
        """
        Whether a connection that is accepted now would be served.
        """
        return self._phase() not in (Phase.ABORTING, Phase.TERMINATED)

    def started(self, factory: Any) -> None:
        """
        Somebody begins to listen with a wrapped factory.
        """
        self._started(factory)

    def opened(self, transport: Any) -> None:
        """
        There is one more; a second time changes nothing.
        """
        if not self.ledger.open(transport, self._reactor.seconds()):
            return
        library.load()
        if library.watched:
            library.begin(applicationOf(transport))
        self._throttle.begin(transport, self._resumed, self.abort)
        if self.stopping:
            self.drain.late(transport)
        elif not self.accepting:
            self._reactor.callLater(0, self._refuse, transport)

    def _resumed(self, transport: Any) -> None:
        """
        What a limit has held back was handled.
        """
        self.drain.resumed(transport)

    @property
    def stopping(self) -> bool:
        """
        Whether a stop has begun and is not at its deadline.
        """
        return self._phase() in (Phase.QUIESCING, Phase.DRAINING)

    def admitted(self, transport: Any, refused: bool = False) -> None:
        """
        One that had to ask has a protocol now, which is not connected yet.
        """
        library.begin(applicationOf(transport))
        if not refused:
            self._throttle.meet(transport)
        if self.stopping or transport in self.drain.roll.chosen:
            self.drain.roll.renew(transport)
            self.drain.late(transport)

    def abort(self, transport: Any) -> None:
        """
        Abort one with which somebody has no more patience.
        """
        self.drain.cutting.aborted(transport)
        abort(transport)

    def dropped(self, transport: Any, spoke: bool) -> None:
        """
        One that waits has to go without a word.

        @param spoke: whether something that it has said was kept.
        """
        self.drain.cutting.dropped(transport, spoke)

    def linger(self, transport: Any) -> None:
        """
        What one was told shall arrive when it is lost.
        """
        lingering.install(transport, self._reactor, self._schedule)

    def _refuse(self, transport: Any) -> None:
        if transport in self.ledger:
            transport.loseConnection()

    def whenDraining(self, transport: Any) -> Deferred[None]:
        """
        @return: fires when the drain of this connection begins.
        """
        return self.drain.whenDraining(transport)

    def forget(self, transport: Any, asked: Deferred[None]) -> None:
        """
        Whoever asked is no longer interested.
        """
        self.drain.callers.forget(transport, asked)

    def flushed(self, transport: Any) -> object:
        """
        One was told to go, and everything is written.

        @return: what the reactor is to do.
        """
        return lingering.flushed(transport, self._reactor, self._schedule)

    def last(self, transport: Any) -> Connection | None:
        """
        One is about to be over.
        """
        return self.drain.roll.last(transport)

    def lost(self, transport: Any, last: Connection | None) -> None:
        """
        One is over.
        """
        self._throttle.end(transport)
        self.drain.ended(transport, last)
        if self.room is not None:
            self.room.over(transport)
        self._changed()

    def choose(self, choice: Choice, schedule: Schedule, done: Callable[[Report], object]) -> None:
        """
        Drain some connections, those that are not being drained already.

        @param done: called with their report when the last of them is gone.
        """
        now = self._reactor.seconds()
        found = choice.of([each for each in self.connections() if self._stays(each)], now)
        # Whoever selects may do anything.
        keys = [each.transport for each in found if self._stays(each)]
        self._drainSome(keys, schedule, done)

    def mayLetGo(self, transport: Any) -> bool:
        """
        Whether one is live, and nobody has asked it to go.
        """
        serving = self._phase() in (Phase.SERVING, Phase.SUSPENDED)
        return serving and transport in self.ledger and transport not in self.drain.roll.chosen

    def letGo(self, transports: Iterable[Any]) -> None:
        """
        Drain some on which nothing is in flight, as soon as may be.
        """
        soon = self._schedule.changed(gracePeriod=None, idleGrace=0.0, stagger=0.0)
        self._drainSome(list(transports), soon, lambda report: None)

    def _drainSome(
        self, keys: list[Any], schedule: Schedule, done: Callable[[Report], object]
    ) -> None:
        now = self._reactor.seconds()
        courses: list[Course] = []

        def over() -> None:
            for course in courses:
                self.drain.over(course)
            done(part.report(self._reactor.seconds()))

        part = self.ledger.choose(keys, now, over)
        if not part.live:
            done(part.report(now))
            return
        courses.append(self.drain.choose(keys, schedule))
        if not part.live:
            # Already over, while it was told.
            self.drain.over(courses[0])

    def _stays(self, connection: Connection) -> bool:
        transport = connection.transport
        return transport in self.ledger and transport not in self.drain.roll.chosen

    def connections(self) -> list[Connection]:
        """
        The live connections, oldest first.
        """
        return [self.drain.roll.connection(transport) for transport in self.ledger]

    def progress(self, times: Times | None) -> Progress:
        """
        How far the stop is that has these times.
        """
        now = self._reactor.seconds()
        live = self.ledger.live
        waiting = self.waiting()
        busy = [key for key in self.ledger.busyKeys() if key not in waiting]
        first = min(busy, key=lambda key: live[key], default=None)
        oldest = None
        if first is not None:
            connection = self.drain.roll.connection(first)
            oldest = connection.entry(now, State.BUSY, Outcome.LEFT)
        left = None if times is None else times.left(now)
        others = len(live) - len(busy) - len(waiting)
        counting = self.ledger.stopping and bool(live) and not self.drain.roll.whole.seen
        phase = self._phase()
        return Progress(phase, len(busy), others, left, oldest, len(waiting), counting)

    def waiting(self) -> set[Any]:
        """
        @return: the transports of those that wait to be admitted.
        """
        known = () if self.room is None else self.room.waitingAt(self)
        return {transport for transport in known if transport in self.ledger}
