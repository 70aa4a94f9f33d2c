"""
Very many clients by hand in one process, each of which sends numbered requests or messages
one after the other, and counts what is wrong with the answers.
"""

from __future__ import annotations

import heapq
import random
import re
import selectors
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable

from tests.live.clients import HOST

_UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)


class Client:
    """
    One connection.

    @ivar number: of what was sent last.
    @ivar answered: how many answers were right.
    @ivar wrong: what was not.
    @ivar by: who has answered, in order.
    @ivar over: how it ended, if it has.
    @ivar waits: whether an answer is awaited.
    """

    def __init__(self, port: int) -> None:
        self.number = 0
        self.answered = 0
        self.wrong: list[bytes] = []
        self.by: list[bytes] = []
        self.over = ""
        self.waits = False
        self._buffer = b""
        self.socket = socket.create_connection((HOST, port))
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def question(self) -> bytes:
        """
        What is sent next.
        """
        raise NotImplementedError

    def take(self, data: bytes) -> tuple[bytes, bytes, bytes] | None:
        """
        @return: what was said, by whom, and what is left, when an answer is complete.
        """
        raise NotImplementedError

    def ask(self) -> None:
        """
        Send the next one.
        """
        self.number += 1
        self.waits = True
        try:
            self.socket.send(self.question())
        except OSError as error:
            self.over = str(error)

    def read(self) -> None:
        """
        Take what has come.
        """
        try:
            data = self.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            self.over = str(error)
            return
        if not data:
            self.over = "FIN"
            return
        self._buffer += data
        while found := self.take(self._buffer):
            said, by, self._buffer = found
            if self.waits and said == self.expected():
                self.answered += 1
            else:
                self.wrong.append(said)
            self.waits = False
            if not self.by or self.by[-1] != by:
                self.by.append(by)

    def expected(self) -> bytes:
        """
        What is the right answer.
        """
        return b"%d" % self.number


class HTTPClient(Client):
    """
    One of HTTP.
    """

    def question(self) -> bytes:
        return b"GET /%d HTTP/1.1\r\nHost: here\r\n\r\n" % self.number

    def take(self, data: bytes) -> tuple[bytes, bytes, bytes] | None:
        head, gap, rest = data.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        if not gap or length is None or len(rest) < int(length[1]):
            return None
        by = re.search(rb"(?i)\r\nx-by: (\d+)", head)
        end = int(length[1])
        return rest[:end], by[1] if by else b"", rest[end:]

    def expected(self) -> bytes:
        return b"/%d" % self.number


class WebSocketClient(Client):
    """
    One of a WebSocket; the application counts too, and says so.
    """

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.socket.setblocking(True)
        self.socket.sendall(_UPGRADE)
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.socket.recv(4096)
        assert head.startswith(b"HTTP/1.1 101"), head
        self._buffer = head.partition(b"\r\n\r\n")[2]
        self.socket.setblocking(False)

    def question(self) -> bytes:
        text = b"%d" % self.number
        mask = b"\x11\x22\x33\x44"
        covered = bytes(byte ^ mask[place % 4] for place, byte in enumerate(text))
        return struct.pack("BB", 0x81, 0x80 | len(text)) + mask + covered

    def take(self, data: bytes) -> tuple[bytes, bytes, bytes] | None:
        if len(data) < 2 or len(data) < 2 + data[1]:
            return None
        if data[0] != 0x81 or data[1] > 125:
            return data, b"", b""
        end = 2 + data[1]
        said, _, by = data[2:end].rpartition(b" ")
        return said, by, data[end:]

    def expected(self) -> bytes:
        return b"%d %d" % (self.number, self.number)


class Crowd:
    """
    All of them.
    """

    def __init__(self, clients: list[Client], pause: float = 0.0) -> None:
        """
        @param pause: for how many seconds each thinks at most before it asks again.
        """
        self.clients = clients
        self._pause = pause
        self._thinking: list[tuple[float, int]] = []
        self._selector = selectors.DefaultSelector()
        for number, client in enumerate(clients):
            self._selector.register(client.socket, selectors.EVENT_READ, (number, client))

    def run(self, until: Callable[[], object], patience: float = 40.0) -> None:
        """
        Have all of them ask and ask again, until something is so; then wait for the answers.
        """
        deadline = time.monotonic() + patience
        look = 0.0
        more = True
        now = time.monotonic()
        self._thinking = [
            (now + random.random() * self._pause, number)
            for number, client in enumerate(self.clients)
            if not client.over and not client.waits
        ]
        heapq.heapify(self._thinking)
        while time.monotonic() < deadline:
            now = time.monotonic()
            if more and now > look:
                look = now + 0.05
                more = not until()
            if not more and not any(each.waits and not each.over for each in self.clients):
                return
            self._turn(more)
        raise AssertionError(f"no end: {self.summary()}")

    def eachOnce(self) -> None:
        """
        Have each that is not over ask, and be answered, once more at least.
        """
        before = [each.answered + len(each.wrong) for each in self.clients]

        def done() -> bool:
            return all(
                each.over or each.answered + len(each.wrong) > count
                for each, count in zip(self.clients, before, strict=True)
            )

        self.run(done)

    def _turn(self, more: bool) -> None:
        now = time.monotonic()
        while more and self._thinking and self._thinking[0][0] <= now:
            self.clients[heapq.heappop(self._thinking)[1]].ask()
        wait = self._thinking[0][0] - now if more and self._thinking else 0.05
        for key, _ in self._selector.select(max(0.0, min(wait, 0.05))):
            client = key.data[1]
            client.read()
            if client.over:
                self._selector.unregister(client.socket)
            elif not client.waits:
                heapq.heappush(self._thinking, (now + random.random() * self._pause, key.data[0]))

    def summary(self) -> dict[str, int]:
        """
        How many of what.
        """
        return {
            "answered": sum(each.answered for each in self.clients),
            "wrong": sum(len(each.wrong) for each in self.clients),
            "over": sum(bool(each.over) for each in self.clients),
            "unanswered": sum(each.waits for each in self.clients),
        }

    def by(self) -> Counter[bytes]:
        """
        Who has answered how many clients at last.
        """
        return Counter(each.by[-1] for each in self.clients if each.by)

    def close(self) -> None:
        """
        All of them go.
        """
        self._selector.close()
        for client in self.clients:
            client.socket.close()
