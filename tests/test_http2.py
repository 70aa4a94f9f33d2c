"""
The HTTP/2 drainer, seen frame by frame: other clients refuse to go on after GOAWAY.
"""

from __future__ import annotations

from typing import Any

from hpack import Decoder, Encoder
from hyperframe.frame import DataFrame, Frame, GoAwayFrame, HeadersFrame, SettingsFrame
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web._http2 import H2Connection
from twisted.web.server import Site
from zope.interface.verify import verifyObject

from terminable.drainers.http2 import HTTP2Drainer
from terminable.interfaces import IHintingDrainer
from tests.answers import MemoryTransport, Shop

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
EVERY = 2**31 - 1


class Client:
    """
    Writes and reads frames.
    """

    def __init__(self) -> None:
        self._encoder, self._decoder = Encoder(), Decoder()

    def get(self, stream: int, path: str, last: bool = True, method: str = "GET") -> bytes:
        """
        A request on a stream of its own.
        """
        frame = HeadersFrame(stream)
        frame.data = self._encoder.encode(
            [(":method", method), (":path", path), (":scheme", "http"), (":authority", "x")]
        )
        frame.flags.add("END_HEADERS")
        if last:
            frame.flags.add("END_STREAM")
        return bytes(frame.serialize())

    def frames(self, data: bytes) -> list[Any]:
        """
        All frames in C{data}.
        """
        found = []
        while data:
            frame, length = Frame.parse_frame_header(memoryview(data[:9]))
            frame.parse_body(memoryview(data[9 : 9 + length]))
            found.append(frame)
            data = data[9 + length :]
        return found

    def status(self, frames: list[Any], stream: int) -> str:
        """
        With which status a stream was answered.
        """
        [head] = [f for f in frames if isinstance(f, HeadersFrame) and f.stream_id == stream]
        return str(dict(self._decoder.decode(head.data))[":status"])


class HTTP2DrainerTests(SynchronousTestCase):
    """
    L{HTTP2Drainer}.
    """

    def setUp(self) -> None:
        self.clock = MemoryReactorClock()
        self.shop = Shop()
        self.site = Site(self.shop, reactor=self.clock)
        self.channel: Any = H2Connection(self.clock)
        self.channel.requestFactory = self.site.requestFactory
        self.channel.site = self.channel.factory = self.site
        self.transport = MemoryTransport()
        self.transport.registerProducer(self.channel, True)
        self.channel.makeConnection(self.transport)
        self.client = Client()
        self.drainer = HTTP2Drainer(self.channel)
        self.idled = 0
        self.send(PREFACE + SettingsFrame(0).serialize())

    def send(self, data: bytes) -> None:
        """
        The client sends, and time passes.
        """
        self.channel.dataReceived(data)
        self.work()

    def work(self) -> None:
        """
        Let the channel send what it has.
        """
        self.clock.pump([0.001] * 10)

    def hint(self) -> None:
        """
        The drain begins.
        """
        self.drainer.hint(self._idle)

    def _idle(self) -> None:
        self.idled += 1

    def goodbyes(self) -> list[int]:
        """
        The last streams named by all GOAWAY frames so far.
        """
        frames = self.client.frames(self.transport.value())
        for frame in frames:
            if isinstance(frame, GoAwayFrame):
                self.assertEqual(frame.error_code, 0)
        return [frame.last_stream_id for frame in frames if isinstance(frame, GoAwayFrame)]

    def bodies(self) -> dict[int, bytes]:
        """
        What each stream was answered with, if completely.
        """
        found: dict[int, bytes] = {}
        done = set()
        for frame in self.client.frames(self.transport.value()):
            if isinstance(frame, DataFrame):
                found[frame.stream_id] = found.get(frame.stream_id, b"") + frame.data
                if "END_STREAM" in frame.flags:
                    done.add(frame.stream_id)
        return {stream: body for stream, body in found.items() if stream in done}

    def test_theInterface(self) -> None:
        """
        It is a hinting drainer, and an idle connection has something to say.
        """
        self.assertTrue(verifyObject(IHintingDrainer, self.drainer))
        self.assertFalse(self.drainer.silent)
        self.assertFalse(self.drainer.upgraded)

    def test_busyWithAStream(self) -> None:
        """
        It is busy while a stream is open.
        """
        self.assertFalse(self.drainer.isBusy())
        self.send(self.client.get(1, "/later"))
        self.assertTrue(self.drainer.isBusy())
        self.shop.finish()
        self.work()
        self.assertFalse(self.drainer.isBusy())
        self.assertEqual(self.bodies(), {1: b"/later "})

    def test_hintIsGoAwayWithoutALimit(self) -> None:
        """
        The hint says that no more streams are wanted, and refuses none on its way.
        """
        self.hint()
        self.assertEqual(self.goodbyes(), [EVERY])
        self.send(self.client.get(1, "/racing"))
        self.assertEqual(self.bodies(), {1: b"/racing "})
        self.assertFalse(self.transport.disconnecting)

    def test_hintIsGivenOnce(self) -> None:
        """
        A second hint changes nothing.
        """
        self.hint()
        streams = self.channel.streams
        self.hint()
        self.assertEqual(self.goodbyes(), [EVERY])
        self.assertIs(self.channel.streams, streams)

    def test_openStreamsSurviveTheHint(self) -> None:
        """
        Streams that were open before the hint are answered after it.
        """
        self.send(self.client.get(1, "/later/1") + self.client.get(3, "/later/3"))
        self.hint()
        self.assertEqual(sorted(self.channel.streams), [1, 3])
        self.shop.finish()
        self.shop.finish()
        self.work()
        self.assertEqual(self.bodies(), {1: b"/later/1 ", 3: b"/later/3 "})
        frames = self.client.frames(self.transport.value())
        self.assertEqual(self.client.status(frames, 1), "200")

    def test_idleIsLostWithTheLastStreamNamed(self) -> None:
        """
        Draining an idle connection names the last stream that was served, and loses it.
        """
        self.send(self.client.get(1, "/a"))
        self.hint()
        self.drainer.drain()
        self.assertEqual(self.goodbyes(), [EVERY, 1])
        self.assertTrue(self.transport.disconnecting)
        self.assertIsNone(self.transport.producer)

    def test_busyIsLostAfterTheLastStream(self) -> None:
        """
        Draining a busy connection loses it when the last of its streams is done.
        """
        self.send(self.client.get(1, "/later/1") + self.client.get(3, "/later/3"))
        self.hint()
        self.drainer.drain()
        self.assertEqual(self.goodbyes(), [EVERY])
        self.shop.finish()
        self.work()
        self.assertFalse(self.transport.disconnecting)
        self.shop.finish()
        self.work()
        self.assertEqual(self.goodbyes(), [EVERY, 3])
        self.assertEqual(self.bodies(), {1: b"/later/1 ", 3: b"/later/3 "})
        self.assertTrue(self.transport.disconnecting)

    def test_drainedByAnotherThanHinted(self) -> None:
        """
        The same if another drainer of the channel ends what the first one has begun.
        """
        self.send(self.client.get(1, "/later/1") + self.client.get(3, "/later/3"))
        self.hint()
        HTTP2Drainer(self.channel).drain()
        self.assertEqual(self.goodbyes(), [EVERY])
        self.shop.finish()
        self.work()
        self.assertFalse(self.transport.disconnecting)
        self.shop.finish()
        self.work()
        self.assertEqual(self.goodbyes(), [EVERY, 3])
        self.assertEqual(self.bodies(), {1: b"/later/1 ", 3: b"/later/3 "})
        self.assertTrue(self.transport.disconnecting)

    def test_notLostBeforeItIsDrained(self) -> None:
        """
        The end of the last stream alone does not end the connection.
        """
        self.send(self.client.get(1, "/later"))
        self.hint()
        self.shop.finish()
        self.work()
        self.assertFalse(self.drainer.isBusy())
        self.assertFalse(self.transport.disconnecting)

    def test_describe(self) -> None:
        """
        The first three streams are named, the others counted.
        """
        self.assertEqual(self.drainer.describe(), "")
        self.send(self.client.get(1, "/later/1"))
        self.assertEqual(self.drainer.describe(), "GET /later/1")
        for stream in (3, 5, 7, 9):
            self.send(self.client.get(stream, f"/later/{stream}", method="PUT"))
        self.assertEqual(
            self.drainer.describe(),
            "GET /later/1, PUT /later/3, PUT /later/5, 2 more streams",
        )

    def test_describeAnUpload(self) -> None:
        """
        A stream that is still being received is named as well as it can be.
        """
        self.send(self.client.get(1, "/later/up", last=False, method="PUT"))
        self.assertTrue(self.drainer.isBusy())
        self.assertIn(self.drainer.describe(), ("PUT /later/up", "1 more streams"))

    def test_noLastWord(self) -> None:
        """
        There is no last word.
        """
        self.send(self.client.get(1, "/later/1"))
        before = self.transport.value()
        self.assertEqual(self.drainer.lastWord(5), "")
        self.assertEqual(self.transport.value(), before)
