"""
Servers that are followed by others, which nobody here has started: found, and ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sys
import unittest
from pathlib import Path
from typing import Any

from benchmarks.restartprocesses import adoptingOrphans
from tests.live.clients import HOST, Address, Answer
from tests.live.processes import (
    PATIENCE,
    LiveTestCase,
    Server,
    awaitCatching,
    eventually,
    freePort,
)

#: What the old process logs; the number is the successor's.
TOOK_OVER = re.compile(r"upgrade: (\d+) serves now")

#: What is served.
CONTENT = ("--class", "tests.live.upgradable.Root")


def _sessions() -> dict[int, int]:
    """
    The session of each process of this machine that has not ended.
    """
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                # The name of the program, in parentheses, may hold spaces of its own.
                words = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
                if words[0] != "Z":
                    found[int(name)] = int(words[3])
    return found


class Family:
    """
    The processes of a session that we have begun, whoever is the parent of whom.
    """

    def __init__(self, pid: int) -> None:
        """
        @param pid: one of them.
        """
        self._first = pid
        self._session = os.getsid(pid)
        if self._session == os.getsid(0):
            raise RuntimeError("it is a session of its own that is needed")

    def living(self) -> list[int]:
        """
        Those who have not ended, in the order of their numbers.
        """
        return sorted(pid for pid, session in _sessions().items() if session == self._session)

    def send(self, pid: int, number: int) -> None:
        """
        Send a signal.

        @raise RuntimeError: that process is not of this family, or has ended.
        """
        if pid not in self.living():
            raise RuntimeError(f"{pid} is none of our processes")
        awaitCatching(pid, number)
        os.kill(pid, number)

    def awaitEnd(self, pid: int, seconds: float = PATIENCE) -> int | None:
        """
        Wait until a process has ended.

        @return: its exit status, negative for a signal; C{None} if we are not told: somebody
            else is its parent.
        """
        if not eventually(lambda: pid not in self.living(), seconds):
            raise RuntimeError(f"{pid} is still there after {seconds} s")
        if pid == self._first:
            return None
        with contextlib.suppress(ChildProcessError):
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return None

    def end(self) -> None:
        """
        End whoever is left, at once.
        """
        while living := self.living():
            for pid in living:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for pid in living:
                self.awaitEnd(pid)


@unittest.skipUnless(sys.platform.startswith("linux"), "needs to adopt the processes of others")
class UpgradeTestCase(LiveTestCase):
    """
    Starts servers, follows their successors, and ends all of them.
    """

    def setUp(self) -> None:
        stack = contextlib.ExitStack()
        stack.enter_context(adoptingOrphans())
        self.addCleanup(stack.close)

    def follow(self, server: Any) -> Family:
        """
        Those who come of a server.
        """
        family = Family(server.process.pid)
        self.addCleanup(family.end)
        return family

    def begin(self, *arguments: str, **options: Any) -> Server:
        """
        Start a server in a session of its own.
        """
        return self.start(*arguments, start_new_session=True, **options)

    def found(self, address: Address | None = None, *arguments: str) -> tuple[Server, Address]:
        """
        Start C{twistd terminable} with the resource of these tests.
        """
        address = address or Address(port=freePort())
        words = ("--port", address.description, *CONTENT, *arguments)
        server = self.begin("terminable", *words)
        return server, address

    def tac(self, *doors: str, **env: str) -> Server:
        """
        Start a C{.tac} file.

        @param doors: where it listens.
        """
        path = self.directory() / "upgradable.tac"
        path.write_text(
            "from tests.live.upgradable import application\napplication = application()\n"
        )
        settings = {"UPGRADABLE_LISTEN": " ".join(doors), **env}
        return self.begin("--python", str(path), env=settings)

    def took(self, log: Any, count: int = 1) -> int:
        """
        Wait until successors have taken over.

        @param log: a server, or the path of its log.
        @param count: how many, in all.
        @return: the number of the last one.
        """

        def found() -> list[str]:
            text = log.read_text() if isinstance(log, Path) else log.log()
            pids = TOOK_OVER.findall(text)
            return pids if len(pids) >= count else []

        pids = eventually(found)
        if not pids:
            raise AssertionError(log.read_text() if isinstance(log, Path) else log.log())
        return int(pids[count - 1])

    def upgrade(self, family: Family, server: Any, pid: int = 0, count: int = 1) -> int:
        """
        Send the signal, and wait for the successor.

        @param pid: to whom; by default, the first one.
        @return: its number.
        """
        family.send(pid or server.process.pid, signal.SIGUSR2)
        return self.took(server, count)

    def ends(self, family: Family, pid: int, number: int = signal.SIGTERM) -> None:
        """
        End a successor; it was the last.
        """
        family.send(pid, number)
        # C{twistd} ends by the signal that it was sent; only a child tells us.
        self.assertIn(family.awaitEnd(pid), (-number, None))
        self.assertEqual(family.living(), [])

    def who(self, address: Address) -> int:
        """
        Who answers.
        """
        peer = address.connect()
        try:
            return int(peer.get("/who").body)
        finally:
            peer.close()

    def ask(self, address: Address, **settings: Any) -> Answer:
        """
        Upgrade by the API.

        @return: the number of the successor, or why there is none.
        """
        peer = address.connect()
        self.addCleanup(peer.close)
        peer.sock.settimeout(PATIENCE)
        peer.ask("/ask", "POST", body=json.dumps(settings).encode())
        return peer.answer()

    def tcp(self) -> Address:
        """
        A free port.
        """
        return Address(port=freePort(), host=HOST)
