"""
What is done to the server that is never restarted, and to the one that it passes connections to.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

from tests.live.processes import environment
from tests.soak.door import ask
from tests.soak.driver import Driver
from tests.soak.journal import GRACE, whileAway
from tests.soak.leaks import Series
from tests.soak.processes import Process
from tests.soak.tree import PATIENCE

#: What there is only as long as there are clients.
CONNECTED = {
    "Connection",
    "HTTPChannel",
    "BufferingTLSTransport",
    "TwistedSocket",
    "AutobahnSocket",
    "Lines",
}


class Lasting(Driver):
    """
    The server, and the other one.
    """

    weights: ClassVar[dict[str, int]] = {
        "release": 3,
        "releaseKeeping": 3,
        "suspend": 2,
        "drainSome": 3,
        "passAll": 4,
    }

    def __init__(self, *arguments: Any, directory: Path) -> None:
        """
        @param arguments: see L{Driver}.
        @param directory: where it runs.
        """
        super().__init__(*arguments)
        self.series = Series("steady")
        self._directory = directory
        self._processes: dict[str, Process] = {}

    def _path(self, name: str, kind: str) -> Path:
        return self._directory / f"{name}.{kind}"

    def _start(self, name: str, *ports: str) -> None:
        extra = {
            "SOAK_HEARD": str(self._path("steady", "heard")),
            "MALLOC_TRIM_THRESHOLD_": "131072",
        }
        doors = (str(self._path(name, "sock")), str(self._path(name, "takes")))
        for door in doors:
            Path(door).unlink(missing_ok=True)
        with open(self._path(name, "log"), "ab") as log:
            started = subprocess.Popen(
                [sys.executable, "-m", "tests.soak.steady", *doors, *ports],
                cwd=self._directory,
                env=environment(extra),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._processes[name] = Process(started.pid)
        # We reap it ourselves.
        started.returncode = 0

    def _ask(self, name: str, do: str, **words: Any) -> Any:
        return ask(self._path(name, "sock"), do, **words)

    def _eventually(self, condition: Any, what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                if condition():
                    return
            except OSError:
                # There is no door yet.
                pass
            if time.monotonic() > deadline:
                raise RuntimeError(f"not within {PATIENCE:g} s: {what}")
            time.sleep(0.1)

    def begin(self) -> None:
        line = str(self.target.lines)
        pem = str(self._directory / "localhost.pem")
        self._start("steady", line, str(self.target.plain), str(self.target.secure), pem)
        self._start("taker", line)
        for name in self._processes:
            self._eventually(lambda it=name: self._ask(it, "status"), f"{name} serves")

    def again(self) -> None:
        # Both go on, whatever has happened.
        self._ask("steady", "status")

    def end(self) -> None:
        self.findings.window(self.target.name, whileAway)
        for name, process in self._processes.items():
            process.told = time.monotonic()
            self._ask(name, "stop")
        for name, process in self._processes.items():
            status = process.awaitEnd(GRACE + PATIENCE)
            if status != 0:
                self.findings.finding(self.target.name, f"{name} has ended with {status}")

    def measure(self) -> None:
        """
        Both have no connections: what one holds then is what it always holds.
        """
        self.target.resting.set()
        try:
            self._eventually(lambda: self.target.connected == 0, "all clients have left")
            self._eventually(lambda: not self._connected(), "there are no connections")
            assert self.series is not None
            counts = self._ask("steady", "counts")
            self.series.add(self.operations, counts)
            self.findings.write(self.target.name, "measured", **counts)
        finally:
            self.target.resting.clear()

    def _connected(self) -> list[str]:
        """
        What there is of connections in both.
        """
        counts = (self._ask(name, "counts")["kinds"] for name in self._processes)
        return [kind for kinds in counts for kind in kinds if kind in CONNECTED]

    # -- operations

    def release(self) -> None:
        """
        Release the ports, and listen again; those who were there drain.
        """
        window = self.findings.window(self.target.name, whileAway)
        told = self._ask("steady", "release", keep=False)
        # The clock is the same for all processes.
        window.ended = told["listening"]
        self.findings.checkReport(self.target.name, told)

    def releaseKeeping(self) -> None:
        """
        The same; the sockets stay open, and nobody is refused.
        """
        self.findings.checkReport(self.target.name, self._ask("steady", "release", keep=True))

    def suspend(self) -> None:
        """
        The ports go away for a while.
        """
        window = self.findings.window(self.target.name, whileAway)
        told = self._ask("steady", "suspend", seconds=self.random.uniform(0.0, 1.0))
        window.ended = told["listening"]

    def drainSome(self) -> None:
        """
        End some of the connections, chosen in one of the ways that there are.
        """
        choices: list[dict[str, Any]] = [
            {"percent": self.random.choice((10, 50, 100))},
            {"olderThan": self.random.uniform(0.5, 3.0)},
            {"peer": "127.0.0.0/8"},
            {"port": self.target.plain, "percent": 50},
        ]
        name = self.random.choice(("steady", "taker"))
        self.findings.checkReport(
            self.target.name, self._ask(name, "drain", **self.random.choice(choices))
        )

    def passAll(self) -> None:
        """
        Pass connections to the other process, and what is still there after a while back.
        """
        for name, other in (("steady", "taker"), ("taker", "steady")):
            path = str(self._path(other, "takes"))
            moved = self._ask(name, "give", path=path, until=self.random.uniform(0.1, 3.0))
            self.findings.write(self.target.name, f"from {name}", **moved)
            time.sleep(self.random.uniform(0.0, 2.0))
