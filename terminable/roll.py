"""
Who is being drained: what is remembered of connections, and how their drain goes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

from terminable.policy.accounts import Accounts
from terminable.policy.ledger import Entry, Outcome, State
from terminable.policy.schedule import Schedule
from terminable.policy.stagger import Stagger
from terminable.tracking.connection import Connection

#: A client that does not pause has its next request here one round trip after the
#: last byte of an answer; it is given so many, and no less than so many seconds.
ROUND_TRIPS = 4
AT_LEAST = 0.05

_log = Logger()


class Course:
    """
    How the drain of some connections goes: of all of them, or of those that were chosen.

    @ivar draining: whether they are to finish now.
    @ivar losing: whether their idle grace is over.
    @ivar stagger: when each of their goodbyes is.
    @ivar calls: what is still to come.
    @ivar seen: whether each of them has been looked at.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.draining = False
        self.losing = False
        self.stagger = Stagger()
        self.calls: list[Any] = []
        self.seen = False

    def sawAll(self) -> None:
        """
        Each of them has been looked at.
        """
        self.seen = True


class Roll:
    """
    The live connections as a drain sees them.

    @ivar ledger: the account.
    @ivar whole: how the drain of all of them goes.
    @ivar chosen: how it goes for those that were chosen.
    @ivar begun: those whose drain has begun.
    """

    def __init__(self, reactor: Any, ledger: Accounts[Any], schedule: Schedule) -> None:
        self.ledger = ledger
        self.whole = Course(schedule)
        self.chosen: dict[Any, Course] = {}
        self.begun: set[Any] = set()
        self._reactor = reactor
        # Only those that there is something to remember of: idle ones come by the
        # ten thousand.
        self._connections: dict[Any, Connection] = {}
        self._calls: set[Any] = set()

    def connection(self, transport: Any) -> Connection:
        """
        What is known of a live connection.
        """
        known = self._connections.get(transport)
        return known or Connection(transport, self.ledger.live[transport])

    def knows(self, transport: Any) -> bool:
        """
        Whether there is something to remember of a connection.
        """
        return transport in self._connections

    def remembered(self, transport: Any) -> Connection:
        """
        The same, and remembered from now on.
        """
        known = self._connections.get(transport)
        if known is None:
            known = self._connections[transport] = self.connection(transport)
        return known

    def remember(self, connection: Connection) -> None:
        """
        Remember what is known of a connection.
        """
        self._connections[connection.transport] = connection

    def course(self, transport: Any) -> Course:
        """
        How the drain of a connection goes.
        """
        return self.chosen.get(transport, self.whole)

    def schedule(self, transport: Any) -> Schedule:
        """
        How long each part of it may take.
        """
        return self.course(transport).schedule

    def chance(self, connection: Connection) -> float:
        """
        @return: for how many seconds a connection may stay after its answer.
        """
        away = connection.roundTrip() * ROUND_TRIPS
        return min(max(away, AT_LEAST), self.schedule(connection.transport).idleGrace)

    def draining(self, transport: Any) -> bool:
        """
        Whether the connection is to finish now.
        """
        return self.whole.draining or self.course(transport).draining

    def losing(self, transport: Any) -> bool:
        """
        Whether its idle grace is over.
        """
        return self.whole.losing or self.course(transport).losing

    def last(self, transport: Any) -> Connection | None:
        """
        What will have to be known of a connection that is about to be over: nothing
        before its drain began, or if nothing was in flight.
        """
        if transport not in self.begun or transport not in self.ledger:
            return None
        connection = self.connection(transport)
        connection.keep()
        return connection

    def renew(self, transport: Any) -> None:
        """
        A connection is another one now: what was remembered of it was of one that waited.
        """
        self._connections.pop(transport, None)
        self.begun.discard(transport)

    def ended(self, transport: Any) -> None:
        """
        Forget one.
        """
        self.renew(transport)
        self.chosen.pop(transport, None)

    def stop(self) -> None:
        """
        Forget all, and leave no delayed call behind.
        """
        for call in self._calls:
            call.cancel()
        self._calls.clear()
        self._connections.clear()
        self.begun.clear()
        self.chosen.clear()

    def entry(self, connection: Connection, state: State, outcome: Outcome) -> Entry:
        """
        A connection as it appears in a report now.
        """
        return connection.entry(self._reactor.seconds(), state, outcome)

    def name(self, connection: Connection, state: State, outcome: Outcome) -> None:
        """
        Put it into the report.
        """
        self.ledger.name(connection.transport, self.entry(connection, state, outcome))

    def laterFor(
        self, transport: Any, seconds: float, work: Callable[..., object], *args: object
    ) -> None:
        """
        Call C{work} after some seconds, unless the connection is over by then.
        """
        self.later(seconds, self._ifLive, transport, work, args)

    def _ifLive(self, transport: Any, work: Callable[..., object], args: Any) -> None:
        if transport in self.ledger:
            work(*args)

    def later(self, delay: float, work: Callable[..., object], *args: object) -> Any:
        """
        Call C{work} after some seconds, unless the drain is over by then; what it raises
        is logged.

        @return: may be given to L{cancel}.
        """

        def run() -> None:
            self._calls.discard(call)
            try:
                work(*args)
            except BaseException:
                _log.failure("{work} failed", work=work)

        call = self._reactor.callLater(delay, run)
        self._calls.add(call)
        return call

    def cancel(self, call: Any) -> None:
        """
        Do not call it, unless it was.
        """
        if call in self._calls:
            self._calls.discard(call)
            call.cancel()
