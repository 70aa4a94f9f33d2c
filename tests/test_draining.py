"""
How each connection is ended, with drainers of every kind.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from terminable.policy.phases import Phase
from terminable.policy.schedule import LAST_WORD
from terminable.roll import AT_LEAST
from terminable.slices import BUDGET
from tests.doubles import Hinting, Keeping, Plain, Polite, World


class RawTests(SynchronousTestCase):
    """
    Protocols of which nothing is known.
    """

    def test_lost(self) -> None:
        """
        They are idle in memory, where nobody can look into a socket, and are lost when
        the idle grace is over.
        """
        world = World(Plain)
        transport = world.connect()
        result = world.terminator.terminate()
        world.clock.advance(0.9)
        self.assertFalse(transport.disconnecting)
        world.pass_(0.2)
        self.assertEqual(self.successResultOf(result).idle, 1)
        self.assertFalse(transport.aborted)
        self.assertEqual(world.factory.ended, world.factory.protocols)

    def test_alreadyGoing(self) -> None:
        """
        Who was told to go before has something in flight, and is left alone.
        """
        world = World(Plain)
        transport = world.connect(delay=None)
        transport.loseConnection()
        result = world.terminator.terminate()
        world.pass_(2)
        self.assertEqual(world.terminator.progress().busy, 1)
        transport.end()
        self.assertEqual(self.successResultOf(result).finished, 1)

    def test_noAbortConnection(self) -> None:
        """
        A transport that cannot be aborted is lost.
        """
        world = World(gracePeriod=1)
        transport = world.connect()
        transport.abortConnection = None  # type: ignore[assignment,method-assign]
        world.factory.protocols[0].busy = True
        result = world.terminator.terminate()
        world.pass_(1.1)
        self.assertTrue(transport.disconnecting)
        self.assertEqual(self.successResultOf(result).aborted, 1)


class PoliteTests(SynchronousTestCase):
    """
    Protocols that know two words.
    """

    def test_busyWhenTheGraceIsOver(self) -> None:
        """
        Who has become busy during the idle grace is told once, and finishes.
        """
        world = World()
        world.connect()
        result = world.terminator.terminate()
        [protocol] = world.factory.protocols
        world.clock.advance(0.5)
        protocol.busy = True
        world.pass_(2)
        self.assertEqual(protocol.drained, 1)
        protocol.finish()
        world.clock.advance(0)
        self.assertEqual(self.successResultOf(result).finished, 1)

    def test_notWhileQuiescing(self) -> None:
        """
        Nobody who is busy has to go before the quiesce time is over.
        """
        world = World(quiesce=1)
        world.connect()
        [protocol] = world.factory.protocols
        protocol.busy = True
        world.terminator.terminate()
        world.pass_(0.9)
        self.assertEqual(protocol.drained, 0)
        world.pass_(0.2)
        self.assertEqual(protocol.drained, 1)

    def test_idleStraggler(self) -> None:
        """
        Who was told to go, has nothing in flight, and does not go, is aborted at the
        deadline.
        """
        world = World(Keeping, gracePeriod=2)
        transport = world.connect()
        result = world.terminator.terminate()
        world.pass_(1.9)
        self.assertFalse(transport.disconnecting)
        world.pass_(0.2)
        self.assertTrue(transport.aborted)
        report = self.successResultOf(result)
        self.assertEqual((report.aborted, len(report.stragglers)), (1, 1))


class HintingTests(SynchronousTestCase):
    """
    Protocols with a hint and a last word.
    """

    def world(self, **times: Any) -> World:
        world = World(Hinting, **times)
        self.transport = world.connect()
        [self.protocol] = world.factory.protocols
        return world

    def test_hintFirst(self) -> None:
        """
        The hint is given when the drain begins; who is idle has to go when the idle grace
        is over.
        """
        world = self.world()
        world.terminator.terminate()
        self.assertIsNotNone(self.protocol.told)
        self.assertEqual(self.protocol.drained, 0)
        world.pass_(1)
        self.assertEqual(self.protocol.drained, 1)

    def test_silent(self) -> None:
        """
        Who has nothing to say is lost without being asked.
        """
        world = self.world()
        self.protocol.silent = True
        result = world.terminator.terminate()
        world.pass_(1)
        self.assertEqual(self.protocol.drained, 0)
        self.assertEqual(self.successResultOf(result).idle, 1)

    def test_becomesIdleEarly(self) -> None:
        """
        Who becomes idle within the idle grace has time until it is over.
        """
        world = self.world()
        self.protocol.busy = True
        world.terminator.terminate()
        self.protocol.busy = False
        self.protocol.told()
        world.pass_(0.9)
        self.assertFalse(self.transport.disconnecting)
        world.pass_(0.2)
        self.assertTrue(self.transport.disconnecting)

    def test_becomesIdleLate(self) -> None:
        """
        Who becomes idle after that is looked at again a moment later, so that a request
        that is on its way is answered; if there is none it is lost.
        """
        world = self.world()
        self.protocol.silent = True
        self.protocol.busy = True
        result = world.terminator.terminate()
        world.pass_(3)
        self.protocol.busy = False
        self.protocol.told()
        self.assertFalse(self.transport.disconnecting)
        world.clock.advance(AT_LEAST / 2)
        self.assertFalse(self.transport.disconnecting)
        world.clock.advance(AT_LEAST)
        world.clock.advance(0)
        self.assertEqual(self.successResultOf(result).finished, 1)
        self.assertEqual(world.clock.getDelayedCalls(), [])

    def test_becomesIdleWhenGone(self) -> None:
        """
        Who says so when the connection is over is not heard.
        """
        world = self.world()
        world.connect(delay=None)
        world.terminator.terminate()
        world.pass_(1.1)
        self.protocol.told()
        [other] = world.terminator.connections()
        self.assertEqual(len(world.clock.getDelayedCalls()), 1)
        self.assertIsNot(other.transport, self.transport)

    def test_goneBeforeTheLook(self) -> None:
        """
        Whose connection ends before that look is not looked at.
        """
        world = self.world()
        self.protocol.busy = True
        result = world.terminator.terminate()
        world.connect(delay=None)
        world.pass_(2)
        self.protocol.busy = False
        self.protocol.told()
        self.transport.end()
        world.clock.advance(AT_LEAST)
        self.assertNoResult(result)

    def test_lastWord(self) -> None:
        """
        At the deadline a busy one says its last word, which has a moment to leave; then
        it is cut off.  The report says what it was told.
        """
        world = self.world(gracePeriod=2)
        self.protocol.busy = True
        self.protocol.word = "503"
        result = world.terminator.terminate()
        world.clock.advance(2)
        world.clock.advance(LAST_WORD / 2)
        self.assertFalse(self.transport.disconnecting)
        world.clock.advance(LAST_WORD)
        self.assertTrue(self.transport.disconnecting)
        world.clock.advance(0)
        report = self.successResultOf(result)
        [entry] = report.stragglers
        self.assertEqual((entry.told, entry.doing), ("503", "doing something"))
        self.assertEqual((report.aborted, world.clock.getDelayedCalls()), (1, []))

    def test_lastWordAndGone(self) -> None:
        """
        Whose connection ends with its last word is over; it was aborted all the same.
        """
        world = self.world(gracePeriod=2)
        self.protocol.busy = True
        self.protocol.word = "503"
        result = world.terminator.terminate()
        world.clock.advance(2)
        self.transport.end()
        self.assertEqual(self.successResultOf(result).aborted, 1)
        self.assertEqual(world.clock.getDelayedCalls(), [])

    def test_idleSaysItsLastWord(self) -> None:
        """
        Who is idle at the deadline and has something to say says it, and was not aborted.
        """
        world = self.world(gracePeriod=2, idleGrace=2)
        self.protocol.word = "503"
        result = world.terminator.terminate()
        world.clock.advance(2)
        world.clock.advance(0)
        self.assertNoResult(result)
        world.pass_(LAST_WORD + 0.02)
        report = self.successResultOf(result)
        self.assertEqual((report.idle, report.aborted), (1, 0))


class LateTests(SynchronousTestCase):
    """
    Connections that are accepted although the end has begun.
    """

    def setUp(self) -> None:
        self.world = World(Hinting)
        self.first = self.world.connect(delay=None)
        self.world.factory.protocols[0].busy = True

    def test_hinted(self) -> None:
        """
        It is begun with in the next turn, when its protocol is connected.
        """
        self.world.terminator.terminate()
        self.world.connect()
        self.world.clock.advance(0)
        self.assertIsNotNone(self.world.factory.protocols[1].told)

    def test_lostWithTheOthers(self) -> None:
        """
        It is lost no later than an idle grace after it came.
        """
        self.world.terminator.terminate()
        self.world.clock.advance(0.5)
        transport = self.world.connect()
        self.world.pass_(1.1)
        self.assertTrue(transport.over)

    def test_afterTheIdleGrace(self) -> None:
        """
        So is one that comes when the others have gone: it does not stay until the
        deadline.
        """
        self.world.terminator.terminate()
        self.world.pass_(1.5)
        transport = self.world.connect()
        self.world.pass_(1.1)
        self.assertTrue(transport.over)

    def test_goneAtOnce(self) -> None:
        """
        If it is over at once, it leaves nothing behind.
        """
        result = self.world.terminator.terminate()
        self.world.clock.advance(0.5)
        transport = self.world.connect()
        transport.end()
        self.first.end()
        self.assertEqual(self.successResultOf(result).opened, 2)
        self.assertEqual(self.world.clock.getDelayedCalls(), [])

    def test_whileAborting(self) -> None:
        """
        Nobody is served once the rest is being aborted.
        """
        self.world.terminator.abort()
        self.assertIs(self.world.terminator.phase, Phase.ABORTING)
        self.assertIsNone(self.world.connect().protocol)


class SliceTests(SynchronousTestCase):
    """
    So many connections that one turn of the reactor is not enough.
    """

    def world(self, count: int = 5) -> World:
        world = World(gracePeriod=5)

        class Slow(Polite):
            def isBusy(self) -> bool:
                world.clock.rightNow += BUDGET
                return self.busy

        world.factory.protocol = Slow
        self.transports = [world.connect() for _ in range(count)]
        return world

    def test_allOfThem(self) -> None:
        """
        They are told in several turns, all of them.
        """
        world = self.world()
        for protocol in world.factory.protocols:
            protocol.busy = True
        world.terminator.terminate()
        told = [protocol.drained for protocol in world.factory.protocols]
        self.assertEqual(told, [1, 0, 0, 0, 0])
        world.clock.advance(0.1)
        told = [protocol.drained for protocol in world.factory.protocols]
        self.assertEqual(told, [1] * 5)

    def test_someGoMeanwhile(self) -> None:
        """
        Who goes between two turns is not touched any more.
        """
        for stop in ("terminate", "abort"):
            world = self.world(3)
            result = getattr(world.terminator, stop)()
            self.transports[2].end()
            world.pass_(2)
            report = self.successResultOf(result)
            self.assertEqual((report.opened, report.idle), (3, 3))
            self.assertEqual(world.factory.protocols[2].drained, 0)

    def test_allGoMeanwhile(self) -> None:
        """
        If all go in the middle of an abort it is over then, and nothing is left to come
        once the turn that was due has come.
        """
        world = self.world(3)
        result = world.terminator.abort()
        for transport in self.transports:
            transport.end()
        self.assertEqual(self.successResultOf(result).opened, 3)
        world.clock.advance(0)
        self.assertEqual(world.clock.getDelayedCalls(), [])
