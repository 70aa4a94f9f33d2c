"""
A server in a process of its own is exchanged for another one, and no client notices.

    pytest test_restart.py
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from terminable.testing import assertNothingDropped

COMMAND = [
    str(Path(sys.executable).with_name("twistd")),
    *("-n", "--pidfile=", "terminable", "--port", "tcp:0:interface=127.0.0.1"),
]


class Shop:
    """
    A process and its log.
    """

    def __init__(self, directory: Path) -> None:
        self.log = directory / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(COMMAND, cwd=directory, stdout=log, stderr=log)
        self.port = int(self.awaitLine(r"starting on (\d+)"))
        self.successor = 0

    def awaitLine(self, pattern: str) -> str:
        """
        What stands in the log, as soon as it does.
        """
        deadline = time.monotonic() + 30
        while not (found := re.search(pattern, self.log.read_text())):
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)
        return found[1]

    def upgrade(self) -> None:
        """
        Have a successor take over; this is over when the first process is gone.
        """
        self.awaitLine("(Starting factory)")
        self.process.send_signal(signal.SIGUSR2)
        self.successor = int(self.awaitLine(r"upgrade: (\d+) serves now"))
        self.process.wait(30)

    def end(self) -> None:
        """
        Leave no process behind.
        """
        if self.successor:
            os.kill(self.successor, signal.SIGTERM)
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    it = Shop(tmp_path)
    yield it
    it.end()


def test_upgrade(shop: Shop) -> None:
    assertNothingDropped(("127.0.0.1", shop.port), shop.upgrade)
