"""
Conversations by HTTP that are ended at random moments; a short part of the attack.
"""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from twisted.trial.unittest import SynchronousTestCase

from tests.attacks import http2
from tests.attacks.http import PLAN, Conversation, conversation
from tests.attacks.reading import Asked, Broken, Reader, frames
from tests.attacks.talks import Request
from tests.doubles import Boom

BRIEF = settings(
    deadline=None,
    max_examples=60,
    derandomize=True,
    database=None,
    print_blob=False,
    suppress_health_check=list(HealthCheck),
)


class ConversationTests(SynchronousTestCase):
    """
    Whatever is asked for, and whenever the stop begins.
    """

    def test_holds(self) -> None:
        """
        Whoever has asked is answered in full, once, in order, and told which answer is the
        last; or he is in the report.
        """
        BRIEF(given(**PLAN)(conversation))()
        self.flushLoggedErrors(Boom)

    def test_holdsByHTTP2(self) -> None:
        """
        Each stream is answered in full, and done once; or it is refused, or beyond the last
        that the goodbye names, and is not done; or its connection is in the report.
        """
        BRIEF(given(**http2.PLAN)(http2.talking))()
        self.flushLoggedErrors(Boom)

    def test_unreadAtTheDeadline(self) -> None:
        """
        Somebody whose request nobody has read when everything ends at once is named as one who
        was aborted.
        """
        for way in ("own", "wrapped"):
            on = Conversation(way, "unix", {"gracePeriod": 0.0})
            self.addCleanup(on.finish)
            on.connect([Request("now", 0, "GET", b"", "plain", False)])
            on.do("turn", 0, 0)
            on.do("send", 0, 100)
            on.do("stop", 0, 0)
            on.end()
            [report] = on.reports
            self.assertEqual((report.aborted, len(report.stragglers)), (1, 1))
            on.check()
            on.finish()


class ReaderTests(SynchronousTestCase):
    """
    Who reads the answers sees what is wrong with them.
    """

    def read(self, data: bytes, *asked: Asked) -> Reader:
        return Reader(data, list(asked))

    def test_inOrder(self) -> None:
        """
        Answers with a length, in chunks, without a body, and until the end.
        """
        data = (
            b"HTTP/1.1 100 Continue\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nc\r\n0\r\n\r\n"
            b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nd"
        )
        reader = self.read(data, Asked(expects=True), Asked(b"HEAD"))
        self.assertEqual([it.body for it in reader.replies], [b"ab", b"", b"c", b"d"])
        self.assertEqual([it.ends for it in reader.replies], [False, False, False, True])
        self.assertFalse(reader.partial)

    def test_cutOff(self) -> None:
        """
        An answer that is not complete is not taken for one.
        """
        whole = (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nc\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab",
        )
        for data in whole:
            for cut in range(1, len(data)):
                reader = self.read(data[:cut])
                self.assertEqual((reader.replies, reader.partial), ([], True))

    def test_broken(self) -> None:
        """
        What is no answer is seen.
        """
        for data in (
            b"nonsense, and more of it\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\na",
            b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: other\r\n\r\na",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n",
            b"HTTP/1.1 200 OK\r\nno field\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nmore than that",
            b"HTTP/1.1 100 Continue\r\n\r\n",
        ):
            self.assertRaises(Broken, self.read, data)

    def test_frames(self) -> None:
        """
        Frames are read, also long ones and parts of one.
        """
        long = b"\x82\x7e\x00\x80" + b"x" * 128
        self.assertEqual(frames(b"\x81\x01a" + long), ([(1, b"a"), (2, b"x" * 128)], False))
        self.assertEqual(frames(b"\x81\x02a"), ([], True))
        self.assertRaises(Broken, frames, b"\x81\x81")
