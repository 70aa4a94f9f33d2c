"""
Every number that a user may give, given badly.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from terminable import Admission, InvalidOption, Limit, Schedule, Terminator
from terminable.choosing import Choice
from terminable.pacing import settings
from terminable.sharing import RedisLink, SharedQuota
from terminable.spool.pace import Doubling
from terminable.spool.terms import Terms

#: More than a float can be; and more digits than Python makes a text of.
HUGE, ENDLESS = 10**400, 10**5000

#: What is never a number of anything.
NO_NUMBERS: list[Any] = [
    math.nan,
    math.inf,
    -math.inf,
    -1,
    -0.5,
    -HUGE,
    -ENDLESS,
    True,
    False,
    "",
    "x",
    "nan",
    "inf",
    "-1",
    "1e999",
    "9" * 5000,
    "0x10",
    "\ud800",
    b"5",
    [],
    (),
    {},
    object(),
    Decimal(1),
    Decimal("NaN"),
    Fraction(1, 2),
    1j,
]

#: What is no time.
NO_TIMES = [*NO_NUMBERS, HUGE, ENDLESS]

#: What does not count anything: none of these settings is typed as it is.
NO_COUNTS = [*NO_NUMBERS, "5", 1.5, 5.0]


def schedule(name: str) -> Callable[[Any], object]:
    """
    @return: what takes one setting of a schedule.
    """
    return lambda value: Schedule(**{"gracePeriod": None, name: value})


def admission(name: str) -> Callable[[Any], object]:
    """
    @return: what takes one of an admission.
    """
    return lambda value: Admission(**{name: value})


def limit(name: str) -> Callable[[Any], object]:
    """
    @return: what takes one of a limit.
    """
    wanted = {} if name in ("received", "sent", "messages") else {"messages": 5}
    return lambda value: Limit(**{**wanted, name: value})


def terms(name: str) -> Callable[[Any], object]:
    """
    @return: what takes one of a spool.
    """
    return lambda value: Terms(**{name: value})


def terminated(gracePeriod: Any) -> object:
    """
    A stop with such a grace period.
    """
    return Terminator(Clock()).terminate(gracePeriod)


def taken(amount: Any) -> object:
    """
    Something is taken out of a shared quota.
    """
    return SharedQuota(Clock(), "tcp:127.0.0.1:1", 5, 5).take("key", amount)


def quota(name: str) -> Callable[[Any], object]:
    """
    @return: what takes one of a shared quota.
    """
    known: dict[str, Any] = {"rate": 5, "burst": 5}
    return lambda value: SharedQuota(Clock(), "tcp:127.0.0.1:1", **{**known, name: value})


TIMES: dict[str, Callable[[Any], object]] = {
    **{name: schedule(name) for name in ("gracePeriod", "idleGrace", "quiesce")},
    **{name: schedule(name) for name in ("linger", "stagger")},
    **{name: admission(name) for name in ("wait", "stay")},
    **{name: limit(name) for name in ("warning", "received", "sent", "messages", "burst")},
    **{name: terms(name) for name in ("timeLimit", "keepDone", "poll", "rate")},
    "grace of one stop": terminated,
    "grace of a spool": terms("gracePeriod"),
    "olderThan": lambda value: Choice(olderThan=value),
    "percent": lambda value: Choice(percent=value),
    "first": lambda value: Doubling(first=value),
    "longest": lambda value: Doubling(longest=value),
    "seconds": lambda value: settings.seconds("seconds", value),
    "timeout": lambda value: RedisLink(Clock(), "tcp:127.0.0.1:1", value),
    "rate of a quota": quota("rate"),
    "burst of a quota": quota("burst"),
    "amount": taken,
}

COUNTS: dict[str, Callable[[Any], object]] = {
    "lingerBytes": schedule("lingerBytes"),
    **{name: admission(name) for name in ("capacity", "perPeer", "queue", "perPeerQueue")},
    **{name: admission(name) for name in ("refusals", "retryAfter")},
    **{name: terms(name) for name in ("atOnce", "attempts", "most")},
    "generations": lambda value: Terminator(Clock(), generations=value),
    "whole": lambda value: settings.whole("whole", value),
}


class NumberTests(SynchronousTestCase):
    """
    Numbers.
    """

    def assertRefused(self, name: str, take: Callable[[Any], object], values: list[Any]) -> None:
        """
        Each of them is refused in one line.
        """
        for value in values:
            try:
                take(value)
            except InvalidOption as problem:
                self.assertNotIn("\n", str(problem))
                continue
            except Exception as problem:
                self.fail(f"{name}: {type(problem).__name__} for one of type {type(value)}")
            self.fail(f"{name}: {value!r:.40} was taken")

    def test_times(self) -> None:
        """
        What is no number of seconds, and no rate, is told as any other wrong setting.
        """
        for name, take in TIMES.items():
            self.assertRefused(name, take, NO_TIMES)

    def test_counts(self) -> None:
        """
        So is what counts nothing.
        """
        for name, take in COUNTS.items():
            self.assertRefused(name, take, NO_COUNTS)

    def test_manyAreAllowed(self) -> None:
        """
        There is no upper bound to how many may be meant, however large.
        """
        for take in COUNTS.values():
            take(HUGE)

    def test_others(self) -> None:
        """
        Prefixes, close codes and ports have bounds of their own.
        """
        values = [*NO_TIMES, 10**6, "9" * 6, 1.5]
        self.assertRefused("prefixes", lambda value: Admission(prefixes=(24, value)), values)
        self.assertRefused("closeCode", schedule("closeCode"), values)
        numbers = [each for each in values if not isinstance(each, str) or each.isdecimal()]
        self.assertRefused("port", lambda value: Choice(port=value), numbers)

    def test_zeroBelowZero(self) -> None:
        """
        Zero has no sign.
        """
        for value in (-0.0, "-0"):
            times = Schedule(idleGrace=value, linger=value, stagger=value)  # type: ignore[arg-type]
            self.assertEqual(str([times.idleGrace, times.linger, times.stagger]), "[0.0, 0.0, 0.0]")

    def test_schedule(self) -> None:
        """
        What is no schedule is told, also if it is false.
        """
        for value in (0, 5.0, "", "25", [], {}, object()):
            problem = self.assertRaises(InvalidOption, Terminator, Clock(), value)
            self.assertEqual(problem.option, "schedule")

    def test_unspeakable(self) -> None:
        """
        A value that cannot be written out is told by its type.
        """

        class Mute:
            def __repr__(self) -> str:
                raise RuntimeError

        for value, kind in ((ENDLESS, "int"), (Mute(), "Mute")):
            problem = InvalidOption("queue", value, "less")
            expected = f"queue: something of type {kind} given, expected less"
            self.assertEqual(str(problem), expected)
