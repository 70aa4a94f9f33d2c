"""
Rates, and the buckets that hold to them.

A bucket fills at its rate up to its burst; whoever spends takes out of it, and has to wait
for what is not there.  Nothing here reads a clock: the caller says what time it is.
"""

from __future__ import annotations

import math
import re

from terminable.errors import InvalidOption

#: What may stand behind a number of bytes: powers of 1000 (SI), and of 1024 (IEC 80000-13).
_UNITS = {
    "": 1,
    "k": 10**3,
    "m": 10**6,
    "g": 10**9,
    "ki": 2**10,
    "mi": 2**20,
    "gi": 2**30,
}
_TIMES = {"": 1.0, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}

_AMOUNT = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([kmg]i?)?(b?)", re.IGNORECASE)
_RATE = re.compile(rf"{_AMOUNT.pattern}(?:/(s|min|h|d))?", re.IGNORECASE)

#: One in thirty years, and a thousand times what the fastest networks carry: beyond, the time
#: that somebody would have to wait is no time that a clock can have.
SMALLEST, LARGEST = 1e-9, 1e15

#: How many seconds without too great a wish are calm, however fast a bucket fills: small ones
#: are full again between two wishes.
CALM = 1.0

RATE = "a rate above 0 such as 100/s, 5000/min or 2MB/s"
AMOUNT = "a number above 0 such as 200 or 64kB"


def _number(option: str, value: object, pattern: re.Pattern[str], expected: str) -> float:
    if isinstance(value, str):
        found = pattern.fullmatch(value.strip())
        if found is None:
            raise InvalidOption(option, value, expected)
        digits, unit, _, *time = found.groups()
        number = float(digits) * _UNITS[(unit or "").lower()]
        number /= _TIMES[(time[0] or "").lower()] if time else 1.0
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        # Comparing has no limits, in contrast to making an integer a float.
        number = float(value) if 0 < value <= LARGEST else math.inf
    else:
        raise InvalidOption(option, value, expected)
    if not SMALLEST <= number <= LARGEST:
        raise InvalidOption(option, value, expected)
    return number


def rate(option: str, value: object) -> float:
    """
    Read a rate.

    @param option: how the setting is called, for the error message.
    @param value: a number of units per second, or a text: C{100/s}, C{5000/min}, C{2MB/s},
        C{64KiB/s}.
    @return: units per second.
    @raise InvalidOption: no number, not above 0, or beyond all measure.
    """
    return _number(option, value, _RATE, RATE)


def amount(option: str, value: object) -> float:
    """
    Read an amount: messages or bytes.

    @param value: a number, or a text: C{200}, C{64kB}, C{1MiB}.
    @raise InvalidOption: no number, not above 0, or beyond all measure.
    """
    return _number(option, value, _AMOUNT, AMOUNT)


class Bucket:
    """
    What may be spent: it fills all the time, and holds no more than its burst.

    Within any time, no more is spent than C{burst + rate * time}: what is set aside for
    somebody who has not used it yet still fills the bucket.

    @ivar rate: units per second.
    @ivar burst: what it can hold.
    @ivar level: what was in it at the time C{at}, and set aside for nobody.
    @ivar held: what is set aside.
    @ivar since: since when more was wanted than there was; C{None} if it is calm again: it is
        half full, and nobody has wanted too much in the time in which it half fills, and for
        a second.
    """

    __slots__ = ("_wanted", "at", "burst", "held", "level", "rate", "since")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate = rate
        self.burst = burst
        self.level = burst
        self.held = 0.0
        self.at = now
        self.since: float | None = None
        self._wanted = now

    def fill(self, now: float) -> float:
        """
        @return: what is in it now.
        """
        passed = now - self.at
        if passed > 0.0:
            self.level = level = self.level + passed * self.rate
            if level > self.burst - self.held:
                self.level = self.burst - self.held
        elif passed:
            self._setBack(passed)
            return self.level
        self.at = now
        if self.since is not None and self._isCalm(now):
            self.since = None
        return self.level

    def _setBack(self, seconds: float) -> None:
        """
        A clock that is set back gives nothing, and takes nothing.  If it is only a little,
        somebody may have looked at it before another one did: no time is counted twice.
        """
        if seconds > -CALM:
            return
        self.at += seconds
        self._wanted += seconds
        if self.since is not None:
            self.since += seconds

    def _isCalm(self, now: float) -> bool:
        half, quiet = self.burst / 2.0, now - self._wanted
        return self.level + self.held >= half and quiet >= CALM and quiet * self.rate >= half

    def wait(self, amount: float, now: float) -> float:
        """
        @return: the seconds until so much is in it, if nobody takes anything; 0 if it is.
        """
        missing = amount - self.fill(now)
        return missing / self.rate if missing > 0.0 else 0.0

    def spend(self, amount: float) -> None:
        """
        Take out what is in it, as L{fill} has just said.
        """
        self.level -= amount

    def setAside(self, amount: float) -> None:
        """
        Keep what is in it, as L{fill} has just said, for somebody, until L{use}.
        """
        self.level -= amount
        self.held += amount

    def use(self, amount: float, used: float, now: float) -> None:
        """
        Somebody for whom C{amount} was set aside has used so much; he needs no more.
        """
        # What came meanwhile found it filled by that.
        self.fill(now)
        self.held -= amount
        self.give(amount - used)

    def give(self, amount: float) -> None:
        """
        Put back what was not needed.
        """
        self.level = min(self.burst - self.held, self.level + amount)

    def over(self, now: float) -> None:
        """
        More is wanted than there is.
        """
        if self.since is None:
            self.since = now
        self._wanted = now

    def overFor(self, now: float) -> float:
        """
        @return: for how many seconds more has been wanted than there was.
        """
        return 0.0 if self.since is None else max(0.0, now - self.since)

    def full(self, now: float) -> bool:
        """
        @return: whether it is as if it were new.
        """
        return self.fill(now) >= self.burst and self.since is None
