"""
Whom a drain tells.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from terminable.goodbyes import Callers, Watch
from terminable.interfaces import IDrainWatch
from terminable.policy.schedule import Schedule
from tests.doubles import Boom


class WatchTests(SynchronousTestCase):
    """
    What the drainer of one connection is given.
    """

    def setUp(self) -> None:
        self.idled: list[Any] = []
        self.later: list[Any] = []
        self.schedule = Schedule(closeCode=1012)
        self.watch = Watch("transport", self.schedule, self.idled.append, self.remember)

    def remember(self, *details: Any) -> None:
        """
        Something is to be called later.
        """
        self.later.append(details)

    def test_interface(self) -> None:
        """
        It has everything that it promises.
        """
        self.assertTrue(verifyObject(IDrainWatch, self.watch))

    def test_schedule(self) -> None:
        """
        It has the schedule of the drain.
        """
        self.assertIs(self.watch.schedule, self.schedule)

    def test_idle(self) -> None:
        """
        Called, it tells whose connection has become idle.
        """
        self.watch()
        self.assertEqual((self.idled, self.later), (["transport"], []))

    def test_later(self) -> None:
        """
        Work for later is passed on with the connection that it is for.
        """
        self.watch.later(2.5, print, "a", "b")
        self.assertEqual((self.idled, self.later), ([], [("transport", 2.5, print, "a", "b")]))


class CallersTests(SynchronousTestCase):
    """
    Those who asked to be called.
    """

    def setUp(self) -> None:
        self.callers = Callers()
        self.done: list[Any] = []
        self.called: list[str] = []

    def ask(self, name: str, answer: Any = None, transport: str = "a") -> Deferred[None]:
        """
        Somebody asks, and will return C{answer} when called.
        """

        def note(_: None) -> Any:
            self.called.append(name)
            return answer

        return self.callers.ask(transport).addCallback(note)

    def call(self, transport: str = "a") -> None:
        """
        The drain of a connection begins.
        """
        self.callers.call(transport, self.done.append)

    def test_nobody(self) -> None:
        """
        Nobody is in there at first; whoever has asked is.
        """
        self.assertNotIn("a", self.callers)
        self.ask("first")
        self.assertIn("a", self.callers)
        self.assertNotIn("b", self.callers)

    def test_called(self) -> None:
        """
        All who asked for a connection are called, in order, and it is done at once if they
        are; others are not called.
        """
        for name in ("first", "second"):
            self.ask(name)
        other = self.ask("other", transport="b")
        self.call()
        self.assertEqual((self.called, self.done), (["first", "second"], ["a"]))
        self.assertNotIn("a", self.callers)
        self.assertIn("b", self.callers)
        self.assertNoResult(other)

    def test_waitedFor(self) -> None:
        """
        It is done when what the last of them returned has fired; until then the
        connection is in there.
        """
        slow, slower = Deferred[None](), Deferred[None]()
        self.ask("slow", slow)
        self.ask("quick")
        self.ask("slower", slower)
        self.call()
        self.assertEqual((self.called, self.done), (["slow", "quick", "slower"], []))
        slow.callback(None)
        self.assertEqual(self.done, [])
        self.assertIn("a", self.callers)
        slower.callback(None)
        self.assertEqual(self.done, ["a"])
        self.assertNotIn("a", self.callers)

    def test_failing(self) -> None:
        """
        A callback that fails, at once or later, is logged, and costs nothing.
        """
        later = Deferred[None]()

        def fail(_: None) -> None:
            raise Boom

        self.callers.ask("a").addCallback(fail)
        self.ask("later", later)
        self.ask("fine")
        self.call()
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)
        self.assertEqual((self.called, self.done), (["later", "fine"], []))
        later.errback(Boom())
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)
        self.assertEqual(self.done, ["a"])

    def test_forgotten(self) -> None:
        """
        Who need not be called any more is not; when nobody is left, the connection is not
        in there either.
        """
        first, second = self.ask("first"), self.ask("second")
        self.callers.forget("a", first)
        self.callers.forget("a", first)
        self.assertIn("a", self.callers)
        self.callers.forget("a", second)
        self.assertNotIn("a", self.callers)
        self.callers.forget("a", second)
        self.assertNoResult(first)

    def test_cancelled(self) -> None:
        """
        To cancel is to be forgotten.
        """
        asked = self.ask("first")
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertNotIn("a", self.callers)

    def test_over(self) -> None:
        """
        Nobody is called for a connection that is over.
        """
        asked = self.ask("first")
        self.callers.over("a")
        self.assertNotIn("a", self.callers)
        self.assertNoResult(asked)
        self.callers.over("never seen")

    def test_overMeanwhile(self) -> None:
        """
        Nor is one done that is over before everybody was ready.
        """
        slow = Deferred[None]()
        self.ask("slow", slow)
        self.call()
        self.callers.over("a")
        self.assertNotIn("a", self.callers)
        slow.callback(None)
        self.assertEqual(self.done, [])

    def test_twice(self) -> None:
        """
        Called once more while some are at it, nobody is called again, and it is done once.
        """
        slow = Deferred[None]()
        self.ask("slow", slow)
        self.call()
        self.call()
        slow.callback(None)
        self.assertEqual((self.called, self.done), (["slow"], ["a"]))

    def test_cancelledByAnother(self) -> None:
        """
        A callback may cancel what another one waits for; the others are called all the same.
        """
        first, second = self.ask("first"), self.ask("second")
        self.ask("third")
        first.addCallback(lambda _: second.cancel())
        self.call()
        self.failureResultOf(second, CancelledError)
        self.assertEqual((self.called, self.done), (["first", "third"], ["a"]))

    def test_forgottenByAnother(self) -> None:
        """
        A callback may have another one forgotten: that of a request which it has ended.
        """
        first, second = self.ask("first"), self.ask("second")
        first.addCallback(lambda _: self.callers.forget("a", second))
        self.ask("third")
        self.call()
        self.assertEqual((self.called, self.done), (["first", "third"], ["a"]))
        self.assertNoResult(second)

    def test_overByACallback(self) -> None:
        """
        If a callback ends the connection, nobody else is called.
        """
        first, second = self.ask("first"), self.ask("second")
        first.addCallback(lambda _: self.callers.over("a"))
        self.call()
        self.assertEqual((self.called, self.done), (["first"], []))
        self.assertNotIn("a", self.callers)
        self.assertNoResult(second)
