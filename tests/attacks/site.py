"""
A web application that answers in all ways there are: at once, later, piece by piece.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site
from twisted.web.websocket import WebSocketResource
from zope.interface import implementer

from tests.doubles import Boom
from tests.wspeers import TwistedApplication

#: What is asked for a large answer.
LARGE = 60_000


def answerTo(path: bytes, method: bytes, body: bytes) -> tuple[int, bytes]:
    """
    @return: with which status and which bytes a request is to be answered.
    """
    kind = path.split(b"/")[1]
    if kind == b"empty":
        return 204, b""
    if kind == b"large":
        data = (path + b" " + body + b".") * (LARGE // (len(path) + len(body) + 2))
    elif kind in (b"stream", b"push", b"sized"):
        data = (path + b" " + body + b".") * 3
    else:
        data = path + b" " + body
    return 200, b"" if method == b"HEAD" else data


@implementer(IPushProducer)
class Push:
    """
    Produces an answer in three pieces, one each time that it goes on, but not while it is paused.
    """

    def __init__(self, request: Any, piece: bytes) -> None:
        self._request = request
        self._pieces = [piece] * 3
        self._paused = self._waits = False

    def go(self) -> bool:
        """
        One more.

        @return: whether there are more to come.
        """
        if self._paused:
            self._waits = True
            return True
        self._request.write(self._pieces.pop())
        if not self._pieces:
            self._request.unregisterProducer()
            self._request.finish()
        return bool(self._pieces)

    def pauseProducing(self) -> None:
        """
        Nobody takes it.
        """
        self._paused = True

    def resumeProducing(self) -> None:
        """
        Somebody takes it.
        """
        self._paused = False
        if self._waits and self._pieces:
            self._waits = False
            self.go()

    def stopProducing(self) -> None:
        """
        Nobody listens.
        """
        self._pieces.clear()
        self._paused = True


class Answering(Resource):
    """
    All of it.

    @ivar waiting: what can be gone on with.
    @ivar begun: for each request whose answer has begun, its path and whether the stop had.
    """

    isLeaf = True

    def __init__(self, stopped: Callable[[], bool], stop: Callable[[], object]) -> None:
        super().__init__()
        self.waiting: list[Callable[[], object]] = []
        self.early: set[bytes] = set()
        self.rendered: list[bytes] = []
        self._stopped = stopped
        self._stop = stop

    def render(self, request: Any) -> Any:
        """
        One request.
        """
        body = request.content.read()
        self.rendered.append(request.path)
        kind = request.path.split(b"/")[1].decode("ascii")
        return getattr(self, f"_do_{kind}")(request, request.path + b" " + body)

    def begins(self, request: Any) -> None:
        """
        The answer begins.
        """
        if not self._stopped():
            self.early.add(request.path)

    def _do_now(self, request: Any, data: bytes) -> Any:
        self.begins(request)
        return data

    def _do_stop(self, request: Any, data: bytes) -> Any:
        self._stop()
        self.begins(request)
        return data

    def _do_empty(self, request: Any, data: bytes) -> Any:
        self.begins(request)
        request.setResponseCode(204)
        return b""

    def _do_large(self, request: Any, data: bytes) -> Any:
        self.begins(request)
        return (data + b".") * (LARGE // (len(data) + 1))

    def _do_later(self, request: Any, data: bytes) -> Any:
        def finish() -> None:
            if not request._disconnected:
                self.begins(request)
                request.write(data)
                request.finish()

        self.waiting.append(finish)
        return NOT_DONE_YET

    def _do_stream(self, request: Any, data: bytes) -> Any:
        return self._pieces(request, data)

    def _do_sized(self, request: Any, data: bytes) -> Any:
        request.setHeader(b"content-length", b"%d" % (3 * len(data) + 3))
        return self._pieces(request, data)

    def _pieces(self, request: Any, data: bytes, left: int = 3) -> Any:
        def go() -> None:
            if request._disconnected:
                return
            if left:
                self.begins(request)
                request.write(data + b".")
                self._pieces(request, data, left - 1)
            else:
                request.finish()

        self.waiting.append(go)
        return NOT_DONE_YET

    def _do_push(self, request: Any, data: bytes) -> Any:
        self.begins(request)
        producer = Push(request, data + b".")
        request.registerProducer(producer, True)

        def go() -> None:
            if not request._disconnected and not request.finished and producer.go():
                self.waiting.append(go)

        self.waiting.append(go)
        return NOT_DONE_YET

    def _do_fails(self, request: Any, data: bytes) -> Any:
        self.begins(request)
        raise Boom

    def goOn(self) -> None:
        """
        Go on with what has waited longest.
        """
        if self.waiting:
            self.waiting.pop(0)()


class _Sockets:
    """
    Builds WebSockets that repeat what they hear.
    """

    def buildProtocol(self, address: Any) -> TwistedApplication:
        """
        One more.
        """
        made = TwistedApplication()
        made.onHeard = lambda message: made.say(str(message))
        return made


class Root(Resource):
    """
    WebSockets below C{/socket}, everything else below its own name.
    """

    def __init__(self, answering: Answering) -> None:
        super().__init__()
        self.answering = answering
        self._sockets = WebSocketResource(_Sockets())  # type: ignore[arg-type]

    def getChild(self, path: bytes, request: Any) -> Any:
        """
        Who answers.
        """
        return self._sockets if path == b"socket" else self.answering


def siteOf(answering: Answering, clock: Any) -> Site:
    """
    The factory.
    """
    site = Site(Root(answering), reactor=clock)
    site.noisy = False
    return site
