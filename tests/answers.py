"""
HTTP/1.1 for tests: requests written, answers read, and a server in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from terminable.interfaces import IDrainer
from tests.watches import HandWatch


@dataclass
class Answer:
    """
    One answer as it was read.
    """

    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def closes(self) -> bool:
        """
        Whether it says that it is the last.
        """
        return self.headers.get(b"connection", b"").lower() == b"close"


def readAnswers(data: bytes, methods: list[bytes] | None = None) -> list[Answer]:
    """
    All answers in C{data}.

    @param methods: of the requests that they belong to, GET if there are too few.
    @raise AssertionError: there is anything else, or one is not complete.
    """
    answers: list[Answer] = []
    asked = list(methods or [])
    while data:
        head, there, data = data.partition(b"\r\n\r\n")
        assert there, f"half an answer: {head!r}"
        first, *lines = head.split(b"\r\n")
        version, status, _ = first.split(b" ", 2)
        assert version in (b"HTTP/1.1", b"HTTP/1.0"), first
        headers = {k.lower(): v.strip() for k, v in (line.split(b":", 1) for line in lines)}
        assert len(headers) == len(lines), f"a header twice: {lines}"
        interim = status.startswith(b"1")
        method = b"GET" if interim or not asked else asked.pop(0)
        bodiless = interim or status in (b"204", b"304") or method == b"HEAD"
        body, data = (b"", data) if bodiless else _body(headers, data)
        answers.append(Answer(int(status), headers, body))
    return answers


def _body(headers: dict[bytes, bytes], data: bytes) -> tuple[bytes, bytes]:
    if headers.get(b"transfer-encoding") == b"chunked":
        body = b""
        while True:
            size, there, data = data.partition(b"\r\n")
            assert there, "half a chunk"
            length = int(size, 16)
            assert data[length : length + 2] == b"\r\n", "half a chunk"
            body, data = body + data[:length], data[length + 2 :]
            if not length:
                return body, data
    length = headers.get(b"content-length")
    if length is None:
        return data, b""
    assert len(data) >= int(length), f"{len(data)} of {int(length)} bytes"
    return data[: int(length)], data[int(length) :]


def request(path: str = "/", method: str = "GET", body: bytes = b"", *more: str) -> bytes:
    """
    A request as it is written.
    """
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *more]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


class Shop(Resource):
    """
    Answers at once with path and body of the request, except below C{/later}, where
    it answers when told to.

    @ivar waiting: the requests below C{/later}, oldest first.
    @ivar served: the targets of all requests, in order.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Any] = []
        self.served: list[bytes] = []

    def render(self, request: Any) -> Any:
        """
        One request.
        """
        self.served.append(request.uri)
        body: bytes = request.path + b" " + request.content.read()
        if not request.path.startswith(b"/later"):
            return body
        request.answer = body
        self.waiting.append(request)
        return NOT_DONE_YET

    def finish(self) -> None:
        """
        Answer the oldest request that waits.
        """
        waiting = self.waiting.pop(0)
        waiting.write(waiting.answer)
        waiting.finish()


class MemoryTransport(StringTransport):
    """
    As real ones do, it takes no offence at being resumed after it was lost, nor at
    being told to forget a producer that it never had.
    """

    def resumeProducing(self) -> None:
        """
        Of no interest any more after C{loseConnection}.
        """
        if not self.disconnecting:
            super().resumeProducing()

    def unregisterProducer(self) -> None:
        """
        There may be none.
        """
        self.producer = self.streaming = None


class Served:
    """
    A resource behind C{Site} on a transport in memory.

    @ivar watch: what the drainer is given when the drain begins.
    """

    def __init__(self, resource: Any = None, transport: Any = None) -> None:
        self.resource = Shop() if resource is None else resource
        self.clock = MemoryReactorClock()
        self.site = Site(self.resource, reactor=self.clock)
        self.protocol = self.site.buildProtocol(None)
        self.transport = transport or MemoryTransport()
        self.protocol.makeConnection(self.transport)
        self.drainer: Any = IDrainer(self.protocol)
        self.watch = HandWatch(self.clock)

    @property
    def idled(self) -> int:
        """
        How often the drainer said that the connection has become idle.
        """
        return self.watch.idled

    @property
    def channel(self) -> Any:
        """
        What speaks HTTP.
        """
        return self.protocol._channel

    def hint(self) -> None:
        """
        The drain begins.
        """
        self.drainer.hint(self.watch)

    def send(self, data: bytes) -> None:
        """
        The client has sent something.
        """
        if not self.transport.disconnecting:
            self.protocol.dataReceived(data)

    def answers(self, *methods: bytes) -> list[Answer]:
        """
        What the client has got.
        """
        return readAnswers(self.transport.value(), list(methods))
