"""
The socket of a live connection goes to another process, with all that it needs to go on.

Who passes keeps its copy of the descriptor until the other process has confirmed; who takes
does not read a byte before its confirmation has left.  So at any moment, whichever process
dies, exactly one has the connection, or nobody has seen a byte of what the peer sent.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.protocols import amp
from twisted.python.failure import Failure

from terminable import events
from terminable.handover import passage
from terminable.handover.holding import Hold, isHeld
from terminable.handover.movable import CannotMove, CannotTake, ConnectionMoved
from terminable.handover.movers import moverOf
from terminable.handover.parcels import Mover, checkAlive, checkQuiet
from terminable.slices import Slices
from terminable.tracking.connection import Connection

_log = Logger()

#: How many connections may be between two processes on one channel.
AT_ONCE = 64

#: How many seconds the other process may take to confirm one.
PATIENCE = 10.0

#: How long this may take in one turn of the reactor, in seconds; a busy server has few turns.
BUDGET = 0.005


class Take(amp.Command):
    """
    Take a connection, and confirm.

    The inode tells the socket from all others of the machine: if descriptors got lost on the
    way, because too many files were open, a connection must not get another's state.
    """

    arguments = [  # noqa: RUF012 - as every command of AMP has them
        (b"descriptor", amp.Descriptor()),
        (b"inode", amp.Integer()),
        (b"kind", amp.Unicode()),
        (b"state", amp.String()),
        (b"request", amp.String()),
        (b"subprotocol", amp.Unicode()),
    ]
    #: How many connections the other process has.  No integer: whatever it says, an answer
    #: is a confirmation.
    response = [(b"count", amp.String(optional=True))]  # noqa: RUF012
    errors = {CannotTake: b"CANNOT_TAKE"}  # noqa: RUF012


class _Pass:
    """
    One connection on its way.
    """

    def __init__(self, transport: Any, mover: Callable[[Any], Mover]) -> None:
        self.transport = transport
        self.result: Deferred[None] = Deferred(self._cancel)
        self._find = mover
        self.mover: Any = None
        self._descriptor = -1
        self.waiting = True
        self.hold: Hold | None = None

    def _cancel(self, _: object) -> None:
        # What was sent already cannot be had back.
        self.waiting = False

    def pack(self) -> dict[str, Any]:
        """
        Have the connection keep still.

        @return: the arguments of L{Take}.
        @raise CannotMove: it stays.
        """
        self.mover = mover = self._find(self.transport)
        checkAlive(self.transport)
        if isHeld(self.transport):
            raise CannotMove("it is on its way already")
        mover.check()
        hold = Hold(self.transport)
        try:
            # A client without a pause sends its next request as soon as it has its answer.
            hold.flush()
            checkQuiet(self.transport)
            parcel = mover.pack()
            if hold.ending:
                raise CannotMove("save() loses it")
            checkQuiet(self.transport)
            mover.check()
            sock = self.transport.socket
            inode = os.fstat(sock.fileno()).st_ino
            # Our own copy: a descriptor that waits to be sent is a mere number, which would
            # be another's if the connection came to its end.
            self._descriptor = os.dup(sock.fileno())
        except BaseException:
            hold.release()
            raise
        self.hold = hold
        return {"descriptor": self._descriptor, "inode": inode, **vars(parcel)}

    def end(self) -> None:
        """
        It is decided.
        """
        os.close(self._descriptor)


class Sender:
    """
    Passes connections on one channel, some at a time; the others wait their turn, and are
    served as ever meanwhile.

    @ivar count: how many connections the other process has, as it said last.
    @ivar inFlight: how many it was passed and has not confirmed.
    @ivar lost: whether the channel is lost.
    """

    def __init__(
        self, reactor: Any, channel: Any, atOnce: int = AT_ONCE, patience: float = PATIENCE
    ) -> None:
        """
        @param reactor: provides C{IReactorTime}.
        @param channel: an L{AMP<twisted.protocols.amp.AMP>} protocol that is connected by a
            UNIX socket.  It may be used for other commands too.
        @param atOnce: how many connections may be unconfirmed.
        @param patience: after how many seconds without a confirmation the channel is lost:
            whoever does not answer has no connection of ours.
        @raise terminable.InvalidOption: descriptors cannot be passed on this channel.
        """
        passage.check(channel)
        self._reactor = reactor
        self._channel = channel
        self._transport = channel.transport
        self._atOnce = atOnce
        self._patience = patience
        self._slices = Slices(reactor, BUDGET)
        self._queue: deque[_Pass] = deque()
        self._pumping = False
        self._whenLost: list[Deferred[None]] = []
        self._closing = False
        self._limit: Any = None
        self.count = 0
        self.inFlight = 0
        self.lost = False
        passage.atEnd(self._transport, self._hearLastWords, self._channelLost)

    @property
    def free(self) -> bool:
        """
        Whether a connection would be passed at once.
        """
        return not self._over and not self._queue and self.inFlight < self._atOnce

    @property
    def _over(self) -> bool:
        return self.lost or self._closing

    @property
    def waiting(self) -> int:
        """
        How many connections wait for their turn.
        """
        return len(self._queue)

    def whenLost(self) -> Deferred[None]:
        """
        @return: fires when the channel is lost.
        """
        result: Deferred[None] = Deferred()
        self._whenLost.append(result)
        if self.lost:
            self._tellLost()
        return result

    def close(self) -> Deferred[None]:
        """
        Pass no more connections: those that wait for their turn stay, and when those on their
        way are confirmed, the channel is lost.

        @return: fires when the channel is lost: if the other process reads nothing, when it has
            been waited for as long as for a confirmation.
        """
        if not self._over:
            self._closing = True
            # For what may be written by other commands.
            self._limit = self._reactor.callLater(self._patience, self._impatient)
            self._pump()
            self._loseIfDone()
        return self.whenLost()

    def _loseIfDone(self) -> None:
        if self._closing and not self.inFlight:
            self._transport.loseConnection()

    def passConnection(self, transport: Any, mover: Callable[[Any], Mover]) -> Deferred[None]:
        """
        Pass a connection, when it is its turn.

        @param transport: its transport.
        @param mover: finds what packs it, when it is its turn; may raise L{CannotMove}.
        @return: fires when the other process has it.  Fails with L{CannotMove}; then the
            connection goes on here.
        """
        passing = _Pass(transport, mover)
        self._queue.append(passing)
        self._pump()
        return passing.result

    # -- one after the other

    def _pump(self) -> None:
        if not self._pumping:
            self._pumping = True
            self._slices.work(self._ready(), self._begin, self._pumped)

    def _pumped(self) -> None:
        self._pumping = False

    def _ready(self) -> Iterator[_Pass]:
        while self._queue and (self._over or self.inFlight < self._atOnce):
            yield self._queue.popleft()

    def _begin(self, passing: _Pass) -> None:
        if not passing.waiting:
            return
        passing.waiting = False
        try:
            if self._closing:
                raise CannotMove("the channel to the other process is closed")
            if self.lost or not self._transport.connected:
                raise CannotMove("the channel to the other process is lost")
            arguments = passing.pack()
        except CannotMove as error:
            passing.result.errback(error)
            return
        except Exception as error:
            _log.failure("{transport} cannot be packed", transport=passing.transport)
            passing.result.errback(CannotMove(f"it cannot be packed: {error!r}"))
            return
        self.inFlight += 1
        timer = self._reactor.callLater(self._patience, self._impatient)
        answer: Deferred[Any] = maybeDeferred(self._channel.callRemote, Take, **arguments)
        answer.addBoth(self._answered, passing, timer)
        answer.addErrback(self._oops)

    def _oops(self, failure: Failure) -> None:
        _log.failure("a connection was passed, and what was to follow failed", failure=failure)

    def _answered(self, answer: Any, passing: _Pass, timer: Any) -> None:
        if timer.active():
            timer.cancel()
        self.inFlight -= 1
        passing.end()
        hold, result = passing.hold, passing.result
        assert hold is not None
        try:
            if isinstance(answer, Failure):
                hold.release()
            else:
                passing.mover.moved()
                hold.forget(ConnectionMoved())
                self._heard(answer.get("count"))
        finally:
            self._pump()
            self._loseIfDone()
            if result.called:
                # Nobody waits any more.
                pass
            elif isinstance(answer, Failure):
                result.errback(CannotMove(_why(answer)))
            else:
                result.callback(None)

    def _heard(self, count: bytes | None) -> None:
        if count is not None and count.isdigit():
            self.count = int(count[:9])

    def _impatient(self) -> None:
        if self._transport.connected:
            _log.warn(
                "the other process does not answer; its channel is cut", event=events.PASSING_SILENT
            )
            self._transport.abortConnection()

    def _hearLastWords(self) -> None:
        passage.hearLastWords(self._transport)
        self.lost = True

    def _channelLost(self) -> None:
        if self._limit is not None and self._limit.active():
            self._limit.cancel()
        self._pump()
        self._tellLost()

    def _tellLost(self) -> None:
        waiting, self._whenLost = self._whenLost, []
        for each in waiting:
            each.callback(None)


def _why(failure: Failure) -> str:
    if failure.check(CannotTake):
        return f"the other process does not take it: {failure.value}"
    if failure.check(amp.RemoteAmpError, amp.UnknownRemoteError, amp.UnhandledCommand):
        return "the other process does not know how to take it"
    return "the channel to the other process is lost"


def passConnection(connection: Connection, to: Sender) -> Deferred[None]:
    """
    Have a live connection go on in another process, as if nothing had happened.

    What moves: HTTP/1.1 between two requests; the WebSockets of Twisted and Autobahn between
    two messages, without extensions, and protocols of your own, if they provide L{IMovable
    <terminable.handover.movable.IMovable>}.

    @param connection: as L{terminable.Terminator.connections} lists them.
    @param to: passes it on the channel to the other process.
    @return: fires when the other process has the connection; its protocol here was told that
        it is lost, with L{ConnectionMoved<terminable.handover.movable.ConnectionMoved>}.
        Fails with L{CannotMove<terminable.handover.movable.CannotMove>}, which says why;
        then the connection works on here.  Cancelled while the connection waits for its turn,
        it stays; later, only the waiting is cancelled.
    """
    return to.passConnection(connection.transport, moverOf)
