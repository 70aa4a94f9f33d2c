"""
The settings of a spool, checked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from terminable.errors import InvalidOption
from terminable.policy import rates, schedule
from terminable.spool.pace import Doubling

#: How long done items are remembered at least, in seconds: the rate of the last minute is
#: counted from them.
REMEMBERED = 60.0


def _whole(option: str, value: object, least: int = 1) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InvalidOption(option, value, f"a whole number, {least} or more")


def _call(option: str, value: object, expected: str) -> None:
    if not callable(value):
        raise InvalidOption(option, value, expected)


@dataclass
class Terms:
    """
    How a spool works; L{terminable.spool.Spool} says what each means.

    @ivar rate: items per second; C{None} for as many as can.
    """

    rate: Any = None
    atOnce: int = 1
    attempts: int = 5
    backoff: Callable[[int], float] = field(default_factory=Doubling)
    timeLimit: float | None = None
    keepDone: float = 86400.0
    most: int | None = 100_000
    gracePeriod: float = 25.0
    deadBlocks: bool = False
    poll: float = 0.5

    def __post_init__(self) -> None:
        """
        @raise InvalidOption: a setting that cannot be meant.
        """
        if self.rate is not None:
            self.rate = rates.rate("rate", self.rate)
        _whole("atOnce", self.atOnce)
        _whole("attempts", self.attempts)
        _call("backoff", self.backoff, "a function from the attempts that failed to seconds")
        if self.timeLimit is not None:
            self.timeLimit = schedule.above("timeLimit", self.timeLimit)
        self.keepDone = schedule.seconds("keepDone", self.keepDone)
        if self.most is not None:
            _whole("most", self.most)
        self.gracePeriod = schedule.seconds("gracePeriod", self.gracePeriod)
        self.poll = schedule.above("poll", self.poll)

    @property
    def remembered(self) -> float:
        """
        For how many seconds done items are kept.
        """
        return max(self.keepDone, REMEMBERED)
