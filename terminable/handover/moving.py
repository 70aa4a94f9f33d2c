"""
Moving all connections that can be moved, each as soon as nothing is in flight.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from terminable.handover.movable import CannotMove, NotNow
from terminable.handover.movers import moverOf
from terminable.handover.movinghttp import HTTP
from terminable.handover.parcels import Mover, checkAlive
from terminable.handover.passing import Sender
from terminable.slices import Slices
from terminable.tracking import internals
from terminable.tracking.connection import Connection

_log = Logger()

#: How often to look whether a connection can be moved, in seconds, where nothing tells.
OFTEN = 0.02

#: How seldom, where something does.
SELDOM = 0.5

#: The most of the time that looking may take.
_SHARE = 0.1


@dataclass
class Moved:
    """
    What became of the connections.

    @ivar moved: how many are with the other process.
    @ivar ended: how many ended before it came to that.
    @ivar left: how many are still here, by the reason.
    """

    moved: int = 0
    ended: int = 0
    left: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        reasons = ", ".join(f"{count}: {reason}" for reason, count in self.left.most_common())
        left = f"{self.left.total()} left ({reasons})" if reasons else "0 left"
        return f"{self.moved} moved, {self.ended} ended, {left}"


class _Waiting:
    """
    One connection that is to move.

    @ivar transport: its transport.
    @ivar lookAt: when to look at it again.
    @ivar onTheWay: whether the attempt is being made.
    @ivar reason: why it is still here.
    """

    def __init__(self, all_: _Moving, connection: Connection) -> None:
        self.transport: Any = connection.transport
        self.lookAt = 0.0
        self.onTheWay = False
        self.reason = "time was up"
        self._all = all_
        self._channel: Any = None
        self._done: Any = None

    def look(self) -> None:
        """
        Pass it if this can be now.
        """
        if self.onTheWay or not self._all.isWaiting(self):
            return
        transport = self.transport
        try:
            if not getattr(transport, "connected", True):
                self._all.over(self, None)
                return
            mover = moverOf(transport)
            checkAlive(transport)
            mover.check()
        except NotNow as error:
            self._later(error)
        except CannotMove as error:
            self._all.over(self, str(error))
        else:
            self._pass()

    def _pass(self) -> None:
        self.onTheWay = True
        result = self._all.sender.passConnection(self.transport, self._find)
        result.addCallbacks(self._moved, self._stayed)

    def _find(self, transport: Any) -> Mover:
        # It may have waited for its turn.
        if self._all.isLate():
            raise NotNow(self.reason)
        return moverOf(transport)

    def _moved(self, _: None) -> None:
        self._all.over(self, "")

    def _stayed(self, failure: Failure) -> None:
        self.onTheWay = False
        if not self.transport.connected:
            self._all.over(self, None)
        elif failure.check(NotNow):
            self._later(failure.value)
        else:
            self._all.over(self, str(failure.value))

    def _later(self, error: object) -> None:
        self.reason = str(error)
        self.lookAt = self._all.seconds() + (SELDOM if self._isTold() else OFTEN)

    # -- HTTP/1.1 tells

    def _isTold(self) -> bool:
        """
        Whether something will tell when a request was answered.
        """
        if self._channel is not None:
            return bool(self._channel.requests)
        mover = moverOf(self.transport)
        if not isinstance(mover, HTTP) or not mover.channel.requests:
            return False
        self._channel = channel = mover.channel
        self._done, channel.requestDone = channel.requestDone, self._requestDone
        return True

    def _requestDone(self, request: Any) -> None:
        self._done(request)
        # Before the client can have sent the next one: it does not have the answer yet.
        self._all.later(0, self._answered)

    def _answered(self) -> None:
        if self._channel is not None and internals.httpIdle(self._channel):
            self.look()

    def unhook(self) -> None:
        """
        Have nothing tell any more.
        """
        channel, self._channel = self._channel, None
        if channel is not None and channel.requestDone == self._requestDone:
            if getattr(self._done, "__func__", None) is type(channel).requestDone:
                del channel.requestDone
            else:
                channel.requestDone = self._done


class _Moving:
    """
    All of them.
    """

    def __init__(self, reactor: Any, sender: Sender, until: float) -> None:
        self.sender = sender
        self.seconds = reactor.seconds
        self._reactor = reactor
        self._slices = Slices(reactor)
        self._until = reactor.seconds() + until
        self._waiting: dict[_Waiting, None] = {}
        self._moved = Moved()
        self._sweeping = False
        self._late = False
        self.result: Deferred[Moved] = Deferred()

    def begin(self, connections: Collection[Connection]) -> None:
        """
        Look at each of them.
        """
        for connection in connections:
            self._waiting[_Waiting(self, connection)] = None
        self._sweep()

    def later(self, seconds: float, work: Any, *args: Any) -> None:
        """
        Call something.
        """
        self._reactor.callLater(seconds, work, *args)

    def isLate(self) -> bool:
        """
        Whether time was up, after all have been tried once.
        """
        return self._late

    def isWaiting(self, waiting: _Waiting) -> bool:
        """
        Whether it is not decided yet about one.
        """
        return waiting in self._waiting

    def over(self, waiting: _Waiting, reason: str | None) -> None:
        """
        It is decided about one.

        @param reason: why it is left; C{""} if it has moved, C{None} if it has ended.
        """
        del self._waiting[waiting]
        waiting.unhook()
        if reason:
            self._moved.left[reason] += 1
        elif reason is None:
            self._moved.ended += 1
        else:
            self._moved.moved += 1
        self._look()

    def _look(self) -> None:
        if not self._waiting and not self._sweeping and not self.result.called:
            self.result.callback(self._moved)

    def _sweep(self) -> None:
        """
        Look at all whose time has come.
        """
        began = self.seconds()
        self._sweeping = True
        due = [each for each in self._waiting if each.lookAt <= began]
        self._slices.each(due, _Waiting.look, lambda: self._swept(began))

    def _swept(self, began: float) -> None:
        self._sweeping = False
        if self._waiting:
            wait = max(OFTEN, (self.seconds() - began) / _SHARE)
            left = self._until - self.seconds()
            self.later(max(0.0, min(wait, left)) if left > 0 else OFTEN, self._again)
        self._look()

    def _again(self) -> None:
        if self.seconds() < self._until:
            self._sweep()
            return
        self._late = True
        # Time is up.  Who is on the way is waited for.
        for waiting in list(self._waiting):
            if not waiting.onTheWay:
                self.over(waiting, waiting.reason)
        if self._waiting:
            self.later(OFTEN, self._again)


def moveAll(
    reactor: Any, connections: Collection[Connection], to: Sender, until: float
) -> Deferred[Moved]:
    """
    Move all connections that can be moved: idle ones now, others as soon as they are between
    two requests or messages.  They are not told to go meanwhile.  What can never move is left
    alone at once.

    @param reactor: provides C{IReactorTime}.
    @param connections: as L{terminable.Terminator.connections} lists them.
    @param until: for how many seconds to try.
    @return: fires when it is decided about each of them, at most the C{patience} of C{to}
        after C{until}.
    """
    moving = _Moving(reactor, to, until)
    moving.begin(connections)
    return moving.result
