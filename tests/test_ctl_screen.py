"""
The live picture, on a terminal that is only pretended.
"""

from __future__ import annotations

import os
import re
from typing import Any
from unittest import mock

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from terminable.ctl.columns import Paper
from terminable.ctl.screen import STRAGGLERS, Picture
from terminable.ctl.watch import INTERVAL, Screen
from tests.ctldoor import CLEAN, CUT_OFF, DRAINING, REPORT, SLOW, STATUS, Terminal

try:
    import pyte
    import rich
except ImportError:
    rich = None  # type: ignore[assignment]

BUSY = {**DRAINING, "busy": 400, "idle": 50}
MANY = [
    {
        **SLOW,
        "id": str(number),
        "peer": f"[2001:db8::{number:x}:ffff:1234]:50000",
        "age": 99 - number,
    }
    for number in range(20)
]


class ScreenTestCase(SynchronousTestCase):
    """
    Has a terminal of 80 columns and 24 lines.
    """

    if rich is None:
        skip = "rich or pyte is not installed"

    size = (80, 24)

    def setUp(self) -> None:
        width, height = self.size
        settings = {"TERM": "xterm", "COLUMNS": str(width), "LINES": str(height)}
        terminal = mock.patch.dict(os.environ, settings)
        terminal.start()
        self.addCleanup(terminal.stop)
        self.clock = Clock()
        self.out = Terminal()
        self.screen = Screen(Paper(self.out), self.clock)
        self.addCleanup(self.screen.leave)

    def shown(self) -> list[str]:
        """
        What can be read.
        """
        width, height = self.size
        emulator = pyte.Screen(width, height)
        # As the line discipline of a terminal does it.
        pyte.Stream(emulator).feed(self.out.getvalue().replace("\n", "\r\n"))
        return [line.rstrip() for line in emulator.display]


class PictureTests(ScreenTestCase):
    """
    What is to be seen.
    """

    def test_begin(self) -> None:
        """
        Before the server has said a word, there is something to look at.
        """
        self.assertEqual(self.shown()[0], "waiting for the server")

    def test_draining(self) -> None:
        """
        Who it is, the phase, the time left, a bar for the busy and one for the idle, and the
        stragglers.
        """
        self.screen.status({**DRAINING, "busy": 6})
        self.screen.stragglers([SLOW])
        lines = self.shown()
        self.assertRegex(lines[0], r"^site, process 100: draining +24\.0 s left$")
        self.assertEqual(lines[1], "no port")
        self.assertRegex(lines[2], r"^busy +6 \S+")
        self.assertRegex(lines[3], r"^idle +12 \S+$")
        self.assertEqual(lines[5].split(), ["AGE", "PEER", "UNSENT", "DOING"])
        self.assertEqual(lines[6].split(), ["2.5", "s", "127.0.0.1:4242", "0", "B", "GET", "/slow"])
        self.assertEqual(lines[7:9], ["and 5 more busy", ""])

    def test_bars(self) -> None:
        """
        A bar is as long as there are many, on the scale of the most that there were.
        """
        self.screen.status({**DRAINING, "busy": 100, "idle": 50})
        busy, idle = self._bars()
        self.assertEqual((busy, idle), (64, 32))
        self.screen.status({**DRAINING, "busy": 25, "idle": 0})
        self.assertEqual(self._bars(), (16, 0))

    def test_waiting(self) -> None:
        """
        Those who wait have a bar of their own, if there are any; and it is said that a stop is
        still counting.
        """
        self.screen.status({**DRAINING, "waiting": 7, "counting": True})
        lines = self.shown()
        self.assertRegex(lines[4], r"^waiting +7 ")
        self.assertEqual(lines[5], "still being counted")
        self.screen.status({**DRAINING, "waiting": 0})
        self.assertEqual(self.shown()[4], "")

    def _bars(self) -> tuple[int, int]:
        # The rest of a bar is drawn, too, but paler.
        lines = self.out.getvalue().rpartition("\x1b[H")[2].splitlines()[2:4]
        codes = ("33", "32")
        found = [
            sum(map(len, re.findall(rf"\x1b\[{code}m(\u2501+)", line)))
            for code, line in zip(codes, lines, strict=True)
        ]
        return found[0], found[1]

    def test_full(self) -> None:
        """
        Ten stragglers are shown, the others counted; nothing is wrapped, and every line is where
        it belongs, whatever strangers have sent.
        """
        doing = "GET /" + "\u4e2d" * 100 + "\x1b[2J\n"
        self.screen.status(BUSY)
        self.screen.stragglers([{**each, "doing": doing} for each in MANY])
        lines = self.shown()
        self.assertTrue(all("GET /" in line for line in lines[6:16]), lines)
        self.assertEqual(STRAGGLERS, 10)
        self.assertEqual(lines[16], "and 390 more busy")
        self.assertEqual(lines[17:], [""] * 7)

    def test_passingTime(self) -> None:
        """
        Between two words of the server, the time goes on.
        """
        self.screen.status({**DRAINING, "generations": [{"busy": 1, "idle": 0}], "waiting": 2})
        self.screen.stragglers([SLOW])
        self.clock.pump([INTERVAL] * 3)
        lines = self.shown()
        self.assertTrue(lines[0].endswith("21.0 s left"), lines[0])
        self.assertEqual(lines[1], "released: 1 busy, 0 idle; no port")
        self.assertTrue(lines[4].startswith("waiting"), lines[4])
        self.assertTrue(lines[7].startswith("5.5 s"), lines[7])

    def test_workers(self) -> None:
        """
        What its workers do stands beside the ports.
        """
        states = [{"state": "serving"}, {"state": "draining"}]
        self.screen.status({**STATUS, "workers": states})
        aside = self.shown()[1]
        self.assertEqual(aside, "workers: 1 serving, 1 draining; tcp 127.0.0.1:8080")

    def test_serving(self) -> None:
        """
        A server that serves has ports, and no time left.
        """
        self.screen.status({**STATUS, "upgrade": "under way"})
        lines = self.shown()
        self.assertEqual(lines[0], "site, process 100: serving")
        self.assertEqual(lines[1], "upgrade under way; tcp 127.0.0.1:8080")

    def test_empty(self) -> None:
        """
        When nobody is busy any more, there are no stragglers.
        """
        self.screen.status(BUSY)
        self.screen.stragglers(MANY)
        self.screen.status({**DRAINING, "busy": 0})
        self.assertEqual(self.shown()[4:], [""] * 20)

    def test_other(self) -> None:
        """
        Another process has other connections, and a scale of its own.
        """
        self.screen.status(BUSY)
        self.screen.stragglers(MANY)
        self.screen.status({**STATUS, "pid": 101, "busy": 2, "idle": 1})
        lines = self.shown()
        self.assertIn("process 101: serving", lines[0])
        self.assertEqual(lines[5], "")
        self.assertEqual(self._bars(), (64, 32))

    def test_note(self) -> None:
        """
        What has to be known stands at the end.
        """
        self.screen.note("lost, looking for it")
        self.assertEqual(self.shown()[0], "lost, looking for it")
        self.screen.status({**STATUS, "busy": 0})
        self.assertEqual(self.shown()[5], "lost, looking for it")
        self.screen.report(REPORT)
        self.assertTrue(self.shown()[5].startswith("terminated: 2 idle, 2 finished"))

    def test_strange(self) -> None:
        """
        A server that tells nothing, or nonsense, is drawn, too.
        """
        self.screen.status({"busy": "many", "idle": None})
        self.screen.stragglers([{}])
        self.assertIn("unknown", self.shown()[0])


class DrawingTests(ScreenTestCase):
    """
    How it is drawn.
    """

    def test_noFlicker(self) -> None:
        """
        Each picture is drawn over the last one, in one piece, and nothing is ever erased.
        """
        self.screen.status(BUSY)
        before = len(self.out.getvalue())
        pieces: list[str] = []
        write = self.out.write
        self.patch(self.out, "write", lambda text: pieces.append(text) or write(text))
        self.screen.stragglers(MANY)
        drawn = self.out.getvalue()[before:]
        self.assertEqual(len([piece for piece in pieces if piece]), 1)
        self.assertTrue(drawn.startswith("\x1b[H"), drawn[:20])
        self.assertNotRegex(drawn, r"\x1b\[\d*[JKLMST]")
        # As many lines as there are, and no more: the terminal does not scroll.
        self.assertEqual(drawn.count("\n"), 23)

    def test_leave(self) -> None:
        """
        When it is over, the terminal is as it was, and the report stands on it.
        """
        self.screen.status(CUT_OFF)
        self.screen.report(CUT_OFF["report"])
        before = len(self.out.getvalue())
        self.screen.leave()
        rest = self.out.getvalue()[before:]
        self.assertIn("\x1b[?25h", rest)
        picture, last = rest.split("\x1b[?1049l")
        self.assertNotIn("terminated", picture)
        self.assertEqual(len(last.splitlines()), 2)
        self.assertIn("  aborted: GET /slow from", last)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.screen.leave()

    def test_leaveEarly(self) -> None:
        """
        Who leaves before the end sees how it stood.
        """
        self.screen.status(STATUS)
        self.screen.leave()
        last = self.out.getvalue().rpartition("\x1b[?1049l")[2]
        self.assertEqual(last, "serving: 1 busy, 12 idle: GET /slow from 127.0.0.1:4242, 2.5 s\n")

    def test_leaveAtOnce(self) -> None:
        """
        Who has seen nothing is shown nothing.
        """
        self.screen.leave()
        self.assertTrue(self.out.getvalue().endswith("\x1b[?1049l"))

    def test_terminalGone(self) -> None:
        """
        A terminal that is gone is noticed with the next word of the server.
        """

        def gone(text: str) -> int:
            raise OSError(5, "Input/output error")

        self.screen.status(STATUS)
        with mock.patch.object(self.out, "write", gone):
            self.clock.advance(INTERVAL)
            self.assertEqual(self.clock.getDelayedCalls(), [])
            self.assertRaises(OSError, self.screen.status, CLEAN)


class SmallTests(ScreenTestCase):
    """
    A terminal with hardly any room.
    """

    size = (30, 10)

    def test_cut(self) -> None:
        """
        Fewer stragglers are shown, and every line is cut.
        """
        self.screen.status(BUSY)
        self.screen.stragglers(MANY)
        lines = self.shown()
        self.assertRegex(lines[0], r"^site, process .*24\.0 s left$")
        self.assertEqual(len([line for line in lines if "[200" in line]), 2)
        self.assertEqual(lines[8:], ["and 398 more busy", ""])


class TinyTests(ScreenTestCase):
    """
    One with none.
    """

    size = (10, 3)

    def test_cut(self) -> None:
        """
        The most important lines stay.
        """
        self.screen.status(BUSY)
        self.screen.stragglers(MANY)
        self.assertEqual(self.out.getvalue().rpartition("\x1b[H")[2].count("\n"), 2)

    def test_unseen(self) -> None:
        """
        A picture is nothing but what is known.
        """
        picture: Any = Picture()
        self.assertIsNone(picture.status)
