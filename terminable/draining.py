"""
One drain: every live connection is told, finishes, and goes.

What to do to a connection, and when, is here; whether it is time is for the
terminator to say.  Some connections may be chosen to be drained while the others stay.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from terminable.cutting import Cutting
from terminable.drainers.plain import PlainDrainer
from terminable.goodbyes import Callers, Watch
from terminable.parting import Parting
from terminable.policy.accounts import Accounts
from terminable.policy.ledger import Outcome, State
from terminable.policy.schedule import GIVE_UP, LAST_WORD, Schedule
from terminable.roll import Course, Roll
from terminable.slices import Queue, Slices
from terminable.tracking import lingering
from terminable.tracking.connection import Connection
from terminable.tracking.layers import unreadIn, unsent

#: A connection that looks idle while something unread lies in the kernel is looked
#: at again after this many seconds, at most this often.
LOOK_AGAIN = 0.02
LOOKS = 5

_log = Logger()


class Drain:
    """
    The live connections while they are being ended.

    @ivar roll: what is remembered of them.
    @ivar callers: who asked to be called.
    @ivar cutting: what ends those that have had their time.
    """

    def __init__(self, reactor: Any, ledger: Accounts[Any], schedule: Schedule) -> None:
        self._reactor = reactor
        self._ledger = ledger
        self._slices = Slices(reactor)
        self.roll = Roll(reactor, ledger, schedule)
        self.callers = Callers()
        self._parting = Parting(self.roll, self._slices)
        self._speaking = Queue(self._slices, self._speakNow, self.roll.later)
        self.cutting = Cutting(reactor, self.roll, self.callers, self._watch, self._loseIdle)

    @property
    def longest(self) -> float:
        """
        The longest time, in seconds, that one turn of the reactor has spent here.
        """
        return self._slices.longest

    def whenDraining(self, transport: Any) -> Deferred[None]:
        """
        @return: fires when the drain of a connection begins, at once if it has begun,
            and never if the connection is over before.
        """
        if transport not in self._ledger:
            return Deferred()
        if self.roll.draining(transport):
            return succeed(None)
        return self.callers.ask(transport)

    # -- the beginning

    def hintAll(self) -> None:
        """
        Every peer is to be told with its next answer; nobody has to go yet.
        """
        self._slices.each(self._ledger.live, self._begin, self.roll.whole.sawAll)

    def drainAll(self, left: float | None) -> None:
        """
        The same, and who is busy finishes.

        @param left: seconds until the deadline, if there is one.
        """
        self._drain(self.roll.whole, self._ledger.live, left)

    def _drain(self, course: Course, transports: Collection[Any], left: float | None) -> None:
        course.draining = True
        course.stagger.window = course.schedule.window(left)
        self._slices.each(transports, self._begin, course.sawAll)

    def choose(self, transports: Collection[Any], schedule: Schedule) -> Course:
        """
        Drain some connections that were not chosen before, and go on with the others.

        @return: to be given to L{over} when none of them is left.
        """
        course = Course(schedule)
        self.roll.chosen.update(dict.fromkeys(transports, course))
        left = limit = schedule.gracePeriod
        later = self.roll.later
        if limit is not None:
            left = limit - schedule.idleGrace

            def told() -> None:
                if any(transport in self._ledger for transport in transports):
                    call = later(LAST_WORD + GIVE_UP, self.cutting.giveUpOn, transports)
                    course.calls.append(call)

            course.calls.append(later(limit, self.cut, transports, True, told))
        course.calls.append(later(schedule.idleGrace, self._lose, course, transports, left))
        self._drain(course, transports, limit)
        return course

    def over(self, course: Course) -> None:
        """
        Nothing is left to do for those who were chosen.
        """
        for call in course.calls:
            self.roll.cancel(call)

    def late(self, transport: Any) -> None:
        """
        A connection was accepted although the end has begun: begin with it before
        its first byte is read.
        """
        grace = self.roll.schedule(transport).idleGrace
        self.roll.remembered(transport).notBefore = self._reactor.seconds() + grace
        if self.roll.losing(transport):
            self.roll.later(grace, self._settle, transport)
        if not hasattr(transport, "doRead"):
            self.roll.later(0, self._begin, transport)
            return

        def doRead() -> Any:
            vars(transport).pop("doRead", None)
            self._begin(transport)
            if not transport.connected or transport.disconnecting:
                # Whoever was told has lost it: it is given nothing more.
                return None
            return transport.doRead()

        transport.doRead = doRead

    def _begin(self, transport: Any) -> None:
        if transport not in self._ledger:
            return
        connection = self.roll.connection(transport)
        try:
            self._hint(transport, connection)
        except BaseException:
            _log.failure("cannot begin to drain {connection}", connection=connection)

    def _hint(self, transport: Any, connection: Connection) -> None:
        if transport not in self.roll.begun:
            self.roll.begun.add(transport)
            lingering.install(transport, self._reactor, self.roll.schedule(transport))
        self._watch(transport, connection)
        if transport not in self._ledger:
            # That was its end.
            self.roll.ended(transport)
            return
        drainer = connection.drainer
        busy = connection.isBusy()
        if busy or connection.prompt or not getattr(type(drainer), "forgetful", False):
            self.roll.remember(connection)
        if busy:
            self._ledger.sawBusy(transport)
        else:
            self._parting.watch(connection)
        if self.roll.draining(transport):
            if self.callers.isAt(transport):
                return
            if transport in self.callers or (connection.prompt and not connection.told):
                self._takeTurn(transport, connection, self._speak)
            elif busy and isinstance(drainer, PlainDrainer):
                self._takeTurn(transport, connection, self._sayGoodbye)

    def _watch(self, transport: Any, connection: Connection) -> None:
        """
        Have the drainer begin, unless it has; there is another one if the protocol was
        exchanged.
        """
        drainer = connection.drainer
        if connection.watched is not drainer:
            connection.watched = drainer
            watch = Watch(
                transport, self.roll.schedule(transport), self._becameIdle, self.roll.laterFor
            )
            drainer.hint(watch)

    def _takeTurn(
        self, transport: Any, connection: Connection, work: Callable[[Any, Connection], object]
    ) -> None:
        """
        Have something done when it is this connection's turn: goodbyes to those who would
        all come back at once are spread.
        """
        if connection.waits:
            return
        self.roll.remember(connection)
        share = 0.0
        if connection.lasting or transport in self.callers:
            share = self.roll.course(transport).stagger.next()
        if share:
            connection.waits = True
            self.roll.later(share, self._turn, transport, work)
        else:
            work(transport, connection)

    def _turn(self, transport: Any, work: Callable[[Any, Connection], object]) -> None:
        if transport in self._ledger:
            connection = self.roll.remembered(transport)
            connection.waits = False
            work(transport, connection)

    def _speak(self, transport: Any, connection: Connection) -> None:
        """
        Call those who have asked to be called; when they are done, say goodbye if now is
        the time.
        """
        if transport in self.callers:
            self._ledger.sawBusy(transport)
        # Not at once: whoever asked for the stop may be a protocol in the middle of something.
        self._speaking.add(transport)

    def _speakNow(self, transport: Any) -> None:
        if transport in self.callers:
            self.callers.call(transport, self._called)
        else:
            self._called(transport)

    def _called(self, transport: Any) -> None:
        if transport not in self._ledger:
            return
        connection = self.roll.remembered(transport)
        if connection.prompt and not connection.told:
            self._sayGoodbye(transport, connection)
        elif self.roll.losing(transport):
            connection.spoke = True
            self._settle(transport)

    def _sayGoodbye(self, transport: Any, connection: Connection) -> None:
        connection.told = connection.spoke = True
        self._watch(transport, connection)
        if connection.isBusy():
            self._ledger.sawBusy(transport)
        if not connection.isLeaving():
            connection.drainer.drain()

    def _becameIdle(self, transport: Any) -> None:
        """
        An answer has gone out that could not carry the hint: its client may already
        have sent the next request.
        """
        if transport not in self._ledger:
            return
        connection = self.roll.remembered(transport)
        chance = self.roll.chance(connection)
        connection.notBefore = max(connection.notBefore, self._reactor.seconds() + chance)
        if self.roll.losing(transport) or connection.told:
            self.roll.later(chance, self._settle, transport)

    def resumed(self, transport: Any) -> None:
        """
        A connection was held back, and is not any more.
        """
        if transport in self.roll.begun:
            self._becameIdle(transport)

    # -- the end of the idle grace

    def loseIdle(self, left: float | None) -> None:
        """
        Lose what has nothing in flight, after a last look.

        @param left: seconds until the deadline, if there is one.
        """
        if not self.roll.whole.losing:
            self._lose(self.roll.whole, self._ledger.live, left)

    def _lose(self, course: Course, transports: Collection[Any], left: float | None) -> None:
        course.losing = True
        course.stagger.window = course.schedule.window(left)
        # Never within the call of whoever asked for the stop: that may be a protocol
        # which goes on using its connection.
        self.roll.later(0, self._slices.each, transports, self._part, self._parting.finish)

    def _part(self, transport: Any) -> None:
        if transport in self.callers or not self._parting.tell(transport):
            self._settle(transport)

    def _settle(self, transport: Any, looks: int = 0) -> None:
        if transport not in self._ledger or self.cutting.isCut(transport):
            return
        if transport not in self.roll.begun:
            self._begin(transport)
        connection = self.roll.connection(transport)
        if connection.waits or transport in self.callers or connection.isHeld():
            # It has its turn, or somebody is busy with it.
            return
        early = connection.notBefore - self._reactor.seconds()
        if early > 0:
            self.roll.later(early, self._settle, transport)
            return
        state = connection.state()
        if self._notYet(transport, connection, state, looks):
            return
        if connection.told and state is State.BUSY:
            # It knows already.
            return
        if state in (State.OPENING, State.NEW):
            self.roll.name(connection, state, Outcome.IDLE)
        if state is State.OPENING or (state is not State.BUSY and connection.silent):
            connection.told = True
            self.roll.begun.discard(transport)
            self._loseIdle(connection)
        elif connection.spoke or state is State.BUSY:
            self.roll.remember(connection)
            self._sayGoodbye(transport, connection)
        else:
            self._takeTurn(transport, connection, self._sayGoodbye)

    def _loseIdle(self, connection: Connection) -> None:
        schedule = self.roll.schedule(connection.transport)
        taking = bool(connection.unconfirmed)
        lingering.loseIdle(connection.transport, connection.tls, taking, self._reactor, schedule)

    def _notYet(self, transport: Any, connection: Connection, state: State, looks: int) -> bool:
        """
        Whether to look again in a moment: there is something that the application has
        not seen, or the peer is still taking an answer that we are done with.
        """
        if looks < LOOKS and unreadIn(transport, connection.tls):
            self.roll.later(LOOK_AGAIN, self._settle, transport, looks + 1)
            return True
        if state is State.OPENING:
            return False
        before, connection.unconfirmed = connection.unconfirmed, unsent(transport)
        if state is State.BUSY or not 0 < connection.unconfirmed < (before or sys.maxsize):
            return False
        self.roll.remember(connection)
        self.roll.later(self.roll.chance(connection), self._settle, transport, looks)
        return True

    # -- the deadline

    def cutAll(self, words: bool, done: Callable[[], object]) -> None:
        """
        End every connection now.

        @param words: whether a last word may be said before.
        @param done: called when all were told; they end in the next moments.
        """

        def told() -> None:
            self.roll.whole.sawAll()
            done()

        if self._ledger:
            self.roll.later(0, self.cut, self._ledger.live, words, told)
        else:
            done()

    def cut(self, transports: Collection[Any], words: bool, done: Callable[[], object]) -> None:
        """
        The same for some of them.
        """
        self._slices.each(transports, lambda transport: self.cutting.cut(transport, words), done)

    # -- what is left

    def ended(self, transport: Any, last: Connection | None) -> None:
        """
        A connection is over: put it into the account.
        """
        self.roll.ended(transport)
        self.callers.over(transport)
        self._parting.forget(transport)
        self.cutting.ended(transport)
        if last is None:
            self._ledger.end(transport)
            return
        if last.answered:
            self._ledger.sawBusy(transport)
        entry = partial(self.roll.entry, last, State.BUSY, Outcome.LEFT)
        self._ledger.end(transport, last.unfinished, entry)

    def stop(self) -> None:
        """
        The drain is over: leave no delayed call behind.
        """
        self.roll.stop()
        self._parting.stop()
        self.cutting.stop()
