"""
Calls that are not made too often.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from terminable.errors import InvalidOption
from terminable.pacing import Throttle, throttle
from tests.doubles import Boom


class ThrottleTestCase(SynchronousTestCase):
    """
    A function that writes down when it was called, and with what.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.made: list[tuple[float, Any]] = []
        self.outcome: Any = None

    def work(self, what: Any, **more: Any) -> Any:
        self.made.append((self.clock.seconds(), what))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def throttled(self, **settings: Any) -> Throttle:
        return throttle(self.work, 10, self.clock, **settings)


class BothTests(ThrottleTestCase):
    """
    Leading and trailing.
    """

    def test_firstAtOnce(self) -> None:
        """
        The first call goes through at once.
        """
        self.throttled()("a")
        self.assertEqual(self.made, [(0, "a")])

    def test_merged(self) -> None:
        """
        Those that come soon after it are one call at the end, with what is newest.
        """
        call = self.throttled()
        for second, what in enumerate("abcd"):
            self.assertEqual(call.waiting, second > 1)
            call(what)
            self.clock.advance(1)
        self.clock.advance(6)
        self.clock.advance(20)
        self.assertEqual(self.made, [(0, "a"), (10, "d")])
        self.assertFalse(call.waiting)

    def test_steady(self) -> None:
        """
        However many calls there are, no two are made within the time.
        """
        call = self.throttled()
        for second in range(35):
            call(second)
            self.clock.advance(1)
        self.assertEqual(self.made, [(0, 0), (10, 9), (20, 19), (30, 29)])

    def test_afterAWhile(self) -> None:
        """
        After a quiet time the next call goes through at once, with all its arguments.
        """
        call = self.throttled()
        call("a")
        self.clock.advance(10)
        call("b", more=1)
        self.assertEqual(self.made, [(0, "a"), (10, "b")])

    def test_nothingLeft(self) -> None:
        """
        Nothing is scheduled when all is done.
        """
        self.throttled()("a")
        self.clock.advance(10)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ResultTests(ThrottleTestCase):
    """
    What becomes of a call.
    """

    def test_results(self) -> None:
        """
        All who were merged get the result of the call that stands for them.
        """
        call = self.throttled()
        self.outcome = 1
        self.assertEqual(self.successResultOf(call.result("a")), 1)
        waiting = [call.result("b"), call.result("c")]
        self.assertNoResult(waiting[0])
        self.outcome = 2
        self.clock.advance(10)
        self.assertEqual([self.successResultOf(each) for each in waiting], [2, 2])

    def test_deferred(self) -> None:
        """
        The result may come later; the time counts from the call.
        """
        self.outcome = answer = Deferred[int]()
        call = self.throttled()
        result = call.result("a")
        self.clock.advance(10)
        self.assertNoResult(result)
        call("b")
        self.assertEqual(len(self.made), 2)
        answer.callback(3)
        self.assertEqual(self.successResultOf(result), 3)

    def test_coroutine(self) -> None:
        """
        A coroutine function will do.
        """

        async def work() -> int:
            return 4

        self.assertEqual(self.successResultOf(throttle(work, 1, self.clock).result()), 4)

    def test_failure(self) -> None:
        """
        A failure goes to those who want the result, and is not logged then.
        """
        self.outcome = Boom()
        call = self.throttled()
        self.failureResultOf(call.result("a"), Boom)
        call("b")
        waiting = [call.result("c"), call.result("d")]
        self.clock.advance(10)
        for each in waiting:
            self.failureResultOf(each, Boom)

    def test_failureOfNobodys(self) -> None:
        """
        If nobody does, it is logged once, however many calls were merged.
        """
        self.outcome = Boom()
        call = self.throttled()
        call("a")
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)
        for _ in range(5):
            call("b")
        self.clock.advance(10)
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)

    def test_cancelled(self) -> None:
        """
        Who cancels does not get it; the call is made, and others do.
        """
        call = self.throttled()
        call("a")
        first, second = call.result("b"), call.result("c")
        first.addErrback(lambda failure: failure.trap(CancelledError))
        first.cancel()
        self.clock.advance(10)
        self.assertEqual(self.made[1:], [(10, "c")])
        self.successResultOf(second)

    def test_cancelledByAnother(self) -> None:
        """
        One who gets the result may cancel another.
        """
        call = self.throttled()
        call("a")
        first, second = call.result("b"), call.result("c")
        first.addCallback(lambda _: second.cancel())
        self.clock.advance(10)
        self.failureResultOf(second, CancelledError)


class EdgeTests(ThrottleTestCase):
    """
    One of leading and trailing.
    """

    def test_trailingOnly(self) -> None:
        """
        Without leading the first call waits too.
        """
        call = self.throttled(leading=False)
        call("a")
        self.clock.advance(9)
        call("b")
        self.assertEqual(self.made, [])
        self.clock.advance(1)
        call("c")
        self.clock.advance(10)
        self.assertEqual(self.made, [(10, "b"), (20, "c")])

    def test_leadingOnly(self) -> None:
        """
        Without trailing, what comes soon is not made, and has the result of what was.
        """
        call = self.throttled(trailing=False)
        self.outcome = answer = Deferred[int]()
        first, second = call.result("a"), call.result("b")
        call("c")
        answer.callback(5)
        third = call.result("d")
        self.assertEqual([self.successResultOf(each) for each in (first, second, third)], [5] * 3)
        self.clock.advance(10)
        call("e")
        self.assertEqual(self.made, [(0, "a"), (10, "e")])


class ControlTests(ThrottleTestCase):
    """
    C{flush} and C{cancel}.
    """

    def test_flush(self) -> None:
        """
        What waits is made at once; the next has to wait as usual.
        """
        call = self.throttled()
        call("a")
        call("b")
        self.clock.advance(4)
        self.outcome = 6
        self.assertEqual(self.successResultOf(call.flush()), 6)
        call("c")
        self.clock.advance(9)
        self.assertEqual(self.made, [(0, "a"), (4, "b")])
        self.clock.advance(1)
        self.assertEqual(self.made[2:], [(14, "c")])

    def test_flushNothing(self) -> None:
        """
        Without anything that waits, nothing is made.
        """
        call = self.throttled()
        self.assertIsNone(self.successResultOf(call.flush()))
        call("a")
        self.assertIsNone(self.successResultOf(call.flush()))
        self.assertEqual(len(self.made), 1)

    def test_flushFails(self) -> None:
        """
        Its failure goes to who has flushed.
        """
        call = self.throttled()
        call("a")
        call("b")
        self.outcome = Boom()
        self.failureResultOf(call.flush(), Boom)

    def test_cancel(self) -> None:
        """
        What waits is not made, and who wants its result is told; the next goes through.
        """
        call = self.throttled()
        call("a")
        waiting = call.result("b")
        call.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        call.cancel()
        call("c")
        self.assertEqual(self.made, [(0, "a"), (0, "c")])


class SettingTests(ThrottleTestCase):
    """
    What can be meant.
    """

    def test_refused(self) -> None:
        """
        A setting that cannot be meant is named.
        """
        for seconds in (0, -1, float("nan"), float("inf"), "1", True, None):
            error = self.assertRaises(InvalidOption, throttle, self.work, seconds)
            self.assertEqual(error.option, "seconds")
        error = self.assertRaises(InvalidOption, throttle, "work", 1)
        self.assertEqual(error.option, "function")
        error = self.assertRaises(InvalidOption, throttle, self.work, 1, None, False, False)
        self.assertEqual(error.option, "leading")

    def test_reactor(self) -> None:
        """
        Without a reactor, it is the one that is installed.
        """
        from twisted.internet import reactor

        waiting: Any = reactor
        before = len(waiting.getDelayedCalls())
        call = throttle(self.work, 3600)
        call("a")
        self.assertEqual(len(waiting.getDelayedCalls()), before + 1)
        call.cancel()
