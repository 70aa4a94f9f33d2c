"""
One soak: servers, their load, what is done to them, and what came of it.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tests.live.certificates import selfSigned
from tests.live.processes import freePort
from tests.soak import clients, operations, talkers
from tests.soak.driver import Driver
from tests.soak.hostile import Hostile
from tests.soak.journal import GRACE, Findings
from tests.soak.lasting import Lasting
from tests.soak.leaks import MIB, Series
from tests.soak.load import Load, Target
from tests.soak.tree import PATIENCE

#: Seconds between two lines.
LINE = 30.0

#: The names of the servers.
SERVERS = ("web", "lines", "pool", "steady")

#: Clients of the web, and whether each speaks TLS.
WEB: list[tuple[Callable[..., Any], bool]] = [
    (clients.Bursts, False),
    (clients.Bursts, True),
    (clients.Pausing, False),
    (clients.Pausing, False),
    (clients.Pausing, True),
    (clients.Fresh, False),
    (clients.Fresh, True),
    (clients.Pipelining, False),
    (clients.Download, False),
    (clients.Download, True),
    (clients.Upload, False),
    (clients.Upload, True),
    (talkers.TwistedSocket, False),
    (talkers.TwistedSocket, True),
    (talkers.AutobahnSocket, False),
    (talkers.AutobahnSocket, True),
]

#: Clients that speak lines.
LINES: list[tuple[Callable[..., Any], bool]] = [(talkers.Lines, False)] * 3


class Course:
    """
    The soak.

    @ivar findings: what should not have happened.
    """

    def __init__(self, seed: int, directory: Path, servers: Iterable[str] = SERVERS) -> None:
        """
        @param seed: what all choices come from.
        @param directory: for everything that is written.
        @param servers: which of L{SERVERS} there are.
        """
        self.seed, self.directory = seed, directory
        self.findings = Findings(directory)
        self.load = Load(self.findings, f"{seed}")
        self.hostile = Hostile(f"{seed}")
        self._began = time.monotonic()
        (directory / "localhost.pem").write_bytes(selfSigned())
        self.drivers = [self._driver(name) for name in SERVERS if name in set(servers)]

    def _driver(self, name: str) -> Driver:
        target = Target(name)
        if name != "lines":
            target.plain, target.secure = freePort(), freePort()
        if name in ("lines", "steady"):
            target.lines = freePort()
        kinds: dict[str, Callable[..., Driver]] = {
            "web": operations.Web,
            "lines": operations.Lines,
            "pool": operations.Pool,
            "steady": Lasting,
        }
        seed = f"{self.seed}"
        return kinds[name](self.findings, self.load, target, seed, directory=self.directory)

    # -- its course

    def run(self, seconds: float) -> None:
        """
        All of it.

        @param seconds: for how long something is done to the servers, from the time when all
            serve.
        """
        for driver in self.drivers:
            driver.start()
        self.load.start()
        self.hostile.start()
        for driver in self.drivers:
            driver.serving.wait()
            self._burden(driver.target)
        until = time.monotonic() + seconds
        self._watch(until)
        for driver in self.drivers:
            driver.over.set()
        self._finish()

    def _burden(self, target: Target) -> None:
        kinds = (WEB if target.plain else []) + (LINES if target.lines else [])
        self.load.add(target, kinds)
        self.hostile.add(target)

    def _watch(self, until: float) -> None:
        """
        Say a line now and then.
        """
        line = time.monotonic() + LINE
        while (now := time.monotonic()) < until and any(each.is_alive() for each in self.drivers):
            if self.load.problem is not None:
                break
            if now >= line:
                print(self.line(), flush=True)
                line += LINE
            time.sleep(max(0.0, min(0.2, until - now)))

    def _finish(self) -> None:
        for driver in self.drivers:
            driver.join(2 * PATIENCE + GRACE)
            if driver.is_alive():
                self.findings.finding(driver.target.name, "it does not come to an end")
        self.hostile.stop()
        self.load.stop()
        for driver in self.drivers:
            self.findings.settle(driver.target.name)
            if driver.series is not None:
                for text in driver.series.findings():
                    self.findings.finding(driver.target.name, text)
            self._heard(driver.target.name)

    def _heard(self, name: str) -> None:
        """
        No request was done twice, and none whose client was told to ask elsewhere.
        """
        path = self.directory / f"{name}.heard"
        if not path.exists():
            return
        heard = Counter(int(line) for line in path.read_text().splitlines())
        twice = [number for number, count in heard.items() if count > 1]
        if twice:
            text = f"{len(twice)} requests were done twice, {twice[:5]} among them"
            self.findings.finding(name, text)
        self.findings.lost["doubled"] += len(twice)
        if ignored := sorted(self.load.unheard & heard.keys()):
            text = f"{len(ignored)} requests were done and not answered: {ignored[:5]}"
            self.findings.finding(name, text)

    def cut(self) -> None:
        """
        Do no more; whoever has been started is about to be ended.
        """
        self.findings.cut = True
        for driver in self.drivers:
            driver.over.set()
        self.load.stopping = True

    # -- what it has come to

    def series(self) -> list[Series]:
        """
        What long-lived processes hold, as far as it was measured.
        """
        all_ = (driver.series for driver in self.drivers)
        return [series for series in all_ if series is not None and series.samples]

    def line(self) -> str:
        """
        How it stands.
        """
        lost = self.findings.lost
        passed = time.monotonic() - self._began
        words = [
            f"{passed:6.0f} s: {self.findings.operations.total()} operations",
            f"{self.load.total('requests')} requests",
            f"{self.load.total('answered')} answered",
            *(f"{lost[what]} {what}" for what in ("lost", "refused", "doubled")),
        ]
        for series in self.series():
            last = series.samples[-1][1]
            words.append(
                f"{series.name}: {last['fds']} fds, {last['memory'] / MIB:.1f} MiB, "
                f"{last['delayed']} delayed calls, {last['objects']} objects"
            )
        return ", ".join(words)

    def table(self) -> str:
        """
        All that is to be known in the end.
        """
        lines = ["", f"{'operations':<34}{'times':>8}"]
        lines += [
            f"{f'{server}: {name}':<34}{count:>8}"
            for (server, name), count in sorted(self.findings.operations.items())
        ]
        columns = ("connections", "requests", "answered", "told", "unheard", "lost", "refused")
        lines += ["", f"{'clients':<34}" + "".join(f"{what:>13}" for what in columns)]
        counts = self.load.counts
        for kind in sorted({kind for kind, _ in counts}):
            lines.append(f"{kind:<34}" + "".join(f"{counts[kind, what]:>13}" for what in columns))
        lines.append(f"{'hostile':<34}{self.hostile.begun:>13}")
        lines += ["", f"{'to be expected':<60}{'times':>8}"]
        lines += [
            f"{f'{what}: {why}':<60}{count:>8}"
            for (what, why), count in sorted(self.findings.excused.items())
        ]
        if self.series():
            lines += ["", Series.head(), *(series.row() for series in self.series())]
        lines += ["", f"{len(self.findings.found)} findings"]
        return "\n".join(lines + self.findings.found)


def seedOf(given: int | None) -> int:
    """
    The seed that was given, or one that can be.
    """
    return random.SystemRandom().randrange(1_000_000) if given is None else given
