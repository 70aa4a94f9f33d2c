"""
When the next item may begin, and when one that failed is tried again.  Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from terminable.policy.schedule import seconds

#: What is no time at all, in seconds: sums of fractions are a little wrong.
_NOTHING = 1e-9


class Pace:
    """
    A steady rate: one begins each interval.  One that had to wait for its time and begins a
    little late does not make the next one late; one that comes after a pause has saved
    nothing.
    """

    def __init__(self, rate: float | None) -> None:
        """
        @param rate: how many may begin in a second; C{None} for as many as can.
        """
        self._interval = 0.0 if rate is None else 1.0 / rate
        self._next: float | None = None
        self._planned: float | None = None

    def wait(self, now: float) -> float:
        """
        @return: the seconds until one may begin: 0 if that is now.
        """
        if self._next is None:
            return 0.0
        wait = self._next - now
        if wait > self._interval:
            # The clock was set back.
            self._next, wait = now + self._interval, self._interval
        if wait <= _NOTHING:
            return 0.0
        self._planned = self._next
        return wait

    def rest(self) -> None:
        """
        There is nothing to begin.
        """
        self._planned = None

    def began(self, now: float) -> None:
        """
        One has begun.
        """
        planned, self._planned = self._planned, None
        if planned is None or not 0.0 <= now - planned < self._interval:
            planned = now
        self._next = planned + self._interval


@dataclass(frozen=True)
class Doubling:
    """
    Each wait is twice as long as the one before.

    @ivar first: the first wait, in seconds.
    @ivar longest: no wait is longer.
    """

    first: float = 1.0
    longest: float = 300.0

    def __post_init__(self) -> None:
        """
        @raise InvalidOption: no lengths of time.
        """
        for name in ("first", "longest"):
            object.__setattr__(self, name, seconds(name, getattr(self, name)))

    def __call__(self, attempts: int) -> float:
        """
        @param attempts: how many have failed, 1 or more.
        @return: the seconds until the next one.
        """
        # 2.0 ** 1024 does not exist.
        return min(self.first * 2.0 ** min(attempts - 1, 1000), self.longest)
