"""
The HTTP/1.1 drainer and the kinds of requests, answers and applications there are.
"""

from __future__ import annotations

import base64
import os
from functools import partial
from tempfile import NamedTemporaryFile
from typing import Any

from klein import Klein
from twisted.internet import _producer_helpers
from twisted.internet.defer import Deferred
from twisted.internet.task import Cooperator
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from twisted.web.static import File
from twisted.web.websocket import WebSocketResource
from twisted.web.wsgi import WSGIResource

from tests.answers import Answer, Served, request

#: The key and the version that a WebSocket client has to send (RFC 6455, section 4.1).
UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: " + base64.b64encode(b"0123456789abcdef").decode("ascii"),
)


class Called(Resource):
    """
    Answers as a function does.
    """

    isLeaf = True

    def __init__(self, render: Any) -> None:
        super().__init__()
        self.render = render  # type: ignore[method-assign]


def at(name: bytes, resource: Any) -> Resource:
    """
    A site with one C{resource}.
    """
    root = Resource()
    root.putChild(name, resource)
    return root


class AtOnce:
    """
    A reactor's threads and a pool of them, without any thread.
    """

    def callFromThread(self, function: Any, *args: Any, **keywords: Any) -> None:
        """
        Call it.
        """
        function(*args, **keywords)

    def callInThread(self, function: Any, *args: Any, **keywords: Any) -> None:
        """
        Call it.
        """
        function(*args, **keywords)


class AnswerTests(SynchronousTestCase):
    """
    Requests and answers of every kind, after the hint.
    """

    def lastOf(self, served: Served, data: bytes, *methods: bytes) -> Answer:
        """
        The one answer to C{data}, which must have been the last.
        """
        served.hint()
        served.send(data)
        return self.theLast(served, *methods)

    def theLast(self, served: Served, *methods: bytes) -> Answer:
        """
        The last answer, which must say so.
        """
        *others, answer = served.answers(*methods)
        self.assertEqual([other.closes for other in others], [False] * len(others))
        self.assertTrue(answer.closes)
        self.assertTrue(served.transport.disconnecting)
        self.assertFalse(served.drainer.isBusy())
        return answer

    def test_chunkedAnswer(self) -> None:
        """
        A chunked answer arrives with its end.
        """

        def render(request: Any) -> int:
            for part in (b"one", b"two", b"three"):
                request.write(part)
            request.finish()
            return NOT_DONE_YET

        answer = self.lastOf(Served(Called(render)), request())
        self.assertEqual(answer.headers[b"transfer-encoding"], b"chunked")
        self.assertEqual(answer.body, b"onetwothree")

    def test_chunkedUpload(self) -> None:
        """
        A chunked upload is received to its end.
        """
        head = request("/up", "POST", b"", "Transfer-Encoding: chunked")
        served = Served()
        served.send(head + b"3\r\nabc\r\n")
        served.hint()
        served.send(b"2\r\nde\r\n0\r\n")
        self.assertTrue(served.drainer.isBusy())
        served.send(b"\r\n")
        self.assertEqual(self.theLast(served).body, b"/up abcde")

    def test_chunkedUploadWithAnotherBehind(self) -> None:
        """
        What follows a chunked upload in the same bytes is answered too.
        """
        head = request("/up", "POST", b"", "Transfer-Encoding: chunked")
        served = Served()
        served.hint()
        served.send(head + b"3\r\nabc\r\n0\r\n\r\n" + request("/b"))
        self.assertEqual(self.theLast(served).body, b"/b ")
        self.assertEqual(len(served.answers()), 2)

    def test_expectContinue(self) -> None:
        """
        Who waits for 100 gets it, and the answer to the body is the last.
        """
        whole = request("/up", "POST", b"abc", "Expect: 100-continue")
        served = Served()
        served.hint()
        served.send(whole[:-3])
        [interim] = served.answers()
        self.assertEqual((interim.status, interim.closes), (100, False))
        self.assertFalse(served.transport.disconnecting)
        served.send(whole[-3:])
        self.assertEqual(self.theLast(served, b"POST").body, b"/up abc")

    def test_expectContinueBeforeTheHint(self) -> None:
        """
        The same if the drain begins between the two.
        """
        whole = request("/up", "POST", b"abc", "Expect: 100-continue")
        served = Served()
        served.send(whole[:-3])
        served.hint()
        served.send(whole[-3:])
        self.assertEqual(self.theLast(served, b"POST").body, b"/up abc")

    def test_oldHTTP(self) -> None:
        """
        An HTTP/1.0 request is answered and its connection lost, with or without
        keep-alive.
        """
        for more in (b"", b"Connection: keep-alive\r\n"):
            data = b"GET /a HTTP/1.0\r\n" + more + b"\r\n"
            self.assertEqual(self.lastOf(Served(), data).body, b"/a ")

    def test_head(self) -> None:
        """
        The answer to HEAD has no body, and is the last.
        """
        answer = self.lastOf(Served(), request("/a", "HEAD"), b"HEAD")
        self.assertEqual((answer.headers[b"content-length"], answer.body), (b"3", b""))

    def test_answersWithoutABody(self) -> None:
        """
        204 and 304 have none either.
        """
        for code in (204, 304):

            def render(request: Any, code: int = code) -> bytes:
                request.setResponseCode(code)
                return b""

            self.assertEqual(self.lastOf(Served(Called(render)), request()).status, code)

    def test_closeAskedFor(self) -> None:
        """
        A client that asks for the end gets it with one header, not two.
        """
        self.lastOf(Served(), request("/a", "GET", b"", "Connection: close"))

    def test_brokenApplication(self) -> None:
        """
        An exception in the application is answered with 500, and that is the last.
        """

        def render(request: Any) -> bytes:
            raise ZeroDivisionError

        answer = self.lastOf(Served(Called(render)), request())
        self.assertEqual(answer.status, 500)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_klein(self) -> None:
        """
        Klein's routes, synchronous and not, say close.
        """
        app: Any = Klein()
        pending: Deferred[bytes] = Deferred()
        app.route("/now", endpoint="now")(lambda request: b"now")
        app.route("/later", endpoint="later")(lambda request: pending)
        self.assertEqual(self.lastOf(Served(app.resource()), request("/now")).body, b"now")
        served = Served(app.resource())
        served.send(request("/later"))
        served.hint()
        self.assertEqual(served.drainer.describe(), "GET /later")
        pending.callback(b"at last")
        self.assertEqual(self.theLast(served).body, b"at last")

    def test_wsgi(self) -> None:
        """
        So does a WSGI application.
        """

        def application(environ: Any, start: Any) -> list[bytes]:
            start("200 OK", [("Content-Length", "6"), ("Connection", "keep-alive")])
            return [b"foo", b"bar"]

        threads: Any = AtOnce()
        served = Served(WSGIResource(threads, threads, application))
        self.assertEqual(self.lastOf(served, request()).body, b"foobar")

    def test_file(self) -> None:
        """
        A file, which is produced piece by piece, arrives whole and says close.
        """
        content = bytes(range(256)) * 1000
        with NamedTemporaryFile(delete=False) as file:
            file.write(content)
        self.addCleanup(os.unlink, file.name)
        served = Served(at(b"file", File(file.name)))
        cooperator = Cooperator(scheduler=partial(served.clock.callLater, 0))
        self.patch(_producer_helpers, "cooperate", cooperator.cooperate)
        served.hint()
        served.send(request("/file"))
        self.assertTrue(served.drainer.isBusy())
        served.clock.pump([0.01] * 50)
        self.assertEqual(self.theLast(served).body, content)


class UpgradeTests(SynchronousTestCase):
    """
    A connection that changes to another protocol.
    """

    class WebSocket:
        """
        Wants nothing of its peer.
        """

        transport: Any = None

        def negotiationStarted(self, transport: Any) -> None:
            self.transport = transport

        def negotiationFinished(self) -> None:
            self.transport.sendTextMessage("hello")

        def textMessageReceived(self, message: str) -> None:
            self.transport.sendTextMessage(message)

        def connectionLost(self, reason: Any) -> None:
            self.transport = None

    def upgraded(self, hintFirst: bool) -> Served:
        """
        A connection that has become a WebSocket, and its drain begun.
        """
        socket = self.WebSocket()
        factory: Any = type("Factory", (), {"buildProtocol": lambda self, request: socket})()
        served = Served(at(b"socket", WebSocketResource(factory)))
        if hintFirst:
            served.hint()
        served.send(request("/socket", "GET", b"", *UPGRADE))
        if not hintFirst:
            served.hint()
        return served

    def check(self, served: Served) -> None:
        """
        It goes on after the upgrade, is not busy, and is closed as WebSockets are.
        """
        head, _, frames = served.transport.value().partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 101"), head)
        self.assertIn(b"\x81\x05hello", frames)
        self.assertFalse(served.transport.disconnecting)
        self.assertTrue(served.drainer.upgraded)
        self.assertTrue(served.drainer.prompt)
        self.assertFalse(served.drainer.isBusy())
        self.assertEqual(served.drainer.describe(), "WebSocket /socket")
        served.send(b"\x81\x83\0\0\0\0abc")
        self.assertTrue(served.transport.value().endswith(b"\x81\x03abc"))
        served.drainer.drain()
        self.assertTrue(served.transport.value().endswith(b"\x81\x03abc\x88\x02\x03\xe9"))
        self.assertEqual(served.drainer.lastWord(1), "")
        self.assertFalse(served.transport.disconnecting)
        served.send(b"\x88\x82\0\0\0\0\x03\xe9")
        self.assertTrue(served.transport.disconnecting)
        self.assertIsNone(served.transport.producer)

    def test_upgradedBefore(self) -> None:
        """
        What was upgraded before the drain is no HTTP.
        """
        self.check(self.upgraded(False))

    def test_upgradedDuring(self) -> None:
        """
        An upgrade that comes after the hint is not kept from happening.
        """
        self.check(self.upgraded(True))
