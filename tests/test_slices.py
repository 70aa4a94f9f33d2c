"""
Work on very many things, a slice at a time.
"""

from __future__ import annotations

import gc
from functools import partial

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from terminable import slices
from terminable.slices import Collector, Slices
from tests.doubles import Boom


class SlicesTests(SynchronousTestCase):
    """
    Each piece of work here takes a millisecond, of a budget of less than three.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.slices = Slices(self.clock, 0.0025, self.clock.seconds)
        self.seen: list[object] = []

    def work(self, item: object) -> None:
        self.clock.rightNow += 0.001
        self.seen.append(item)

    def test_aLittleIsDoneAtOnce(self) -> None:
        """
        What fits into the budget is done before the call returns, and no delayed call
        is needed.
        """
        self.slices.each([1, 2], self.work, lambda: self.seen.append("done"))
        self.assertEqual(self.seen, [1, 2, "done"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_muchIsDoneInTurns(self) -> None:
        """
        More than that waits for the reactor's next turns, as much in each.
        """
        turns: list[int] = []
        later = self.clock.callLater

        def callLater(*details: object) -> object:
            turns.append(len(self.seen))
            return later(*details)

        self.patch(self.clock, "callLater", callLater)
        self.slices.each(range(7), self.work, lambda: self.seen.append("done"))
        self.assertEqual(self.seen, [0, 1, 2])
        self.clock.advance(0)
        self.assertEqual(self.seen, [0, 1, 2, 3, 4, 5, 6, "done"])
        self.assertEqual(turns, [3, 6])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nothingToDo(self) -> None:
        """
        Without items it is done at once.
        """
        self.slices.each([], self.work, lambda: self.seen.append("done"))
        self.assertEqual(self.seen, ["done"])

    def test_nobodyHasToBeTold(self) -> None:
        """
        That it is done need not interest anybody.
        """
        self.slices.each([1], self.work)
        self.assertEqual(self.seen, [1])

    def test_anExceptionCostsItsItemAlone(self) -> None:
        """
        What fails is logged, and the others are worked on.
        """

        def work(item: int) -> None:
            if item == 2:
                raise Boom(item)
            self.seen.append(item)

        self.slices.each([1, 2, 3], work, lambda: self.seen.append("done"))
        self.assertEqual(self.seen, [1, 3, "done"])
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)

    def test_thoseOfNow(self) -> None:
        """
        The items are those at the time of the call, whatever becomes of the collection
        on the way.
        """
        items = {1: "a", 2: "b"}

        def work(item: int) -> None:
            del items[item]
            items[item + 10] = ""
            self.seen.append(item)

        self.slices.each(items, work)
        self.assertEqual(self.seen, [1, 2])

    def test_longest(self) -> None:
        """
        The longest slice is known.
        """
        self.assertEqual(self.slices.longest, 0.0)
        self.slices.each(range(5), self.work)
        self.assertAlmostEqual(self.slices.longest, 0.003)
        self.clock.advance(0)
        self.assertAlmostEqual(self.slices.longest, 0.003)

    def test_oneThatTakesLong(self) -> None:
        """
        A piece that takes longer than the whole budget is a slice of its own.
        """

        def slow(item: object) -> None:
            self.clock.rightNow += 1
            self.seen.append(item)

        self.slices.each([1, 2], slow)
        self.assertEqual(self.seen, [1])
        self.assertEqual(self.slices.longest, 1.0)


class CollectorTests(SynchronousTestCase):
    """
    The garbage collector, made to wait.
    """

    def setUp(self) -> None:
        self.addCleanup(gc.enable if gc.isenabled() else gc.disable)
        gc.enable()
        self.collector = Collector()
        self.patch(slices, "collector", self.collector)

    def test_holdAndRelease(self) -> None:
        """
        It waits until everybody who asked for it has said so.
        """
        self.collector.hold()
        self.collector.hold()
        self.collector.release()
        self.assertFalse(gc.isenabled())
        self.collector.release()
        self.assertTrue(gc.isenabled())

    def test_switchedOffByOthers(self) -> None:
        """
        Where somebody else has switched it off it stays off.
        """
        gc.disable()
        self.collector.hold()
        self.collector.release()
        self.assertFalse(gc.isenabled())

    def test_waitsWhileManyAreWorkedOn(self) -> None:
        """
        It waits from the first slice for very many items to the last one, and not for
        a few.
        """
        states: list[bool] = []
        clock = Clock()

        def work(item: object) -> None:
            clock.rightNow += 0.002
            states.append(gc.isenabled())

        several = Slices(clock, 1.0, clock.seconds)
        several.each(range(slices.MANY - 1), work)
        self.assertEqual(set(states), {True})
        states.clear()
        several.each(range(slices.MANY), work, partial(states.append, True))
        self.assertFalse(gc.isenabled())
        while clock.getDelayedCalls():
            clock.advance(0)
        self.assertEqual(states, [False] * slices.MANY + [True])
        self.assertTrue(gc.isenabled())
