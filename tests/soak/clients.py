"""
The kinds of clients.
"""

from __future__ import annotations

import asyncio
import time

from tests.soak.journal import IDLE_GRACE
from tests.soak.load import Client
from tests.soak.wire import Wire

#: A receive buffer that has an answer sent slowly.
WINDOW = 8192

#: How many bytes a slow download has, and how many are read in a second.
DOWNLOAD, RATE = 400_000, 200_000

#: How many bytes an upload has, and in how many parts it is sent.
UPLOAD, PARTS = 200_000, 8

#: How many requests, messages or lines are on their way at the same time.
AHEAD = 8


class Web(Client):
    """
    One that speaks HTTP/1.1.

    @cvar method: of its requests.
    @cvar keepAlive: whether a connection is used more than once.
    @cvar extra: what else is asked for.
    @ivar told: whether the last answer said that there is no other.
    """

    method = "GET"
    keepAlive = True
    extra = ""
    told = False

    def request(self, number: int) -> bytes:
        """
        What is sent.
        """
        wish = "" if self.keepAlive else "Connection: close\r\n"
        target = f"/n?n={number}{self.extra}"
        return f"{self.method} {target} HTTP/1.1\r\nHost: localhost\r\n{wish}\r\n".encode()

    async def write(self, wire: Wire, number: int) -> None:
        """
        Send a request.
        """
        await wire.send(self.request(number))

    async def body(self, wire: Wire, length: int) -> bytes:
        """
        Read a body.
        """
        return await wire.exactly(length)

    def wanted(self, number: int) -> bytes:
        """
        The body that is wanted.
        """
        return b"%d\n" % number

    async def talk(self, wire: Wire) -> None:
        fresh = True
        while not self.leaving:
            if not await self.exchange(wire, fresh):
                return
            fresh = False
            await self.between()

    async def between(self) -> None:
        """
        Pause, or not.
        """

    async def exchange(self, wire: Wire, fresh: bool) -> bool:
        """
        One request, and its answer.

        @return: whether there may be another one.
        """
        if wire.isOver():
            self.count("ended idle")
            self.nothingMore(wire)
            return False
        number, spoke, began = next(self.load.numbers), wire.spoke, time.monotonic()
        try:
            await self.write(wire, number)
        except OSError as problem:
            if fresh or not isinstance(problem, ConnectionError):
                why = f"could not ask: {problem!r}"
                self.lose("lost", why, wire, began=began, spoke=spoke, number=number)
            else:
                # It ended before the request was written.
                self.count("ended idle")
            return False
        return await self.hear(wire, number, began, spoke) and self.keepAlive

    async def hear(self, wire: Wire, number: int, began: float, spoke: float) -> bool:
        """
        The answer to a request that was written.

        @return: whether the connection goes on.
        """
        self.count("requests")
        self.told = False
        try:
            head = await wire.until(b"\r\n\r\n")
            words = head.lower().split(b"\r\n")
            fields = dict(line.split(b": ", 1) for line in words[1:] if b": " in line)
            body = await self.body(wire, int(fields.get(b"content-length", 0)))
        except TimeoutError:
            self.lose("late", "no answer", wire, began=began, spoke=spoke, number=number)
            return False
        except (OSError, EOFError) as problem:
            self.lose("lost", repr(problem), wire, began=began, spoke=spoke, number=number)
            return False
        status = words[0].split()[1]
        if status in (b"408", b"503"):
            why = f"told {status.decode()}"
            self.lose("lost", why, wire, began=began, spoke=spoke, number=number)
            return False
        if status != b"200" or body != self.wanted(number):
            why = f"{words[0]!r} {body[:40]!r} to {number}"
            self.lose("wrong", why, wire, began=began, spoke=spoke, number=number)
            return False
        wire.pid = int(fields[b"x-pid"])
        self.count("answered")
        return await self._goesOn(wire, fields)

    async def _goesOn(self, wire: Wire, fields: dict[bytes, bytes]) -> bool:
        self.told = fields.get(b"connection") == b"close"
        self.count("told", self.told and self.keepAlive)
        return not self.told

    def nothingMore(self, wire: Wire) -> None:
        """
        Nothing may have come that nobody has asked for.
        """
        if wire.buffer:
            now = time.monotonic()
            self.lose("doubled", f"not asked for: {wire.buffer[:80]!r}", wire, began=now)


class Bursts(Web):
    """
    Keeps its connection, and does not pause for some requests.
    """

    kind = "keep-alive"
    _left = 30

    async def between(self) -> None:
        self._left -= 1
        if self._left < 0:
            self._left = self.random.randrange(10, 40)
            await self.pause(0.3)


class Pausing(Web):
    """
    Keeps its connection, and pauses; some answers take a while.
    """

    kind = "keep-alive, pauses"

    async def between(self) -> None:
        self.extra = f"&seconds={self.random.choice((0, 0, 0.1, 0.5))}"
        await self.pause(self.random.uniform(0.0, IDLE_GRACE / 3))


class Fresh(Web):
    """
    A new connection for each request.
    """

    kind = "new connections"
    keepAlive = False

    async def talk(self, wire: Wire) -> None:
        await super().talk(wire)
        await self.pause(self.random.uniform(0.0, 0.3))


class Download(Web):
    """
    Reads a long answer slowly.
    """

    kind = "slow downloads"
    window = WINDOW
    extra = f"&bytes={DOWNLOAD}"

    async def body(self, wire: Wire, length: int) -> bytes:
        return await wire.exactly(length, RATE)

    def wanted(self, number: int) -> bytes:
        return super().wanted(number) + b"x" * DOWNLOAD


class Upload(Web):
    """
    Sends a body in parts.
    """

    kind = "uploads"
    method = "POST"

    def request(self, number: int) -> bytes:
        head = super().request(number)
        return head[:-2] + b"Content-Length: %d\r\n\r\n" % UPLOAD

    async def write(self, wire: Wire, number: int) -> None:
        await wire.send(self.request(number))
        for _ in range(PARTS):
            await wire.send(b"x" * (UPLOAD // PARTS))
            await asyncio.sleep(0.05)

    def wanted(self, number: int) -> bytes:
        return b"%d %d\n" % (number, UPLOAD)

    async def between(self) -> None:
        await self.pause(0.3)


class Pipelining(Web):
    """
    Sends several requests at once, and wants as many answers, in order.
    """

    kind = "pipelining"

    async def exchange(self, wire: Wire, fresh: bool) -> bool:
        if wire.isOver():
            self.count("ended idle")
            self.nothingMore(wire)
            return False
        numbers = [next(self.load.numbers) for _ in range(AHEAD)]
        spoke, began = wire.spoke, time.monotonic()
        try:
            await wire.send(b"".join(map(self.request, numbers)))
        except OSError as problem:
            if fresh:
                self.lose("lost", f"could not ask: {problem!r}", wire, began=began, spoke=spoke)
            return False
        for place, number in enumerate(numbers):
            if not await self.hear(wire, number, began, spoke):
                if self.told:
                    # Those behind the last answer were not looked at.
                    self.load.unheard.update(numbers[place + 1 :])
                return False
        return True

    async def between(self) -> None:
        await self.pause(0.2)
