"""
HTTP/2 for tests, frame by frame: clients refuse to go on after a GOAWAY, or hide what
they were sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hpack import Decoder, Encoder
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
)
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http import H2Connection
from twisted.web.server import Site

from terminable.drainers.http2 import PING, HTTP2Drainer
from tests.answers import MemoryTransport, Shop
from tests.watches import HandWatch
from tests.wire import Turning

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

#: What a client says first.
HELLO = PREFACE + SettingsFrame(0).serialize()

#: The highest stream number there is.
EVERY = 2**31 - 1

#: RFC 9113, section 7.
NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM, CANCEL = 0, 1, 7, 8


def take(data: bytes) -> tuple[Any, bytes]:
    """
    The first frame in C{data}, and what is behind it; C{None} if there is only a part of one.
    """
    if len(data) >= 9:
        frame, length = Frame.parse_frame_header(memoryview(data[:9]))
        if len(data) >= 9 + length:
            frame.parse_body(memoryview(data[9 : 9 + length]))
            return frame, data[9 + length :]
    return None, data


def goodbyes(frames: Iterable[Any]) -> list[int]:
    """
    The last streams that all GOAWAY frames name.

    @raise AssertionError: one of them tells of an error.
    """
    found = [frame for frame in frames if isinstance(frame, GoAwayFrame)]
    assert not any(frame.error_code for frame in found), found
    return [frame.last_stream_id for frame in found]


def resets(frames: Iterable[Any]) -> dict[int, int]:
    """
    The streams that were reset, and with which code the first time, which is what counts.
    """
    found: dict[int, int] = {}
    for frame in frames:
        if isinstance(frame, RstStreamFrame):
            found.setdefault(frame.stream_id, frame.error_code)
    return found


def bodies(frames: Iterable[Any]) -> dict[int, bytes]:
    """
    What each stream was answered with, if completely.
    """
    found: dict[int, bytes] = {}
    done = set()
    for frame in frames:
        if isinstance(frame, DataFrame):
            found[frame.stream_id] = found.get(frame.stream_id, b"") + frame.data
            if "END_STREAM" in frame.flags:
                done.add(frame.stream_id)
    return {stream: body for stream, body in found.items() if stream in done}


def pong(data: bytes = PING) -> bytes:
    """
    The answer to a PING.
    """
    return bytes(PingFrame(0, opaque_data=data, flags=["ACK"]).serialize())


def goAway(code: int = NO_ERROR) -> bytes:
    """
    A client's goodbye.
    """
    return bytes(GoAwayFrame(0, last_stream_id=0, error_code=code).serialize())


def reset(stream: int, code: int = CANCEL) -> bytes:
    """
    A client's word that it does not want an answer.
    """
    return bytes(RstStreamFrame(stream, error_code=code).serialize())


def data(stream: int, content: bytes, last: bool = True) -> bytes:
    """
    A part of a request's body, the last one if nothing else is said.
    """
    frame = DataFrame(stream, data=content, flags=["END_STREAM"] if last else [])
    return bytes(frame.serialize())


class Client:
    """
    Writes requests and reads answers.
    """

    def __init__(self) -> None:
        self._encoder, self._decoder = Encoder(), Decoder()

    def get(
        self,
        stream: int,
        path: str | None,
        last: bool = True,
        method: str = "GET",
        more: Iterable[tuple[str, str]] = (),
    ) -> bytes:
        """
        A request on a stream of its own.

        @param path: its target; C{None} for those that have none (CONNECT).
        @param last: whether there is no body.
        """
        head = [(":method", method), (":authority", "x"), *more]
        if path is not None:
            head[1:1] = [(":path", path), (":scheme", "http")]
        frame = HeadersFrame(stream, data=self._encoder.encode(head), flags=["END_HEADERS"])
        if last:
            frame.flags.add("END_STREAM")
        return bytes(frame.serialize())

    def frames(self, data: bytes) -> list[Any]:
        """
        All frames in C{data}.

        @raise AssertionError: the last one is not complete.
        """
        found = []
        while data:
            frame, data = take(data)
            assert frame is not None, f"half a frame: {data!r}"
            found.append(frame)
        return found

    def heads(self, frames: Iterable[Any]) -> dict[int, dict[str, str]]:
        """
        With which headers each stream was answered. To be called with all frames since
        the last time: what they mean depends on those before.
        """
        return {
            frame.stream_id: dict(self._decoder.decode(frame.data))
            for frame in frames
            if isinstance(frame, HeadersFrame)
        }


class HTTP2TestCase(SynchronousTestCase):
    """
    A connection in memory that speaks HTTP/2, and its drainer.
    """

    def setUp(self) -> None:
        self.clock = Turning()
        self.shop = Shop()
        self.site = Site(self.shop, reactor=self.clock)
        self.channel: Any = H2Connection(self.clock)
        self.channel.requestFactory = self.site.requestFactory
        self.channel.site = self.channel.factory = self.site
        self.channel.timeOut = self.site.timeOut
        self.channel.callLater = self.clock.callLater
        self.transport = MemoryTransport()
        self.transport.registerProducer(self.channel, True)
        self.channel.makeConnection(self.transport)
        self.client = Client()
        self.drainer = HTTP2Drainer(self.channel)
        self.watch = HandWatch(self.clock)
        self.send(HELLO)

    def send(self, *frames: bytes) -> None:
        """
        The client sends, all at once, and a moment passes.
        """
        self.channel.dataReceived(b"".join(frames))
        self.work()

    def ask(self, *streams: int) -> None:
        """
        The client asks for C{/later/STREAM} on each of these streams.
        """
        self.send(*(self.client.get(stream, f"/later/{stream}") for stream in streams))

    def finish(self, count: int = 1) -> None:
        """
        The application answers the oldest requests.
        """
        for _ in range(count):
            self.shop.finish()
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
        self.drainer.hint(self.watch)

    def frames(self) -> list[Any]:
        """
        Everything that was sent.
        """
        return self.client.frames(self.transport.value())

    def assertSaid(self, *last: int) -> None:
        """
        These are the last streams that the goodbyes so far have named.
        """
        self.assertEqual(goodbyes(self.frames()), list(last))

    def assertLost(self, lost: bool = True) -> None:
        """
        The connection was lost, and does not wait for its producer; or it was not lost.
        """
        self.assertEqual(self.transport.disconnecting, lost)
        if lost:
            self.assertIsNone(self.transport.producer)
