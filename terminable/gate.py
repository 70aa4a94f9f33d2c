"""
Where connections come in and go out: the one account under both ways of recording.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from terminable.draining import Drain
from terminable.policy.ledger import Ledger, Outcome, Progress, State
from terminable.policy.phases import Phase
from terminable.policy.schedule import Schedule, Times
from terminable.tracking import lingering
from terminable.tracking.connection import Connection


class Gate:
    """
    What transports and factories tell about connections.

    @ivar ledger: the account.
    @ivar drain: what ends the connections in it.
    """

    def __init__(
        self,
        reactor: Any,
        schedule: Schedule,
        phase: Callable[[], Phase],
        started: Callable[[Any], object],
        changed: Callable[[], object],
    ) -> None:
        """
        @param phase: tells where the terminator stands.
        @param started: called with a wrapped factory that somebody begins to use.
        @param changed: called when a connection is over.
        """
        self._reactor = reactor
        self._schedule = schedule
        self._phase = phase
        self._started = started
        self._changed = changed
        self.reset()

    def reset(self) -> None:
        """
        Begin a new account.
        """
        self.ledger: Ledger[Any] = Ledger()
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
        if self._phase() in (Phase.QUIESCING, Phase.DRAINING):
            self.drain.late(transport)
        elif not self.accepting:
            self._reactor.callLater(0, self._refuse, transport)

    def _refuse(self, transport: Any) -> None:
        if transport in self.ledger:
            transport.loseConnection()

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
        return self.drain.last(transport)

    def lost(self, transport: Any, last: Connection | None) -> None:
        """
        One is over.
        """
        self.drain.ended(transport, last)
        self._changed()

    def connections(self) -> list[Connection]:
        """
        The live connections, oldest first.
        """
        return [self.drain.connection(transport) for transport in self.ledger]

    def progress(self, times: Times | None) -> Progress:
        """
        How far the stop is that has these times.
        """
        now = self._reactor.seconds()
        live = self.ledger.live
        first = min(self.ledger.busyKeys(), key=lambda key: live[key], default=None)
        oldest = None
        if first is not None:
            connection = self.drain.connection(first)
            oldest = connection.entry(now, State.BUSY, Outcome.LEFT)
        left = None if times is None else times.left(now)
        busy = self.ledger.busy
        return Progress(self._phase(), busy, len(self.ledger) - busy, left, oldest)
