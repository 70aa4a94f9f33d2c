"""
Whether a process that lives long holds more and more.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

MIB = 1024 * 1024


@dataclass(frozen=True)
class Bound:
    """
    How much more may be held.

    @ivar each: after 1,000 operations.
    @ivar more: in any case: what comes and goes.
    @ivar unit: what it is counted in.
    """

    each: float
    more: float
    unit: float = 1.0


#: What is in use of the heap must not grow; the pages that the process has do by some more, as
#: the heap is divided into smaller and smaller pieces, with Twisted alone as well.
BOUNDS = {
    "fds": Bound(5, 3),
    "memory": Bound(24 * MIB, 6 * MIB, MIB),
    "heap": Bound(12 * MIB, 4 * MIB, MIB),
    "delayed": Bound(5, 3),
    "objects": Bound(10, 5),
}

#: How many samples are left out: caches fill, modules are imported, code is warmed up.
WARM_UP = 2

#: From how many samples on something is concluded.
ENOUGH = 4


def slope(points: list[tuple[float, float]]) -> float:
    """
    How steep a line through points is: the median of the slopes between all pairs, which no
    single point can tilt.
    """
    steps = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(points, 2) if a[0] != b[0]]
    return statistics.median(steps) if steps else 0.0


@dataclass
class Series:
    """
    What one process has held, again and again.

    @ivar name: of the process.
    @ivar samples: each with the number of operations until then.
    """

    name: str
    samples: list[tuple[int, dict[str, Any]]] = field(default_factory=list)

    def add(self, operations: int, sample: dict[str, Any]) -> None:
        """
        One more.
        """
        self.samples.append((operations, sample))

    def points(self, what: str) -> list[tuple[float, float]]:
        """
        Those that count, of one thing.
        """
        return [(float(count), float(sample[what])) for count, sample in self.samples[WARM_UP:]]

    def growth(self, what: str) -> float:
        """
        By how much one thing grows in 1,000 operations.
        """
        return 1000 * slope(self.points(what))

    def findings(self) -> list[str]:
        """
        What grows without bounds.
        """
        return [text for what in BOUNDS if (text := self._finding(what))]

    def _finding(self, what: str) -> str:
        points, bound = self.points(what), BOUNDS[what]
        if len(points) < ENOUGH:
            return ""
        operations = points[-1][0] - points[0][0]
        grown = slope(points) * operations
        if grown <= bound.more + bound.each * operations / 1000:
            return ""
        first, last = (self.samples[place][1].get("kinds") for place in (WARM_UP, -1))
        return (
            f"{self.name}: {what} has grown by {grown / bound.unit:.1f} in {operations:.0f} "
            f"operations; {first} became {last}"
        )

    def row(self) -> str:
        """
        A line of a table: first, last and growth of each.
        """
        cells = []
        for what, bound in BOUNDS.items():
            first, last = (self.samples[place][1][what] / bound.unit for place in (0, -1))
            cells.append(f"{first:8.1f} {last:8.1f} {self.growth(what) / bound.unit:8.1f}")
        return f"{self.name:<14}{len(self.samples):>8}  " + "  ".join(cells)

    @staticmethod
    def head() -> str:
        """
        What stands above such lines.
        """
        cells = (f"{what:>10} first/last/per 1,000"[:26].ljust(26) for what in BOUNDS)
        return f"{'held by':<14}{'samples':>8}  " + "  ".join(cells)
