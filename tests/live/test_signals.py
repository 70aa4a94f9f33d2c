"""
What an operator does and sees: signals, and the progress of a stop.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import termios
import threading
import time
from unittest import skipUnless

from tests.live.clients import Address, Peer
from tests.live.processes import PATIENCE, SLACK, LiveTestCase, Server, eventually, freePort

try:
    import rich
except ImportError:
    rich = None

#: What a progress line looks like.
PROGRESS = re.compile(
    r"draining: (\d+) busy, (\d+) idle, (\d+\.\d) s left: "
    r"GET /later\?stopped=\S+ from (127\.0\.0\.1:\d+), (\d+\.\d) s"
)


class SecondSignalTests(LiveTestCase):
    """
    The first signal is polite, the second one is not, the third one is final.
    """

    def stuck(self, server: Server, address: Address, target: str = "/later?seconds=60") -> Peer:
        """
        Keep the server busy.
        """
        peer = address.connect()
        peer.ask(target)
        server.awaitLog("asked for" if "later" in target else "a thread is busy")
        return peer

    def assertAborts(self, first: int, second: int) -> None:
        """
        The second signal ends it.
        """
        server, address = self.serve()
        peer = self.stuck(server, address)
        server.terminate(first)
        time.sleep(0.2)
        self.assertIsNone(server.status)
        server.send(second)
        self.assertLess(server.gone(), 1.0 + SLACK, server.log())
        self.assertTrue(peer.wasReset())
        self.assertIn("1 aborted", server.report())
        self.assertIn(f"GET /later?seconds=60 from {peer.name}", server.report())
        self.assertEqual(server.status, -first)

    def test_twoSIGTERM(self) -> None:
        """
        SIGTERM twice: the process is gone within a second, and names who was cut.
        """
        self.assertAborts(signal.SIGTERM, signal.SIGTERM)

    def test_twoSIGINT(self) -> None:
        """
        ^C twice.
        """
        self.assertAborts(signal.SIGINT, signal.SIGINT)

    def test_prefix(self) -> None:
        """
        The endpoint prefix alone does it, too.
        """
        address = Address(port=freePort())
        listen = f"terminable:{address.description}:grace=20"
        server = self.start("web", "--class", "tests.live.resources.Root", "--listen", listen)
        peer = self.stuck(server, address)
        server.terminate()
        time.sleep(0.2)
        server.send()
        self.assertLess(server.gone(), 1.0 + SLACK, server.log())
        self.assertTrue(peer.wasReset())

    def test_third(self) -> None:
        """
        A busy thread outlives the second signal, and not the third.
        """
        server, address = self.serve()
        peer = self.stuck(server, address, "/thread?seconds=30")
        server.terminate()
        time.sleep(0.2)
        server.send()
        self.assertTrue(peer.wasReset())
        server.awaitLog("terminated: ")
        time.sleep(0.2)
        self.assertIsNone(server.status)
        server.send()
        self.assertLess(server.gone(), 1.0 + SLACK)
        self.assertEqual(server.status, -signal.SIGTERM)


class StatusTests(LiveTestCase):
    """
    With C{--fail-on-straggler} the exit status says whether the stop was graceful.
    """

    def test_graceful(self) -> None:
        """
        0 if everything was answered.
        """
        server, address = self.serve("--fail-on-straggler", "--idle-grace", "0.1")
        peer = address.connect()
        peer.ask("/later?stopped=0.3")
        server.awaitLog("asked for")
        server.terminate()
        self.assertEqual(peer.answer().status, 200)
        peer.close()
        server.gone()
        self.assertEqual(server.status, 0)

    def test_secondSignal(self) -> None:
        """
        1 if somebody was cut because of a second signal.
        """
        server, address = self.serve("--fail-on-straggler")
        peer = address.connect()
        peer.ask("/later?seconds=60")
        server.awaitLog("asked for")
        server.terminate()
        time.sleep(0.2)
        server.send()
        server.gone()
        self.assertTrue(peer.wasReset())
        self.assertEqual(server.status, 1)


class ProgressTests(LiveTestCase):
    """
    How a stop proceeds is told once a second.
    """

    def test_lines(self) -> None:
        """
        On the log: how many are left, for how long, and what is the oldest.
        """
        # A machine that is busy may be late with a line.
        pauses = [self.pause() for _ in range(1)]
        while not 0.75 <= pauses[-1] <= 1.25 and len(pauses) < 3:
            pauses.append(self.pause())
        self.assertAlmostEqual(pauses[-1], 1.0, delta=0.25)

    def pause(self) -> float:
        """
        Look at the lines of one stop.

        @return: how many seconds were between the first two.
        """
        server, address = self.serve("--grace", "20", "--idle-grace", "5")
        busy, idle = address.connect(), address.connect()
        busy.ask("/later?stopped=2.4")
        idle.get("/sync")
        server.awaitLog("asked for /later")
        server.terminate()
        self.assertTrue(busy.answer().closing)
        name = busy.name
        busy.close()
        idle.close()
        server.gone()
        lines = PROGRESS.findall(server.log())
        self.assertGreaterEqual(len(lines), 2, server.log())
        self.assertEqual({line[:2] for line in lines}, {("1", "1")}, server.log())
        self.assertEqual({line[3] for line in lines}, {name})
        first, second = (float(line[2]) for line in lines[:2])
        self.assertBetween(20 - 1 - SLACK, first, 20 - 1)
        self.assertBetween(1.0, float(lines[0][4]), 1.5)
        return first - second


class Terminal:
    """
    A pseudo-terminal, and what was written on it.
    """

    def __init__(self, case: LiveTestCase) -> None:
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
        self.seen = b""
        case.addCleanup(os.close, self.master)
        self._reader = threading.Thread(target=self._read, daemon=True)

    def begin(self) -> None:
        """
        The other side has its descriptor: listen.
        """
        os.close(self.slave)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self.master, 65536)
            except OSError:
                # That is how the end looks from here.
                return
            self.seen += data

    def end(self) -> bytes:
        """
        Everything that was written.
        """
        self._reader.join(PATIENCE)
        return self.seen


def linesLeft(seen: bytes) -> list[str]:
    """
    What can be read on a terminal in the end: lines, on which a carriage return
    begins anew, which "cursor up" goes back to, and which "erase line" clears
    (ECMA-48, CUU and EL 2).
    """
    lines, row, column = [""], 0, 0
    tokens = re.findall(r"\x1b\[([\d;?]*)([A-Za-z])|([^\x1b])", seen.decode())
    for argument, command, text in tokens:
        if command == "A":
            row -= int(argument)
        elif command == "K" and argument == "2":
            lines[row] = ""
        elif text == "\r":
            column = 0
        elif text == "\n":
            row += 1
            lines += [""] * (row - len(lines) + 1)
        elif text:
            lines[row] = lines[row].ljust(column)[:column] + text + lines[row][column + 1 :]
            column += 1
    return lines


@skipUnless(rich, "the live line needs rich")
class TerminalTests(LiveTestCase):
    """
    On a terminal, progress is one live line.
    """

    def stopOnTerminal(self) -> str:
        """
        Stop a server, which logs on a terminal, while a request is under way.
        """
        terminal = Terminal(self)
        env = {"TERM": "xterm", "COLUMNS": "80"}
        server, address = None, Address(port=freePort())
        server = self.launch(
            *("terminable", "--port", address.description),
            *("--class", "tests.live.resources.Root", "--idle-grace", "15"),
            env=env,
            stdout=terminal.slave,
            stderr=terminal.slave,
        )
        terminal.begin()
        server.awaitReady()
        busy, other = address.connect(), address.connect()
        busy.ask("/upload", "POST", "Content-Length: 1\r\n")
        other.get("/sync?number=1")
        server.send(signal.SIGINT)
        self.assertTrue(eventually(lambda: terminal.seen.count(b"draining: ") >= 2), terminal.seen)
        # This is logged while the live line stands.
        other.get("/sync?number=2")
        other.close()
        busy.send(b"x")
        self.assertTrue(busy.answer().closing)
        busy.close()
        server.gone()
        return terminal.end()

    def test_liveLine(self) -> None:
        """
        The line is drawn where the last one was, gone in the end, and has not come
        between the lines of the log.
        """
        seen = self.stopOnTerminal()
        drawn = seen.count(b"draining: ")
        self.assertGreaterEqual(drawn, 2, seen)
        self.assertIn(b"\x1b[2K", seen)
        left = linesLeft(seen)
        for line in left:
            self.assertRegex(line, r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S+ \[.*\] .*|\s*)$", seen)
            self.assertNotIn("draining: ", line, seen)
        text = "\n".join(left)
        for logged in ("asked for /sync?number=2", "terminated: ", "Server Shut Down."):
            self.assertEqual(text.count(logged), 1, seen)
