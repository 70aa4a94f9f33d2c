"""
Connections that another process passes to this one.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.protocols import amp

from terminable import events
from terminable.handover import movers, passage
from terminable.handover.holding import Hold
from terminable.handover.movable import CannotTake, ConnectionMoved
from terminable.handover.parcels import Parcel
from terminable.handover.passing import BUDGET, Take
from terminable.slices import Queue, Slices
from terminable.tracking import internals
from terminable.tracking.factory import buildAdmitted

_log = Logger()

#: How many connections may be between two processes, however many the other one sends.
MOST = 256

#: How many seconds a replayed opening handshake may take.
PATIENCE = 5.0

#: How many descriptors must be left to be opened.
SPARE = 128

#: How often to look, in seconds, whether a handshake is over.
_INTERVAL = 0.02


def tooMany(descriptor: int) -> bool:
    """
    Whether so many files are open that descriptors could soon get lost on their way; the
    kernel hands out the lowest that is free.
    """
    try:
        from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit
    except ImportError:  # pragma: no cover - Windows
        return False
    limit = getrlimit(RLIMIT_NOFILE)[0]
    return limit != RLIM_INFINITY and descriptor > limit - min(SPARE, limit // 4)


def hostOf(sock: socket.socket) -> Any:
    """
    The address of our end of a connection, as Twisted has it.
    """
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return UNIXAddress(name or None)
    kind = IPv6Address if sock.family == socket.AF_INET6 else IPv4Address
    return kind("TCP", name[0], name[1])


def _peerOf(sock: socket.socket) -> tuple[Any, Any]:
    """
    What a port would have got from C{accept}, and the address for its factory.
    """
    name = sock.getpeername()
    if sock.family == socket.AF_UNIX:
        return name, UNIXAddress(name or None)
    if sock.family == socket.AF_INET6:
        numeric = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
        return (socket.getnameinfo(name, numeric)[0], *name[1:]), IPv6Address("TCP", *name[:2])
    return name, IPv4Address("TCP", *name)


def silentPort(reactor: Any, factory: Any, family: int = socket.AF_INET) -> tcp.Port:
    """
    A port that never listens, for connections that are accepted elsewhere and passed to this
    process.

    @param factory: builds the protocols; it is started.
    @param family: C{AF_UNIX} for connections of a UNIX socket, anything else for TCP.
    @return: what a L{Taking}'s C{portFor} may return.
    """
    if family == socket.AF_UNIX:
        port: tcp.Port = unix.Port("\0silent", factory, reactor=reactor)  # type: ignore[arg-type]
    else:
        port = tcp.Port(0, factory, reactor=reactor)
    factory.doStart()
    return port


class Adoption:
    """
    One connection that comes.

    @ivar result: the answer.
    @ivar over: whether it was taken, or let go.
    """

    def __init__(self, sock: socket.socket, parcel: Parcel) -> None:
        self._sock: socket.socket | None = sock
        self.parcel = parcel
        self.result: Deferred[dict[str, bytes]] = Deferred()
        self.over = False
        self._hold: Hold | None = None

    def adopt(self, portFor: Callable[[Any], Any]) -> None:
        """
        Build a transport and a protocol, as the port would have.

        @raise CannotTake: nobody listens there, or does not want it.
        """
        assert self._sock is not None
        sock = self._sock
        try:
            host = hostOf(sock)
            name, peer = _peerOf(sock)
        except OSError as error:
            raise CannotTake(f"it is over: {error.strerror}") from error
        port = portFor(host)
        if port is None:
            raise CannotTake(f"nobody listens on {host} here")
        if (sock.family == socket.AF_UNIX) is not issubclass(port.transport, unix.Server):
            raise CannotTake(f"{port} has connections of another kind")
        protocol = buildAdmitted(port.factory, peer)
        if protocol is None:
            raise CannotTake(f"the factory on {host} refuses it here")
        number = port.sessionno
        port.sessionno = number + 1
        transport = port.transport(sock, protocol, name, port, number, port.reactor)
        self._sock = None
        self._hold = hold = Hold(transport, reading=True)
        if self.parcel.kind != "fresh":
            hold.mute()
        movers.begin(self.parcel, transport)

    def restore(self) -> bool:
        """
        Have the application go on.

        @return: whether it does; else its handshake is not over.
        @raise CannotTake: it cannot go on here.
        """
        hold = self._hold
        assert hold is not None
        self._mustLive(hold)
        work = movers.restore(self.parcel, hold.transport)
        if work is None:
            return False
        hold.unmute()
        work()
        self._mustLive(hold)
        return True

    def _mustLive(self, hold: Hold) -> None:
        if hold.ending:
            raise CannotTake("the application here loses it")

    def take(self) -> None:
        """
        The connection is ours.
        """
        assert self._hold is not None
        self.over = True
        self._hold.release()

    def letGo(self) -> None:
        """
        The connection stays with the other process: close our copy of its descriptor.
        """
        self.over = True
        if self._hold is not None:
            self._hold.forget(ConnectionMoved())
        else:
            assert self._sock is not None
            self._sock.close()


class Taking(internals.Claiming, amp.CommandLocator):
    """
    Takes connections that come on a channel.

    Use it as the C{locator} of an L{AMP<twisted.protocols.amp.AMP>} protocol, or as one of
    several, and call L{serve} when that protocol is connected.  Its answers must be written
    as soon as they are there.
    """

    def __init__(
        self,
        reactor: Any,
        portFor: Callable[[Any], Any],
        count: Callable[[], int] = lambda: 0,
        patience: float = PATIENCE,
    ) -> None:
        """
        @param reactor: provides C{IReactorTime}.
        @param portFor: called with the address of our end of a connection; returns the
            listening TCP or UNIX port whose factory it is for, or C{None} if there is none,
            or if it does not serve any more.  The port need not listen.
        @param count: tells how many connections this process has; the other one is told.
        @param patience: how many seconds the opening handshake of a WebSocket may take.
        """
        super().__init__()
        self._reactor = reactor
        self._portFor = portFor
        self._count = count
        self._patience = patience
        self._queue: Queue[Adoption] = Queue(
            Slices(reactor, BUDGET), self._adopt, reactor.callLater
        )
        self._coming: set[Adoption] = set()
        # Each with what must have left this process before it is ours.
        self._confirmed: deque[tuple[int, Adoption]] = deque()
        self._outflow: Any = None
        self._channel: Any = None
        self._transport: Any = None

    def serve(self, channel: Any) -> None:
        """
        Take what comes on this channel from now on.

        @param channel: a connected L{AMP<twisted.protocols.amp.AMP>} protocol.
        @raise terminable.InvalidOption: descriptors cannot be passed on it.
        """
        passage.check(channel)
        self._channel = channel
        self._transport = channel.transport
        passage.guard(channel)
        self._outflow = passage.Outflow(self._transport, self._someLeft)
        passage.atEnd(self._transport, self._takeConfirmed, self._channelLost)

    def claim(self, number: int) -> int:
        """
        See L{internals.Claiming.claim}.  A descriptor that is not there is -1.
        """
        return internals.unclaimed(self._channel).pop(number, -1)

    @Take.responder
    def take(
        self,
        descriptor: int,
        inode: int,
        kind: str,
        state: bytes,
        request: bytes,
        subprotocol: str,
    ) -> Deferred[dict[str, bytes]]:
        """
        Take one; see L{Take}.

        @return: the answer.
        @raise CannotTake: or else.
        """
        sock = self._socketOf(descriptor, inode)
        adoption = Adoption(sock, Parcel(kind, state, request, subprotocol))
        if len(self._coming) >= MOST or tooMany(descriptor):
            adoption.letGo()
            raise CannotTake("too many connections are open here")
        self._coming.add(adoption)
        self._queue.add(adoption)
        return adoption.result

    def _socketOf(self, descriptor: int, inode: int) -> socket.socket:
        """
        @raise CannotTake: this is not the socket that it should be.
        """
        if descriptor < 0 or os.fstat(descriptor).st_ino != inode:
            if descriptor >= 0:
                os.close(descriptor)
            # From here on, no command would find its own.
            _log.warn(
                "descriptors got lost on their way: too many files are open",
                event=events.PASSING_LOST,
            )
            self._transport.loseConnection()
            raise CannotTake("its descriptor got lost on the way")
        try:
            sock = socket.socket(fileno=descriptor)
        except OSError as error:
            os.close(descriptor)
            raise CannotTake("it is no socket") from error
        if sock.type != socket.SOCK_STREAM:
            sock.close()
            raise CannotTake("it is no stream socket")
        return sock

    # -- one after the other

    def _adopt(self, adoption: Adoption) -> None:
        if not adoption.over:
            self._try(adoption, lambda: adoption.adopt(self._portFor))
            self._go(adoption, self._reactor.seconds() + self._patience)

    def _try(self, adoption: Adoption, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except CannotTake as error:
            self._refuse(adoption, error)
        except Exception as error:
            _log.failure("a connection could not be taken")
            self._refuse(adoption, CannotTake(f"it has failed here: {error!r}"))
        return None

    def _go(self, adoption: Adoption, until: float) -> None:
        """
        Confirm as soon as the application goes on.
        """
        if adoption.over:
            return
        goesOn = self._try(adoption, adoption.restore)
        if goesOn:
            self._confirm(adoption)
        elif adoption.over:
            return
        elif self._reactor.seconds() >= until:
            self._refuse(adoption, CannotTake("the opening handshake does not end here"))
        else:
            self._reactor.callLater(_INTERVAL, self._go, adoption, until)

    def _refuse(self, adoption: Adoption, error: CannotTake) -> None:
        self._coming.discard(adoption)
        adoption.letGo()
        adoption.result.errback(error)

    def _confirm(self, adoption: Adoption) -> None:
        try:
            count = self._count()
        except Exception:
            _log.failure("{count} failed", count=self._count)
            count = 0
        before = self._outflow.end
        adoption.result.callback({"count": b"%d" % count})
        if self._outflow.end > before:
            self._confirmed.append((self._outflow.end, adoption))
        else:
            # If it is said later, nobody knows when it has left.
            _log.error(
                "{channel} does not write answers at once; it is cut",
                event=events.PASSING_DELAYED,
                channel=self._channel,
            )
            self._transport.abortConnection()

    def _someLeft(self) -> None:
        if self._confirmed and self._outflow.hasLeft(self._confirmed[0][0]):
            self._reactor.callLater(0, self._takeConfirmed)

    def _takeConfirmed(self) -> None:
        """
        Begin to read on those whose confirmations have left this process.  Asked once more when
        the channel ends: the other process may be content, and gone, before our next turn.
        """
        while self._confirmed and self._outflow.hasLeft(self._confirmed[0][0]):
            adoption = self._confirmed.popleft()[1]
            self._coming.discard(adoption)
            try:
                adoption.take()
            except BaseException:
                _log.failure("a connection was taken, and what was to follow failed")

    def _channelLost(self) -> None:
        """
        What was not confirmed is the other process's.
        """
        coming, self._coming = self._coming, set()
        self._confirmed.clear()
        for adoption in coming:
            adoption.letGo()
