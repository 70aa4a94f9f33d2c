"""
The HTTP/2 drainer: what a peer opens, or says, after it was told that it is over.
"""

from __future__ import annotations

from hyperframe.frame import PriorityFrame, WindowUpdateFrame

from tests.frames import (
    EVERY,
    REFUSED_STREAM,
    HTTP2TestCase,
    bodies,
    data,
    pong,
    reset,
    resets,
)

#: What fits into a frame, and how much a client may send before it is told to go on
#: (RFC 9113, sections 4.2 and 6.9.2).
FRAME, WINDOW = 16384, 65535


class RefusedTests(HTTP2TestCase):
    """
    After the last stream was named, while it is still open.
    """

    def setUp(self) -> None:
        super().setUp()
        self.ask(1, 3)
        self.hint()
        self.send(pong())
        self.assertSaid(EVERY, 3)

    def assertRefused(self, *streams: int) -> None:
        """
        These streams, and no others, were refused, and the application knows nothing of
        them; the others are answered, and then the connection goes.
        """
        self.assertEqual(resets(self.frames()), dict.fromkeys(streams, REFUSED_STREAM))
        self.assertEqual(self.shop.served, [b"/later/1", b"/later/3"])
        self.assertEqual(sorted(self.channel.streams), [1, 3])
        self.finish(2)
        self.assertEqual(bodies(self.frames()), {1: b"/later/1 ", 3: b"/later/3 "})
        self.assertLost()

    def test_stream(self) -> None:
        """
        A new stream is refused.
        """
        self.ask(5)
        self.assertRefused(5)

    def test_streams(self) -> None:
        """
        So are many.
        """
        self.ask(*range(5, 105, 2))
        self.assertRefused(*range(5, 105, 2))

    def test_noOtherIsNamed(self) -> None:
        """
        The number of the last stream never rises (RFC 9113, section 6.8), although others
        came after it.
        """
        self.ask(5)
        self.finish(2)
        self.assertSaid(EVERY, 3, 3)

    def test_withItsBody(self) -> None:
        """
        A stream that comes together with its body is refused too.
        """
        head = self.client.get(5, "/up", last=False, method="PUT")
        self.send(head, data(5, b"some", last=False), data(5, b"thing"))
        self.assertRefused(5)

    def test_withItsBodyLater(self) -> None:
        """
        What still comes of its body does no harm.
        """
        self.send(self.client.get(5, "/up", last=False, method="PUT"))
        self.send(data(5, b"something"))
        self.assertRefused(5)

    def test_bodiesLeaveRoom(self) -> None:
        """
        What is thrown away takes nothing of what the other streams may send.
        """
        for stream in (5, 7, 9, 11):
            head = self.client.get(stream, "/up", last=False, method="PUT")
            self.send(head, data(stream, b"x" * FRAME))
        updates = [f for f in self.frames() if isinstance(f, WindowUpdateFrame) and not f.stream_id]
        given = sum(frame.window_increment for frame in updates)
        self.assertGreater(WINDOW - 4 * FRAME + given, WINDOW // 2)
        self.assertRefused(5, 7, 9, 11)

    def test_withdrawn(self) -> None:
        """
        A stream that the client has given up itself by the time that we see it is no
        longer there to be refused.
        """
        self.send(self.client.get(5, "/a"), reset(5))
        self.assertRefused()

    def test_withdrawnLater(self) -> None:
        """
        Giving up a stream that was refused is of no interest.
        """
        self.ask(5)
        self.send(reset(5))
        self.assertRefused(5)

    def test_priorities(self) -> None:
        """
        The priority of a stream that is not wanted is of no interest.
        """
        self.send(PriorityFrame(5, depends_on=3, stream_weight=1).serialize())
        self.assertRefused()

    def test_headersStayReadable(self) -> None:
        """
        What a refused stream has changed in the table of headers is known to those that
        were opened before.
        """
        self.send(self.client.get(5, "/a", more=[("x-new", "value")]))
        self.finish(2)
        heads = self.client.heads(self.frames())
        self.assertEqual({head[":status"] for head in heads.values()}, {"200"})


class StillReceivingTests(HTTP2TestCase):
    """
    Streams that are no later than the last one.
    """

    def test_upload(self) -> None:
        """
        What was opened before is received to its end.
        """
        self.send(self.client.get(1, "/up", last=False, method="PUT"))
        self.hint()
        self.send(pong())
        self.send(data(1, b"some", last=False))
        self.assertEqual(self.shop.served, [])
        self.send(data(1, b"thing"))
        self.assertEqual(bodies(self.frames()), {1: b"/up something"})
        self.assertEqual(resets(self.frames()), {})
        self.assertSaid(EVERY, 1, 1)
        self.assertLost()

    def test_windows(self) -> None:
        """
        The client makes room for the rest of an answer.
        """
        self.ask(1)
        self.hint()
        self.send(pong())
        self.shop.waiting[0].write(b"x" * WINDOW)
        self.work()
        for stream in (0, 1):
            self.send(WindowUpdateFrame(stream, window_increment=100).serialize())
        self.finish()
        self.assertEqual(len(bodies(self.frames())[1]), WINDOW + len("/later/1 "))
        self.assertLost()
