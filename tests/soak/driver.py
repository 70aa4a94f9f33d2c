"""
What does something to a server, again and again.
"""

from __future__ import annotations

import random
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any, ClassVar

from tests.soak.journal import Findings
from tests.soak.leaks import Series
from tests.soak.load import Load, Target

#: Seconds between two operations, at least and at most.
BETWEEN = (0.3, 2.0)

#: Seconds until clients have noticed what has become of their connections.
NOTICED = 1.0

#: Seconds between two times that something is measured.
MEASURE = 20.0

#: How many failures of operations are too many.
ENOUGH = 5


class Driver(threading.Thread):
    """
    One server, and what is done to it at random.

    @cvar weights: the names of methods, and how often each is chosen.
    @ivar series: what its long-lived process holds; C{None} if it has none.
    @ivar operations: how many there were.
    @ivar serving: set when its server serves for the first time.
    """

    weights: ClassVar[dict[str, int]]
    series: Series | None = None

    def __init__(self, findings: Findings, load: Load, target: Target, seed: str) -> None:
        """
        @param seed: what the choices come from.
        """
        super().__init__(daemon=True, name=target.name)
        self.findings, self.load, self.target = findings, load, target
        self.random = random.Random(f"{seed} {target.name}")
        self.operations = 0
        self.serving = threading.Event()
        self.over = threading.Event()
        self._measured = 0.0

    def run(self) -> None:
        """
        Start the server, and go on until L{over}, which ends it.
        """
        failures = 0
        try:
            self.begin()
            self.serving.set()
            while not self.over.is_set() and failures < ENOUGH:
                failures += not self._once()
            self._last()
        except Exception as problem:
            self.fail("it cannot be gone on with", problem)
        self.serving.set()

    def begin(self) -> None:
        """
        Start the server.
        """
        raise NotImplementedError

    def end(self) -> None:
        """
        End the server in order.
        """
        raise NotImplementedError

    def again(self) -> None:
        """
        After something has failed: end the server by force, and start it again.
        """
        raise NotImplementedError

    def measure(self) -> None:
        """
        Measure its long-lived process.
        """

    def chosen(self) -> Callable[[], Any]:
        """
        What to do next.
        """
        [name] = self.random.choices(list(self.weights), list(self.weights.values()))
        work: Callable[[], Any] = getattr(self, name)
        return work

    def _once(self) -> bool:
        work = self.chosen()
        self.operations += 1
        self.findings.began(self.target.name, work.__name__)
        done = self._try(work)
        self.over.wait(NOTICED + self.random.uniform(*BETWEEN))
        self.findings.settle(self.target.name)
        if done and time.monotonic() > self._measured + MEASURE:
            done = self._try(self.measure)
            self._measured = time.monotonic()
        return done

    def _try(self, work: Callable[[], Any]) -> bool:
        try:
            work()
        except Exception as problem:
            self.fail(f"{work.__name__} has failed", problem)
            if not self.findings.cut:
                self.again()
            return False
        return True

    def _last(self) -> None:
        if self._try(self.measure):
            self.findings.began(self.target.name, "end")
            self.end()

    def fail(self, text: str, problem: Exception) -> None:
        """
        An exception was raised.
        """
        why = traceback.format_exc()
        self.findings.finding(self.target.name, f"{text}: {problem!r:.200}", traceback=why)
