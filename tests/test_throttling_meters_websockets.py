"""
Messages of WebSockets, whoever serves them.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from terminable.tracking import pausing
from tests.closing import AWAY
from tests.doubles import Boom
from tests.wspeers import (
    BYTES,
    PING,
    TEXT,
    Call,
    TwistedServer,
    closing,
    frame,
)

NAMES = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]


def texts(count: int) -> bytes:
    """
    So many messages.
    """
    return b"".join(frame(TEXT, name.encode()) for name in NAMES[:count])


class MessagesMixin:
    """
    What holds whoever serves them.

    @cvar first: how many messages the opening handshake is counted as.
    """

    kind: Any = None
    first = 0

    def call(self: Any, *limits: str, tls: bool = False, opened: bool = True) -> Call:
        """
        Somebody with a WebSocket.
        """
        made = Call(self.kind, tls, limits=limits, opened=opened)
        self.addCleanup(made.wire.close)
        return made

    def burst(self, size: int) -> int:
        """
        So many messages at once, and the handshake.
        """
        return size + self.first

    def heard(self, made: Call) -> list[Any]:
        """
        What the application was told.
        """
        heard: list[Any] = made.application.heard
        return heard

    def test_rate(self: Any) -> None:
        """
        Messages that were sent all at once are delivered at their rate, in order, above TLS
        too.
        """
        for over in ("backpressure", "delay"):
            for tls in (False, True):
                made = self.call(f"messages=10/s:burst={self.burst(2)}:over={over}", tls=tls)
                made.send(texts(8))
                ahead = 1 if over == "backpressure" else 0
                self.assertEqual(self.heard(made), NAMES[: 2 + ahead])
                made.go(0.25)
                self.assertEqual(self.heard(made), NAMES[: 4 + ahead])
                made.go(0.5)
                self.assertEqual(self.heard(made), NAMES[:8])
                made.go(0.2)
                self.assertEqual(pausing.pausedBy(made.wire.transport), frozenset())
                made.send(frame(BYTES, b"more"))
                self.assertEqual(self.heard(made)[8:], [b"more"])

    def test_nothingIsRead(self: Any) -> None:
        """
        While one waits, nothing is read, neither pings nor a goodbye, and nothing gets
        lost.
        """
        made = self.call(f"messages=10/s:burst={self.burst(1)}:over=delay")
        made.send(texts(2) + frame(PING, b"?") + frame(TEXT, b"2") + closing(1000))
        self.assertNotIn(made.wire.transport, made.clock.readers)
        made.listen()
        self.assertEqual((self.heard(made), made.pongs), (["0"], 0))
        made.go(0.11)
        made.listen()
        self.assertEqual((self.heard(made), made.pongs), (["0", "1"], 1))
        made.go(0.11)
        self.assertEqual(self.heard(made), NAMES[:3])
        self.assertEqual(made.listen(), [(1000, "")])
        made.leave()

    def test_fragments(self: Any) -> None:
        """
        A message in parts is one; what is refused leaves nothing behind.
        """
        for over in ("delay", "quota"):
            made = self.call(f"messages=10/s:burst={self.burst(1)}:over={over}")
            for _ in range(2):
                made.send(frame(TEXT, b"a", final=False) + frame(0, b"b", final=False))
                made.send(frame(0, b"c"))
                self.assertEqual(self.heard(made), ["abc"])
            made.go(0.3)
            made.send(frame(TEXT, b"d"))
            expected = ["abc", "abc", "d"] if over == "delay" else ["abc", "d"]
            self.assertEqual(self.heard(made), expected)

    def test_quota(self: Any) -> None:
        """
        Messages that are too many are ignored, and answered with one that says so.
        """
        made = self.call(f"messages=10/s:burst={self.burst(1)}:over=quota:words=ENOUGH")
        made.send(texts(3))
        self.assertEqual(self.heard(made), ["0"])
        self.assertEqual(made.listen(), ["ENOUGH", "ENOUGH"])
        made.go(0.11)
        made.send(texts(1))
        self.assertEqual((self.heard(made), made.listen()), (["0", "0"], []))

    def test_disconnect(self: Any) -> None:
        """
        Who has to go is told by a message, and by 1008 a moment later; what is sent
        meanwhile does not matter.
        """
        for tls in (False, True):
            words = "x" * 123
            limit = f"messages=10/s:burst={self.burst(1)}:over=disconnect:words={words}"
            made = self.call(limit, tls=tls)
            made.send(texts(5))
            self.assertEqual(made.listen(), [words])
            made.send(texts(5))
            made.go(0.9)
            self.assertEqual(made.listen(), [])
            made.go(0.2)
            self.assertEqual(made.listen(), [(1008, words)])
            made.send(closing(1008))
            made.leave()
            self.assertEqual(self.heard(made), ["0"])
            self.assertEqual(made.application.lost, 1)
            self.assertEqual(made.terminator.throttle.counts.disconnected, 1)

    def test_tooManyBytes(self: Any) -> None:
        """
        Who goes for too many bytes is told in the same way.
        """
        made = self.call("messages=99/s", "received=1000/s:over=disconnect")
        made.send(frame(BYTES, b"x" * 120) * 9)
        self.assertEqual(made.listen(), ["QUOTA_EXCEEDED"])
        made.go(1.1)
        self.assertEqual(made.listen(), [(1008, "QUOTA_EXCEEDED")])
        made.leave()

    def test_closedByApplication(self: Any) -> None:
        """
        What is too much on a WebSocket that the application has closed is not answered.
        """
        made = self.call(f"messages=10/s:burst={self.burst(1)}:over=quota")
        made.application.onHeard = lambda message: made.application.close()
        made.send(texts(3))
        self.assertEqual(made.listen(), [(1000, "")])

    def test_closedWhileItWaits(self: Any) -> None:
        """
        A WebSocket that is closed while messages wait ends in good order.
        """
        made = self.call(f"messages=10/s:burst={self.burst(1)}:over=backpressure")
        made.send(texts(4))
        made.application.close()
        self.assertEqual(made.listen(), [(1000, "")])
        made.send(closing(1000))
        made.go(1.0)
        self.assertIsNotNone(made.peer.over)
        made.pump()
        self.assertEqual(made.application.lost, 1)

    def test_breaksTheRules(self: Any) -> None:
        """
        What stands behind a message that waits may break the rules, which is noticed then.
        """
        made = self.call(f"messages=10/s:burst={self.burst(1)}:over=delay")
        made.send(texts(2) + frame(TEXT, b"x", masked=False))
        self.assertEqual(made.listen(), [])
        made.go(0.3)
        self.assertEqual(self.heard(made)[:2], ["0", "1"])
        made.listen()
        self.assertIsNotNone(made.peer.over)

    def test_fails(self: Any) -> None:
        """
        A message that fails when it is its turn costs its connection.
        """
        made = self.call(f"messages=10/s:burst={self.burst(1)}:over=delay")

        def fails(message: Any) -> None:
            raise Boom

        made.send(texts(1))
        made.application.onHeard = fails
        made.send(texts(1))
        made.go(0.2)
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)
        self.assertEqual(made.application.lost, 1)

    def test_drained(self: Any) -> None:
        """
        A stop closes a WebSocket when those messages were delivered that were received
        before it.
        """
        for over in ("backpressure", "delay"):
            for tls in (False, True):
                made = self.call(f"messages=5/s:burst={self.burst(1)}:over={over}", tls=tls)
                made.send(texts(6))
                made.stop()
                made.go(1.5)
                self.assertEqual(self.heard(made), NAMES[:6])
                self.assertEqual(made.listen(), [AWAY])
                made.send(closing(1001))
                made.leave()
                made.go(0.1)
                self.assertEqual(made.report.aborted, 0)

    def test_drainedWhileTheyAreTooMany(self: Any) -> None:
        """
        Who is over his rate when a stop begins gets no words behind the close frame.
        """
        made = self.call(f"messages=5/s:burst={self.burst(1)}:over=quota")
        made.send(texts(2))
        made.stop()
        made.send(texts(3))
        made.send(closing(1001))
        self.assertEqual(made.listen(), ["QUOTA_EXCEEDED", AWAY])
        made.leave()

    def test_twoWhoPause(self: Any) -> None:
        """
        An application may pause its transport meanwhile.
        """
        made = self.call(f"messages=10/s:burst={self.burst(1)}:over=delay")
        made.send(texts(3))
        transport = made.wire.transport
        transport.pauseProducing()
        made.go(0.5)
        self.assertEqual(self.heard(made), NAMES[:3])
        self.assertNotIn(transport, made.clock.readers)
        transport.resumeProducing()
        self.assertIn(transport, made.clock.readers)


class TwistedTests(MessagesMixin, SynchronousTestCase):
    """
    C{twisted.web.websocket}.
    """

    kind = TwistedServer
    first = 1

    def test_collected(self) -> None:
        """
        The meter leaves nothing where it stood.
        """
        made = self.call("messages=10/s")
        channel = made.wire.protocol._channel
        connection = channel.dataReceived.__self__._wsconn
        self.assertIn("events", vars(connection))
        made.wire.transport.abortConnection()
        made.pump()
        self.assertNotIn("events", vars(connection))
