"""
What is done to the servers of C{twistd terminable}.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Any, ClassVar

from tests.soak.driver import Driver
from tests.soak.journal import Force, whileAway
from tests.soak.leaks import Series
from tests.soak.processes import Process, parentOf
from tests.soak.tree import PATIENCE, Tree

#: What the old process logs when its successor has taken over, and what else.
TOOK_OVER, FAILED = r"upgrade: (\d+) serves now", r"upgrade failed"

#: What the process above workers logs when all were replaced, and what else.
ROLLED, NOT_ROLLED = r"rolling restart: done", r"rolling restart failed"

WORKERS = 2


class Server(Driver):
    """
    A server with C{twistd terminable}.
    """

    content = "tests.soak.serving.web"
    words: tuple[str, ...] = ()

    def __init__(self, *arguments: Any, directory: Path) -> None:
        """
        @param arguments: see L{Driver}.
        @param directory: where it runs.
        """
        super().__init__(*arguments)
        self.tree = Tree(self.findings, self.target, directory, self.content, *self.words)

    def begin(self) -> None:
        self.tree.start()

    def end(self) -> None:
        self.findings.window(self.target.name, whileAway)
        self.tree.terminate()

    def again(self) -> None:
        # Whatever is lost by that has been found already.
        window = self.findings.window(self.target.name, lambda loss: "after a failure")
        with contextlib.suppress(OSError):
            os.killpg(os.getsid(self.tree.first.pid), signal.SIGKILL)
        with contextlib.suppress(OSError, RuntimeError):
            self.tree.first.awaitEnd(PATIENCE)
        self.begin()
        window.ended = time.monotonic()

    def drainSome(self) -> None:
        """
        End some of the connections, chosen in one of the ways that there are.
        """
        choices: list[dict[str, Any]] = [
            {"percent": self.random.choice((10, 50, 100))},
            {"olderThan": self.random.uniform(0.5, 3.0)},
            {"peer": "127.0.0.0/8"},
            {"port": self.target.plain or self.target.lines, "percent": 50},
        ]
        choice = self.random.choice(choices)
        self.findings.write(self.target.name, "choice", **choice)
        self.findings.drained(self.target.name)
        self.tree.order("/drain", **choice)
        time.sleep(self.random.uniform(0.0, 3.0))


class Single(Server):
    """
    One process, which is followed by others.
    """

    weights: ClassVar[dict[str, int]] = {
        "stopAndStart": 3,
        "upgrade": 4,
        "drainSome": 3,
        "suspend": 2,
        "abort": 1,
    }

    def begin(self) -> None:
        self.tree.start(
            *["--invisible"] * self.random.randrange(2), failing=bool(self.random.randrange(2))
        )

    def _startAgain(self, window: Any) -> None:
        time.sleep(self.random.uniform(0.0, 1.0))
        self.begin()
        window.ended = time.monotonic()

    def stopAndStart(self) -> None:
        """
        A polite stop, and a fresh start.
        """
        window = self.findings.window(self.target.name, whileAway)
        first = self.tree.first
        if self.random.randrange(3):
            self.tree.terminate(self.random.choice((signal.SIGTERM, signal.SIGINT)))
        else:
            first.told = time.monotonic()
            self.tree.order("/terminate")
            self.tree.ended(first, 0)
        self._startAgain(window)

    def upgrade(self) -> None:
        """
        An upgrade, visible or not.
        """
        old = self.tree.first
        if self.random.randrange(3):
            old.send(signal.SIGUSR2)
        else:
            self.tree.order("/upgrade")
        self.tree.first = Process(int(self.tree.awaitLine(TOOK_OVER, FAILED)))
        # From then on it drains, after it has passed on what it can for ten seconds.
        old.told = time.monotonic() + 10.0
        self.tree.ended(old, 0)
        self.tree.awaitReady()

    def suspend(self) -> None:
        """
        The ports go away for a while.
        """
        window = self.findings.window(self.target.name, whileAway)
        self.tree.order("/suspend")
        time.sleep(self.random.uniform(0.0, 1.0))
        self.tree.order("/resume")
        window.ended = time.monotonic()

    def abort(self) -> None:
        """
        The end at once, by a second signal or the door.
        """
        away = self.findings.window(self.target.name, whileAway)
        first = self.tree.first
        number = int(signal.SIGTERM) * self.random.randrange(2)
        if number:
            first.send(number)
            time.sleep(0.3)
        force = Force(time.monotonic(), set())
        self.findings.window(self.target.name, force)
        if number:
            # It may have ended by itself meanwhile.
            with contextlib.suppress(ProcessLookupError):
                first.send(number)
        else:
            first.told = time.monotonic()
            self.tree.order("/abort")
        report = self.tree.ended(first, number, forced=True)
        force.named = {entry["peer"] for entry in report["entries"]}
        force.ended = time.monotonic()
        self._startAgain(away)


class Web(Single):
    """
    HTTP and WebSockets.
    """


class Lines(Single):
    """
    Lines.
    """

    content = "tests.soak.serving.lines"


class Pool(Server):
    """
    Workers; the process above them stays.
    """

    weights: ClassVar[dict[str, int]] = {"roll": 4, "crash": 2, "drainSome": 2, "resize": 1}
    words = ("--workers", str(WORKERS))

    def __init__(self, *arguments: Any, directory: Path) -> None:
        super().__init__(*arguments, directory=directory)
        self.series = Series("above workers")

    def _calm(self) -> None:
        def calm() -> bool:
            rows = self.tree.status().get("workers", [])
            return len(rows) == WORKERS and all(row["state"] == "serving" for row in rows)

        self.tree.eventually(calm, "all workers serve, and no others are left")

    def begin(self) -> None:
        super().begin()
        self._calm()

    def measure(self) -> None:
        """
        The process above holds no connections of clients.
        """
        self._calm()
        assert self.series is not None
        counts = self.tree.counts()
        self.series.add(self.operations, counts)
        self.findings.write(self.target.name, "measured", **counts)

    def roll(self) -> None:
        """
        A rolling restart.
        """
        if self.random.randrange(3):
            self.tree.first.send(signal.SIGHUP)
        else:
            self.tree.order("/restart")
        self.tree.awaitLine(ROLLED, NOT_ROLLED)
        self._calm()

    def crash(self) -> None:
        """
        A worker is ended by force.
        """
        worker = self.random.choice(self.tree.status()["workers"])["pid"]
        if parentOf(worker) != self.tree.first.pid:
            raise RuntimeError(f"{worker} is none of our workers")
        force = Force(time.monotonic(), pid=worker)
        self.findings.window(self.target.name, force)
        os.kill(worker, signal.SIGKILL)
        self.tree.awaitLine(rf"worker {worker} ended")
        force.ended = time.monotonic()
        self._calm()

    def resize(self) -> None:
        """
        One worker more, and one less.
        """
        self.tree.first.send(signal.SIGTTIN)
        self.tree.awaitLine(r"worker (\d+) is ready")
        self.tree.first.send(signal.SIGTTOU)
        self._calm()
