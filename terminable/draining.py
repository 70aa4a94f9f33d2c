"""
One drain: every live connection is told, finishes, and goes.

What to do to a connection, and when, is here; whether it is time is for the
terminator to say.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.logger import Logger

from terminable.drainers.plain import PlainDrainer
from terminable.drainers.raw import RawDrainer
from terminable.drainers.web import WebDrainer
from terminable.policy.ledger import Ledger, Outcome, State
from terminable.policy.schedule import LAST_WORD, RETRY_AFTER, Schedule
from terminable.slices import Slices
from terminable.tracking import lingering
from terminable.tracking.connection import Connection
from terminable.tracking.layers import unreadIn, unsent, unsentHere

#: A connection that looks idle while something unread lies in the kernel is looked
#: at again after this many seconds, at most this often.
LOOK_AGAIN = 0.02
LOOKS = 5

#: A client that does not pause has its next request here one round trip after the
#: last byte of an answer; it is given so many, and no less than so many seconds.
ROUND_TRIPS = 4
AT_LEAST = 0.05

#: Drainers that keep nothing to themselves, and may be made anew at each look; all
#: others are kept, as L{terminable.IDrainer} promises.
FORGETFUL = (WebDrainer, RawDrainer)

_log = Logger()


class Drain:
    """
    The live connections while they are being ended.
    """

    def __init__(self, reactor: Any, ledger: Ledger[Any], schedule: Schedule) -> None:
        self._reactor = reactor
        self._ledger = ledger
        self._schedule = schedule
        self._slices = Slices(reactor)
        # Only those that there is something to remember of: idle ones come by the
        # ten thousand.
        self._connections: dict[Any, Connection] = {}
        self._begun: set[Any] = set()
        self._calls: set[Any] = set()
        self._words: set[Any] = set()
        self._cuts: set[Any] = set()
        self._draining = False
        self._losing = False

    @property
    def longest(self) -> float:
        """
        The longest time, in seconds, that one turn of the reactor has spent here.
        """
        return self._slices.longest

    def connection(self, transport: Any) -> Connection:
        """
        What is known of a live connection.
        """
        known = self._connections.get(transport)
        return known or Connection(transport, self._ledger.live[transport])

    def _remembered(self, transport: Any) -> Connection:
        known = self._connections.get(transport)
        if known is None:
            known = self._connections[transport] = self.connection(transport)
        return known

    # -- the beginning

    def hintAll(self) -> None:
        """
        Every peer is to be told with its next answer; nobody has to go yet.
        """
        self._slices.each(self._ledger.live, self._begin)

    def drainAll(self) -> None:
        """
        The same, and who is busy finishes.
        """
        self._draining = True
        self._slices.each(self._ledger.live, self._begin)

    def late(self, transport: Any) -> None:
        """
        A connection was accepted although the end has begun: begin with it before
        its first byte is read.
        """
        grace = self._schedule.idleGrace
        self._remembered(transport).notBefore = self._reactor.seconds() + grace
        if self._losing:
            self._later(grace, self._settle, transport)
        if not hasattr(transport, "doRead"):
            self._later(0, self._begin, transport)
            return

        def doRead() -> Any:
            vars(transport).pop("doRead", None)
            self._begin(transport)
            return transport.doRead()

        transport.doRead = doRead

    def _begin(self, transport: Any) -> None:
        if transport not in self._ledger:
            return
        connection = self.connection(transport)
        try:
            self._hint(transport, connection)
        except BaseException:
            _log.failure("cannot begin to drain {connection}", connection=connection)

    def _hint(self, transport: Any, connection: Connection) -> None:
        if transport not in self._begun:
            self._begun.add(transport)
            lingering.install(transport, self._reactor, self._schedule)
            connection.drainer.hint(partial(self._becameIdle, transport))
        plain = isinstance(connection.drainer, PlainDrainer)
        busy = connection.isBusy()
        if busy or not isinstance(connection.drainer, FORGETFUL):
            self._connections[transport] = connection
        if busy:
            self._ledger.sawBusy(transport)
            if plain and self._draining:
                connection.told = True
                connection.drainer.drain()

    def _becameIdle(self, transport: Any) -> None:
        """
        An answer has gone out that could not carry the hint: its client may already
        have sent the next request.
        """
        if transport not in self._ledger:
            return
        connection = self._remembered(transport)
        chance = self._chance(connection)
        connection.notBefore = max(connection.notBefore, self._reactor.seconds() + chance)
        if self._losing:
            self._later(chance, self._settle, transport)

    def _chance(self, connection: Connection) -> float:
        away = connection.roundTrip() * ROUND_TRIPS
        return min(max(away, AT_LEAST), self._schedule.idleGrace)

    # -- the end of the idle grace

    def loseIdle(self) -> None:
        """
        Lose what has nothing in flight, after a last look.
        """
        if self._losing:
            return
        self._losing = True
        # Never within the call of whoever asked for the stop: that may be a protocol
        # which goes on using its connection.
        self._later(0, self._slices.each, self._ledger.live, self._settle)

    def _settle(self, transport: Any, looks: int = 0) -> None:
        if transport not in self._ledger:
            return
        if transport not in self._begun:
            self._begin(transport)
        connection = self.connection(transport)
        early = connection.notBefore - self._reactor.seconds()
        if early > 0:
            self._later(early, self._settle, transport)
            return
        state = connection.state()
        if self._notYet(transport, connection, state, looks):
            return
        before, connection.told = connection.told, True
        if before and state is State.BUSY:
            # It knows already.
            return
        if state in (State.OPENING, State.NEW):
            self._name(connection, state, Outcome.IDLE)
        if state is State.BUSY:
            self._ledger.sawBusy(transport)
        elif state is State.OPENING or connection.silent:
            self._begun.discard(transport)
            self._loseIdle(connection)
            return
        self._connections[transport] = connection
        if not connection.isLeaving():
            connection.drainer.drain()

    def _loseIdle(self, connection: Connection) -> None:
        taking = bool(connection.unconfirmed)
        lingering.loseIdle(
            connection.transport, connection.tls, taking, self._reactor, self._schedule
        )

    def _notYet(self, transport: Any, connection: Connection, state: State, looks: int) -> bool:
        """
        Whether to look again in a moment: there is something that the application has
        not seen, or the peer is still taking an answer that we are done with.
        """
        if looks < LOOKS and unreadIn(transport, connection.tls):
            self._later(LOOK_AGAIN, self._settle, transport, looks + 1)
            return True
        if state is State.OPENING:
            return False
        before, connection.unconfirmed = connection.unconfirmed, unsent(transport)
        if state is State.BUSY or not 0 < connection.unconfirmed < (before or sys.maxsize):
            return False
        self._connections[transport] = connection
        self._later(self._chance(connection), self._settle, transport, looks)
        return True

    # -- the deadline

    def cutAll(self, words: bool, done: Callable[[], object]) -> None:
        """
        End every connection now.

        @param words: whether a last word may be said before.
        @param done: called when all were told; they end in the next moments.
        """
        if self._ledger:
            self._later(0, self._slices.each, self._ledger.live, partial(self._cut, words), done)
        else:
            done()

    def _cut(self, words: bool, transport: Any) -> None:
        if transport not in self._ledger:
            return
        if transport in self._words:
            self._cutOff(transport)
        if transport in self._cuts:
            return
        self._cuts.add(transport)
        connection = self._remembered(transport)
        state = connection.state()
        if state is not State.BUSY and not connection.told:
            if state in (State.OPENING, State.NEW):
                self._name(connection, state, Outcome.IDLE)
            connection.unconfirmed = unsent(transport)
            self._loseIdle(connection)
            return
        entry = connection.entry(self._reactor.seconds(), state, Outcome.ABORTED)
        word = self._lastWord(connection) if words else ""
        self._ledger.name(entry.withWord(word))
        self._ledger.sawAbort(transport)
        if word:
            self._words.add(transport)
            self._later(LAST_WORD, self._cutOff, transport)
        else:
            self._abort(transport)

    def _lastWord(self, connection: Connection) -> str:
        try:
            lingering.install(connection.transport, self._reactor, self._schedule)
            return str(connection.drainer.lastWord(RETRY_AFTER))
        except BaseException:
            _log.failure("{connection} could not say its last word", connection=connection)
            return ""

    def _cutOff(self, transport: Any) -> None:
        """
        The last word had its time.  If it has left this process, the kernel goes on
        delivering it after an orderly close.
        """
        if transport not in self._ledger:
            return
        if unsentHere(transport):
            self._abort(transport)
        else:
            lingering.finish(transport)

    def _abort(self, transport: Any) -> None:
        end = getattr(transport, "abortConnection", None) or transport.loseConnection
        end()

    # -- what is left

    def last(self, transport: Any) -> Connection | None:
        """
        What will have to be known of a connection that is about to be over: nothing
        before its drain began, or if nothing was in flight.
        """
        if transport not in self._begun or transport not in self._ledger:
            return None
        connection = self.connection(transport)
        connection.keep()
        return connection

    def ended(self, transport: Any, last: Connection | None) -> None:
        """
        A connection is over: put it into the account.
        """
        self._connections.pop(transport, None)
        self._begun.discard(transport)
        if last is not None and last.answered:
            self._ledger.sawBusy(transport)
        outcome = self._ledger.end(transport, last is not None and last.unfinished)
        if last is not None and outcome is Outcome.LEFT:
            self._name(last, State.BUSY, outcome)

    def giveUp(self) -> None:
        """
        Forget those that did not even end when they were aborted.
        """
        for transport in self._ledger:
            _log.error("{transport} did not end when it was aborted", transport=transport)
            connection = self.connection(transport)
            if self._ledger.sawAbort(transport):
                self._name(connection, connection.state(), Outcome.ABORTED)
            self._ledger.end(transport)

    def stop(self) -> None:
        """
        The drain is over: leave no delayed call behind.
        """
        for call in self._calls:
            call.cancel()
        self._calls.clear()
        self._connections.clear()
        for marks in (self._begun, self._words, self._cuts):
            marks.clear()

    def _name(self, connection: Connection, state: State, outcome: Outcome) -> None:
        self._ledger.name(connection.entry(self._reactor.seconds(), state, outcome))

    def _later(self, delay: float, work: Callable[..., object], *args: object) -> None:
        def run() -> None:
            self._calls.discard(call)
            try:
                work(*args)
            except BaseException:
                _log.failure("{work} failed", work=work)

        call = self._reactor.callLater(delay, run)
        self._calls.add(call)
