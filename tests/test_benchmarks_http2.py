"""
What a client of HTTP/2 counts as answered, lost, or refused.
"""

from __future__ import annotations

from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
)
from twisted.trial.unittest import SynchronousTestCase

from benchmarks.http2clients import PREFACE, REFUSED_STREAM, STREAMS, Conversation

CANCEL = 8


def frames(data: bytes) -> list[Frame]:
    """
    All frames in what was sent.
    """
    found = []
    data = data.removeprefix(PREFACE)
    while data:
        frame, length = Frame.parse_frame_header(memoryview(data)[:9])
        frame.parse_body(memoryview(data)[9 : 9 + length])
        found.append(frame)
        data = data[9 + length :]
    return found


class ConversationTests(SynchronousTestCase):
    """
    L{Conversation}.
    """

    def setUp(self) -> None:
        """
        One that has asked as much as it may at a time.
        """
        self.talk = Conversation()
        self.talk.ask()
        self.asked = frames(self.talk.toSend)
        self.talk.written()
        self.encoder = Encoder()

    def counted(self) -> tuple[int, int, int]:
        """
        Answered, lost, refused.
        """
        return self.talk.answered, self.talk.lost, self.talk.refused

    def hear(self, *heard: Frame) -> None:
        """
        Have it hear some frames, byte by byte.
        """
        for byte in b"".join(frame.serialize() for frame in heard):
            self.talk.heard(bytes([byte]))

    def head(self, stream: int, flags: tuple[str, ...] = ("END_HEADERS",)) -> HeadersFrame:
        """
        The beginning of an answer.
        """
        return HeadersFrame(stream, self.encoder.encode([(":status", "200")]), flags=flags)

    def test_begin(self) -> None:
        """
        It begins with its settings and more room for answers, and then asks by odd streams.
        """
        self.assertEqual(
            [(type(frame).__name__, frame.stream_id) for frame in self.asked],
            [("SettingsFrame", 0), ("WindowUpdateFrame", 0)]
            + [("HeadersFrame", 2 * number + 1) for number in range(STREAMS)],
        )

    def test_answered(self) -> None:
        """
        A head and its end are an answer, and the next question follows.
        """
        self.hear(self.head(1), DataFrame(1, b"hello\n", flags=["END_STREAM"]))
        self.assertEqual(self.counted(), (1, 0, 0))
        self.talk.ask()
        self.assertEqual([frame.stream_id for frame in frames(self.talk.toSend)], [2 * STREAMS + 1])

    def test_headInPieces(self) -> None:
        """
        A head may come in several frames, and may be all that comes.
        """
        block = self.encoder.encode([(":status", "204")])
        self.hear(
            HeadersFrame(3, block[:1]),
            ContinuationFrame(3, block[1:], flags=["END_HEADERS"]),
            DataFrame(3, b"", flags=["END_STREAM"]),
            self.head(5, ("END_HEADERS", "END_STREAM")),
        )
        self.assertEqual(self.counted(), (2, 0, 0))

    def test_cut(self) -> None:
        """
        What has no end when the connection ends is lost.
        """
        self.hear(self.head(1), DataFrame(1, b"hel"))
        self.talk.ended()
        self.assertEqual(self.counted(), (0, STREAMS, 0))

    def test_unwritten(self) -> None:
        """
        What was not written in full is not lost, what was written before is.
        """
        self.hear(self.head(1), DataFrame(1, b"", flags=["END_STREAM"]))
        self.talk.ask()
        self.talk.ended()
        self.assertEqual(self.counted(), (1, STREAMS - 1, 0))

    def test_resets(self) -> None:
        """
        A stream that is reset is lost, unless the server says that it has not looked at it.
        """
        self.hear(RstStreamFrame(1, CANCEL), RstStreamFrame(3, REFUSED_STREAM))
        self.assertEqual(self.counted(), (0, 1, 1))

    def test_goAway(self) -> None:
        """
        Streams above the last one that the server has taken are refused, those below go on, and
        no more are asked.
        """
        self.hear(GoAwayFrame(0, 5))
        self.talk.ask()
        self.assertEqual((self.counted(), self.talk.toSend), ((0, 0, STREAMS - 3), b""))
        self.assertFalse(self.talk.isIdle)
        self.talk.ended()
        self.assertEqual(self.counted(), (0, 3, STREAMS - 3))
        self.assertTrue(self.talk.isIdle and self.talk.leaving)

    def test_acknowledges(self) -> None:
        """
        Settings and pings are acknowledged, acknowledgements are not.
        """
        self.hear(
            SettingsFrame(0),
            SettingsFrame(0, flags=["ACK"]),
            PingFrame(0, b"12345678"),
            PingFrame(0, b"12345678", flags=["ACK"]),
        )
        found = frames(self.talk.toSend)
        self.assertEqual([type(frame) for frame in found], [SettingsFrame, PingFrame])
        self.assertTrue(all("ACK" in frame.flags for frame in found))

    def test_strangers(self) -> None:
        """
        Frames of streams that are over change nothing.
        """
        self.hear(RstStreamFrame(99, CANCEL), DataFrame(99, b"", flags=["END_STREAM"]))
        self.assertEqual(self.counted(), (0, 0, 0))
