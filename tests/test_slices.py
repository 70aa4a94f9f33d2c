"""
Work on very many things, a slice at a time.
"""

from __future__ import annotations

import gc
from functools import partial

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from terminable import slices
from terminable.slices import Collector, Queue, Slices
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

    def test_nothingIsYoung(self) -> None:
        """
        What was allocated meanwhile is not walked through when it goes on; unless somebody
        keeps objects frozen, who would find them thawed.
        """
        for frozen in (0, 1):
            self.collector.hold()
            made = [[] for _ in range(1000)]  # type: ignore[var-annotated]
            if frozen:
                gc.freeze()
                self.addCleanup(gc.unfreeze)
            self.collector.release()
            young = {id(each) for each in gc.get_objects(generation=0)}
            self.assertFalse(young & {id(each) for each in made})
            self.assertEqual(bool(gc.get_freeze_count()), bool(frozen))

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


class QueueTests(SynchronousTestCase):
    """
    Work that comes at any time; each piece takes a millisecond, of a budget of less than
    three.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.seen: list[object] = []
        self.queue: Queue[object] = Queue(
            Slices(self.clock, 0.0025, self.clock.seconds),
            self.work,
            lambda *call: self.clock.callLater(*call),
        )

    def work(self, item: object) -> None:
        self.clock.rightNow += 0.001
        self.seen.append(item)
        if isinstance(item, Exception):
            raise item

    def test_neverAtOnce(self) -> None:
        """
        Nothing is done within the call, everything in the next turn, in order.
        """
        for item in (1, 2):
            self.queue.add(item)
        self.assertEqual(self.seen, [])
        self.clock.advance(0)
        self.assertEqual(self.seen, [1, 2])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_again(self) -> None:
        """
        What comes when all was done is done in another turn.
        """
        for item in (1, 2, 3):
            self.queue.add(item)
            self.assertEqual(self.seen, list(range(1, item)))
            self.clock.advance(0)
        self.assertEqual(self.seen, [1, 2, 3])

    def test_muchIsDoneInTurns(self) -> None:
        """
        More than fits into the budget waits for the next turns, and what comes meanwhile
        waits behind it.
        """
        turns: list[int] = []
        later = self.clock.callLater

        def callLater(*details: object) -> object:
            turns.append(len(self.seen))
            if len(turns) == 2:
                self.queue.add("late")
            return later(*details)

        self.patch(self.clock, "callLater", callLater)
        for item in range(4):
            self.queue.add(item)
        self.clock.advance(0)
        self.assertEqual(self.seen, [0, 1, 2, 3, "late"])
        self.assertEqual(turns, [0, 3])

    def test_whileAtIt(self) -> None:
        """
        What is added by a piece of work is done after that piece.
        """
        queue: Queue[int] = Queue(
            Slices(self.clock), lambda item: self.more(queue, item), self.clock.callLater
        )
        queue.add(3)
        self.clock.advance(0)
        self.assertEqual(self.seen, [3, "over", 2, "over", 1, "over", 0, "over"])

    def more(self, queue: Queue[int], item: int) -> None:
        """
        A piece of work that leads to another one.
        """
        self.seen.append(item)
        if item:
            queue.add(item - 1)
        self.seen.append("over")

    def test_anExceptionCostsItsItemAlone(self) -> None:
        """
        What fails is logged, and the others are worked on.
        """
        for item in (1, Boom(), 3):
            self.queue.add(item)
        self.clock.advance(0)
        self.assertEqual((self.seen[0], self.seen[2]), (1, 3))
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)
        self.queue.add(4)
        self.clock.advance(0)
        self.assertEqual(self.seen[3:], [4])
