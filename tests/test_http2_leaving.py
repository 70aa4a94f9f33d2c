"""
The HTTP/2 drainer: a peer that says goodbye itself, or breaks the rules.
"""

from __future__ import annotations

from hyperframe.frame import GoAwayFrame

from tests.frames import (
    EVERY,
    PROTOCOL_ERROR,
    HTTP2TestCase,
    bodies,
    data,
    goAway,
    pong,
    reset,
)


class ClientsGoodbyeTests(HTTP2TestCase):
    """
    The client sends GOAWAY.
    """

    def test_idle(self) -> None:
        """
        An idle connection ends.
        """
        self.send(self.client.get(1, "/a"))
        self.hint()
        self.send(goAway())
        self.assertSaid(EVERY)
        self.assertLost()

    def test_neverUsed(self) -> None:
        """
        So does one without a stream so far.
        """
        self.hint()
        self.send(goAway())
        self.assertLost()

    def test_beforeTheHint(self) -> None:
        """
        One that was to end before the drain began no longer waits for a producer that
        produces nothing; nothing is said any more.
        """
        self.ask(1)
        self.send(goAway())
        self.assertIsNotNone(self.transport.producer)
        self.hint()
        self.assertSaid()
        self.assertLost()

    def test_beforeTheHintAndDrained(self) -> None:
        """
        Draining that one afterwards is harmless.
        """
        self.send(goAway())
        self.hint()
        self.drainer.drain()
        self.assertSaid()
        self.assertLost()

    def test_afterTheAnswer(self) -> None:
        """
        A client that answers and says goodbye at once is let go.
        """
        self.send(self.client.get(1, "/a"))
        self.hint()
        self.send(pong(), goAway())
        self.assertLost()

    def test_withAnError(self) -> None:
        """
        With an error the client gives up what is in flight, and the application is told.
        """
        self.ask(1)
        self.hint()
        gone = self.shop.waiting[0].notifyFinish()
        self.send(goAway(PROTOCOL_ERROR))
        self.failureResultOf(gone)
        self.assertFalse(self.drainer.isBusy())
        self.assertEqual(self.drainer.lastWord(5), "")
        self.assertLost()

    def test_takesBackAndAsksAgain(self) -> None:
        """
        A client that takes its only request back and sends another one in the same breath is
        answered, if it cannot have known the last stream.
        """
        self.ask(1)
        self.hint()
        self.drainer.drain()
        self.send(reset(1) + self.client.get(3, "/now"))
        self.assertEqual(bodies(self.frames()), {3: b"/now "})
        self.assertLost()

    def test_politely(self) -> None:
        """
        A client that only says that it will open no more streams gets the answers to those
        that are open (RFC 9113, section 6.8); some say so as soon as they were told.
        """
        self.ask(1, 3)
        self.hint()
        self.send(goAway(), pong())
        self.finish(2)
        self.assertEqual(bodies(self.frames()), {1: b"/later/1 ", 3: b"/later/3 "})
        self.assertLost()

    def test_politelyAndNothingElse(self) -> None:
        """
        The same if that client does not answer the PING.
        """
        self.ask(1)
        self.hint()
        self.send(goAway())
        self.finish()
        self.assertEqual(bodies(self.frames()), {1: b"/later/1 "})
        self.assertLost()

    def test_politelyWithAStream(self) -> None:
        """
        The same if its stream comes together with it.
        """
        self.hint()
        self.send(self.client.get(1, "/a"), goAway())
        self.assertEqual(bodies(self.frames()), {1: b"/a "})
        self.assertLost()


class BrokenRulesTests(HTTP2TestCase):
    """
    The client does what it must not.
    """

    #: Data on a stream that was never opened.
    nonsense = data(9, b"x")

    def test_idle(self) -> None:
        """
        An idle connection ends with the error, and is not waited for.
        """
        self.send(self.client.get(1, "/a"))
        self.hint()
        self.send(self.nonsense)
        [last] = [f for f in self.frames() if isinstance(f, GoAwayFrame) and f.error_code]
        self.assertEqual(last.error_code, PROTOCOL_ERROR)
        self.assertLost()

    def test_busy(self) -> None:
        """
        What was in flight is given up, and the application is told.
        """
        self.ask(1)
        self.hint()
        gone = self.shop.waiting[0].notifyFinish()
        self.drainer.drain()
        self.send(self.nonsense)
        self.failureResultOf(gone)
        self.assertLost()
