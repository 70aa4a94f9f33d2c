"""
One live line at the bottom of a terminal while a server ends.

Needs C{rich} (C{pip install txterminable[progress]}); without it, and wherever
output is no terminal, progress goes line by line to the log.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TextIO

from terminable.progress import logLine


class LiveOutput:
    """
    Standard output with a line that stays at the bottom.

    It has to be in place before the log is opened, so that log lines go above the
    live one.
    """

    def __init__(self, console: Any, live: Any, out: TextIO) -> None:
        self._console = console
        self._live = live
        self._out = out

    def __getattr__(self, name: str) -> Any:
        return getattr(self._out, name)

    def write(self, text: str) -> int:
        """
        Write above the live line, if there is one.
        """
        if self._live.is_started:
            self._console.out(text, end="", highlight=False)
            return len(text)
        return self._out.write(text)

    def show(self, line: str) -> None:
        """
        Put a text into the live line.
        """
        if not self._live.is_started:
            self._live.start()
        self._live.update(self._plain(line), refresh=True)

    def hide(self) -> None:
        """
        Take the live line away.
        """
        self._live.stop()

    @staticmethod
    def _plain(line: str) -> Any:
        from rich.text import Text

        return Text(line, no_wrap=True, overflow="ellipsis")


def liveOutput(out: TextIO) -> LiveOutput | None:
    """
    A live line on C{out}; C{None} if that is no terminal, or if C{rich} is missing.
    """
    try:
        if not out.isatty():
            return None
        from rich.console import Console
        from rich.live import Live
    except (ImportError, ValueError):
        return None
    console = Console(file=out)
    live = Live(
        console=console,
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    return LiveOutput(console, live, out)


def progressOn(out: TextIO) -> tuple[Callable[[str], object], Callable[[], object]]:
    """
    How to show progress, and how to stop showing it, where the log goes to C{out}.

    If a live line is possible, C{sys.stdout} is exchanged for the output that keeps
    it at the bottom.
    """
    live = liveOutput(out)
    if live is None:
        return logLine, lambda: None
    sys.stdout = live
    return live.show, live.hide
