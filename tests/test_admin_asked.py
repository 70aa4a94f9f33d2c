"""
Requests at the admin door: how long, how slow, how many.
"""

from __future__ import annotations

from twisted.internet.testing import StringTransport

from terminable.admin import visitors
from terminable.admin.asked import MOST
from terminable.admin.visitors import Visitors
from tests.adminasking import AdminTestCase, parsed, question

HUGE = "a" * MOST


class BodyTests(AdminTestCase):
    """
    What is posted.
    """

    def test_tooLong(self) -> None:
        """
        A body that is announced as too long is refused before it comes.
        """
        talk = self.talk()
        talk.say(question("/drain", "POST", Content_Length=str(MOST + 1), Expect="100-continue"))
        answer, rest = parsed(talk.heard())
        self.assertEqual((answer.code, rest), (413, b""))
        self.assertEqual(answer.headers["connection"], "close")
        self.assertEqual(answer.json, {"error": f"more than {MOST} bytes of body"})
        self.assertFalse(talk.transport.connected)

    def test_tooLongInChunks(self) -> None:
        """
        One that comes in chunks is refused as soon as it is too long, once.
        """
        talk = self.talk()
        talk.say(question("/drain", "POST", Transfer_Encoding="chunked"))
        talk.say(b"%x\r\n%s\r\n" % (MOST, HUGE.encode()))
        self.assertEqual(talk.heard(), b"")
        talk.say(b"1\r\na\r\n1\r\na\r\n0\r\n\r\n")
        answer, rest = parsed(talk.heard())
        self.assertEqual((answer.code, rest), (413, b""))
        self.assertFalse(talk.transport.connected)

    def test_tooLongAtOnce(self) -> None:
        """
        Also if all of it, its end included, comes in one piece.
        """
        body = HUGE + "a"
        talk = self.talk()
        talk.transport.loseConnection = lambda: None  # type: ignore[method-assign]
        chunk = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body.encode())
        talk.say(question("/drain", "POST", Transfer_Encoding="chunked") + chunk)
        answer, rest = parsed(talk.heard())
        self.assertEqual((answer.code, rest), (413, b""))
        self.assertEqual(self.left, [])

    def test_longest(self) -> None:
        """
        One byte less is read.
        """
        body = b'{"peer": "' + b"a" * (MOST - 12) + b'"}'
        self.listen()
        self.assertEqual(self.talk().ask(question("/drain", "POST", body)).code, 400)

    def test_kind(self) -> None:
        """
        A body must say that it is JSON: a form of a browser cannot.
        """
        for kind in (
            "text/plain",
            "application/x-www-form-urlencoded",
        ):
            answer = self.talk().ask(question("/abort", "POST", b"{}", Content_Type=kind))
            self.assertEqual(answer.code, 415, kind)
        self.assertEqual(self.left, [])
        right = "Application/JSON; charset=utf-8"
        self.assertEqual(
            self.talk().ask(question("/abort", "POST", b"{}", Content_Type=right)).code, 202
        )

    def test_noBody(self) -> None:
        """
        Nothing posted is nothing given.
        """
        self.assertEqual(self.post("/abort").code, 202)

    def test_noJSON(self) -> None:
        """
        What is no JSON object is told so in one line.
        """
        for body in (
            b"{",
            b"[]",
            b"null",
            b"1",
            b'"a"',
            b"\xff\xfe",
            b'{"gracePeriod": NaN}',
            b'{"gracePeriod": Infinity}',
            b'{"gracePeriod": ' + b"1" * 5000 + b"}",
            b"[" * 60_000,
            b'{"a":' * 10_000,
        ):
            answer = self.talk().ask(question("/terminate", "POST", body))
            self.assertEqual(answer.code, 400, body[:20])
            self.assertLess(len(answer.json["error"]), 300)
        self.assertEqual(self.left, [])

    def test_multipart(self) -> None:
        """
        Parts of a form are not taken apart, or do not matter.
        """
        body = b"--a\r\nContent-Disposition: form-data; name=x\r\n\r\ny\r\n--a--\r\n"
        kind = "multipart/form-data; boundary=a"
        answer = self.talk().ask(question("/abort", "POST", body, Content_Type=kind))
        self.assertEqual(answer.code, 415)


class TimeTests(AdminTestCase):
    """
    How long it may take.
    """

    def test_silent(self) -> None:
        """
        Who asks nothing is lost.
        """
        talk = self.talk()
        self.site.visitors.come(talk.transport)
        self.clock.advance(visitors.SILENT - 0.1)
        self.assertTrue(talk.transport.connected)
        self.clock.advance(0.2)
        self.assertTrue(talk.transport.aborted)

    def test_slowHead(self) -> None:
        """
        A head that comes byte by byte does not come in time.
        """
        talk = self.talk()
        talk.say(b"GET /status HTTP/1.1\r\nHost: localhost\r\nX: ")
        for _ in range(11):
            self.clock.advance(1.0)
            if not talk.transport.connected:
                break
            talk.say(b"a")
        answer, _ = parsed(talk.heard())
        self.assertEqual(answer.code, 408)
        self.assertFalse(talk.transport.connected)

    def test_slowBody(self) -> None:
        """
        Nor does such a body.
        """
        talk = self.talk()
        talk.say(question("/abort", "POST", Content_Length="20", Content_Type="application/json"))
        for _ in range(9):
            self.clock.advance(1.0)
            talk.say(b" ")
        self.assertTrue(talk.transport.connected)
        self.clock.advance(1.1)
        self.assertIn(b"HTTP/1.1 408 ", talk.heard())
        self.assertFalse(talk.transport.connected)
        self.assertEqual(self.left, [])

    def test_deaf(self) -> None:
        """
        Who is refused and does not go is lost a moment later, whatever he still sends.
        """
        talk = self.talk()
        talk.transport.loseConnection = lambda: None  # type: ignore[method-assign]
        talk.say(question("/abort", "POST", Content_Length=str(MOST + 1)))
        ended = talk.heard()
        talk.say(b"a" * 100)
        self.assertIn(b"413", ended)
        self.assertEqual(talk.heard(), b"")
        self.clock.advance(visitors.SILENT)
        self.assertTrue(talk.transport.aborted)

    def test_keptAlive(self) -> None:
        """
        Who has been answered has the same time for the next question, and so on.
        """
        talk = self.talk()
        for _ in range(3):
            self.clock.advance(visitors.SILENT - 1)
            self.assertEqual(talk.ask(question("/live")).code, 200)
        self.clock.advance(visitors.SILENT)
        self.assertTrue(talk.transport.aborted)

    def test_noTimeWhileBusy(self) -> None:
        """
        Who waits for an answer waits for as long as that takes.
        """
        talk = self.talk()
        talk.say(question("/events"))
        self.clock.advance(visitors.SILENT * 3)
        self.assertTrue(talk.transport.connected)

    def test_pace(self) -> None:
        """
        Very many questions are answered one after the other, in order.
        """
        talks = [self.talk() for _ in range(int(visitors.BURST) + 5)]
        for talk in talks:
            talk.say(question("/nope"))
        *early, a, b, c, d, e = [bool(talk.transport.value()) for talk in talks]
        self.assertTrue(all(early))
        self.assertFalse(any([a, b, c, d, e]))
        self.clock.advance(1 / visitors.QUESTIONS)
        heard = [bool(talk.transport.value()) for talk in talks[-5:]]
        self.assertEqual(heard, [True, False, False, False, False])
        # One does not wait for the answer.
        talks[-2].transport.loseConnection()
        self.clock.advance(1.0)
        heard = [bool(talk.transport.value()) for talk in talks[-5:]]
        self.assertEqual(heard, [True, True, True, False, True])


class Ended(StringTransport):
    """
    A transport that can be aborted.
    """

    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True


class VisitorTests(AdminTestCase):
    """
    How many there may be.
    """

    def setUp(self) -> None:
        super().setUp()
        self.visitors = Visitors(self.clock)
        self.patch(visitors, "MOST", 3)
        self.transports = [Ended() for _ in range(5)]

    def come(self, *numbers: int) -> None:
        for number in numbers:
            self.visitors.come(self.transports[number])
        self.clock.advance(0)

    def aborted(self) -> list[int]:
        return [number for number, it in enumerate(self.transports) if it.aborted]

    def test_oldestSilent(self) -> None:
        """
        One more takes the place of the one who has been silent for longest.
        """
        self.come(0, 1, 2)
        busy = self.visitors.of(self.transports[0])
        busy.hasAsked()
        self.come(3)
        self.assertEqual((self.aborted(), len(self.visitors)), ([1], 3))
        self.visitors.of(self.transports[0]).waits()
        self.visitors.waits(self.transports[0])
        self.come(4)
        self.assertEqual(self.aborted(), [1, 2])

    def test_severalAtOnce(self) -> None:
        """
        Of several who come in one turn, each takes another one's place.
        """
        self.come(0, 1, 2)
        for number in (3, 4):
            self.visitors.come(self.transports[number])
        self.clock.advance(0)
        self.assertEqual((self.aborted(), len(self.visitors)), ([0, 1], 3))

    def test_allBusy(self) -> None:
        """
        If all are busy, the new one has to go.
        """
        self.come(0, 1, 2)
        for number in (0, 1, 2):
            self.visitors.of(self.transports[number]).hasAsked()
        self.come(3)
        self.assertEqual((self.aborted(), len(self.visitors)), ([3], 3))

    def test_gone(self) -> None:
        """
        Who goes is forgotten, and nothing is left to be called.
        """
        self.come(0)
        self.visitors.gone(self.transports[0])
        self.visitors.gone(self.transports[0])
        self.visitors.waits(self.transports[0])
        self.assertEqual((len(self.visitors), self.clock.getDelayedCalls()), (0, []))
