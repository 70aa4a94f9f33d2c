"""
Goodbyes that wait for whoever asked to be told.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from tests.doubles import Boom, Hinting
from tests.turns import PLACES, Lasting, Prompt, TurnTestCase


class WhenDrainingTests(TurnTestCase):
    """
    Those who asked to be told.
    """

    def test_told(self) -> None:
        """
        They are told when the drain begins, a moment after whoever asked for it is done;
        others who ask from then on, at once.
        """
        world = self.serve(Hinting, 2)
        asked = self.ask(0)
        world.terminator.terminate()
        self.assertNoResult(asked)
        self.successResultOf(self.ask(0))
        self.successResultOf(self.ask(1))
        world.clock.advance(0)
        self.successResultOf(asked)

    def test_idle(self) -> None:
        """
        Then all goes its way: who is idle is lost at the end of the idle grace, and counts
        as one who had something to finish.
        """
        world = self.serve(Hinting, 2)
        self.ask(0)
        result = world.terminator.terminate()
        self.assertMoments(self.moments(2), [1.0, 1.0])
        report = self.nothingLeft(result)
        self.assertEqual((report.finished, report.idle), (1, 1))

    def test_quiesce(self) -> None:
        """
        Not while the server is only quiescing.
        """
        world = self.serve(Hinting, 1, quiesce=2)
        before = self.ask(0)
        world.terminator.terminate()
        meanwhile = self.ask(0)
        world.pass_(1.9)
        self.assertNoResult(before)
        self.assertNoResult(meanwhile)
        world.pass_(0.2)
        self.successResultOf(before)
        self.successResultOf(meanwhile)

    def test_spread(self) -> None:
        """
        With a stagger time each connection has its own turn, also those that do not live
        long; only they are not told again when it comes to goodbyes.
        """
        self.serve(Hinting, stagger=10)
        asked = [self.ask(number) for number in range(5)]
        self.world.terminator.terminate()
        found = self.moments(10, lambda number: asked[number].called)
        self.assertMoments(found, [10 * place for place in PLACES])

    def test_oneTurn(self) -> None:
        """
        Who lives long, and had its turn after the end of the idle grace, says goodbye with
        that.
        """
        self.serve(Lasting, stagger=10)
        for number in range(5):
            self.ask(number)
        self.world.terminator.terminate()
        expected = [10 * place for place in PLACES]
        # The first one had its turn before it.
        expected[0] = 1 + 10 * 0.0902
        self.assertMoments(self.moments(10), expected)

    def test_promptWaits(self) -> None:
        """
        The goodbye waits for what was returned.
        """
        world = self.serve(Prompt, 2)
        ready: Deferred[None] = Deferred()
        self.ask(0, ready)
        world.terminator.terminate()
        world.pass_(5)
        self.assertEqual([each.drained for each in self.protocols], [0, 2])
        ready.callback(None)
        self.assertEqual(self.protocols[0].drained, 1)

    def test_waits(self) -> None:
        """
        So does that of any other, also beyond the idle grace.
        """
        world = self.serve(Hinting, 2)
        ready: Deferred[None] = Deferred()
        self.ask(0, ready)
        result = world.terminator.terminate()
        world.pass_(5)
        self.assertEqual([each.over for each in self.transports], [False, True])
        self.protocols[0].told()
        world.pass_(1)
        self.assertFalse(self.transports[0].over)
        ready.callback(None)
        world.clock.advance(0)
        self.assertEqual(self.nothingLeft(result).finished, 1)

    def test_neverReady(self) -> None:
        """
        But it does not wait any longer than until the deadline.
        """
        world = self.serve(Hinting, 2, gracePeriod=3)
        self.protocols[1].word = "503"
        ready: list[Deferred[None]] = [Deferred(), Deferred()]
        for number in (0, 1):
            self.ask(number, ready[number])
        result = world.terminator.terminate()
        world.pass_(2.9)
        self.assertNoResult(result)
        world.pass_(0.3)
        self.assertEqual(self.nothingLeft(result).opened, 2)
        for each in ready:
            each.callback(None)
        self.assertEqual([each.drained for each in self.protocols], [0, 0])

    def test_failing(self) -> None:
        """
        A callback that fails is logged, and costs nothing.
        """
        world = self.serve(Prompt, 1)
        self.ask(0).addCallback(lambda _: 1 / 0)
        self.ask(0)
        world.terminator.terminate()
        world.clock.advance(0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.protocols[0].drained, 1)

    def test_drainFails(self) -> None:
        """
        So does a goodbye that fails when they are ready; it costs its connection alone.
        """

        def fail() -> None:
            raise Boom

        world = self.serve(Prompt, 3, gracePeriod=2, idleGrace=2)
        ready: Deferred[None] = Deferred()
        asked = [self.ask(number, answer) for number, answer in enumerate([None, ready, None])]
        self.protocols[0].drain = self.protocols[1].drain = fail
        result = world.terminator.terminate()
        world.clock.advance(0)
        self.assertEqual(self.protocols[2].drained, 1)
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)
        ready.callback(None)
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)
        world.pass_(2.1)
        self.assertEqual(self.nothingLeft(result).aborted, 3)
        self.assertEqual([each.called for each in asked], [True] * 3)

    def test_overBefore(self) -> None:
        """
        Who is gone before its turn comes is not told of anything.
        """
        world = self.serve(Prompt, 3, stagger=10)
        before, first, later = (self.ask(number) for number in range(3))
        self.transports[0].end()
        result = world.terminator.terminate()
        self.transports[1].end()
        world.pass_(1)
        self.transports[2].end()
        for asked in (before, first, later):
            self.assertNoResult(asked)
        self.assertEqual(self.nothingLeft(result).before, 1)

    def test_overBetween(self) -> None:
        """
        Nor is one who goes between its turn and the moment in which it is told: everything
        is over then.
        """
        world = self.serve(Prompt, 1)
        asked = self.ask(0)
        result = world.terminator.terminate()
        self.transports[0].end()
        self.nothingLeft(result)
        self.assertNoResult(asked)
        world = self.serve(Prompt, 2)
        world.terminator.terminate()
        self.transports[0].end()
        world.clock.advance(0)
        self.assertEqual([each.drained for each in self.protocols], [0, 1])

    def test_whoIsOver(self) -> None:
        """
        About a connection that is over there is nothing to be told, before a stop and in
        it.
        """
        world = self.serve(Hinting, 2)
        self.transports[0].end()
        self.assertNoResult(self.ask(0))
        world.terminator.terminate()
        self.assertNoResult(self.ask(0))

    def test_goes(self) -> None:
        """
        Whoever is told may end the connection itself.
        """
        world = self.serve(Prompt, 2)
        asked = self.ask(0)
        asked.addCallback(lambda _: self.transports[0].loseConnection())
        self.ask(1).addCallback(lambda _: self.transports[1].end())
        result = world.terminator.terminate()
        world.pass_(0.02)
        self.assertEqual([each.drained for each in self.protocols], [0, 0])
        self.assertEqual(self.nothingLeft(result).finished, 2)

    def test_cancelled(self) -> None:
        """
        Who no longer wants to be told is not waited for, also if it had a turn.
        """
        world = self.serve(Hinting, 2, stagger=10)
        asked = [self.ask(number).addErrback(lambda _: None) for number in (0, 1)]
        asked[0].cancel()
        world.terminator.terminate()
        world.pass_(2)
        asked[1].cancel()
        world.pass_(5)
        self.assertEqual([each.over for each in self.transports], [True, True])

    def test_late(self) -> None:
        """
        Who is accepted in the middle of a stop is told at once.
        """
        world = self.serve(Hinting, 1)
        self.protocols[0].busy = True
        world.terminator.terminate()
        self.transports.append(world.connect())
        self.successResultOf(self.ask(1))

    def test_byChoice(self) -> None:
        """
        In a drain by choice the chosen are told; the others when their time comes.
        """
        world = self.serve(Hinting, 2)
        asked = [self.ask(number) for number in (0, 1)]
        world.terminator.drain(lambda each: each.transport is self.transports[0])
        world.clock.advance(0)
        self.successResultOf(asked[0])
        self.assertNoResult(asked[1])
        self.successResultOf(self.ask(0))
        world.terminator.terminate()
        world.clock.advance(0)
        self.successResultOf(asked[1])

    def test_stopWhileOneIsAtIt(self) -> None:
        """
        Who is still preparing for a drain by choice when a stop begins is not told again,
        and is waited for.
        """
        world = self.serve(Prompt, 1)
        ready: Deferred[None] = Deferred()
        self.ask(0, ready)
        world.terminator.drain()
        world.pass_(0.5)
        world.terminator.terminate()
        world.pass_(2)
        self.assertEqual(self.protocols[0].drained, 0)
        ready.callback(None)
        self.assertEqual(self.protocols[0].drained, 1)
