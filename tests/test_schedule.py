"""
How long each part of a stop may take.
"""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from terminable.errors import InvalidOption
from terminable.policy.schedule import SETTLE, Schedule, Times, seconds

lengths = st.floats(0, 1000)


class SecondsTests(SynchronousTestCase):
    """
    Reading a length of time.
    """

    def test_numbersAndTheirTexts(self) -> None:
        """
        A number is taken as it is, and a text as the number that it spells.
        """
        for value in (5, 5.0, "5", " 5.0 ", "5e0"):
            self.assertEqual(seconds("grace", value), 5.0)
        self.assertEqual(seconds("grace", 0), 0.0)

    def test_whatIsNoLength(self) -> None:
        """
        What is negative, endless, no number or no number's text is refused, with the
        option, the value and what was expected in the error.
        """
        for value in (-1, "-0.1", math.inf, "inf", math.nan, "nan", "abc", "", None, [], True):
            problem = self.assertRaises(InvalidOption, seconds, "--grace", value)
            self.assertEqual(problem.option, "--grace")
            self.assertIs(problem.value, value)
            self.assertEqual(problem.expected, "a number of seconds, 0 or more")


class ScheduleTests(SynchronousTestCase):
    """
    Making a schedule.
    """

    def test_defaults(self) -> None:
        """
        By default there are 25 seconds, one of them for those who are idle.
        """
        schedule = Schedule()
        self.assertEqual(schedule.gracePeriod, 25.0)
        self.assertEqual(schedule.idleGrace, 1.0)
        self.assertEqual(schedule.quiesce, 0.0)
        self.assertEqual(schedule.linger, 2.0)
        self.assertEqual(schedule.lingerBytes, 1024 * 1024)

    def test_shortGraceShortensTheIdleGrace(self) -> None:
        """
        An idle grace that nobody asked for is never longer than the grace period.
        """
        self.assertEqual(Schedule(0.5).idleGrace, 0.5)
        self.assertEqual(Schedule(0).idleGrace, 0.0)
        self.assertEqual(Schedule(None).idleGrace, 1.0)

    def test_longerThanTheGracePeriod(self) -> None:
        """
        An idle grace or quiesce time that was asked for, and is longer than the grace
        period, is refused.
        """
        for option in ("idleGrace", "quiesce"):
            problem = self.assertRaises(InvalidOption, Schedule, 5, **{option: 5.5})
            self.assertEqual(problem.option, option)
            self.assertEqual(problem.value, 5.5)
            self.assertEqual(problem.expected, "no more than the grace period of 5 seconds")
            self.assertEqual(getattr(Schedule(5, **{option: 5}), option), 5.0)
            self.assertEqual(getattr(Schedule(None, **{option: 5000}), option), 5000.0)

    def test_eachTimeIsChecked(self) -> None:
        """
        What is no length of time is refused under the name of its parameter.
        """
        for option in ("gracePeriod", "idleGrace", "quiesce", "linger"):
            problem = self.assertRaises(InvalidOption, Schedule, **{option: -1})
            self.assertEqual(problem.option, option)

    def test_lingerBytes(self) -> None:
        """
        The allowance is a whole number of bytes, and may be 0.
        """
        self.assertEqual(Schedule(lingerBytes=0).lingerBytes, 0)
        for value in (-1, 1.5, "1", True, None):
            problem = self.assertRaises(InvalidOption, Schedule, lingerBytes=value)
            self.assertEqual(problem.option, "lingerBytes")
            self.assertEqual(problem.expected, "a whole number of bytes, 0 or more")

    def test_cannotBeChanged(self) -> None:
        """
        A schedule stays as it was checked.
        """
        with self.assertRaises(AttributeError):
            Schedule().gracePeriod = -1.0  # type: ignore[misc]

    def test_settle(self) -> None:
        """
        Handshakes get a fifth of a second, and no longer than idle connections.
        """
        self.assertEqual(Schedule().settle, SETTLE)
        self.assertEqual(Schedule(idleGrace=0.05).settle, 0.05)
        self.assertEqual(Schedule(idleGrace=0).settle, 0.0)


class TimesTests(SynchronousTestCase):
    """
    The points in time of one stop.
    """

    def test_times(self) -> None:
        """
        The idle grace begins when the quiesce time is over, the grace period when the
        stop is asked for.
        """
        times = Schedule(10, idleGrace=2, quiesce=3).times(100.0)
        self.assertEqual(times, Times(100.0, 103.0, 105.0, 110.0))

    def test_idleGraceEndsAtTheDeadline(self) -> None:
        """
        Nothing outlasts the deadline.
        """
        times = Schedule(4, idleGrace=2, quiesce=3).times(100.0)
        self.assertEqual(times, Times(100.0, 103.0, 104.0, 104.0))

    def test_withoutDeadline(self) -> None:
        """
        Without a grace period there is no deadline, and never any time left to tell.
        """
        times = Schedule(None).times(100.0)
        self.assertIsNone(times.deadline)
        self.assertIsNone(times.left(200.0))

    def test_left(self) -> None:
        """
        The time that is left goes down to 0, and no further.
        """
        times = Schedule(10).times(100.0)
        self.assertEqual([times.left(now) for now in (100.0, 107.5, 110.0, 111.0)], [10, 2.5, 0, 0])

    def test_shortened(self) -> None:
        """
        An earlier deadline cuts everything that would outlast it.
        """
        times = Times(100.0, 103.0, 105.0, 110.0)
        self.assertEqual(times.shortened(104.0), Times(100.0, 103.0, 104.0, 104.0))
        self.assertEqual(times.shortened(101.0), Times(100.0, 101.0, 101.0, 101.0))

    def test_neverLengthened(self) -> None:
        """
        A later deadline, the same one, or none changes nothing.
        """
        times = Times(100.0, 103.0, 105.0, 110.0)
        for deadline in (110.0, 111.0, None):
            self.assertIs(times.shortened(deadline), times)

    def test_deadlineForOneThatHadNone(self) -> None:
        """
        A stop without a deadline may get one.
        """
        times = Schedule(None).times(100.0).shortened(103.0)
        self.assertEqual(times.deadline, 103.0)

    @given(lengths, lengths, lengths, st.floats(0, 1e9), st.lists(lengths))
    def test_alwaysInOrder(
        self, grace: float, idle: float, quiesce: float, now: float, later: list[float]
    ) -> None:
        """
        Whatever is asked for, the parts follow one another and end by the deadline,
        which never moves back.
        """
        times = Schedule(grace, min(idle, grace), min(quiesce, grace)).times(now)
        for length in [grace, *later]:
            before, times = times, times.shortened(now + length)
            assert times.deadline is not None and before.deadline is not None
            self.assertLessEqual(times.deadline, before.deadline)
            self.assertLessEqual(times.deadline, now + length)
            self.assertLessEqual(times.began, times.quiesced)
            self.assertLessEqual(times.quiesced, times.idleOver)
            self.assertLessEqual(times.idleOver, times.deadline)
