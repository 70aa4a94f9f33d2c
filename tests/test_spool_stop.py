"""
L{Spool}: when items begin, and the stop.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed

from terminable.spool import Item, Spool, SpoolAway
from tests.doubles import Boom
from tests.spoolcases import SpoolTestCase
from tests.spooldoubles import HandStore


class PaceTests(SpoolTestCase):
    """
    When items begin.
    """

    def begun(self, rate: Any, items: int, steps: int, step: float) -> list[float]:
        """
        @return: the times at which items began that were all there from the first moment.
        """
        found: list[float] = []
        start = self.reactor.seconds()
        self.spool(lambda item: found.append(self.reactor.seconds() - start), rate=rate)
        for _ in range(steps):
            while self.asks() and items:
                items -= 1
                self.give()
            self.reactor.go(step)
        return found

    def test_rate(self) -> None:
        """
        Items begin in even intervals.
        """
        found = self.begun("10/s", 100, 1000, 0.01)
        self.assertEqual(len(found), 100)
        for number, time in enumerate(found):
            self.assertTrue(-1e-6 <= time - number / 10 <= 0.011, (number, time))

    def test_noBurst(self) -> None:
        """
        After a pause, as ever.
        """
        self.begun("10/s", 1, 300, 0.01)
        self.give()
        self.assertFalse(self.asks())
        self.reactor.go(0.09)
        self.assertFalse(self.asks())
        self.reactor.go(0.02)
        self.assertTrue(self.asks())

    def test_poll(self) -> None:
        """
        If there is nothing, that is asked again after a while.
        """
        self.spool(poll=2.0)
        self.answer(None)
        self.reactor.go(1.9)
        self.assertFalse(self.asks())
        self.reactor.go(0.1)
        self.assertTrue(self.asks())

    def test_away(self) -> None:
        """
        A store that is away is asked again, later each time, which is said once; so is that it
        is back.
        """
        self.spool()
        for wait in (0.1, 0.2, 0.4):
            self.answer(SpoolAway("gone"))
            self.reactor.go(wait * 0.9)
            self.assertFalse(self.asks())
            self.reactor.go(wait * 0.1 + 1e-6)
            self.assertTrue(self.asks())
        self.assertEqual(self.levels(), ["warn"])
        self.answer(None)
        self.assertEqual(self.logged[-1]["log_format"], "{store} is back")
        self.reactor.go(0.5)
        self.answer(SpoolAway("gone"))
        self.reactor.go(0.1)
        self.assertTrue(self.asks())

    def test_mistake(self) -> None:
        """
        A store that fails otherwise is logged each time.
        """
        self.spool()
        self.answer(Boom())
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)
        self.reactor.go(0.1)
        self.assertTrue(self.asks())


class StopTests(SpoolTestCase):
    """
    The stop.
    """

    def test_idle(self) -> None:
        """
        Without anything in hand it is over at once; nothing is left to be done.
        """
        spool = self.spool()
        self.answer(None)
        self.successResultOf(spool.stopService())
        self.assertEqual(self.store.calls[-1], "stop")
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_inHand(self) -> None:
        """
        What is in hand is finished, and nothing new is begun.
        """
        spool = self.spool(gracePeriod=5)
        taken = self.give()
        stopped = spool.stopService()
        self.reactor.go(4.9)
        self.assertNoResult(stopped)
        self.working[0][1].callback(b"x")
        self.successResultOf(stopped)
        self.assertEqual(taken.said, [("done", b"x")])
        self.assertEqual(len(self.store.asked), 1)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_tooLong(self) -> None:
        """
        What is not done in time is cancelled, and given back.
        """
        spool = self.spool(gracePeriod=5)
        taken = self.give()
        stopped = spool.stopService()
        self.reactor.go(5.0)
        self.successResultOf(stopped)
        self.assertEqual(taken.said, [("giveBack",)])
        self.assertTrue(self.working[0][1].called)
        self.assertEqual(self.levels(), ["warn"])

    def test_doesNotCare(self) -> None:
        """
        Also if it does not let itself be cancelled; what it says later is not heard.
        """
        for late in (Boom(), b"x"):
            self.store = HandStore()
            never: Deferred[Any] = Deferred(lambda each: None)

            async def stubborn(item: Item, never: Deferred[Any] = never) -> bytes:
                try:
                    await Deferred()
                except CancelledError:
                    await shielded(never)
                if isinstance(late, Exception):  # noqa: B023 - done within the loop
                    raise late  # noqa: B023
                return late  # noqa: B023

            spool = self.spool(lambda item: Deferred.fromCoroutine(stubborn(item)))
            taken = self.give()
            stopped = spool.stopService()
            self.reactor.go(25.0)
            self.successResultOf(stopped)
            self.assertEqual(taken.said, [("giveBack",)])
            never.callback(None)

    def test_notAtAll(self) -> None:
        """
        Without a grace period it is over at once.
        """
        spool = self.spool(gracePeriod=0)
        taken = self.give()
        stopped = spool.stopService()
        self.reactor.settle()
        self.successResultOf(stopped)
        self.assertEqual(taken.said, [("giveBack",)])

    def test_onItsWay(self) -> None:
        """
        An item that is given to us when the stop has begun is given back.
        """
        spool = self.spool()
        stopped = spool.stopService()
        self.assertNoResult(stopped)
        taken = self.give()
        self.successResultOf(stopped)
        self.assertEqual(taken.said, [("giveBack",)])
        self.assertEqual(self.working, [])

    def test_nothingOnItsWay(self) -> None:
        """
        Or there is none, or the store is away.
        """
        for answer in (None, SpoolAway("gone")):
            self.store = HandStore()
            spool = self.spool()
            stopped = spool.stopService()
            self.answer(answer)
            self.successResultOf(stopped)

    def test_away(self) -> None:
        """
        A store that is away is told once more at the end of the grace period.
        """
        spool = self.spool(gracePeriod=5)
        taken = self.give()
        stopped = spool.stopService()
        taken.failing = [SpoolAway("gone") for _ in range(99)]
        self.working[0][1].callback(b"x")
        for _ in range(49):
            self.reactor.go(0.1)
        before = len(taken.said)
        self.reactor.go(0.1)
        self.successResultOf(stopped)
        self.assertEqual(taken.said[before:], [("done", b"x")])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_again(self) -> None:
        """
        It may be started again; a stop without a start is one.
        """
        spool = Spool(self.reactor, self.store, self.work)
        self.successResultOf(spool.stopService())
        spool.startService()
        self.answer(None)
        self.successResultOf(spool.stopService())
        spool.startService()
        self.give()
        self.assertEqual(len(self.working), 1)


def shielded(waited: Deferred[Any]) -> Deferred[Any]:
    """
    @return: fires when the other one does, whoever cancels it.
    """
    found: Deferred[Any] = Deferred(lambda each: None)
    waited.addCallback(lambda value: succeed(value).chainDeferred(found))
    return found
