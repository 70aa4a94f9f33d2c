"""
What the control command reads and writes, word by word.
"""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from terminable.ctl.address import LONGEST, Address, addressOf
from terminable.ctl.events import EventReader
from terminable.ctl.words import (
    briefly,
    counted,
    deed,
    joined,
    named,
    oneLine,
    plain,
    reportLines,
    seconds,
    size,
    workers,
)
from terminable.errors import InvalidOption
from tests.ctldoor import CUT, CUTTING, DRAINING, REPORT, SLOW, STATUS

STREAM = (
    b": hello\r\nevent: status\r\ndata: {\r\ndata:}\r\n\r\nid: 1\ndata: \xc3\xa9\n\nevent: x\n\n"
)
EVENTS = [("status", "{\n}"), ("message", "\xe9")]


class PlainTests(SynchronousTestCase):
    """
    Texts that strangers have sent.
    """

    def test_harmless(self) -> None:
        """
        What could move the cursor, change colours, or turn the reading direction is spelled
        out; what can be read stays.
        """
        self.assertEqual(
            plain("GET /\x1b[2J\x9b\r\n\t\u202ex\ud800"), r"GET /\x1b[2J\x9b\r\n\t\u202ex\ud800"
        )
        self.assertEqual(plain("GET /b\xfccher \u4e2d"), "GET /b\xfccher \u4e2d")

    def test_noText(self) -> None:
        """
        What is no text is shown as one.
        """
        self.assertEqual(plain(4711), "4711")

    @given(st.text())
    def test_printable(self, text: str) -> None:
        """
        Whatever it is, it can be printed.
        """
        self.assertTrue(plain(text).isprintable())


class NumberTests(SynchronousTestCase):
    """
    Times and amounts.
    """

    def test_seconds(self) -> None:
        """
        Two units at most, and tenths below a minute; no number is a dash.
        """
        for value, text in (
            (0, "0.0 s"),
            (2.54, "2.5 s"),
            (-0.3, "0.0 s"),
            (59.9, "59.9 s"),
            (60, "1 min 0 s"),
            (200.9, "3 min 20 s"),
            (7500, "2 h 5 min"),
            (86400 * 3 + 3600 * 4, "3 d 4 h"),
            (None, "-"),
            ("x", "-"),
            (True, "-"),
        ):
            self.assertEqual(seconds(value), text)

    def test_briefly(self) -> None:
        """
        In a table one unit is enough.
        """
        self.assertEqual([briefly(7500), briefly(2.5), briefly(None)], ["2 h", "2.5 s", "-"])

    def test_size(self) -> None:
        """
        Three digits or so, in units of a thousand.
        """
        for value, text in (
            (0, "0 B"),
            (999, "999 B"),
            (1234, "1.2 kB"),
            (3_400_000_000, "3.4 GB"),
            (5e15, "5000.0 TB"),
            (None, "-"),
            (False, "-"),
        ):
            self.assertEqual(size(value), text)

    def test_counted(self) -> None:
        """
        A number that is not told is not shown.
        """
        self.assertEqual(counted({"busy": 0, "idle": None}, "busy", "idle", "x"), "0 busy")

    def test_joined(self) -> None:
        """
        A list is one line; none is a dash.
        """
        self.assertEqual([joined(["a\n", 2]), joined([])], [r"a\n, 2", "-"])


class LineTests(SynchronousTestCase):
    """
    Connections, states and reports.
    """

    def test_deed(self) -> None:
        """
        A connection does something, or is something, or nothing is known of it.
        """
        self.assertEqual(deed(SLOW), "GET /slow")
        self.assertEqual(deed({**SLOW, "doing": "", "state": "idle"}), "idle HTTPChannel")
        self.assertEqual(deed({}), "")

    def test_named(self) -> None:
        """
        A connection in one line; what is unsent and what it was told are said if there is any.
        """
        self.assertEqual(named(SLOW), "GET /slow from 127.0.0.1:4242, 2.5 s")
        text = "GET /slow from 127.0.0.1:4242, 2.5 s, 2.0 kB unsent, told 503"
        self.assertEqual(named(CUT), text)
        self.assertEqual(named({}), " from -, -")

    def test_counting(self) -> None:
        """
        While a stop has not looked at each connection, they are told together.
        """
        status = {"phase": "draining", "busy": 1, "idle": 9, "counting": True}
        self.assertEqual(oneLine(status), "draining: 10 connections, still being counted")
        self.assertEqual(oneLine({**status, "busy": "x", "counting": 1}).count("9 connections"), 1)

    def test_oneLine(self) -> None:
        """
        A state in one line, with what there is of it.
        """
        self.assertEqual(
            oneLine(DRAINING),
            "draining: 1 busy, 12 idle, 24.0 s left: GET /slow from 127.0.0.1:4242, 2.5 s",
        )
        waiting = {**STATUS, "waiting": 3, "oldest": None}
        self.assertEqual(oneLine(waiting), "serving: 1 busy, 12 idle, 3 waiting")
        self.assertEqual(oneLine({}), "unknown: ")

    def test_workers(self) -> None:
        """
        What the workers do is told, in a line only if they do not all serve.
        """
        serving = {**STATUS, "oldest": None, "workers": [{"state": "serving"}] * 2}
        self.assertEqual(workers(serving), "workers: 2 serving")
        self.assertEqual(oneLine(serving), "serving: 1 busy, 12 idle")
        rolling = {**serving, "workers": [*serving["workers"], {"state": "draining"}, {}]}
        self.assertEqual(workers(rolling), "workers: 2 serving, 1 draining, 1 -")
        self.assertEqual(oneLine(rolling), f"serving: 1 busy, 12 idle, {workers(rolling)}")
        self.assertEqual(workers(STATUS), "")

    def test_report(self) -> None:
        """
        The sums of a report, and then who is named in it, those that were aborted first.
        """
        sums = "terminated: 2 idle, 2 finished, 0 left, 0 aborted after 3.2 s"
        self.assertEqual(reportLines(REPORT), [sums])
        left = {**SLOW, "outcome": "left"}
        lines = reportLines({**CUTTING, "entries": [left, CUT]})
        self.assertIn("1 aborted", lines[0])
        self.assertEqual(lines[1], f"  aborted: {named(CUT)}")
        self.assertEqual(lines[2], f"  left: {named(SLOW)}")

    def test_longReport(self) -> None:
        """
        Those for whom there is no room are counted.
        """
        lines = reportLines({**CUTTING, "entries": [CUT] * 23}, 20)
        self.assertEqual((len(lines), lines[-1]), (22, "  and 3 more"))


class AddressTests(SynchronousTestCase):
    """
    Where the door is.
    """

    def test_socket(self) -> None:
        """
        A path, by itself or as in an endpoint description, is a UNIX socket.
        """
        for text in ("/run/site.sock", "unix:/run/site.sock"):
            found = addressOf(text)
            self.assertEqual(found, Address("http://localhost", "/run/site.sock"))
            self.assertEqual(str(found), "/run/site.sock")

    def test_url(self) -> None:
        """
        A URL is one, with a slash or without.
        """
        for text in ("http://127.0.0.1:9000", "https://site.example", "http://[::1]:9/"):
            found = addressOf(text)
            self.assertEqual(found, Address(text.rstrip("/")))
            self.assertEqual(str(found), text.rstrip("/"))

    def test_neither(self) -> None:
        """
        Whatever cannot be meant is refused in one line that shows what was typed.
        """
        for text in (
            *("", "unix:", "a\0b", "tcp:9000", "http://", "http://x:y", "http://x:99999"),
            *("http://x:0", "http://x/status", "http://x?a", "http://x#a", "http://me@x"),
            *("http://[x", "http://b\xfccher", "x" * (LONGEST + 1)),
        ):
            problem = self.assertRaises(InvalidOption, addressOf, text)
            self.assertIn(f"SOCKET: {text!r} given, expected", str(problem))

    def test_longest(self) -> None:
        """
        A path may be as long as the kernel takes it.
        """
        self.assertEqual(addressOf("x" * LONGEST).path, "x" * LONGEST)


class EventReaderTests(SynchronousTestCase):
    """
    Server-sent events.
    """

    def test_whole(self) -> None:
        """
        Names, data over several lines, comments and other fields; an event without data is none.
        """
        self.assertEqual(EventReader().feed(STREAM), EVENTS)

    @given(st.lists(st.integers(0, len(STREAM)), max_size=8))
    def test_cut(self, cuts: list[int]) -> None:
        """
        It does not matter how what arrives is cut.
        """
        reader = EventReader()
        places = [0, *sorted(cuts), len(STREAM)]
        found = []
        for begin, end in itertools.pairwise(places):
            found += reader.feed(STREAM[begin:end])
        self.assertEqual(found, EVENTS)

    def test_lineEnds(self) -> None:
        """
        A carriage return alone ends a line, too, when the next character has come.
        """
        reader = EventReader()
        self.assertEqual(reader.feed(b"data: 1\r\r"), [])
        self.assertEqual(reader.feed(b":"), [("message", "1")])

    def test_mark(self) -> None:
        """
        A byte order mark at the beginning is no part of the first line, and what is no UTF-8
        harms nobody.
        """
        self.assertEqual(EventReader().feed(b"\xef\xbb\xbfdata: \xff\n\n"), [("message", "\ufffd")])
