"""
The other end of a connection in memory: bytes in, bytes out.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Callable, Mapping
from typing import Literal

from terminable.testing.httpanswers import Answer, readAnswers, writeRequest
from terminable.testing.kernel import MemorySocket

_AT_ONCE = 65536


def trusting(*protocols: str) -> ssl.SSLContext:
    """
    What a client needs to speak TLS to anybody, whoever that is: for tests.

    @param protocols: what to propose by ALPN, such as C{"h2"}.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


class _Sealed:
    """
    TLS between a peer and its socket.
    """

    def __init__(self, context: ssl.SSLContext, hostname: str) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=hostname)
        self.shaken = False
        self.notified = False
        self.said = False
        self._waiting = b""

    def shake(self) -> None:
        """
        Go on with the handshake.

        @raise ssl.SSLError: it has failed.
        """
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return
        self.shaken = True
        data, self._waiting = self._waiting, b""
        if data:
            self.tls.write(data)

    def write(self, data: bytes) -> None:
        """
        Seal something, if only after the handshake.
        """
        if self.shaken:
            self.tls.write(data)
        else:
            self._waiting += data

    def read(self, data: bytes) -> bytes:
        """
        Open what has come.

        @raise ssl.SSLError: it is not what it should be.
        """
        self._incoming.write(data)
        if not self.shaken:
            self.shake()
        opened = b""
        while self.shaken and not self.notified:
            try:
                part = self.tls.read(_AT_ONCE)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                part = b""
            self.notified = not part
            opened += part
        return opened

    def goodbye(self) -> None:
        """
        Say close_notify, once.
        """
        if self.shaken and not self.said:
            self.said = True
            try:
                self.tls.unwrap()
            except ssl.SSLError:
                # The server's own has not come yet.
                return

    def take(self) -> bytes:
        """
        What is to be sent.
        """
        return self._outgoing.read()


class MemoryPeer:
    """
    A client that does what a test says, and nothing else: it reads what comes unless it was
    told not to, and leaves when the server does unless it was told to stay.

    @ivar address: its host and port, as the server sees it.
    @ivar socket: its socket.
    @ivar stays: whether it keeps its own side open when the server has ended.
    @ivar left: how it has gone itself: C{None} if it has not, C{"closed"} or C{"reset"}.
    @ivar failure: what was wrong with TLS, if it has gone because of that.
    """

    def __init__(self, settle: Callable[[], None], sock: MemorySocket, stays: bool = False) -> None:
        """
        @param settle: lets happen what can.
        @param sock: its socket.
        @param stays: whether to keep its own side open when the server has ended.
        """
        self.socket = sock
        self.stays = stays
        self.address: tuple[str, int] = sock.getsockname()[:2]
        self.left: Literal["closed", "reset"] | None = None
        self.failure: ssl.SSLError | None = None
        self._settle = settle
        self._received = bytearray()
        self._taken = 0
        self._toSend = bytearray()
        self._reading = True
        self._sealed: _Sealed | None = None
        self._ending = self._ended = False
        self._seen = False

    def __repr__(self) -> str:
        host, port = self.address
        return f"<MemoryPeer {host}:{port}, {self.left or self.ended or 'open'}>"

    # -- what it sees

    @property
    def received(self) -> bytes:
        """
        All that it has read; without TLS, if it speaks that.
        """
        return bytes(self._received)

    def take(self) -> bytes:
        """
        What it has read since it was last asked so.
        """
        data = self.received[self._taken :]
        self._taken += len(data)
        return data

    @property
    def ended(self) -> Literal["closed", "reset"] | None:
        """
        How the server has ended the connection: C{None} if it has not, C{"closed"} in order,
        C{"reset"} by force.  It is so as soon as that has arrived, whether it reads or not.
        """
        if self.socket.wasReset:
            return "reset"
        return "closed" if self.socket.peerEnded else None

    @property
    def notified(self) -> bool:
        """
        Whether the server has said close_notify, which ends TLS in order.
        """
        return self._sealed is not None and self._sealed.notified

    @property
    def secured(self) -> bool:
        """
        Whether a TLS handshake is over.
        """
        return self._sealed is not None and self._sealed.shaken

    @property
    def alpn(self) -> str | None:
        """
        What was chosen by ALPN, if it speaks TLS.
        """
        return self._sealed.tls.selected_alpn_protocol() if self._sealed else None

    @property
    def unsent(self) -> int:
        """
        How many bytes it was told to send that the server has not read.
        """
        return len(self._toSend) + self.socket.unsent

    def answers(self, *methods: str) -> list[Answer]:
        """
        The HTTP/1 answers that it has received; the last one may not be complete.

        @param methods: those of its requests, in order; those that are not told are GETs.
        @raise ValueError: what was received is no HTTP/1.
        """
        return readAnswers(self.received, methods, self.ended is not None)[0]

    # -- what it does

    def send(self, data: bytes, piece: int = 0) -> None:
        """
        Send something; what there is no room for is sent later.

        @param piece: how many bytes to send at a time, one piece after the other was read;
            by default, all at once.
        @raise ConnectionResetError: the server has reset the connection.
        @raise BrokenPipeError: it has itself ended its side.
        """
        size = piece or len(data) or 1
        for start in range(0, len(data), size):
            if self.socket.wasReset:
                raise ConnectionResetError(f"{self!r} cannot send")
            if self.left or self._ending:
                raise BrokenPipeError(f"{self!r} cannot send")
            part = data[start : start + size]
            if self._sealed is None:
                self._toSend += part
            else:
                self._sealed.write(part)
                self._toSend += self._sealed.take()
            self._settle()

    def request(
        self,
        target: str = "/",
        method: str = "GET",
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """
        Send a request of HTTP/1.1.
        """
        self.send(writeRequest(target, method, body, headers))

    def startTLS(self, context: ssl.SSLContext | None = None, hostname: str = "localhost") -> None:
        """
        Speak TLS from now on.

        @param context: of a client; by default, one that trusts everybody.
        @param hostname: of the server, as it is told to it.
        """
        self._sealed = _Sealed(context or trusting(), hostname)
        self._sealed.shake()
        self._toSend += self._sealed.take()
        self._settle()

    def stopReading(self) -> None:
        """
        Read nothing, so that what the server writes piles up: here, then in its kernel, then
        in its transport, whose producers are paused then.
        """
        self._reading = False

    def startReading(self) -> None:
        """
        Read on.
        """
        self._reading = True
        self._settle()

    def halfClose(self) -> None:
        """
        Send nothing more, behind what was sent, and read on.  With TLS, that is told by
        close_notify alone.
        """
        self._ending = True
        if self._sealed is not None:
            self._sealed.goodbye()
            self._toSend += self._sealed.take()
        self._settle()

    def close(self) -> None:
        """
        Leave, with what was not sent yet left unsaid.  As with every socket, that is a reset
        if something has come that was not read.
        """
        if self.left is None:
            self.left = "closed"
            self.socket.close()
            self._settle()

    def reset(self) -> None:
        """
        Leave by force.
        """
        if self.left is None:
            self.left = "reset"
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.socket.close()
            self._settle()

    # -- what happens to it

    def turn(self) -> bool:
        """
        Send and read what can be.

        @return: whether that was anything.
        """
        if self.left is not None:
            return False
        return self._write() | (self._reading and not self._seen and self._read())

    def _write(self) -> bool:
        try:
            sent = self.socket.send(bytes(self._toSend[:_AT_ONCE])) if self._toSend else 0
        except BlockingIOError:
            return False
        except ConnectionError:
            self._toSend.clear()
            return False
        del self._toSend[:sent]
        if self._ending and not self._ended and not self._toSend:
            self._ended = True
            if self._sealed is None:
                self.socket.shutdown(socket.SHUT_WR)
            return True
        return bool(sent)

    def _read(self) -> bool:
        try:
            data = self.socket.recv(_AT_ONCE)
        except BlockingIOError:
            return False
        except ConnectionError:
            data = b""
        if data:
            self._take(data)
        else:
            self._seen = True
        if (self._seen or self.notified) and not self.stays and self.left is None:
            self._leave()
        return True

    def _take(self, data: bytes) -> None:
        if self._sealed is None:
            self._received += data
            return
        try:
            self._received += self._sealed.read(data)
        except ssl.SSLError as error:
            self.failure = error
        self._toSend += self._sealed.take()
        if self.failure is not None:
            self._write()
            self._leave()

    def _leave(self) -> None:
        """
        Do as the server did, and say so if it speaks TLS.
        """
        if self._sealed is not None and self.failure is None:
            self._sealed.goodbye()
            self._toSend += self._sealed.take()
            self._write()
        self.left = "closed"
        self.socket.close()
