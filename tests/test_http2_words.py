"""
The HTTP/2 drainer: the last word at the deadline.
"""

from __future__ import annotations

from typing import Any

from hyperframe.frame import HeadersFrame

from tests.frames import EVERY, HTTP2TestCase, bodies, data, pong, resets


class LastWordTests(HTTP2TestCase):
    """
    503 for the streams whose answer has not begun.
    """

    def words(self) -> dict[int, dict[str, str]]:
        """
        The 503s that were sent.
        """
        heads = self.client.heads(self.frames())
        return {stream: head for stream, head in heads.items() if head[":status"] == "503"}

    def ended(self) -> set[int]:
        """
        The streams on which nothing else will come from us.
        """
        return {f.stream_id for f in self.frames() if "END_STREAM" in f.flags}

    def test_waiting(self) -> None:
        """
        Each stream whose answer has not begun is told to try again later, then the
        connection goes.
        """
        self.ask(1, 3)
        self.hint()
        self.assertEqual(self.drainer.lastWord(7), "503")
        word = {":status": "503", "retry-after": "7"}
        self.assertEqual(self.words(), {1: word, 3: word})
        self.assertEqual(self.ended(), {1, 3})
        self.assertSaid(EVERY, 3)
        self.assertLost()

    def test_afterTheLastWasNamed(self) -> None:
        """
        The same when the last stream has been named before.
        """
        self.ask(1)
        self.hint()
        self.send(pong())
        self.assertEqual(self.drainer.lastWord(7), "503")
        self.assertEqual(list(self.words()), [1])
        self.assertSaid(EVERY, 1, 1)
        self.assertLost()

    def test_begun(self) -> None:
        """
        A stream whose answer has begun is not told: it is cut.
        """
        self.ask(1, 3)
        self.shop.waiting[0].write(b"half an ")
        self.work()
        self.hint()
        self.assertEqual(self.drainer.lastWord(7), "503")
        self.assertEqual(list(self.words()), [3])
        self.assertEqual(self.ended(), {3})
        self.assertLost()

    def test_onlyBegun(self) -> None:
        """
        Nothing is said if no stream would understand it; whoever asks has to cut.
        """
        self.ask(1)
        self.shop.waiting[0].write(b"half an ")
        self.work()
        self.hint()
        before = self.transport.value()
        self.assertEqual(self.drainer.lastWord(7), "")
        self.assertEqual(self.transport.value(), before)
        self.assertLost(False)

    def test_idle(self) -> None:
        """
        Without a stream it is told that it is over; no stream was taken.
        """
        self.hint()
        self.assertEqual(self.drainer.lastWord(7), "GOAWAY")
        self.assertSaid(0)
        self.assertLost()

    def test_idleBefore(self) -> None:
        """
        So it is when all streams have ended since the drain began.
        """
        self.ask(1)
        self.hint()
        self.finish()
        self.assertEqual(self.drainer.lastWord(7), "GOAWAY")
        self.assertSaid(EVERY, 1)
        self.assertLost()

    def test_withoutAHint(self) -> None:
        """
        Nothing is said if the drain never began here.
        """
        self.ask(1)
        before = self.transport.value()
        self.assertEqual(self.drainer.lastWord(7), "")
        self.assertEqual(self.transport.value(), before)

    def test_upload(self) -> None:
        """
        A stream that is still being received is told too; the rest of it is thrown away.
        """
        self.send(self.client.get(1, "/up", last=False, method="PUT"))
        self.hint()
        self.assertEqual(self.drainer.lastWord(7), "503")
        self.send(data(1, b"body"))
        self.assertEqual(list(self.words()), [1])
        self.assertEqual(self.shop.served, [])
        self.assertEqual(resets(self.frames()), {})

    def test_expecting(self) -> None:
        """
        A client that was told to go on with its body has not been answered.
        """
        expect = [("expect", "100-continue")]
        self.send(self.client.get(1, "/up", last=False, method="PUT", more=expect))
        self.hint()
        self.assertEqual(self.drainer.lastWord(7), "503")
        self.assertEqual(list(self.words()), [1])

    def test_lateAnswers(self) -> None:
        """
        What the application says after that goes nowhere.
        """
        self.ask(1, 3)
        self.hint()
        self.drainer.lastWord(7)
        before = self.transport.value()
        self.finish()
        self.shop.waiting[0].loseConnection()
        self.work()
        self.assertEqual(self.transport.value(), before)
        self.assertEqual(bodies(self.frames()), {})

    def test_lateStreams(self) -> None:
        """
        What the client asks for after that goes nowhere.
        """
        self.ask(1)
        self.hint()
        self.drainer.lastWord(7)
        before = self.transport.value()
        self.ask(3)
        self.assertEqual(self.transport.value(), before)
        self.assertEqual(self.shop.served, [b"/later/1"])

    def test_twice(self) -> None:
        """
        The last word is said once.
        """
        self.ask(1)
        self.hint()
        self.drainer.lastWord(7)
        before = self.transport.value()
        self.drainer.drain()
        self.clock.advance(10)
        self.assertEqual(self.transport.value(), before)


class NoLastWordTests(HTTP2TestCase):
    """
    Connections on which nothing can be said any more.
    """

    def test_timedOut(self) -> None:
        """
        Twisted has given up a connection that was quiet for too long, with streams open:
        nothing is said behind that.
        """
        self.ask(1)
        self.hint()
        self.clock.advance(self.site.timeOut + 1)
        self.assertTrue(self.transport.disconnecting)
        before = self.transport.value()
        self.assertEqual(self.drainer.lastWord(7), "")
        self.assertEqual(self.transport.value(), before)

    def test_heldBack(self) -> None:
        """
        While Twisted holds back headers, because the peer does not read, nothing is said
        that would overtake them.
        """
        self.ask(1, 3)
        self.hint()
        self.channel.pauseProducing()
        self.shop.finish()
        self.work()
        said = self.drainer.lastWord(7)
        self.channel.resumeProducing()
        self.work()
        heads = [f for f in self.frames() if isinstance(f, HeadersFrame)]
        order: list[Any] = [frame.stream_id for frame in heads]
        self.assertIn((said, order), [("", [1]), ("503", [1, 3])])
