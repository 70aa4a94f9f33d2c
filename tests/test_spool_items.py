"""
What is recorded, when it begins, and the settings.
"""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from terminable.errors import InvalidOption
from terminable.spool import Doubling, Item, SpoolFull
from terminable.spool.desk import TOGETHER, Desk, Job
from terminable.spool.items import ERROR, errorOf, newItem, resultOf
from terminable.spool.pace import Pace
from terminable.spool.terms import Terms
from tests.doubles import Boom


class ItemTests(SynchronousTestCase):
    """
    L{newItem} and what belongs to it.
    """

    def test_text(self) -> None:
        """
        Text is recorded as UTF-8, under a name of its own.
        """
        one, other = newItem("ö"), newItem("ö")
        self.assertEqual(one.payload, b"\xc3\xb6")
        self.assertNotEqual(one.id, other.id)
        self.assertTrue(one.sameAs(other))
        self.assertFalse(one.sameAs(newItem("ö", key="k")))

    def test_refused(self) -> None:
        """
        What cannot be recorded is named.
        """
        bad: list[tuple[str, Any]] = [
            ("payload", 7),
            ("id", ""),
            ("id", "a\0b"),
            ("key", "x" * 256),
            ("key", 7),
            ("contentType", "text/\nplain"),
        ]
        for name, value in bad:
            arguments = {"payload": b"", name: value}
            problem = self.assertRaises(InvalidOption, newItem, **arguments)
            self.assertEqual(problem.option, name)

    def test_results(self) -> None:
        """
        Bytes and text are recorded as they are, the rest as JSON.
        """
        self.assertIsNone(resultOf(None))
        self.assertEqual(resultOf(b"\0"), b"\0")
        self.assertEqual(resultOf("ö"), "ö".encode())
        self.assertEqual(resultOf({"a": [1]}), b'{"a": [1]}')
        self.assertRaises(TypeError, resultOf, object())

    def test_errors(self) -> None:
        """
        An error is one line of bounded length, without NUL.
        """
        self.assertEqual(errorOf(Boom("a\n  b\0")), "Boom: a b?")
        self.assertEqual(len(errorOf(Boom("x" * 9999))), ERROR)

    def test_full(self) -> None:
        """
        The error says how many there may be.
        """
        self.assertEqual(str(SpoolFull(7)), "the spool holds 7 items already")

    def test_defaults(self) -> None:
        """
        An item that is only named is empty, and waits.
        """
        self.assertEqual(Item("a").payload, b"")


class PaceTests(SynchronousTestCase):
    """
    L{Pace}.
    """

    def test_free(self) -> None:
        """
        Without a rate nobody waits.
        """
        pace = Pace(None)
        for _ in range(3):
            self.assertEqual(pace.wait(5.0), 0.0)
            pace.began(5.0)

    def test_steady(self) -> None:
        """
        One begins each interval.
        """
        pace = Pace(4.0)
        self.assertEqual(pace.wait(10.0), 0.0)
        pace.began(10.0)
        self.assertEqual(pace.wait(10.0), 0.25)
        self.assertEqual(pace.wait(10.2), 0.25 - (10.2 - 10.0))
        self.assertEqual(pace.wait(10.25), 0.0)

    def test_late(self) -> None:
        """
        Who waited and begins a little late does not delay the next one.
        """
        pace = Pace(1.0)
        pace.began(0.0)
        pace.wait(0.5)
        pace.began(1.25)
        self.assertEqual(pace.wait(1.25), 0.75)

    def test_pause(self) -> None:
        """
        Who comes after a pause has saved nothing, however short it was.
        """
        for wait in (False, True):
            pace = Pace(1.0)
            pace.began(0.0)
            if wait:
                pace.wait(0.5)
                pace.rest()
            pace.began(1.75)
            self.assertEqual(pace.wait(1.75), 1.0)

    def test_veryLate(self) -> None:
        """
        Nor has who waited and begins very late.
        """
        pace = Pace(1.0)
        pace.began(0.0)
        pace.wait(0.5)
        pace.began(7.5)
        self.assertEqual(pace.wait(7.5), 1.0)

    def test_setBack(self) -> None:
        """
        A clock that is set back costs one interval.
        """
        pace = Pace(1.0)
        pace.began(5000.0)
        self.assertEqual(pace.wait(100.0), 1.0)
        self.assertEqual(pace.wait(101.0), 0.0)

    @given(st.floats(0.01, 1000), st.lists(st.floats(0, 0.9), min_size=2, max_size=50))
    def test_exact(self, rate: float, late: list[float]) -> None:
        """
        However late timers are, the n-th begins n intervals after the first, and at most one
        interval later.
        """
        pace, now = Pace(rate), 0.0
        for number, delay in enumerate(late):
            pace.began(now)
            expected = number / rate
            self.assertTrue(expected - 1e-6 <= now <= expected + 1 / rate, (now, expected))
            now += pace.wait(now)
            now += delay / rate

    def test_doubling(self) -> None:
        """
        Each wait is twice the one before, up to a limit.
        """
        waits = [Doubling(1.0, 10.0)(attempts) for attempts in range(1, 7)]
        self.assertEqual(waits, [1.0, 2.0, 4.0, 8.0, 10.0, 10.0])
        self.assertEqual(Doubling()(10**9), 300.0)


class TermsTests(SynchronousTestCase):
    """
    L{Terms}.
    """

    def test_defaults(self) -> None:
        """
        Without settings, everything that can be done is.
        """
        terms = Terms()
        self.assertIsNone(terms.rate)
        self.assertEqual(terms.backoff(2), 2.0)
        self.assertEqual(terms.remembered, 86400.0)

    def test_texts(self) -> None:
        """
        A rate may be a text.
        """
        self.assertEqual(Terms(rate="90/min").rate, 1.5)
        self.assertEqual(Terms(rate=3).rate, 3.0)

    def test_remembered(self) -> None:
        """
        Done items are remembered for a minute at least.
        """
        self.assertEqual(Terms(keepDone=0).remembered, 60.0)

    def test_fine(self) -> None:
        """
        What may be meant is taken.
        """
        terms = Terms(most=None, timeLimit=2, gracePeriod=0, poll=0.1, atOnce=3)
        self.assertEqual((terms.most, terms.timeLimit), (None, 2.0))

    def test_refused(self) -> None:
        """
        What cannot be meant is named.
        """
        bad: dict[str, list[Any]] = {
            "rate": [0, -1, "0/s", "fast", math.inf, True],
            "atOnce": [0, -1, 1.5, True],
            "attempts": [0, "3"],
            "backoff": [3],
            "timeLimit": [0, -1, "long"],
            "keepDone": [-1],
            "most": [0, 1.5],
            "gracePeriod": [-1, None],
            "poll": [0],
        }
        for name, values in bad.items():
            for value in values:
                problem = self.assertRaises(InvalidOption, Terms, **{name: value})
                self.assertEqual((problem.option, problem.value), (name, value))


class DeskTests(SynchronousTestCase):
    """
    L{Desk}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.batches: list[tuple[list[Any], Deferred[Any]]] = []
        self.desk = Desk(self.clock, self._answer)

    def _answer(self, jobs: list[Job]) -> Deferred[list[Any]]:
        self.batches.append(([job.run(None) for job in jobs], Deferred()))
        return self.batches[-1][1]

    def ask(self, value: object) -> Deferred[Any]:
        """
        Ask for a value.
        """
        return self.desk.ask(Job(lambda db: value))

    def test_together(self) -> None:
        """
        Who asks in one turn, or while others are answered, is answered together.
        """
        asked = [self.ask(number) for number in range(3)]
        self.assertEqual(self.batches, [])
        self.clock.advance(0)
        later = [self.ask(number) for number in range(3, 5)]
        self.clock.advance(0)
        (first,) = self.batches
        self.assertEqual(first[0], [0, 1, 2])
        first[1].callback("abc")
        self.assertEqual([self.successResultOf(each) for each in asked], list("abc"))
        self.clock.advance(0)
        self.assertEqual(self.batches[1][0], [3, 4])
        self.batches[1][1].callback("de")
        self.assertEqual([self.successResultOf(each) for each in later], list("de"))

    def test_bounded(self) -> None:
        """
        No more than so many are answered together.
        """
        for number in range(TOGETHER + 1):
            self.ask(number)
        self.clock.advance(0)
        self.assertEqual(len(self.batches[0][0]), TOGETHER)
        self.batches[0][1].callback(range(TOGETHER))
        self.clock.advance(0)
        self.assertEqual(self.batches[1][0], [TOGETHER])

    def test_failure(self) -> None:
        """
        If there is no answer at all, everybody is told; the next ones are answered.
        """
        asked = [self.ask(1), self.ask(2)]
        self.clock.advance(0)
        self.batches[0][1].errback(Boom())
        for each in asked:
            self.failureResultOf(each, Boom)
        self.clock.advance(0)
        other = self.ask(3)
        self.clock.advance(0)
        self.batches[1][1].callback([3])
        self.assertEqual(self.successResultOf(other), 3)

    def test_whenIdle(self) -> None:
        """
        Who waits for the end waits for those who ask meanwhile, too.
        """
        self.ask(1)
        idle = self.desk.whenIdle()
        self.clock.advance(0)
        self.ask(2)
        self.batches[0][1].callback([1])
        self.clock.advance(0)
        self.assertNoResult(idle)
        self.batches[1][1].callback([2])
        self.clock.advance(0)
        self.successResultOf(idle)
        again = self.desk.whenIdle()
        self.clock.advance(0)
        self.successResultOf(again)
