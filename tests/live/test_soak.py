"""
C{python -m tests.soak}, for a moment.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import unittest
from pathlib import Path

from tests.live.processes import PATIENCE, LiveTestCase, Server, eventually

#: Seconds until everything that was started has ended in order, on a busy machine.
LONG = 120.0


def isThere(pid: int) -> bool:
    """
    Whether there is such a process.
    """
    return Path(f"/proc/{pid}").exists()


@unittest.skipUnless(sys.platform.startswith("linux"), "needs to adopt the processes of others")
class SoakTests(LiveTestCase):
    """
    The program.
    """

    def soak(self, minutes: float, *arguments: str) -> tuple[Server, Path]:
        """
        Start one.

        @return: it, and the directory of its servers.
        """
        directory = self.directory() / "soaked"
        words = (sys.executable, "-m", "tests.soak", "--minutes", f"{minutes}", "--seed", "1")
        given = ("--directory", str(directory), *arguments)
        return self.launch(*given, program=words), directory

    def server(self, directory: Path) -> int:
        """
        @return: the number of the first process of a server, to which something is done already.
        """
        log = directory / "operations.log"
        self.assertTrue(eventually(lambda: log.exists() and log.read_text()))
        return min(int(path.stem) for path in directory.glob("[0-9]*.sock"))

    def test_nothingIsFound(self) -> None:
        """
        All servers are loaded, something is done to them, and nothing is lost.
        """
        soak, _ = self.soak(0.05)
        soak.gone(LONG)
        log = soak.log()
        self.assertEqual(soak.status, 0, log)
        self.assertIn("seed 1,", log)
        self.assertIn("\n0 findings\n", log)
        for server in ("web", "lines", "pool", "steady"):
            self.assertRegex(log, rf"\n{server}: end +1\n")
        self.assertRegex(log, r" [1-9]\d* answered, 0 lost, 0 refused, 0 doubled")

    def test_somethingIsFound(self) -> None:
        """
        A server that ends in the middle of it is a finding, told with all that is needed to
        repeat it.
        """
        soak, directory = self.soak(0.02, "--only", "lines")
        pid = self.server(directory)
        os.kill(pid, signal.SIGKILL)
        soak.gone(LONG)
        log = soak.log()
        self.assertEqual(soak.status, 1, log)
        self.assertRegex(log, r"\n! .* s, lines: ")
        self.assertIn(f"--seed 1 --minutes 0.02 --only lines; logs: {directory}\n", log)
        self.assertIn("FINDING", (directory / "operations.log").read_text())

    def test_interrupted(self) -> None:
        """
        At ^C it ends, and so does all that it has started.
        """
        soak, directory = self.soak(5.0, "--only", "pool")
        self.server(directory)
        soak.send(signal.SIGINT)
        soak.gone(PATIENCE)
        self.assertEqual(soak.status, 130, soak.log())
        there = [int(path.stem) for path in directory.glob("[0-9]*.sock")]
        self.assertEqual([pid for pid in there if isThere(pid)], [])

    def test_unknownServer(self) -> None:
        """
        One that is not there is refused in one line.
        """
        words = [sys.executable, "-m", "tests.soak", "--only", "web,mail"]
        said = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual(said.returncode, 2)
        self.assertIn("--only mail: expected some of web, lines, pool, steady", said.stderr)
