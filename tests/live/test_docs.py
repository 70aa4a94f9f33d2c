"""
The programs that the prose shows do what it says, and so does the command itself.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from terminable import Schedule
from terminable.tap import Options
from tests.live.processes import PATIENCE, LiveTestCase, Server, environment, heard

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
ANYWHERE = "tcp:0:interface=127.0.0.1"
README = ROOT / "README.rst"


def shape(line: str) -> str:
    """
    A line without what is different each time.
    """
    line = re.sub(r"\[\d+/\w+/\d+:[\d:]+ \+0000\]", "[DATE]", line)
    line = re.sub(r"\w{3}, \d+ \w{3} \d{4} [\d:]+ GMT", "DATE", line)
    line = re.sub(r"Received SIG\w+", "Received SIGNAL", line)
    return re.sub(r'"curl[^"]*"|"-"', '"CLIENT"', re.sub(r"\d+", "N", line))


class Conversation:
    """
    A client that waits for everything with a limit.
    """

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)

    def say(self, data: bytes) -> None:
        """
        Send it.
        """
        self.socket.sendall(data)

    def rest(self) -> bytes:
        """
        Everything until the end.
        """
        heard = b""
        with self.socket:
            while data := self.socket.recv(4096):
                heard += data
        return heard


class ExampleTestCase(LiveTestCase):
    """
    Starts examples, and talks to them.
    """

    def begin(self, server: Server, said: bytes) -> Conversation:
        """
        Connect, speak, and ask the server to stop when it has heard that.
        """
        log = server.awaitLog("ing on ")
        found = re.search(r"(?:listening|starting) on (\d+)", log)
        assert found is not None
        client = Conversation(int(found[1]))
        client.say(said)
        # The server has read what was sent.
        self.assertTrue(heard(int(found[1])))
        server.send(signal.SIGTERM)
        return client

    def again(self, attempt: Callable[[], None]) -> None:
        """
        Try it, and twice more: an answer takes half a second, and the signal has to come within
        that, which a machine that is busy may miss.
        """
        for _ in range(2):
            with contextlib.suppress(AssertionError):
                return attempt()
        return attempt()

    def program(self, name: str) -> Server:
        """
        Start an example that is a program.
        """
        return self.start(str(EXAMPLES / name), ANYWHERE, program=(sys.executable,))


class ProgramTests(ExampleTestCase):
    """
    Examples that are programs.
    """

    def test_chat(self) -> None:
        """
        A busy chat answers, says goodbye, and the report says that it has finished.
        """
        self.again(self.chat)

    def chat(self) -> None:
        """
        Once.
        """
        server = self.program("chat.py")
        client = self.begin(server, b"hi\n")
        self.assertEqual(client.rest(), b"you said hi\nBYE restarting\n")
        server.gone()
        self.assertIn("0 idle, 1 finished, 0 aborted", server.log())
        self.assertEqual(server.status, 0)

    def test_silentChat(self) -> None:
        """
        An idle chat is told at the end of the idle grace.
        """
        server = self.program("chat.py")
        client = self.begin(server, b"")
        self.assertEqual(client.rest(), b"BYE restarting\n")
        server.gone()
        self.assertIn("1 idle, 0 finished, 0 aborted", server.log())

    def test_squares(self) -> None:
        """
        The last of two answers says that it is the last.
        """
        self.again(self.squares)

    def squares(self) -> None:
        """
        Once.
        """
        server = self.program("squares.py")
        client = self.begin(server, b"12\n13\n")
        self.assertEqual(client.rest(), b"144\n169 LAST\n")
        server.gone()
        self.assertIn("0 idle, 1 finished, 0 aborted", server.log())

    def test_exitStatus(self) -> None:
        """
        Half a request is told 408 at the deadline, named, and the status is 1.
        """
        server = self.program("exitstatus.py")
        client = self.begin(server, b"GET / HTTP/1.1\r\nHost: here\r\n")
        self.assertIn(b"HTTP/1.1 408 ", client.rest())
        server.gone()
        self.assertRegex(server.log(), r"aborted: GET / from 127\.0\.0\.1:\d+, .* s, told 408")
        self.assertEqual(server.status, 1)

    def test_exitStatusOfSuccess(self) -> None:
        """
        If nobody was aborted the status is 0.
        """
        server = self.program("exitstatus.py")
        client = self.begin(server, b"GET / HTTP/1.0\r\n\r\n")
        self.assertTrue(client.rest().endswith(b"Hello.\n"))
        server.gone()
        self.assertEqual(server.status, 0)

    def test_portInUse(self) -> None:
        """
        On a port in use each says why it cannot listen, and ends with 1.
        """
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            for name in ("chat.py", "squares.py", "exitstatus.py"):
                done = subprocess.run(
                    [sys.executable, str(EXAMPLES / name), f"tcp:{port}:interface=127.0.0.1"],
                    env=environment(),
                    capture_output=True,
                    text=True,
                    timeout=60,
                )
                self.assertEqual(done.returncode, 1, name)
                reason = rf"\ACouldn't listen on 127\.0\.0\.1:{port}: .* in use\.\n\Z"
                self.assertRegex(done.stderr, reason, name)

    def test_tests(self) -> None:
        """
        The example of a test passes as it is run in the prose, from its folder, and
        leaves a clean reactor.
        """
        example = EXAMPLES / "test_greeting.py"
        page = (ROOT / "docs" / "howto" / "testing.rst").read_text()
        command = re.search(r"^    \$ (trial .*greeting.*)$", page, re.MULTILINE)
        assert command is not None
        self.assertIn(f"\n    {command[1]}\n", example.read_text())
        directory = self.directory()
        shutil.copy(example, directory)
        done = subprocess.run(
            # The program itself: "python -m" would look for modules in the folder too.
            [str(Path(sys.executable).with_name("trial")), *shlex.split(command[1])[1:]],
            cwd=directory,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("PASSED (successes=2)", done.stdout)


class HelloTests(ExampleTestCase):
    """
    The server of the tutorial.
    """

    def test_answers(self) -> None:
        """
        A request that is under way is answered, with the hint.
        """
        env = {"HELLO_LISTEN": ANYWHERE}
        server = self.start("--python", str(EXAMPLES / "hello.tac"), env=env)
        client = self.begin(server, b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        heard = client.rest()
        self.assertIn(b"\r\nConnection: close\r\n", heard)
        self.assertIn(b"Hello.\n", heard)
        server.gone()
        self.assertIn("0 idle, 1 finished, 0 aborted", server.report())
        self.assertIn("draining: 1 busy, 0 idle", server.log())

    def test_unit(self) -> None:
        """
        systemd waits for longer than the server's grace period.
        """
        unit = (EXAMPLES / "hello.service").read_text()
        tac = (EXAMPLES / "hello.tac").read_text()
        limit = re.search(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
        grace = re.search(r"gracePeriod=([\d.]+)", tac)
        assert limit is not None and grace is not None
        self.assertGreater(float(limit[1]), float(grace[1]) + 2)


class CommandTests(ExampleTestCase):
    """
    The command.
    """

    def test_help(self) -> None:
        """
        The help that is printed explains every option, with its default.
        """
        done = subprocess.run(
            [sys.executable, "-m", "terminable", "--help"],
            cwd=self.directory(),
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )
        for option in [*Options.optParameters, *Options.optFlags, ["port"]]:
            self.assertIn(f"--{option[0]}", done.stdout)
        for default in (Schedule().gracePeriod, Schedule().idleGrace, 8080):
            self.assertIn(f"[default: {default:g}]", " ".join(done.stdout.split()))

    def test_firstRun(self) -> None:
        """
        What the README shows of a first run is what is printed.
        """
        server = self.start("terminable", "--port", ANYWHERE)
        client = self.begin(server, b"GET /slow?seconds=3 HTTP/1.1\r\nHost: here\r\n\r\n")
        answer = client.rest()
        server.gone()
        text = README.read_text().partition("A first run\n")[2].partition("Three doors\n")[0]
        shown = [line.strip() for line in text.splitlines() if line.startswith("    ")]
        printed = [line.partition("] ")[2] for line in server.log().splitlines()]
        heard = [shape(line) for line in answer.decode().splitlines()]
        shapes = [shape(line) for line in printed]
        for line in filter(None, shown):
            if not line.startswith("$"):
                self.assertIn(shape(line), heard + shapes)
