"""
A round trip between client and server that both feel, on one machine.

Only the standard library is needed, so that tests may import this as well.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

HOST = "127.0.0.1"


class _End(asyncio.Protocol):
    """
    One of the two connections of a pair.  Whatever it hears, its other end is told later.

    @ivar other: the connection of the pair that this is not.
    """

    other: _End
    _transport: Any = None

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._early: list[Callable[[], None]] = []
        self._heardEnd = self._saidEnd = False

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        for act in self._early:
            act()

    def data_received(self, data: bytes) -> None:
        self._later(lambda: self.other._transport.write(data))

    def eof_received(self) -> bool:
        self._heardEnd = True
        self._later(self.other._finish)
        return True

    def connection_lost(self, reason: Exception | None) -> None:
        if reason is not None:
            self._later(self.other.reset)

    def _later(self, act: Callable[[], None]) -> None:
        # Times only grow, so that nothing overtakes what was heard before.
        asyncio.get_running_loop().call_later(self._delay, self.other._whenMade, act)

    def _whenMade(self, act: Callable[[], None]) -> None:
        if self._transport is None:
            self._early.append(act)
        else:
            act()

    def _finish(self) -> None:
        if self._transport.is_closing():
            return
        self._saidEnd = True
        try:
            self._transport.write_eof()
        except OSError:
            # It was reset, and asyncio has not noticed yet.
            self.reset()
            self._later(self.other.reset)
            return
        for end in (self, self.other):
            if end._heardEnd and end._saidEnd:
                end._transport.close()

    def reset(self) -> None:
        """
        End this connection as the other has ended: by force.
        """
        if self._transport.is_closing():
            return
        sock = self._transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()


class _ClientEnd(_End):
    """
    The connection that a client has made; it has another made to the server.
    """

    def __init__(self, delay: float, port: int) -> None:
        super().__init__(delay)
        self.other = _End(delay)
        self.other.other = self
        self._port = port

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._connecting = asyncio.ensure_future(self._connect())

    def abandon(self) -> None:
        """
        Let both connections go, whatever is still to be said.
        """
        self._connecting.cancel()
        for end in (self, self.other):
            if end._transport is not None:
                end._transport.abort()

    async def _connect(self) -> None:
        try:
            loop = asyncio.get_running_loop()
            await loop.create_connection(lambda: self.other, HOST, self._port)
        except OSError:
            self.reset()


class Relay(threading.Thread):
    """
    Listens on a port of its own, and passes on whatever is sent there to another, and back:
    bytes, ends and resets, each of them so much later.

    @ivar port: where to connect to.
    """

    def __init__(self, port: int, delay: float = 0.01) -> None:
        """
        @param port: where the server listens.
        @param delay: in seconds, for each direction: half a round trip.
        """
        super().__init__(daemon=True)
        self._target, self._delay = port, delay
        self._listening = socket.create_server((HOST, 0), backlog=1024)
        self.port: int = self._listening.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()

    def run(self) -> None:
        """
        Relay until L{stop}.
        """
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        made: list[_ClientEnd] = []

        def make() -> _ClientEnd:
            made.append(_ClientEnd(self._delay, self._target))
            return made[-1]

        server = await self._loop.create_server(make, sock=self._listening)
        await self._over.wait()
        server.close()
        for end in made:
            end.abandon()
        await asyncio.sleep(0.01)

    def stop(self) -> None:
        """
        Cut every connection, listen no more, and return when that is done.
        """
        self._loop.call_soon_threadsafe(self._over.set)
        self.join()
