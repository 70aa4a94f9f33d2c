"""
One live line at the bottom of a terminal.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from terminable.progress import logLine
from terminable.terminal import LiveOutput, liveOutput, progressOn

try:
    import rich
except ImportError:
    rich = None  # type: ignore[assignment]


class Terminal(io.StringIO):
    """
    Output that people look at.
    """

    def isatty(self) -> bool:
        return True


class LiveOutputTests(SynchronousTestCase):
    """
    With C{rich}.
    """

    if rich is None:
        skip = "rich is not installed"

    def setUp(self) -> None:
        terminal = mock.patch.dict(os.environ, {"TERM": "xterm", "COLUMNS": "40", "LINES": "10"})
        terminal.start()
        self.addCleanup(terminal.stop)
        self.out = Terminal()
        live = liveOutput(self.out)
        assert live is not None
        self.live: LiveOutput = live
        self.addCleanup(self.live.hide)

    def test_beforeTheFirstLine(self) -> None:
        """
        Until there is a live line, what is written goes straight to the output.
        """
        self.assertEqual(self.live.write("hello\n"), 6)
        self.assertEqual(self.out.getvalue(), "hello\n")

    def test_live(self) -> None:
        """
        A line is replaced by the next one; it is taken literally, and cut at the
        terminal's edge.
        """
        self.live.show("draining: [bold]3 busy")
        self.assertIn("draining: [bold]3 busy", self.out.getvalue())
        self.live.show("x" * 100)
        shown = self.out.getvalue()
        self.assertIn("x" * 30, shown)
        self.assertNotIn("x" * 41, shown)
        self.assertIn("\N{HORIZONTAL ELLIPSIS}", shown)

    def test_logGoesAbove(self) -> None:
        """
        What is written while there is a line stands above it, and the line is drawn
        anew.
        """
        self.live.show("draining: 1 busy")
        before = len(self.out.getvalue())
        self.assertEqual(self.live.write("a [log] line\n"), 13)
        added = self.out.getvalue()[before:]
        self.assertIn("a [log] line\n", added)
        self.assertIn("draining: 1 busy", added[added.index("line\n") :])

    def test_hide(self) -> None:
        """
        Taken away, the line is gone, and what is written goes straight to the output.
        """
        self.live.show("draining: 1 busy")
        self.live.hide()
        before = len(self.out.getvalue())
        self.live.write("bye\n")
        self.assertEqual(self.out.getvalue()[before:], "bye\n")
        self.live.hide()

    def test_everythingElse(self) -> None:
        """
        In all else it is the output.
        """
        self.assertTrue(self.live.isatty())
        self.assertIs(self.live.getvalue.__self__, self.out)

    def test_progressOn(self) -> None:
        """
        A door's standard output is exchanged for it.
        """
        self.patch(sys, "stdout", self.out)
        show, hide = progressOn(self.out)
        self.assertIsInstance(sys.stdout, LiveOutput)
        show("draining")
        self.assertIn("draining", self.out.getvalue())
        hide()


class PlainOutputTests(SynchronousTestCase):
    """
    Where there is no live line.
    """

    def check(self, out: Any) -> None:
        self.patch(sys, "stdout", out)
        show, hide = progressOn(out)
        self.assertIs(show, logLine)
        self.assertIsNone(hide())
        self.assertIs(sys.stdout, out)

    def test_noTerminal(self) -> None:
        """
        Progress goes to the log if the output is no terminal.
        """
        self.check(io.StringIO())

    def test_closed(self) -> None:
        """
        So it does if there is no output at all any more.
        """
        out = io.StringIO()
        out.close()
        self.check(out)

    def test_withoutRich(self) -> None:
        """
        So it does without C{rich}.
        """
        for name in ("rich.console", "rich.live"):
            self.patch_module(name)
        self.check(Terminal())

    def patch_module(self, name: str) -> None:
        missing = object()
        before = sys.modules.get(name, missing)
        sys.modules[name] = None  # type: ignore[assignment]

        def restore() -> None:
            if before is missing:
                del sys.modules[name]
            else:
                sys.modules[name] = before  # type: ignore[assignment]

        self.addCleanup(restore)
