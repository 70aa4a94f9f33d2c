"""
Clients that number what they say: WebSockets and lines.
"""

from __future__ import annotations

import contextlib
import os
import struct
import time

from tests.soak.clients import AHEAD
from tests.soak.load import Client
from tests.soak.wire import Wire

#: What opens a WebSocket.
OPENING = (
    b"Host: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: MDAwMDAwMDAwMDAwMDAwMA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)

TEXT, CLOSE = 1, 8


def frame(opcode: int, payload: bytes) -> bytes:
    """
    A frame of a client, with less than 126 bytes.
    """
    mask = os.urandom(4)
    covered = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + mask + covered


class Talker(Client):
    """
    One that has some messages on their way at the same time, each with its number.

    The server counts what it hears: an answer that is missing, doubled, or out of order, has
    another count than the number of the message.
    """

    async def open(self, wire: Wire) -> bool:
        """
        Say what has to be said first.

        @return: whether it was understood.
        """
        return True

    async def say(self, wire: Wire, message: bytes) -> None:
        """
        Send a message.
        """
        raise NotImplementedError

    async def listen(self, wire: Wire, answered: int) -> bytes | None:
        """
        Wait for a message.

        @param answered: how many there were.
        @return: the message; C{None} if the server has said goodbye in order.
        """
        raise NotImplementedError

    async def leave(self, wire: Wire) -> None:
        """
        End it.
        """

    async def talk(self, wire: Wire) -> None:
        try:
            if not await self.open(wire):
                return
            await self._talk(wire)
        except TimeoutError:
            self.lose("late", "no answer", wire, began=wire.spoke, spoke=wire.spoke)
        except (OSError, EOFError) as problem:
            why = f"no goodbye: {problem!r}"
            self.lose("lost", why, wire, began=wire.spoke, spoke=wire.spoke)

    async def _talk(self, wire: Wire) -> None:
        sent = answered = 0
        while True:
            while sent - answered < AHEAD and not self.leaving:
                self.count("requests")
                try:
                    await self.say(wire, b"%d" % sent)
                except ConnectionError:
                    # The goodbye may be among what was received before.
                    self._unheard(sent - await self._rest(wire, answered))
                    return
                sent += 1
            if sent == answered:
                await self.leave(wire)
                return
            message = await self.listen(wire, answered)
            if message is None:
                self._unheard(sent - answered)
                return
            if not self._fits(message, answered, wire):
                return
            answered += 1
            if not answered % AHEAD:
                await self.pause(0.2)

    async def _rest(self, wire: Wire, answered: int) -> int:
        while (message := await self.listen(wire, answered)) is not None:
            if not self._fits(message, answered, wire):
                break
            answered += 1
        return answered

    def _unheard(self, count: int) -> None:
        self.count("told")
        self.count("unheard", count)

    def _fits(self, message: bytes, answered: int, wire: Wire) -> bool:
        said, count, pid = (int(word) for word in message.split())
        if (said, count) == (answered, answered + 1):
            wire.pid = pid
            self.count("answered")
            return True
        what = "doubled" if count > answered + 1 or said < answered else "wrong"
        why = f"message {answered} was answered as {said}, number {count}, by {pid}"
        self.lose(what, why, wire, began=time.monotonic())
        return False


class Socket(Talker):
    """
    A WebSocket.

    @cvar path: where there is one.
    """

    path = b"/"

    async def open(self, wire: Wire) -> bool:
        began, spoke = time.monotonic(), wire.spoke
        await wire.send(b"GET %b HTTP/1.1\r\n%b" % (self.path, OPENING))
        head = await wire.until(b"\r\n\r\n")
        if head.startswith(b"HTTP/1.1 101"):
            return True
        self.lose("wrong", f"{head[:80]!r}", wire, began=began, spoke=spoke)
        return False

    async def say(self, wire: Wire, message: bytes) -> None:
        await wire.send(frame(TEXT, message))

    async def listen(self, wire: Wire, answered: int) -> bytes | None:
        while True:
            first, length = await wire.exactly(2)
            payload = await wire.exactly(length)
            if first & 0x0F == CLOSE:
                code = struct.unpack("!H", payload[:2])[0]
                if code != 1001:
                    raise EOFError(f"it was closed with {code}")
                await self._answerClose(wire)
                return None
            if first & 0x0F == TEXT:
                return payload

    async def _answerClose(self, wire: Wire) -> None:
        # The server waits for this answer, but not for ever.
        with contextlib.suppress(OSError):
            await wire.send(frame(CLOSE, b"\x03\xe9"))
            while await wire.receive():
                pass

    async def leave(self, wire: Wire) -> None:
        # Whose goodbye comes first does not matter; who waits for the end of the connection
        # after it would wait for that of Twisted over TLS for ever, which waits as well.
        with contextlib.suppress(OSError, EOFError):
            await wire.send(frame(CLOSE, b"\x03\xe8"))
            while (await wire.exactly(2))[0] & 0x0F != CLOSE:
                pass


class TwistedSocket(Socket):
    """
    To C{twisted.web.websocket}.
    """

    kind = "WebSockets of Twisted"
    path = b"/twisted"


class AutobahnSocket(Socket):
    """
    To Autobahn.
    """

    kind = "WebSockets of Autobahn"
    path = b"/autobahn"


class Lines(Talker):
    """
    Lines: the goodbye tells how many were heard, and these were answered.
    """

    kind = "lines"

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self.port = self.target.lines

    async def say(self, wire: Wire, message: bytes) -> None:
        await wire.send(message + b"\n")

    async def listen(self, wire: Wire, answered: int) -> bytes | None:
        line = await wire.until(b"\n")
        if not line.startswith(b"BYE"):
            return line
        if line != b"BYE %d" % answered:
            now = time.monotonic()
            why = f"{line!r} after {answered} answers"
            self.lose("doubled", why, wire, began=now)
        return None
