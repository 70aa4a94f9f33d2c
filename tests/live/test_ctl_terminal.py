"""
C{watch} on a terminal of 80 columns and 24 lines.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading
import time
from typing import Any
from unittest import skipUnless

from tests.live.processes import PATIENCE, environment, eventually
from tests.live.test_ctl import CTL, CtlTestCase

try:
    import pyte
    import rich

    Emulator: Any = pyte.Screen
except ImportError:
    rich = None  # type: ignore[assignment]
    Emulator = object

COLUMNS, LINES = 80, 24

#: From here on, and until here, the terminal's second screen is shown.
SECOND, FIRST = b"\x1b[?1049h", b"\x1b[?1049l"

#: A picture begins.
HOME = b"\x1b[H"


class Eye(Emulator):  # type: ignore[misc]
    """
    A terminal that notices what people would be disturbed by.

    @ivar wrapped: how many characters went on in the next line.
    @ivar scrolled: how many times everything moved.
    @ivar erased: how many times something was taken away before it was drawn anew.
    """

    def __init__(self) -> None:
        self.wrapped = self.scrolled = self.erased = 0
        super().__init__(COLUMNS, LINES)

    def draw(self, data: str) -> None:
        for character in data:
            self.wrapped += self.cursor.x == self.columns
            super().draw(character)

    def index(self) -> None:
        self.scrolled += self.cursor.y == self.lines - 1
        super().index()

    def erase_in_display(self, *arguments: Any, **settings: Any) -> None:
        self.erased += 1
        super().erase_in_display(*arguments, **settings)

    def erase_in_line(self, *arguments: Any, **settings: Any) -> None:
        self.erased += 1
        super().erase_in_line(*arguments, **settings)


class Terminal:
    """
    A pseudo-terminal with a command on it, and all that is written there.
    """

    def __init__(self, case: CtlTestCase, *words: str) -> None:
        self.master, slave = pty.openpty()
        case.addCleanup(os.close, self.master)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        env = environment({"TERM": "xterm-256color"})
        for name in ("COLUMNS", "LINES", "NO_COLOR"):
            env.pop(name, None)
        self.process = subprocess.Popen(
            [*CTL, case.socket, *words],
            env=env,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            text=True,
            start_new_session=True,
        )
        case.addCleanup(case.cleanUpCtl, self.process)
        os.close(slave)
        #: What was read at a time.
        self.pieces: list[bytes] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                self.pieces.append(os.read(self.master, 65536))
            except OSError:
                # That is how the end looks from here.
                return

    def seen(self) -> bytes:
        """
        Everything so far.
        """
        return b"".join(self.pieces)

    def await_(self, pattern: str) -> list[str]:
        """
        What can be read as soon as a line matches.
        """

        def lines() -> list[str]:
            shown = list(shownBy(self.seen()).display)
            return shown if any(re.search(pattern, line) for line in shown) else []

        found = eventually(lines)
        if not found:
            raise AssertionError(f"{pattern} is not in {self.seen().decode()}")
        return [line.rstrip() for line in found]

    def end(self) -> bytes:
        """
        Everything, when the command has ended.
        """
        self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return self.seen()


def shownBy(data: bytes) -> Any:
    """
    What a terminal shows in the end.
    """
    eye = Eye()
    pyte.ByteStream(eye).feed(data)
    return eye


@skipUnless(rich, "the live picture needs rich, looking at it pyte")
class WatchTests(CtlTestCase):
    """
    What an operator sees.
    """

    def test_drain(self) -> None:
        """
        Bars, time left, and ten of twelve stragglers; nothing wraps, scrolls, or is erased; in
        the end the report stands on the screen that was there before.
        """
        server, address = self.served("--idle-grace", "0.5")
        idle = [address.connect() for _ in range(3)]
        for peer in idle:
            self.addCleanup(peer.close)
            peer.get("/sync")
        busy = [address.connect() for _ in range(12)]
        head = f"POST /upload?{'x' * 100} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n"
        for peer in busy:
            self.addCleanup(peer.close)
            peer.send(head.encode())
        self.assertTrue(eventually(lambda: self.value("status")["busy"] == 12))
        terminal = Terminal(self, "watch")
        lines = terminal.await_(r"process \d+: serving")
        self.assertIn(f"process {server.process.pid}: serving", lines[0])
        self.assertEqual(lines[1], f"tcp 127.0.0.1:{address.port}")
        server.send()
        lines = terminal.await_(r"draining +\d+\.\d s left")
        lines = terminal.await_(r"^busy +12 ")
        self.assertRegex(lines[3], r"^idle +[03] ")
        self.assertEqual(lines[5].split(), ["AGE", "PEER", "UNSENT", "DOING"])
        stragglers = [line for line in lines if "POST /upload?x" in line]
        self.assertEqual((len(stragglers), lines[16]), (10, "and 2 more busy"))
        # Some more pictures, for what disturbs to have its chance.
        pictures = terminal.seen().count(HOME) + 3
        self.assertTrue(eventually(lambda: terminal.seen().count(HOME) >= pictures))
        for peer in busy:
            peer.send(b"x")
        seen = terminal.end()
        server.gone()
        self.assertEqual(terminal.process.returncode, 0, seen)
        self._looksGood(seen)

    def _looksGood(self, seen: bytes) -> None:
        before, begun, rest = seen.partition(SECOND)
        pictures, ended, after = rest.partition(FIRST)
        self.assertEqual((before, begun, ended), (b"", SECOND, FIRST))
        eye = shownBy(pictures)
        self.assertEqual((eye.wrapped, eye.scrolled, eye.erased), (0, 0, 0))
        self.assertGreater(pictures.count(HOME), 4)
        # The cursor is there again, and below it nothing but the report.
        self.assertEqual(pictures.count(b"\x1b[?25l"), seen.count(b"\x1b[?25h"))
        last = [line.rstrip() for line in shownBy(after).display if line.strip()]
        self.assertEqual(len(last), 1)
        self.assertRegex(last[0], r"^terminated: 3 idle, 12 finished, 0 left, 0 aborted after \d")

    def test_interrupted(self) -> None:
        """
        ^C puts the terminal back, and says how it stood.
        """
        self.served()
        terminal = Terminal(self, "watch")
        terminal.await_("serving")
        began = time.monotonic()
        terminal.process.send_signal(signal.SIGINT)
        seen = terminal.end()
        self.assertLess(time.monotonic() - began, PATIENCE / 3)
        self.assertEqual(terminal.process.returncode, 130)
        pictures, ended, after = seen.partition(FIRST)
        self.assertTrue(ended)
        self.assertIn(b"\x1b[?25h", pictures)
        self.assertEqual(after, b"serving: 0 busy, 0 idle\r\n")

    def test_connections(self) -> None:
        """
        A table for people is cut at the edge, and wraps nowhere.
        """
        server, address = self.served()
        self.awaitBusy(address, 60)
        self.awaitBusy(address, 60)[0]
        server.awaitLog("asked for /later")
        peer = address.connect()
        self.addCleanup(peer.close)
        peer.get("/sync?" + "x" * 200)
        terminal = Terminal(self, "connections")
        eye = shownBy(terminal.end())
        self.assertEqual(terminal.process.returncode, 0)
        self.assertEqual(eye.wrapped, 0)
        lines = [line.rstrip() for line in eye.display if line.strip()]
        self.assertEqual(lines[0].split()[0], "ID")
        self.assertEqual(len(lines), 5)
        self.assertRegex(lines[-1], r"\A3 of 3 shown; all: 2 busy, 1 idle; process \d+\Z")
