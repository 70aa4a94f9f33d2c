"""
When somebody's place is free: the application says so, or his time is over.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from tests.admitting import RoomTestCase
from tests.doubles import (
    Boom,
    Plain,
)


class UntilTests(RoomTestCase):
    """
    The application says when it is done.
    """

    def setUp(self) -> None:
        self.done: list[Deferred[None]] = []

    def until(self, protocol: Any) -> Deferred[None]:
        self.assertIn(protocol, self.factory.protocols)
        done: Deferred[None] = Deferred()
        self.done.append(done)
        return done

    def test_beforeTheEnd(self) -> None:
        """
        The next one comes in when it fires, not before the reactor's next turn, although
        the connection lives on.
        """
        self.open(capacity=1, until=self.until)
        self.come(2)
        self.done[0].callback(None)
        self.assertEqual(self.inside(), [1])
        self.clock.advance(0)
        self.assertEqual(self.inside(), [1, 2])

    def test_afterTheEnd(self) -> None:
        """
        The end of the connection is not enough.
        """
        self.open(capacity=1, until=self.until)
        first, _ = self.come(2)
        first.end()
        self.clock.advance(1)
        self.assertEqual((self.inside(), self.terminator.waiting), ([], 1))
        self.done[0].callback(None)
        self.clock.advance(0)
        self.assertEqual(self.inside(), [2])

    def test_connectionIsOverAtOnce(self) -> None:
        """
        Not even if it was over before the application could say so.
        """
        self.open(capacity=1, until=self.until)
        self.factory.protocol = type(
            "Brief",
            (Plain,),
            {"connectionMade": lambda it: (Plain.connectionMade(it), it.transport.end())},
        )
        self.come(1)
        self.factory.protocol = Plain
        self.come(1)
        self.clock.advance(0)
        self.assertEqual(self.inside(), [])
        self.done[0].callback(None)
        self.clock.advance(0)
        self.assertEqual(self.inside(), [1])

    def test_none(self) -> None:
        """
        C{None}: until the connection is over; also if that is already so.
        """
        self.open(capacity=1, until=lambda protocol: None)
        first, second, third = self.come(3)
        first.end()
        self.clock.advance(0)
        self.assertEqual(self.inside(), [2])
        self.factory.protocol = type(
            "Brief", (Plain,), {"connectionMade": lambda it: it.transport.end()}
        )
        second.end()
        self.clock.advance(0)
        self.assertTrue(third.over)
        self.factory.protocol = Plain
        self.clock.advance(0)
        self.come(1)
        self.assertEqual(self.inside(), [1])

    def test_failing(self) -> None:
        """
        A failure is logged, and frees the place; so does an application that cannot say.
        """
        self.open(capacity=1, until=self.until)
        self.come(2)
        self.done[0].errback(Boom())
        self.clock.advance(0)
        self.assertEqual(self.inside(), [1, 2])
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)

        def fail(protocol: Any) -> None:
            raise Boom

        self.open(capacity=1, until=fail)
        first, _ = self.come(2)
        first.end()
        self.clock.advance(0)
        self.assertEqual(self.inside(), [2])
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 2)

    def test_noneBuilt(self) -> None:
        """
        Nobody is asked when a protocol is done that was not built.
        """
        self.open(capacity=1, until=self.until)
        first, _, third = self.come(3)
        build = self.factory.buildProtocol
        built = [None, build(None)]
        self.factory.buildProtocol = lambda addr: built.pop(0)  # type: ignore[method-assign]
        first.end()
        self.done[0].callback(None)
        self.clock.advance(0)
        self.assertEqual((self.inside(), len(self.done)), ([3], 2))
        self.assertFalse(third.over)

    def test_firesTooLate(self) -> None:
        """
        What fires when its place was given to another one changes nothing.
        """
        stuck: Deferred[None] = Deferred(lambda _: None)
        stuck.cancel = lambda: None  # type: ignore[method-assign]
        self.open(capacity=1, stay=2, until=lambda protocol: self.until(protocol) and stuck)
        self.come(2)
        self.world.pass_(3.1)
        self.assertEqual((self.inside(), self.terminator.waiting), ([2], 0))
        stuck.callback(None)
        self.clock.advance(0)

    def test_resultIsNotTouched(self) -> None:
        """
        Whoever else waits for the Deferred gets its result.
        """
        self.open(capacity=1, until=self.until)
        self.come(1)
        self.done[0].callback("it")  # type: ignore[arg-type]
        self.assertEqual(self.successResultOf(self.done[0]), "it")


class TimeTests(RoomTestCase):
    """
    Limits of time.
    """

    def test_wait(self) -> None:
        """
        Who has waited too long is lost.
        """
        self.open(capacity=1, wait=3)
        _, second = self.come(2)
        self.world.pass_(2.9)
        self.assertFalse(second.disconnecting)
        self.world.pass_(0.2)
        self.assertTrue(second.over)
        self.assertEqual((self.inside(), self.terminator.waiting), ([1], 0))

    def test_stay(self) -> None:
        """
        Who is inside for too long is aborted, and the next one comes in.
        """
        self.open(capacity=1, stay=3)
        first, second = self.come(2)
        self.world.pass_(2.9)
        self.assertFalse(first.aborted)
        self.world.pass_(0.3)
        self.assertTrue(first.aborted)
        self.assertEqual(self.inside(), [2])
        second.end()
        self.world.pass_(5)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stayOfADeferred(self) -> None:
        """
        What the application is at is cancelled; that is no failure to log.
        """
        done: list[Deferred[None]] = []

        def until(protocol: Any) -> Deferred[None]:
            done.append(Deferred())
            return done[-1]

        self.open(capacity=1, stay=3, until=until)
        first, second = self.come(2)
        first.end()
        self.world.pass_(3.1)
        self.assertTrue(done[0].called)
        self.assertEqual(self.inside(), [2])
        self.assertEqual(self.flushLoggedErrors(), [])
        second.end()
        done[1].callback(None)
        self.clock.advance(0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stayOfWhoDoesNotEnd(self) -> None:
        """
        Who does not even end when he is aborted does not keep his place.
        """
        self.open(capacity=1, stay=3)
        first, _ = self.come(2, delay=None)
        self.world.pass_(3.1)
        self.assertEqual((first.aborted, self.inside()), (True, [1]))
        self.world.pass_(1)
        self.assertEqual(self.inside(), [1, 2])

    def test_stayOfWhoCannotBeAborted(self) -> None:
        """
        Some transports can only be lost.
        """
        self.open(capacity=1, stay=3)
        first = self.come(1)[0]
        first.abortConnection = None  # type: ignore[assignment,method-assign]
        self.world.pass_(3.1)
        self.assertTrue(first.over)

    def test_nothingIsLeftBehind(self) -> None:
        """
        When nobody is there any more, nothing is scheduled.
        """
        self.open(capacity=1, stay=3, wait=3)
        first, second = self.come(2)
        second.end()
        first.end()
        self.clock.advance(0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
