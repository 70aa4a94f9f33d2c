"""
A small site on which a polite end can be seen.
"""

from __future__ import annotations

import io
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource, getChildForRequest
from twisted.web.server import NOT_DONE_YET
from twisted.web.test.requesthelper import DummyRequest

from terminable.demo import demoSite


class DemoTestCase(SynchronousTestCase):
    """
    The site in memory.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.site = demoSite(self.clock)

    def request(self, path: str, method: bytes = b"GET", **query: str) -> Any:
        request: Any = DummyRequest(path.encode().split(b"/"))
        request.method = method
        request.args = {name.encode(): [value.encode()] for name, value in query.items()}
        request.resource = getChildForRequest(self.site, request)
        return request

    def render(self, request: Any) -> Any:
        """
        Begin to answer, and finish if the answer is there at once.
        """
        result = request.resource.render(request)
        if result is not NOT_DONE_YET:
            request.write(result)
            request.finish()
        return request

    def get(self, path: str, **query: str) -> Any:
        return self.render(self.request(path, **query))

    def answer(self, request: Any) -> bytes:
        self.assertEqual(request.finished, 1)
        return b"".join(request.written)


class PageTests(DemoTestCase):
    """
    The page.
    """

    def test_explainsItself(self) -> None:
        """
        The root names everything that there is.
        """
        page = self.answer(self.get(""))
        for path in (b"/slow?seconds=5", b"/stream?seconds=10&amp;chunks=10", b"/echo"):
            self.assertIn(path, page)

    def test_nothingElse(self) -> None:
        """
        What is not there is not found.
        """
        request = self.get("nonsense")
        self.assertEqual(request.responseCode, 404)
        self.answer(request)


class EchoTests(DemoTestCase):
    """
    The echo.
    """

    def test_post(self) -> None:
        """
        It says what it hears.
        """
        request = self.request("echo", b"POST")
        request.content = io.BytesIO(b"hello\0")
        self.assertEqual(self.answer(self.render(request)), b"hello\0")
        kind = request.responseHeaders.getRawHeaders(b"Content-Type")
        self.assertEqual(kind, [b"application/octet-stream"])


class SlowTests(DemoTestCase):
    """
    The slow answer.
    """

    def test_inTime(self) -> None:
        """
        It comes when it was asked for, in whole or parts of seconds, and after one
        second by default.
        """
        for query, seconds in (({"seconds": "2.5"}, 2.5), ({}, 1.0), ({"seconds": "0"}, 0.0)):
            request = self.get("slow", **query)
            self.clock.advance(max(0.0, seconds - 0.01))
            self.assertEqual(request.finished, 0 if seconds else 1)
            self.clock.advance(0.02)
            self.assertEqual(self.answer(request), b"done after %g seconds\n" % seconds)

    def test_gone(self) -> None:
        """
        For a client that has gone nobody waits.
        """
        request = self.get("slow", seconds="5")
        request.processingFailed(Failure(ConnectionDone()))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(request.written, [])

    def test_bad(self) -> None:
        """
        What is no time, or too long, is refused.
        """
        for value in ("x", "-1", "nan", "inf", "1e9"):
            request = self.get("slow", seconds=value)
            self.assertEqual(request.responseCode, 400)
            self.assertEqual(self.answer(request), b"expected /slow?seconds=NUMBER\n")
        self.assertEqual(self.clock.getDelayedCalls(), [])


class StreamTests(DemoTestCase):
    """
    The answer that comes piece by piece.
    """

    def test_pieces(self) -> None:
        """
        So many pieces come in so many seconds.
        """
        request = self.get("stream", seconds="6", chunks="3")
        self.assertEqual(b"".join(request.written), b"1 of 3\n")
        self.clock.advance(2)
        self.assertEqual(request.finished, 0)
        self.clock.advance(2)
        self.assertEqual(self.answer(request), b"1 of 3\n2 of 3\n3 of 3\n")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_default(self) -> None:
        """
        By default that is ten in ten seconds.
        """
        request = self.get("stream")
        self.clock.pump([1.0] * 10)
        self.assertEqual(self.answer(request).count(b"\n"), 10)

    def test_atOnce(self) -> None:
        """
        In no time at all, one piece is there at once.
        """
        self.assertEqual(self.answer(self.get("stream", seconds="0", chunks="1")), b"1 of 1\n")

    def test_gone(self) -> None:
        """
        For a client that has gone nothing more is made.
        """
        request = self.get("stream", seconds="6", chunks="3")
        request.processingFailed(Failure(ConnectionDone()))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual((len(request.written), request.finished), (1, 0))

    def test_bad(self) -> None:
        """
        What is no time or no number is refused.
        """
        for query in ({"seconds": "x"}, {"chunks": "0"}, {"chunks": "0.5"}, {"chunks": "1e9"}):
            request = self.get("stream", **query)
            self.assertEqual(request.responseCode, 400, query)
            self.assertIn(b"/stream?seconds=NUMBER&amp;chunks=NUMBER", self.answer(request))


class SiteTests(DemoTestCase):
    """
    The whole.
    """

    def test_isAResource(self) -> None:
        """
        It can be served by any C{Site}.
        """
        self.assertIsInstance(self.site, Resource)
        self.assertEqual(sorted(self.site.listNames()), [b"echo", b"slow", b"stream"])
