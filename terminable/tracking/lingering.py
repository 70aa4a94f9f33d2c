"""
Losing a connection so that what was written arrives.

C{close(2)} on a socket with unread input resets the connection, and the peer may
never see the answer that was already on its way.  So, once a drain has begun,
C{loseConnection} reads on and throws away what comes, writes everything out, closes
the writing side, and waits for the peer to confirm and to close: as long as it makes
progress, and C{linger} seconds after it stopped.

Twisted's own rules stay: nothing is delivered to the application after
C{loseConnection}, a registered producer is waited for, and C{connectionLost} is
called once and never from within C{loseConnection}.
"""

from __future__ import annotations

import socket
from functools import partial
from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IHalfCloseableProtocol, IReactorTime
from twisted.internet.main import CONNECTION_DONE
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from terminable.policy.schedule import Schedule
from terminable.tracking import internals, sockets
from terminable.tracking.layers import StandIn, isEmpty, layers, socketOf, tlsLayer, topOf

#: How often to look, in seconds, where lingering is off.
_INTERVAL = 0.1

#: One failure for all: making ten thousand of them costs more than closing sockets.
DONE = Failure(CONNECTION_DONE)


def install(transport: Any, reactor: IReactorTime, schedule: Schedule) -> None:
    """
    Have the connection linger when it is lost, whoever loses it.

    Transports that are no file descriptors (those of tests) are left as they are.
    """
    if not isinstance(transport, FileDescriptor) or isEmpty(layers(transport)):
        # Nobody has anything to say on a connection that is not admitted.
        return
    tls = tlsLayer(transport)
    if tls is None and not schedule.linger:
        # Without lingering this is what Twisted does; but TLS would go on delivering
        # what the peer sends to an application that has lost the connection.
        return
    target: Any = tls or transport
    if target.disconnecting:
        _release(transport, tls)
        _begin(transport, reactor, schedule)
    elif not isinstance(target.loseConnection, partial):
        target.loseConnection = partial(_lose, target, transport, reactor, schedule)


def _lose(target: Any, transport: Any, reactor: IReactorTime, schedule: Schedule) -> None:
    if isinstance(target.loseConnection, partial):
        del target.loseConnection
    if transport.connected and not target.disconnecting:
        tls = tlsLayer(transport)
        _release(transport, tls)
        (tls or target).loseConnection()
        _begin(transport, reactor, schedule)


def _release(transport: Any, tls: TLSMemoryBIOProtocol | None) -> None:
    """
    TLS waits for a registered producer, and an HTTP channel is one until it is told that its
    connection is lost; so who loses that connection without asking the channel would wait
    for ever.  Without TLS, Twisted does not wait for it.
    """
    if tls is not None and internals.isHTTPProducer(transport):
        tls.unregisterProducer()


def lingers(transport: Any) -> bool:
    """
    Whether a connection was lost, and what its peer sends is thrown away.
    """
    return any(isinstance(it, _Lingering) for it in layers(transport))


def _begin(transport: Any, reactor: IReactorTime, schedule: Schedule) -> None:
    """
    Linger on a connection that has been told to go, unless it is over already.
    """
    if not transport.connected or lingers(transport):
        return
    tls = tlsLayer(transport)
    if tls is None:
        _Lingering(transport, reactor, schedule).begin()
    elif internals.handshakeDone(tls):
        _TLSLingering(transport, reactor, schedule, tls).begin()


def flushed(transport: Any, reactor: IReactorTime, schedule: Schedule) -> object:
    """
    Decide about a transport that has written everything and is about to close: with
    unread input, or with input that comes while a slow peer is still reading, that
    would reset the connection.  This holds at any time, not only during a drain, and
    costs two system calls for each connection that we close.

    @return: what the reactor is to do, C{CONNECTION_DONE} or (to stay) C{None}.
    """
    sock = socketOf(transport)
    if sock is None or not schedule.linger:
        return CONNECTION_DONE
    if not (sockets.unread(sock) or sockets.notSent(sock)):
        return CONNECTION_DONE
    stay = _Lingering(transport, reactor, schedule)
    stay.begin()
    return stay.flushed()


@implementer(IHalfCloseableProtocol)
class _Lingering(StandIn):
    """
    Stands in for the protocol of a connection that was told to go.
    """

    def __init__(self, transport: Any, reactor: IReactorTime, schedule: Schedule) -> None:
        self.transport = transport
        self._reactor = reactor
        self._linger = schedule.linger
        self._allowance = schedule.lingerBytes
        self._timer: Any = None
        self._outstanding = 0
        self._flushed = False
        self._over = False

    def begin(self) -> None:
        """
        Take the protocol's place and read on.
        """
        self.wrappedProtocol = self.transport.protocol
        self.transport.protocol = self
        internals.onFlushed(self.transport, self.flushed)
        self.transport.startReading()

    def flushed(self) -> object:
        """
        Everything was written: is it safe to close?
        """
        sock = self.transport.socket
        if self._over or not (sockets.unacknowledged(sock) or sockets.unread(sock)):
            return CONNECTION_DONE
        self._flushed = True
        try:
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            return CONNECTION_DONE
        # The application may not know yet; what it writes would break the connection.
        internals.endWriting(self.transport)
        self._wait()
        return None

    def _wait(self) -> None:
        sock = socketOf(self.transport)
        self._outstanding = 0 if sock is None else sockets.unacknowledged(sock)
        # Without patience for the peer there is still our own output to wait for.
        self._timer = self._reactor.callLater(self._linger or _INTERVAL, self._look)

    def _look(self) -> None:
        """
        Wait on if the peer took something since the last look.
        """
        self._timer = None
        before = self._outstanding
        self._wait()
        if not 0 < self._outstanding < before:
            self._finish()

    def dataReceived(self, data: bytes) -> None:
        """
        Throw it away; after too much of it, stop reading and go as soon as
        everything is written.
        """
        self._allowance -= len(data)
        if self._allowance < 0 and not self._over:
            self._over = True
            self.transport.stopReading()
            if self._flushed:
                self._reactor.callLater(0, self._finish)

    def readConnectionLost(self) -> None:
        """
        The peer has closed its side; go as soon as everything is written.
        """
        self._over = True
        if self._flushed:
            self._finish()

    def writeConnectionLost(self) -> None:
        """
        Of no interest.
        """

    def _finish(self) -> None:
        if self.transport.connected:
            self.transport.connectionLost(DONE)

    def connectionLost(self, reason: Failure) -> None:
        """
        The end, at last: tell the protocol.
        """
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        # Nothing is left in circles.
        internals.forgetFlushed(self.transport)
        self.wrappedProtocol.connectionLost(reason)


class _TLSLingering(_Lingering):
    """
    The same above TLS: close_notify has been written, the peer's is awaited
    (RFC 8446, section 6.1).
    """

    def __init__(
        self, transport: Any, reactor: IReactorTime, schedule: Schedule, tls: TLSMemoryBIOProtocol
    ) -> None:
        super().__init__(transport, reactor, schedule)
        self._tls: Any = tls
        self._flushed = True

    def begin(self) -> None:
        """
        Take the protocol's place and read on.
        """
        self.wrappedProtocol = self._tls.wrappedProtocol
        self._tls.wrappedProtocol = self
        if self.transport.connected and not self.transport.disconnecting:
            self.transport.startReading()
            self._wait()

    def _look(self) -> None:
        """
        Wait on while anything has not even left this process.
        """
        if internals.tlsBacklog(self._tls) or internals.unsentBytes(self.transport):
            self._wait()
        else:
            super()._look()


def loseIdle(
    transport: Any, tls: Any, taking: bool, reactor: IReactorTime, schedule: Schedule
) -> None:
    """
    Lose a connection on which nothing is in flight and nothing remains to be said
    by its protocol, in the cheapest way.  For callers outside of protocol code:
    C{connectionLost} may be called before this returns.

    @param tls: its TLS layer, or C{None}.
    @param taking: whether the peer is still taking an answer; then it lingers.
    """
    if taking and isinstance(transport, FileDescriptor):
        # The HTTP channel has registered itself, and would be waited for.
        top: Any = tls or transport
        top.unregisterProducer()
        install(transport, reactor, schedule)
        top.loseConnection()
        return
    if tls is not None and internals.handshakeDone(tls):
        tls.unregisterProducer()
        type(tls).loseConnection(tls)
    finish(transport)


def finish(transport: Any) -> None:
    """
    Close a connection in an orderly way, at once if everything has left this process.
    """
    if not isinstance(transport, FileDescriptor):
        topOf(transport).loseConnection()
    elif internals.unsentBytes(transport):
        # Not the instance's: below TLS this must not go through TLS again.
        FileDescriptor.loseConnection(transport)
    elif transport.connected:
        transport.connectionLost(DONE)
