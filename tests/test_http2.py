"""
The HTTP/2 drainer: how the peer is told, and when the connection goes.
"""

from __future__ import annotations

from typing import Any

from hyperframe.frame import PingFrame

from terminable.drainers.http2 import PATIENCE, PING, HTTP2Drainer
from tests.frames import CANCEL, EVERY, HTTP2TestCase, bodies, pong, reset, resets


class HintTests(HTTP2TestCase):
    """
    The announcement.
    """

    def pings(self) -> list[Any]:
        """
        The PINGs that were sent, without answers to the client's own.
        """
        frames = [frame for frame in self.frames() if isinstance(frame, PingFrame)]
        return [frame.opaque_data for frame in frames if "ACK" not in frame.flags]

    def test_atOnceToWhomWeKnow(self) -> None:
        """
        Whoever has opened a stream before is told at once, with a GOAWAY without a limit
        and a PING behind it.
        """
        self.send(self.client.get(1, "/a"))
        self.hint()
        self.assertSaid(EVERY)
        self.assertEqual(self.pings(), [PING])
        kinds = [type(frame).__name__ for frame in self.frames()]
        self.assertEqual(kinds[-2:], ["GoAwayFrame", "PingFrame"])

    def test_withTheFirstStreamToWhomWeDoNotKnow(self) -> None:
        """
        Whoever has not opened a stream gets its first one in, and is told then.
        """
        self.hint()
        self.assertSaid()
        self.send(self.client.get(1, "/first"))
        self.assertSaid(EVERY)
        self.assertEqual(self.pings(), [PING])
        self.assertEqual(bodies(self.frames()), {1: b"/first "})
        self.assertLost(False)

    def test_once(self) -> None:
        """
        A second hint changes nothing, nor does another stream.
        """
        self.ask(1)
        self.hint()
        streams = self.channel.streams
        self.hint()
        HTTP2Drainer(self.channel).hint(self.watch)
        self.ask(3)
        self.assertSaid(EVERY)
        self.assertEqual(self.pings(), [PING])
        self.assertIs(self.channel.streams, streams)

    def test_refusesNothing(self) -> None:
        """
        Streams that are opened after it, but before the peer's answer, are served.
        """
        self.ask(1)
        self.hint()
        self.send(self.client.get(3, "/racing"))
        self.finish()
        self.assertEqual(bodies(self.frames()), {1: b"/later/1 ", 3: b"/racing "})
        heads = self.client.heads(self.frames())
        self.assertEqual({heads[stream][":status"] for stream in (1, 3)}, {"200"})
        self.assertEqual(resets(self.frames()), {})
        self.assertLost(False)

    def test_openStreamsSurvive(self) -> None:
        """
        Streams that were open before are answered after it.
        """
        self.ask(1, 3)
        self.hint()
        self.assertEqual(sorted(self.channel.streams), [1, 3])
        self.finish(2)
        self.assertEqual(bodies(self.frames()), {1: b"/later/1 ", 3: b"/later/3 "})

    def test_doesNotEndTheConnection(self) -> None:
        """
        The end of the last stream alone does not end the connection: others may be on
        their way.
        """
        self.ask(1)
        self.hint()
        self.finish()
        self.assertFalse(self.drainer.isBusy())
        self.assertSaid(EVERY)
        self.assertLost(False)


class AnswerTests(HTTP2TestCase):
    """
    The peer has answered the PING, or has not: what it sent before it knew has arrived.
    """

    def test_namesTheLastStream(self) -> None:
        """
        Then the last stream is named; the connection goes with the last of those that are
        open, and says so again.
        """
        self.ask(1, 3)
        self.hint()
        self.send(pong())
        self.assertSaid(EVERY, 3)
        self.finish()
        self.assertLost(False)
        self.finish()
        self.assertSaid(EVERY, 3, 3)
        self.assertEqual(bodies(self.frames()), {1: b"/later/1 ", 3: b"/later/3 "})
        self.assertEqual(resets(self.frames()), {})
        self.assertEqual(type(self.frames()[-1]).__name__, "GoAwayFrame")
        self.assertLost()

    def test_endsAnIdleConnection(self) -> None:
        """
        An idle connection goes then.
        """
        self.send(self.client.get(1, "/a"))
        self.hint()
        self.send(pong())
        self.assertSaid(EVERY, 1)
        self.assertLost()

    def test_whatCameWithIt(self) -> None:
        """
        A stream that came in the same moment is served.
        """
        self.ask(1)
        self.hint()
        self.send(pong(), self.client.get(3, "/racing"))
        self.assertSaid(EVERY, 3)
        self.assertEqual(bodies(self.frames()), {3: b"/racing "})

    def test_whatCameWithItOnAnIdleConnection(self) -> None:
        """
        Also if nothing else was in flight.
        """
        self.send(self.client.get(1, "/a"))
        self.hint()
        self.send(pong(), self.client.get(3, "/racing"))
        self.assertEqual(bodies(self.frames()), {1: b"/a ", 3: b"/racing "})
        self.assertSaid(EVERY, 3, 3)
        self.assertLost()

    def test_whatCameBeforeIt(self) -> None:
        """
        A stream that came before it is named.
        """
        self.ask(1)
        self.hint()
        self.ask(3)
        self.send(pong())
        self.assertSaid(EVERY, 3)

    def test_again(self) -> None:
        """
        A second answer changes nothing, nor does the end of our patience.
        """
        self.ask(1)
        self.hint()
        self.send(pong())
        self.send(pong())
        self.clock.advance(PATIENCE)
        self.assertSaid(EVERY, 1)
        self.assertLost(False)

    def test_toSomethingElse(self) -> None:
        """
        The answer to another PING is none to ours, and neither is a PING of the client's,
        which is answered.
        """
        self.ask(1)
        self.hint()
        self.send(pong(b"whatever"), PingFrame(0, opaque_data=PING).serialize())
        self.assertSaid(EVERY)
        last = self.frames()[-1]
        self.assertEqual((last.opaque_data, set(last.flags)), (PING, {"ACK"}))

    def test_none(self) -> None:
        """
        Without an answer the same happens after some seconds.
        """
        self.ask(1)
        self.hint()
        self.clock.advance(PATIENCE - 0.1)
        self.assertSaid(EVERY)
        self.clock.advance(0.1)
        self.assertSaid(EVERY, 1)
        self.finish()
        self.assertSaid(EVERY, 1, 1)
        self.assertLost()

    def test_noneFromAnIdleConnection(self) -> None:
        """
        An idle connection goes then too, if it was not drained before.
        """
        self.send(self.client.get(1, "/a"))
        self.hint()
        self.clock.advance(PATIENCE)
        self.assertSaid(EVERY, 1)
        self.assertLost()

    def test_tooLate(self) -> None:
        """
        After the end of the connection nothing is said any more.
        """
        self.send(self.client.get(1, "/a"))
        self.hint()
        self.drainer.drain()
        self.send(pong())
        self.clock.advance(PATIENCE)
        self.assertSaid(EVERY, 1)

    def test_lastStreamIsGivenUp(self) -> None:
        """
        The connection also goes when the client gives up the last of its streams.
        """
        self.ask(1)
        self.hint()
        self.send(pong())
        gone = self.shop.waiting[0].notifyFinish()
        self.send(reset(1, CANCEL))
        self.failureResultOf(gone)
        self.assertSaid(EVERY, 1, 1)
        self.assertLost()


class DrainTests(HTTP2TestCase):
    """
    The end of the idle grace.
    """

    def test_neverUsed(self) -> None:
        """
        A connection without a stream so far is lost, and told that there was none.
        """
        self.hint()
        self.drainer.drain()
        self.assertSaid(0)
        self.assertLost()

    def test_idle(self) -> None:
        """
        An idle connection is lost, whether it has answered or not, and the last stream
        that was served is named.
        """
        self.send(self.client.get(1, "/a"))
        self.hint()
        self.drainer.drain()
        self.assertSaid(EVERY, 1)
        self.assertLost()

    def test_busy(self) -> None:
        """
        A busy connection is lost when the last of its streams is done, also without an
        answer to the PING.
        """
        self.ask(1, 3)
        self.hint()
        self.drainer.drain()
        self.assertSaid(EVERY)
        self.finish()
        self.assertLost(False)
        self.finish()
        self.assertSaid(EVERY, 3)
        self.assertEqual(bodies(self.frames()), {1: b"/later/1 ", 3: b"/later/3 "})
        self.assertLost()

    def test_again(self) -> None:
        """
        Draining again is harmless.
        """
        self.ask(1)
        self.hint()
        for _ in range(2):
            self.drainer.drain()
        self.finish()
        self.drainer.drain()
        self.assertSaid(EVERY, 1)
        self.assertLost()

    def test_byAnother(self) -> None:
        """
        Another drainer of the channel ends what the first one has begun.
        """
        self.ask(1, 3)
        self.hint()
        HTTP2Drainer(self.channel).drain()
        self.finish()
        self.assertLost(False)
        self.finish()
        self.assertSaid(EVERY, 3)
        self.assertLost()

    def test_nobodyIsToldOfIdleness(self) -> None:
        """
        A connection that goes by itself need not be looked at again.
        """
        self.ask(1)
        self.hint()
        self.drainer.drain()
        self.finish()
        self.assertEqual(self.watch.idled, 0)
