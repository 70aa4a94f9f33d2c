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
from terminable.testing.httpanswers import readAnswers as _read
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
    @raise AssertionError: one is not complete.
    @raise ValueError: there is anything else.
    """
    found, rest = _read(data, [method.decode() for method in methods or []], ended=True)
    assert not rest, f"half an answer: {rest!r}"
    answers = []
    for each in found:
        headers = {name.lower().encode(): value.encode() for name, value in each.headers}
        assert len(headers) == len(each.headers), f"a header twice: {each.headers}"
        assert each.complete, f"half an answer: {each}"
        answers.append(Answer(each.status, headers, each.body))
    return answers


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
