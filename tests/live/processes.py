"""
Servers in processes of their own: started, awaited, told to stop, cleaned up.

A process that a test has started is ended when the test is over, and no other
process is ever touched.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.live.certificates import selfSigned
from tests.live.clients import HOST, Address

ROOT = Path(__file__).resolve().parents[2]

#: C{twistd}, whatever the environment thinks of ^C: a shell starts what it puts into
#: the background with SIGINT ignored, and Twisted leaves it so.
TWISTD = (
    sys.executable,
    "-c",
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from twisted.scripts.twistd import run; run()",
    "--nodaemon",
    "--pidfile=",
)

#: Seconds for what takes a moment; only a failing test waits for so long.
PATIENCE = 30.0

#: What a busy machine may add, in seconds, to a time that is promised.  What would happen
#: instead takes longer.
SLACK = 3.0


def freePort() -> int:
    """
    A TCP port on which nobody listens, out of a range from which the kernel gives
    none to clients.
    """
    while True:
        # Whoever seeds the generator that all share has others choose the same ports.
        port = random.SystemRandom().randrange(15000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port


def eventually(condition: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """
    What C{condition} returns as soon as that is true; its last result if it never is.
    """
    deadline = time.monotonic() + patience
    while not (result := condition()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return result


def heard(port: int) -> bool:
    """
    Wait until the process that serves a local port has read all that its clients have sent.

    @return: whether it has.
    """

    def read() -> bool:
        rows = (row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:])
        held = 0
        for _, local, remote, state, sizes, *_ in rows:
            unsent, unread = (int(size, 16) for size in sizes.split(":"))
            if state == "01":
                held += unread * local.endswith(f":{port:04X}")
                held += unsent * remote.endswith(f":{port:04X}")
        return not held

    return bool(eventually(read))


def environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """
    The environment of a process that finds this source tree.
    """
    path = filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path),
        "PYTHONUNBUFFERED": "1",
        **(extra or {}),
    }


def catches(pid: int, number: int) -> bool:
    """
    Whether a process has a function of its own for a signal.

    @raise OSError: there is no such process, or nowhere to look.
    """
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    caught = next((line.split()[1] for line in lines if line.startswith("SigCgt")), "0")
    return bool(int(caught, 16) & 1 << (number - 1))


def awaitCatching(pid: int, number: int) -> None:
    """
    Return when a process does something at a signal, or after a while: some are caught when
    the reactor runs already.
    """
    if number not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT, 0):
        with contextlib.suppress(OSError):
            eventually(lambda: catches(pid, number), 2.0)


class Server:
    """
    One running server.

    @ivar status: its exit status, negative for a signal; C{None} while it runs.
    """

    status: int | None = None

    def __init__(
        self, command: Sequence[str], directory: Path, env: dict[str, str] | None, **options: Any
    ) -> None:
        """
        @param directory: where it runs, and logs.
        @param options: for C{Popen}.
        """
        handle, name = tempfile.mkstemp(suffix=".log", dir=directory)
        self._log = Path(name)
        settings = {"stdout": handle, "stderr": subprocess.STDOUT, **options}
        self.process = subprocess.Popen(
            command, cwd=directory, env=environment(env), stdin=subprocess.DEVNULL, **settings
        )
        os.close(handle)
        self._told = self._gone = time.monotonic()
        self._waiter = threading.Thread(target=self._wait, daemon=True)
        self._waiter.start()

    def _wait(self) -> None:
        status = self.process.wait()
        self._gone = time.monotonic()
        self.status = status

    def awaitReady(self) -> Server:
        """
        Return when its reactor runs: services have been started, and signals are
        handled.
        """
        if not eventually(lambda: self.status is not None or self._handlesSignals()):
            raise AssertionError(f"not ready:\n{self.log()}")
        if self.status is not None:
            raise AssertionError(f"it ended with {self.status}:\n{self.log()}")
        return self

    def _handlesSignals(self) -> bool:
        try:
            return catches(self.process.pid, signal.SIGTERM)
        except OSError:
            # No such file system: what comes last before the reactor runs is logged.
            return "starting on" in self.log().partition("starting up")[2]

    def log(self) -> str:
        """
        What it has written.
        """
        return self._log.read_text(errors="replace")

    def awaitLog(self, text: str) -> str:
        """
        Return the log when C{text} stands in it.
        """
        if not eventually(lambda: text in self.log() or self.status is not None):
            raise AssertionError(f"{text!r} does not appear in\n{self.log()}")
        if text not in (log := self.log()):
            raise AssertionError(f"{text!r} is not in\n{log}")
        return log

    def report(self) -> str:
        """
        The line in which the stop is summed up.
        """
        lines = [line for line in self.log().splitlines() if "terminated: " in line]
        if len(lines) != 1:
            raise AssertionError(f"one report was expected:\n{self.log()}")
        return lines[0].partition("terminated: ")[2]

    def send(self, number: int = signal.SIGTERM) -> None:
        """
        Send a signal; times count from here.
        """
        awaitCatching(self.process.pid, number)
        self._told = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(number)

    def terminate(self, number: int = signal.SIGTERM) -> None:
        """
        Ask it to stop, and return when it has begun to.
        """
        self.send(number)
        self.awaitLog("shutting down")

    def awaitPortsClosed(self) -> None:
        """
        Return when its ports are closed. Asking them would take a second: while a port
        closes, the kernel may be told to ignore new connections.
        """
        if not eventually(lambda: " Closed)" in self.log().partition("shutting down")[2]):
            raise AssertionError(f"its ports are still open:\n{self.log()}")

    def gone(self, patience: float = PATIENCE) -> float:
        """
        Wait until the process is gone.

        @return: how many seconds after the last signal that was.
        """
        self._waiter.join(patience)
        if self._waiter.is_alive():
            raise AssertionError(f"still there after {patience} s:\n{self.log()}")
        return self._gone - self._told

    def cleanUp(self) -> None:
        """
        Leave nothing behind.
        """
        if self._waiter.is_alive():
            self.process.kill()
        self._waiter.join(PATIENCE)


class LiveTestCase(SynchronousTestCase):
    """
    Starts servers, and ends them.
    """

    def directory(self) -> Path:
        """
        A directory of the test's own.
        """
        path = Path(tempfile.mkdtemp(prefix="live-"))
        self.addCleanup(shutil.rmtree, path, ignore_errors=True)
        return path

    def certificate(self) -> Path:
        """
        A file with a key and a certificate for C{localhost}.
        """
        path = self.directory() / "localhost.pem"
        path.write_bytes(selfSigned())
        return path

    def launch(
        self,
        *arguments: str,
        program: Sequence[str] = TWISTD,
        env: dict[str, str] | None = None,
        **options: Any,
    ) -> Server:
        """
        Start a server, and do not wait for it.
        """
        server = Server([*program, *arguments], self.directory(), env, **options)
        self.addCleanup(server.cleanUp)
        return server

    def start(self, *arguments: str, **options: Any) -> Server:
        """
        Start a server, and wait until it serves.
        """
        return self.launch(*arguments, **options).awaitReady()

    def serve(self, *arguments: str, **options: Any) -> tuple[Server, Address]:
        """
        Start C{twistd terminable} on one plain port with the resource of these tests.
        """
        address = Address(port=freePort())
        content = ("--class", "tests.live.resources.Root")
        server = self.start(
            "terminable", "--port", address.description, *content, *arguments, **options
        )
        return server, address

    def assertBetween(self, least: float, value: float, most: float, log: str = "") -> None:
        """
        A time lies within its bounds, the upper one extended by L{SLACK}.
        """
        self.assertGreaterEqual(value, least, log)
        self.assertLessEqual(value, most + SLACK, log)
