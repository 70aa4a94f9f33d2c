"""
How long each part of a stop may take.
"""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from terminable.errors import InvalidOption
from terminable.policy.schedule import (
    CLOSE_CODES,
    SETTLE,
    Schedule,
    Times,
    closingCode,
    closingReason,
    seconds,
    typedNumber,
)

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


class TypedTests(SynchronousTestCase):
    """
    Reading whole numbers as they are typed.
    """

    def test_numbers(self) -> None:
        """
        Digits are a number.
        """
        self.assertEqual((typedNumber("0"), typedNumber("12"), typedNumber("007")), (0, 12, 7))

    def test_others(self) -> None:
        """
        Everything else stays as it is, also more digits than Python reads.
        """
        for text in ("", "-1", "1.0", "1_0", " 1", "\u0663", "\u00b2", "9" * 5000):
            self.assertEqual(typedNumber(text), text)


class ClosingTests(SynchronousTestCase):
    """
    Reading what WebSockets are closed with.
    """

    def test_codes(self) -> None:
        """
        A code is a number or the text of one, among those that may be sent.
        """
        for value in (1001, "1001", " 1001 "):
            self.assertEqual(closingCode("closeCode", value), 1001)
        for value in (1000, 1012, 3000, 4999):
            self.assertEqual(closingCode("closeCode", value), value)
        for value in range(5001):
            self.assertEqual(value in CLOSE_CODES, self.allowed(value), value)

    def allowed(self, code: int) -> bool:
        """
        By RFC 6455, section 7.4, and its registry.
        """
        return code in range(3000, 5000) or code in {*range(1000, 1015)} - {1004, 1005, 1006}

    def test_noCodes(self) -> None:
        """
        Any other is refused, by the name of its option.
        """
        expected = "a WebSocket close code such as 1001, 1012 or 4000"
        for value in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 1001.0, "x", "", None, [], True):
            problem = self.assertRaises(InvalidOption, closingCode, "--close-code", value)
            self.assertEqual((problem.option, problem.expected), ("--close-code", expected))
            self.assertIs(problem.value, value)

    def test_reasons(self) -> None:
        """
        A reason is a text that fits into a close frame.
        """
        for value in ("", "restart", "x" * 123, "ä" * 61 + "x"):
            self.assertEqual(closingReason("closeReason", value), value)

    def test_noReasons(self) -> None:
        """
        What is too long, no text, or cannot be sent, is refused.
        """
        expected = "a text of at most 123 bytes in UTF-8"
        for value in ("x" * 124, "ä" * 62, b"restart", None, 5, "\ud800"):
            problem = self.assertRaises(InvalidOption, closingReason, "--close-reason", value)
            self.assertEqual((problem.option, problem.expected), ("--close-reason", expected))
            self.assertIs(problem.value, value)


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
        self.assertEqual(schedule.stagger, 0.0)
        self.assertEqual((schedule.closeCode, schedule.closeReason), (1001, ""))

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
        for option in ("gracePeriod", "idleGrace", "quiesce", "linger", "stagger"):
            problem = self.assertRaises(InvalidOption, Schedule, **{option: -1})
            self.assertEqual(problem.option, option)

    def test_closing(self) -> None:
        """
        So is what no WebSocket may be closed with.
        """
        schedule = Schedule(closeCode="4000", closeReason="later")  # type: ignore[arg-type]
        self.assertEqual((schedule.closeCode, schedule.closeReason), (4000, "later"))
        for option, value in (("closeCode", 1005), ("closeReason", "x" * 124)):
            problem = self.assertRaises(InvalidOption, Schedule, **{option: value})
            self.assertEqual((problem.option, problem.value), (option, value))

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


class ChangedTests(SynchronousTestCase):
    """
    Making one schedule of another.
    """

    def setUp(self) -> None:
        self.schedule = Schedule(20, 4, 3, 5, 6, 7, 1012, "restart")

    def test_within(self) -> None:
        """
        With another grace period, the parts that no longer fit are cut, and all else stays.
        """
        self.assertEqual(self.schedule.within(2), Schedule(2, 2, 2, 5, 6, 7, 1012, "restart"))
        self.assertEqual(self.schedule.within(3.5), Schedule(3.5, 3.5, 3, 5, 6, 7, 1012, "restart"))
        self.assertEqual(self.schedule.within(99), Schedule(99, 4, 3, 5, 6, 7, 1012, "restart"))
        self.assertEqual(self.schedule.within(None), Schedule(None, 4, 3, 5, 6, 7, 1012, "restart"))
        self.assertRaises(InvalidOption, self.schedule.within, -1)

    def test_changed(self) -> None:
        """
        What is given is changed, and all else stays.
        """
        self.assertEqual(self.schedule.changed(), self.schedule)
        expected = Schedule(20, 4, 3, 5, 6, 1, 1001, "")
        changed = self.schedule.changed(stagger=1, closeCode=1001, closeReason="")
        self.assertEqual(changed, expected)
        self.assertEqual(self.schedule.stagger, 7)

    def test_shorterGrace(self) -> None:
        """
        A shorter grace period shortens the parts that are not given; those that are given
        have to fit.
        """
        expected = Schedule(2, 2, 2, 5, 6, 7, 1012, "restart")
        self.assertEqual(self.schedule.changed(gracePeriod=2), expected)
        changed = self.schedule.changed(gracePeriod=2, idleGrace=1)
        self.assertEqual((changed.idleGrace, changed.quiesce), (1, 2))
        changed = self.schedule.changed(gracePeriod=2, quiesce=0)
        self.assertEqual((changed.idleGrace, changed.quiesce), (2, 0))
        changed = self.schedule.changed(gracePeriod=None)
        self.assertEqual((changed.gracePeriod, changed.idleGrace), (None, 4))
        for option in ("idleGrace", "quiesce"):
            given = {"gracePeriod": 2, option: 3}
            problem = self.assertRaises(InvalidOption, self.schedule.changed, **given)
            self.assertEqual(problem.option, option)

    def test_cannotBeMeant(self) -> None:
        """
        What is no setting, or cannot be one, is refused.
        """
        self.assertRaises(TypeError, self.schedule.changed, grace=5)
        for option, value in (("stagger", -1), ("gracePeriod", "x"), ("closeCode", 5)):
            problem = self.assertRaises(InvalidOption, self.schedule.changed, **{option: value})
            self.assertEqual(problem.option, option)


class WindowTests(SynchronousTestCase):
    """
    Over how long goodbyes are spread.
    """

    def test_window(self) -> None:
        """
        As long as was asked for, if the deadline leaves some time after that: as long as
        one lingers, or half of what there is if that is more.
        """
        schedule = Schedule(None, stagger=30, linger=2)
        for left, expected in ((None, 30), (100, 30), (32, 30), (20, 18), (3, 1.5), (0, 0)):
            self.assertEqual(schedule.window(left), expected, left)
        self.assertEqual(Schedule().window(10), 0.0)
        self.assertEqual(Schedule(stagger=30, linger=0).window(10), 10.0)

    @given(lengths, lengths, lengths)
    def test_alwaysFits(self, stagger: float, linger: float, left: float) -> None:
        """
        Never is it longer than was asked for, nor than the time until the deadline.
        """
        window = Schedule(None, stagger=stagger, linger=linger).window(left)
        self.assertGreaterEqual(window, 0.0)
        self.assertLessEqual(window, stagger)
        self.assertLessEqual(window, left)


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
