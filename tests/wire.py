"""
A server's connection on a real socket that is driven by hand: no reactor runs, time is
a C{Clock}, and what the kernel holds is really in the kernel.
"""

from __future__ import annotations

import select
import socket
import ssl as standardSSL
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

from twisted.internet import ssl, tcp, unix
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableDescriptor
from twisted.internet.testing import MemoryReactorClock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from terminable.testing.peers import trusting as trusting

#: How long to wait at most for what the kernel does in its own time, in seconds.
PATIENCE = 10.0

_PORT = type("Port", (), {"_realPortNumber": 0, "port": b"", "numPorts": 0})()


@cache
def certificate() -> ssl.PrivateCertificate:
    """
    A certificate for C{localhost}, made once.
    """
    return ssl.KeyPair.generate(size=2048).selfSignedCert(1, CN="localhost")


def connectedPair(family: int = socket.AF_INET) -> tuple[socket.socket, socket.socket]:
    """
    Two connected sockets, the client's first.
    """
    if family == socket.AF_UNIX:
        return socket.socketpair()
    with socket.socket(family) as listening:
        listening.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
        listening.listen(1)
        client = socket.create_connection(listening.getsockname()[:2])
        served, _ = listening.accept()
    return client, served


class Turning(MemoryReactorClock):
    """
    A reactor in memory that notices when somebody is busy doing nothing.
    """

    _many = 20_000

    def callLater(self, when: float, what: Any, *args: Any, **keywords: Any) -> Any:
        """
        Schedule a call, but not for ever.
        """
        self._many -= 1
        if not self._many:
            raise AssertionError(f"{what} is scheduled again and again")
        return super().callLater(when, what, *args, **keywords)


class Recording:
    """
    Remembers what it is told of connections.
    """

    def __init__(self) -> None:
        self.accepting = True
        self.live: list[Any] = []
        self.seen: list[Any] = []
        self.ended: list[Any] = []
        self.decide: Callable[[Any], object] | None = None

    def started(self, factory: Any) -> None:
        pass

    def opened(self, transport: Any) -> None:
        """
        One more, which a ledger counts once.
        """
        if transport not in self.live:
            self.live.append(transport)
        self.seen.append(transport)

    def flushed(self, transport: Any) -> object:
        """
        Whatever the test wants.
        """
        from twisted.internet.main import CONNECTION_DONE

        return CONNECTION_DONE if self.decide is None else self.decide(transport)

    def last(self, transport: Any) -> Any:
        """
        The connection is over, and its protocol does not know that yet.
        """
        return ("last", transport)

    def lost(self, transport: Any, last: Any) -> None:
        """
        One less; it must have been announced.
        """
        assert last == ("last", transport), last
        self.live.remove(transport)
        self.ended.append(transport)


class Peer:
    """
    The other end: reads only when told to.

    @ivar received: what it has read, decrypted if it speaks TLS.
    @ivar over: how the connection has ended for it: C{None}, C{"FIN"} or C{"RST"}.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        sock.setblocking(False)
        self.received = b""
        self.over: str | None = None

    def send(self, data: bytes) -> None:
        """
        Put C{data} into the kernel.
        """
        self.socket.setblocking(True)
        try:
            self.socket.sendall(data)
        finally:
            self.socket.setblocking(False)

    def readSome(self, limit: int) -> bool:
        """
        Read what is there.

        @return: whether that was anything.
        """
        if self.over or not limit:
            return False
        try:
            data = self.socket.recv(limit)
        except BlockingIOError:
            return False
        except ConnectionError:
            self.over = "RST"
            return True
        if not data:
            self.over = "FIN"
            return True
        self._take(data)
        return True

    def _take(self, data: bytes) -> None:
        self.received += data


class TLSPeer(Peer):
    """
    A L{Peer} that speaks TLS.

    @ivar notified: whether close_notify was received.
    """

    def __init__(self, sock: socket.socket, protocols: list[str] | None = None) -> None:
        super().__init__(sock)
        self.notified = False
        self._incoming, self._outgoing = standardSSL.MemoryBIO(), standardSSL.MemoryBIO()
        self._tls = trusting(*(protocols or ())).wrap_bio(self._incoming, self._outgoing)
        self._shaken = False
        self._shake()

    def _shake(self) -> None:
        try:
            self._tls.do_handshake()
        except standardSSL.SSLWantReadError:
            pass
        else:
            self._shaken = True
        self._flush()

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data:
            super().send(data)

    def encrypt(self, data: bytes) -> bytes:
        """
        One TLS record.
        """
        self._tls.write(data)
        return self._outgoing.read()

    def send(self, data: bytes) -> None:
        """
        Put one TLS record into the kernel.
        """
        super().send(self.encrypt(data))

    def sayGoodbye(self) -> None:
        """
        Put close_notify into the kernel.
        """
        with suppress(standardSSL.SSLError):
            self._tls.unwrap()
        self._flush()

    def _take(self, data: bytes) -> None:
        self._incoming.write(data)
        if not self._shaken:
            self._shake()
        while self._shaken and not self.notified:
            try:
                plain = self._tls.read(2**20)
            except standardSSL.SSLWantReadError:
                break
            except standardSSL.SSLZeroReturnError:
                plain = b""
            if not plain:
                self.notified = True
            self.received += plain


class Wire:
    """
    A server transport, its protocol and its peer.

    @ivar transport: the server's transport, a L{tcp.Server}.
    @ivar protocol: the server's protocol, without its TLS.
    """

    def __init__(
        self,
        factory: Any,
        *,
        tls: bool = False,
        protocols: list[str] | None = None,
        kind: Any = None,
        family: int = socket.AF_INET,
        reactor: Any = None,
        sendBuffer: int = 0,
    ) -> None:
        self.reactor = reactor or Turning()
        here, served = connectedPair(family)
        if sendBuffer:
            served.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, sendBuffer)
            here.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, sendBuffer)
        if tls:
            options = certificate().options()
            factory = TLSMemoryBIOFactory(options, False, factory, clock=self.reactor)
        outer = factory.buildProtocol(None)
        kind = kind or (unix.Server if family == socket.AF_UNIX else tcp.Server)
        client = served.getpeername()[:2] if family == socket.AF_INET else served.getpeername()
        self.transport: Any = kind(served, outer, client, _PORT, 7, self.reactor)
        outer.makeConnection(self.transport)
        self.protocol = outer.wrappedProtocol if tls else outer
        self.peer: Any = TLSPeer(here, protocols) if tls else Peer(here)
        if tls:
            self.pumpUntil(lambda: self.peer._shaken and self.transport.protocol._handshakeDone)

    # -- what a reactor would do

    def read(self) -> bool:
        """
        One turn of reading on the server's side.

        @return: whether there was anything.
        """
        transport = self.transport
        if transport not in self.reactor.readers or not _readable(transport.socket):
            return False
        self._after(transport.doRead(), True)
        return True

    def write(self) -> bool:
        """
        One turn of writing on the server's side.

        @return: whether there was anything.
        """
        transport = self.transport
        if transport not in self.reactor.writers:
            return False
        before = transport.connected, len(transport.dataBuffer) - transport.offset
        self._after(transport.doWrite(), False)
        if transport not in self.reactor.writers:
            return True
        return before != (transport.connected, len(transport.dataBuffer) - transport.offset)

    def _after(self, why: Any, isRead: bool) -> None:
        transport = self.transport
        if why is None:
            return
        failure = Failure(why)
        self.reactor.removeReader(transport)
        if (
            isRead
            and failure.check(ConnectionDone)
            and IHalfCloseableDescriptor.providedBy(transport)
        ):
            transport.readConnectionLost(failure)
        else:
            self.reactor.removeWriter(transport)
            transport.connectionLost(failure)

    def pump(self, limit: int = 2**20) -> None:
        """
        Let everything happen that can, without time passing.

        @param limit: how much the peer reads at once; 0 if it does not read.
        """
        moved = True
        while moved:
            self.reactor.advance(0)
            moved = self.write() | self.read() | self.peer.readSome(limit)

    def pumpUntil(self, what: Callable[[], object], limit: int = 2**20) -> None:
        """
        The same until C{what} is true; the kernel may take its time.
        """
        until = time.monotonic() + PATIENCE
        while True:
            self.pump(limit)
            if what():
                return
            if time.monotonic() > until:
                raise AssertionError("it did not become true")
            select.select([self.peer.socket], [], [], 0.001)

    def waitForInput(self) -> None:
        """
        What the peer has sent is in our kernel when this returns.
        """
        select.select([self.transport.socket], [], [], PATIENCE)

    def close(self) -> None:
        """
        Leave nothing open.
        """
        self.peer.socket.close()
        if self.transport.connected:
            self.transport.connectionLost(Failure(ConnectionDone()))


def _readable(sock: socket.socket) -> bool:
    return bool(select.select([sock], [], [], 0)[0])
