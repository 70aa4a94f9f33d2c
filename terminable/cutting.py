"""
The deadline: what is left is ended, with one last word where there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.logger import Logger

from terminable import events
from terminable.goodbyes import Callers
from terminable.policy.ledger import Outcome, State
from terminable.policy.schedule import GIVE_UP, LAST_WORD, RETRY_AFTER
from terminable.roll import Roll
from terminable.tracking import lingering
from terminable.tracking.connection import Connection
from terminable.tracking.layers import abort, hasUnread, tlsLayer, unsent, unsentHere

_log = Logger()


class Cutting:
    """
    Ends connections that have had their time.
    """

    def __init__(
        self,
        reactor: Any,
        roll: Roll,
        callers: Callers,
        begin: Callable[[Any, Connection], object],
        lose: Callable[[Connection], object],
    ) -> None:
        """
        @param callers: whom the connections were waiting for.
        @param begin: has a drainer begin, unless it has.
        @param lose: loses a connection on which nothing is in flight.
        """
        self._reactor = reactor
        self._roll = roll
        self._ledger = roll.ledger
        self._callers = callers
        self._begin = begin
        self._loseIdle = lose
        self._moments: set[Any] = set()
        self._cuts: set[Any] = set()

    def cut(self, transport: Any, words: bool) -> None:
        """
        End a connection now: abort it and name it if something is in flight, or if it was
        told and has not gone; just lose it otherwise.

        @param words: whether a last word may be said before.
        """
        if transport not in self._ledger:
            return
        if transport in self._moments:
            # That may be its end.
            self._cutOff(transport)
            return
        if transport in self._cuts:
            return
        self._cuts.add(transport)
        try:
            cut = self._cut(transport, words)
        except BaseException:
            # The deadline holds all the same.
            _log.failure("{transport} is aborted, and cannot be named", transport=transport)
            self._ledger.sawAbort(transport)
            cut = True
        if cut:
            abort(transport)

    def _cut(self, transport: Any, words: bool) -> bool:
        """
        @return: whether it has to be aborted.
        """
        connection = self._roll.remembered(transport)
        state = self._stateOf(transport, connection)
        if state is not State.BUSY and not connection.told:
            self._lose(connection, state, words)
            return False
        entry = self._roll.entry(connection, state, Outcome.ABORTED)
        word = self._lastWord(connection) if words else ""
        if word:
            self._giveMoment(transport, 0.0)
        if self._ledger.sawAbort(transport):
            self._ledger.name(transport, entry.withWord(word))
        return not word

    def _stateOf(self, transport: Any, connection: Connection) -> State:
        """
        What a connection is doing: whoever has sent something that nobody has read is
        waiting for an answer, and whoever does not take his is not waited for.
        """
        if self._callers.isAt(transport):
            return State.BUSY
        state = connection.state()
        if state is State.OPENING:
            return state
        unread = state is not State.UPGRADED and hasUnread(transport)
        return State.BUSY if unread or unsentHere(transport) else state

    def _lose(self, connection: Connection, state: State, words: bool) -> None:
        if state in (State.OPENING, State.NEW):
            self._roll.name(connection, state, Outcome.IDLE)
        speaks = words and state is not State.OPENING and not connection.silent
        word = self._lastWord(connection) if speaks else ""
        transport = connection.transport
        if not word:
            connection.unconfirmed = unsent(transport)
            self._loseIdle(connection)
        if word or unsent(transport):
            # Perhaps it has only now written what its peer does not take.
            self._giveMoment(transport, self._reactor.seconds() + GIVE_UP)

    def _lastWord(self, connection: Connection) -> str:
        transport = connection.transport
        try:
            lingering.install(transport, self._reactor, self._roll.schedule(transport))
            # Without any grace, nobody was told before.
            self._begin(transport, connection)
            return str(connection.drainer.lastWord(RETRY_AFTER))
        except BaseException:
            _log.failure("{connection} could not say its last word", connection=connection)
            return ""

    def _giveMoment(self, transport: Any, until: float, moment: float = LAST_WORD) -> None:
        if transport in self._ledger:
            self._moments.add(transport)
            self._roll.later(moment, self._cutOff, transport, until, moment)

    def _cutOff(self, transport: Any, until: float = 0.0, moment: float = 0.0) -> None:
        """
        The last word had its time.  If it has left this process, the kernel goes on
        delivering it after an orderly close; but whoever was idle, and still takes an answer,
        has until C{until} for that, and is looked at ever more seldom.
        """
        if transport not in self._ledger:
            return
        left = until - self._reactor.seconds()
        if left > 0 and self._isTaking(transport):
            self._giveMoment(transport, until, min(2 * moment, left))
        elif unsentHere(transport):
            self._nameAborted(transport)
            abort(transport)
        else:
            lingering.finish(transport)

    def _isTaking(self, transport: Any) -> bool:
        if self._ledger.isAborted(transport) or not lingering.lingers(transport):
            return False
        # TLS has a close_notify to say, for which there may be no room yet.
        mayWrite = tlsLayer(transport) is not None
        return bool(unsent(transport)) and (mayWrite or not unsentHere(transport))

    def isCut(self, transport: Any) -> bool:
        """
        Whether a connection has had its time.
        """
        return transport in self._cuts

    def aborted(self, transport: Any) -> None:
        """
        A connection is being aborted, but not by its deadline.
        """
        if transport in self._cuts or not self._isDrained(transport):
            return
        connection = self._roll.connection(transport)
        entry = self._roll.entry(connection, connection.state(), Outcome.ABORTED)
        if self._ledger.sawAbort(transport):
            self._ledger.name(transport, entry)

    def dropped(self, transport: Any, spoke: bool) -> None:
        """
        A connection that waits has to go without a word: for a peer that has said something,
        it is aborted.

        @param spoke: whether something that it has said was kept.
        """
        if spoke or hasUnread(transport):
            self.aborted(transport)
        elif transport not in self._cuts and self._isDrained(transport):
            self._roll.name(self._roll.connection(transport), State.NEW, Outcome.IDLE)
            self._ledger.settle(transport, Outcome.IDLE)

    def _isDrained(self, transport: Any) -> bool:
        live = transport in self._ledger
        return live and (self._ledger.stopping or transport in self._roll.chosen)

    def giveUp(self) -> None:
        """
        Forget those that did not even end when they were aborted.
        """
        for transport in self._ledger:
            self._giveUp(transport)
            self._ledger.end(transport)

    def giveUpOn(self, transports: Iterable[Any]) -> None:
        """
        The same for some that were chosen; they stay in the account of all.
        """
        stuck = [transport for transport in transports if transport in self._ledger]
        for transport in stuck:
            self._giveUp(transport)
        self._ledger.abandon(stuck)

    def _giveUp(self, transport: Any) -> None:
        _log.error(
            "{transport} did not end when it was aborted", event=events.STUCK, transport=transport
        )
        self._nameAborted(transport)

    def _nameAborted(self, transport: Any) -> None:
        connection = self._roll.connection(transport)
        if self._ledger.sawAbort(transport):
            self._roll.name(connection, connection.state(), Outcome.ABORTED)

    def ended(self, transport: Any) -> None:
        """
        Forget one.
        """
        self._moments.discard(transport)
        self._cuts.discard(transport)

    def stop(self) -> None:
        """
        Forget all.
        """
        self._moments.clear()
        self._cuts.clear()
