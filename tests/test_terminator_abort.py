"""
The end at once.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from terminable.terminator import Terminator
from tests.doubles import Hinting, World


class AbortTests(SynchronousTestCase):
    """
    The end at once.
    """

    def test_everybody(self) -> None:
        """
        Who is busy is aborted, named and not told anything; who is not is only lost.
        """
        world = World(Hinting)
        busy, idle = world.connect(port=1), world.connect(port=2)
        world.factory.protocols[0].busy = True
        world.factory.protocols[0].word = "503"
        result = world.terminator.abort()
        self.assertEqual((busy.disconnecting, idle.disconnecting), (False, False))
        world.clock.advance(0)
        self.assertEqual((busy.aborted, idle.aborted), (True, False))
        report = self.successResultOf(result)
        self.assertEqual((report.aborted, report.idle), (1, 1))
        self.assertEqual(
            [(it.peer, it.doing, it.told) for it in report.stragglers],
            [("127.0.0.1:1", "doing something", "")],
        )
        self.assertEqual(world.clock.getDelayedCalls(), [])

    def test_nobodyThere(self) -> None:
        """
        Before anybody listens there is nothing to do.
        """
        terminator = Terminator(MemoryReactorClock())
        self.assertEqual(self.successResultOf(terminator.abort()).opened, 0)

    def test_cutsAStopShort(self) -> None:
        """
        A stop under way ends with it, and both calls get the same report.
        """
        world = World()
        world.connect()
        world.factory.protocols[0].busy = True
        polite = world.terminator.terminate()
        world.clock.advance(3)
        atOnce = world.terminator.abort()
        world.clock.advance(0)
        report = self.successResultOf(polite)
        self.assertIs(self.successResultOf(atOnce), report)
        self.assertEqual((report.aborted, report.seconds), (1, 3.0))

    def test_whileQuiescing(self) -> None:
        """
        Nor does it wait for the quiesce time.
        """
        world = World(quiesce=5)
        world.connect()
        polite = world.terminator.terminate()
        world.terminator.abort()
        world.clock.advance(0)
        self.assertEqual(self.successResultOf(polite).idle, 1)

    def test_terminateAfterwards(self) -> None:
        """
        Being polite after that changes nothing, and gets the report of the abort.
        """
        world = World()
        world.connect(delay=0.5)
        world.factory.protocols[0].busy = True
        first = world.terminator.abort()
        second = world.terminator.terminate()
        third = world.terminator.terminate(gracePeriod=100)
        world.clock.advance(0)
        world.pass_(0.5)
        report = self.successResultOf(first)
        self.assertIs(self.successResultOf(second), report)
        self.assertIs(self.successResultOf(third), report)
        self.assertEqual(world.clock.getDelayedCalls(), [])

    def test_twice(self) -> None:
        """
        Whoever is aborted twice is counted and named once.
        """
        world = World()
        transport = world.connect(delay=0.5)
        world.factory.protocols[0].busy = True
        result = world.terminator.abort()
        world.terminator.abort()
        world.clock.advance(0)
        world.pass_(0.5)
        self.assertTrue(transport.aborted)
        report = self.successResultOf(result)
        self.assertEqual((report.aborted, len(report.entries)), (1, 1))

    def test_cutsLastWordsShort(self) -> None:
        """
        Whoever is saying his last word is aborted without waiting for it to arrive.
        """
        world = World(Hinting, gracePeriod=1)
        transport = world.connect()
        world.factory.protocols[0].busy = True
        world.factory.protocols[0].word = "503"
        result = world.terminator.terminate()
        world.clock.advance(1)
        self.assertFalse(transport.aborted)
        world.terminator.abort()
        world.clock.advance(0)
        self.assertTrue(transport.disconnecting)
        [entry] = self.successResultOf(result).entries
        self.assertEqual(entry.told, "503")
        self.assertEqual(world.clock.getDelayedCalls(), [])


class GiveUpTests(SynchronousTestCase):
    """
    Connections that do not even end when they are aborted.
    """

    def check(self, world: World, result: Any) -> None:
        world.pass_(1.2)
        report = self.successResultOf(result)
        self.assertEqual(report.aborted, 2)
        self.assertEqual(len(report.stragglers), 2)
        self.assertEqual(world.clock.getDelayedCalls(), [])
        self.assertEqual(world.terminator.connections(), [])

    def world(self) -> World:
        world = World(gracePeriod=2)
        self.transports = [world.connect(delay=None) for _ in range(2)]
        world.factory.protocols[0].busy = True
        return world

    def test_afterAbort(self) -> None:
        """
        A moment after the abort it is over without them; they count as aborted, and
        are named, busy or idle.
        """
        world = self.world()
        self.check(world, world.terminator.abort())

    def test_afterTheDeadline(self) -> None:
        """
        So it is after the deadline.
        """
        world = self.world()
        result = world.terminator.terminate()
        world.pass_(2)
        self.check(world, result)

    def test_abortedAgainAndAgain(self) -> None:
        """
        Nobody puts it off by asking again.
        """
        world = self.world()
        result = world.terminator.abort()
        for _ in range(3):
            world.pass_(0.5)
            world.terminator.abort()
        self.check(world, result)

    def test_endedLater(self) -> None:
        """
        When one of them ends at last, nothing changes any more, also if somebody listens
        again by then.
        """
        world = self.world()
        world.terminator.abort()
        world.pass_(1.2)
        report = self.successResultOf(world.terminator.terminate())
        self.transports[0].end()
        self.assertIs(self.successResultOf(world.terminator.terminate()), report)
        world.terminator.wrap(world.factory)
        self.transports[1].end()
        self.assertEqual(self.successResultOf(world.terminator.terminate()).opened, 0)
