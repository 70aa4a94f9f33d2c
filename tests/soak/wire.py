"""
Connections of clients that know what they have sent, and what they were sent.

Only the standard library is needed.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Awaitable
from typing import Any

HOST = "127.0.0.1"

#: After how many seconds an answer is late, or a connection is not established.
PATIENCE = 60.0

_AT_ONCE = 65536


def trusting() -> ssl.SSLContext:
    """
    What a client needs that trusts everybody.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _within(work: Awaitable[Any]) -> Any:
    """
    Wait for something that does not take for ever.

    @raise TimeoutError: it did.
    """
    try:
        return await asyncio.wait_for(work, PATIENCE)
    except asyncio.TimeoutError:
        # Another class before Python 3.11.
        raise TimeoutError(f"nothing for {PATIENCE:g} s") from None


class Wire:
    """
    One connection.

    @ivar name: what a server calls it.
    @ivar opened: when it was established, TLS included.
    @ivar spoke: when something was last sent or received.
    @ivar pid: the process that has answered last.
    @ivar buffer: what was received and not yet used.
    """

    def __init__(self, sock: socket.socket, context: ssl.SSLContext | None) -> None:
        """
        @param sock: connected.
        @param context: for TLS.
        """
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        host, port = sock.getsockname()[:2]
        self.name = f"{host}:{port}"
        self.opened = self.spoke = time.monotonic()
        self.pid = 0
        self.buffer = b""
        self._coming, self._going = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        if context is not None:
            self._tls = context.wrap_bio(self._coming, self._going, server_hostname="localhost")

    @classmethod
    async def open(
        cls, port: int, context: ssl.SSLContext | None = None, window: int | None = None
    ) -> Wire:
        """
        Connect.

        @param window: a size for the receive buffer, in bytes.
        @raise OSError: nobody listens; C{TimeoutError}, nobody answers.
        """
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if window is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        try:
            connecting = asyncio.get_running_loop().sock_connect(sock, (HOST, port))
            await _within(connecting)
        except BaseException:
            sock.close()
            raise
        return cls(sock, context)

    async def shake(self) -> None:
        """
        Shake hands, if there is TLS.

        @raise OSError: it failed.
        """
        if self._tls is None:
            return
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._feed()
            else:
                await self._flush()
                self.spoke = self.opened = time.monotonic()
                return

    async def _flush(self) -> None:
        data = self._going.read()
        if data:
            await _within(self._loop.sock_sendall(self._sock, data))

    async def _feed(self) -> None:
        data = await _within(self._loop.sock_recv(self._sock, _AT_ONCE))
        if data:
            self._coming.write(data)
        else:
            self._coming.write_eof()

    async def send(self, data: bytes) -> None:
        """
        Send all of it.

        @raise OSError: the connection is over.
        """
        if self._tls is None:
            await _within(self._loop.sock_sendall(self._sock, data))
        else:
            self._tls.write(data)
            await self._flush()
        self.spoke = time.monotonic()

    async def receive(self, size: int = _AT_ONCE) -> bool:
        """
        Wait for more; it is in C{buffer}.

        @return: whether there was any, and not the end.
        @raise OSError: the connection was reset, or cut without a word of TLS.
        """
        data = await self._receive(size)
        self.buffer += data
        if data:
            self.spoke = time.monotonic()
        return bool(data)

    async def _receive(self, size: int) -> bytes:
        if self._tls is None:
            data: bytes = await _within(self._loop.sock_recv(self._sock, size))
            return data
        while True:
            try:
                return self._tls.read(size)
            except ssl.SSLWantReadError:
                await self._feed()
            except ssl.SSLZeroReturnError:
                return b""

    def isOver(self) -> bool:
        """
        Whether the server has ended it, as far as can be known now.  What it has sent without
        being asked is in C{buffer}.
        """
        try:
            data = self._sock.recv(_AT_ONCE)
        except BlockingIOError:
            return False
        except OSError:
            return True
        if self._tls is None:
            self.buffer += data
            return not data
        if not data:
            return True
        self._coming.write(data)
        with contextlib.suppress(ssl.SSLWantReadError):
            try:
                if not (more := self._tls.read(_AT_ONCE)):
                    return True
                self.buffer += more
            except ssl.SSLZeroReturnError:
                return True
        return False

    async def until(self, end: bytes) -> bytes:
        """
        Read up to C{end}, which is taken off.

        @raise EOFError: the connection ended before.
        """
        while end not in self.buffer:
            if not await self.receive():
                raise EOFError(f"ended after {self.buffer[:100]!r}")
        found, _, self.buffer = self.buffer.partition(end)
        return found

    async def exactly(self, count: int, rate: float = 0.0) -> bytes:
        """
        Read so many bytes.

        @param rate: how many bytes to read in a second; 0 for as many as there are.
        @raise EOFError: the connection ended before.
        """
        while len(self.buffer) < count:
            if not await self.receive(_AT_ONCE if not rate else max(1, int(rate / 10))):
                raise EOFError(f"ended after {len(self.buffer)} bytes of {count}")
            if rate:
                await asyncio.sleep(0.1)
        found, self.buffer = self.buffer[:count], self.buffer[count:]
        return found

    def close(self) -> None:
        """
        Leave.
        """
        self._sock.close()
