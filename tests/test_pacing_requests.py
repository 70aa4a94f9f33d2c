"""
Requests that come again when the server says so.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers

from terminable.errors import InvalidOption
from terminable.pacing import patiently, retryAfter


class Request:
    """
    What a response knows of its request.
    """

    def __init__(self, method: bytes) -> None:
        self.method = method


class Response:
    """
    @ivar read: whether the body was read.
    """

    def __init__(self, code: int, after: str | None = None, method: bytes = b"GET") -> None:
        self.code = code
        self.headers = Headers({} if after is None else {"Retry-After": [after]})
        self.request = Request(method)
        self.length = 3
        self.read = False

    def deliverBody(self, protocol: Any) -> None:
        self.read = True
        protocol.makeConnection(None)
        protocol.dataReceived(b"...")
        protocol.connectionLost(Failure(ResponseDone()))


class PatienceTests(SynchronousTestCase):
    """
    A server that has a list of answers.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        # A moment of which the date is known.
        self.clock.advance(784111777)
        self.asked: list[float] = []

    def ask(self, *answers: Any, **settings: Any) -> Deferred[Any]:
        coming = iter(answers)
        begun = self.clock.seconds()

        def request() -> Any:
            self.asked.append(self.clock.seconds() - begun)
            return succeed(next(coming))

        return patiently(request, reactor=self.clock, **settings)

    def test_answered(self) -> None:
        """
        Any other answer is returned, unread.
        """
        for code in (200, 404, 500):
            response = Response(code, "1")
            self.assertIs(self.successResultOf(self.ask(response)), response)
            self.assertFalse(response.read)

    def test_again(self) -> None:
        """
        After 429 and 503 it is asked again when the server says, and what it said is read.
        """
        busy, wait, good = Response(503, "7"), Response(429, "2"), Response(200)
        asked = self.ask(busy, wait, good)
        self.clock.pump([6.5, 0.5, 2])
        self.assertIs(self.successResultOf(asked), good)
        self.assertEqual((self.asked, busy.read, wait.read), ([0, 7, 9], True, True))

    def test_usual(self) -> None:
        """
        If it does not say, the waits grow.
        """
        asked = self.ask(Response(503), Response(503, "soon"), Response(503), Response(200))
        for _ in range(8):
            self.clock.advance(0.1)
        self.assertEqual(self.successResultOf(asked).code, 200)
        for real, expected in zip(self.asked, (0, 0.1, 0.3, 0.7), strict=True):
            self.assertAlmostEqual(real, expected, 5)

    def test_attempts(self) -> None:
        """
        After so many attempts the answer is returned as it is, unread.
        """
        last = Response(503, "1")
        asked = self.ask(Response(503, "1"), last, attempts=2)
        self.clock.advance(1)
        self.assertIs(self.successResultOf(asked), last)
        self.assertFalse(last.read)

    def test_tooLong(self) -> None:
        """
        Who asks for too much patience gets none.
        """
        response = Response(503, "61")
        self.assertIs(self.successResultOf(self.ask(response)), response)
        self.assertNoResult(self.ask(Response(503, "61"), longest=61.0))

    def test_methods(self) -> None:
        """
        Only what is idempotent is repeated, or what is said to be.
        """
        for method in (b"GET", b"head", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"):
            self.assertNoResult(self.ask(Response(503, "1", method)))
        for method in (b"POST", b"PATCH", b"CONNECT", b"BREW"):
            self.assertEqual(self.successResultOf(self.ask(Response(503, "1", method))).code, 503)
            self.assertNoResult(self.ask(Response(503, "1", method), idempotent=True))

    def test_failure(self) -> None:
        """
        A connection that fails is the caller's.
        """

        def request() -> Any:
            raise ConnectionRefusedError()

        self.failureResultOf(patiently(request, reactor=self.clock), ConnectionRefusedError)

    def test_cancelled(self) -> None:
        """
        Cancelling ends the waiting.
        """
        asked = self.ask(Response(503, "5"))
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_settings(self) -> None:
        """
        A setting that cannot be meant is named.
        """
        for option, value in (("attempts", 0), ("attempts", 1.5), ("longest", 0)):
            error = self.assertRaises(InvalidOption, patiently, None, **{option: value})
            self.assertEqual(error.option, option)


class RetryAfterTests(SynchronousTestCase):
    """
    How long it says.
    """

    #: A text, and the seconds from 1994-11-06 08:49:37 on.
    TABLE = (
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Sun, 06 Nov 1994 08:50:37 GMT", 60.0),
        ("Sunday, 06-Nov-94 08:50:37 GMT", 60.0),
        ("Sun Nov  6 08:50:37 1994", 60.0),
        ("Sun, 06 Nov 1994 08:00:00 GMT", 0.0),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("\u00b2", None),
        ("", None),
    )

    def test_table(self) -> None:
        """
        Seconds or a date in any of its forms (RFC 9110, section 5.6.7), or nothing.
        """
        for text, expected in self.TABLE:
            self.assertEqual(retryAfter(Response(503, text), 784111777.0), expected, text)
        self.assertIsNone(retryAfter(Response(503), 0.0))

    def test_first(self) -> None:
        """
        Of several the first counts.
        """
        response = Response(503, "3")
        response.headers.addRawHeader("Retry-After", "4")
        self.assertEqual(retryAfter(response, 0.0), 3.0)
