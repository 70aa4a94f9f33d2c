"""
Draining some connections while the others stay.
"""

from __future__ import annotations

import gc
import weakref

from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred

from terminable.errors import InvalidOption, NotServing
from terminable.policy.ledger import Outcome, State
from terminable.policy.phases import Phase
from terminable.policy.schedule import GIVE_UP, LAST_WORD
from terminable.tracking.connection import Connection
from tests.chosen import DrainTestCase
from tests.doubles import Plain, Polite


class ChosenTests(DrainTestCase):
    """
    Who is meant.
    """

    def test_everybody(self) -> None:
        """
        Without any condition all are told who are there; who comes later is not.
        """
        world = self.serve(2)
        result = world.terminator.drain()
        late = world.connect()
        self.assertEqual(self.told(), [0, 1])
        world.pass_(1.1)
        self.assertEqual(self.over(), [0, 1])
        self.assertEqual(self.successResultOf(result).idle, 2)
        self.assertEqual(len(self.world.terminator.connections()), 1)
        self.assertFalse(late.disconnecting)
        self.assertIs(world.terminator.phase, Phase.SERVING)

    def test_select(self) -> None:
        """
        By a callable: the chosen are told at once, and lost when their idle grace is over;
        the others hear nothing of it.
        """
        world = self.serve(3)

        def select(each: Connection) -> bool:
            return each.peer == "127.0.0.1:1"

        result = world.terminator.drain(select)
        self.assertEqual(self.told(), [1])
        world.pass_(0.9)
        self.assertEqual(self.over(), [])
        self.assertNoResult(result)
        world.pass_(0.2)
        self.assertEqual(self.over(), [1])
        self.assertFalse(self.transports[1].aborted)
        self.assertEqual([each.drained for each in self.protocols], [0, 1, 0])
        report = self.successResultOf(result)
        self.assertEqual((report.opened, report.idle, report.entries), (1, 1, ()))
        self.assertAlmostEqual(report.seconds, 1.0, places=1)

    def test_percent(self) -> None:
        """
        By a percentage: so many are told, evenly by age.
        """
        self.serve(6)
        result = self.world.terminator.drain(percent=50)
        self.assertEqual(self.told(), [0, 2, 4])
        self.world.pass_(1.1)
        self.assertEqual(self.successResultOf(result).opened, 3)

    def test_olderThan(self) -> None:
        """
        By their age on the reactor's clock.
        """
        self.serve(4)
        self.world.terminator.drain(olderThan=3)
        self.assertEqual(self.told(), [0, 1])

    def test_peer(self) -> None:
        """
        By where they come from.
        """
        self.serve(2)
        self.transports[0].getPeer = lambda: IPv4Address("TCP", "10.1.2.3", 1)  # type: ignore
        self.world.terminator.drain(peer="10.1.0.0/16")
        self.assertEqual(self.told(), [0])

    def test_port(self) -> None:
        """
        By where they came in.
        """
        self.serve(2)
        self.transports[1].getHost = lambda: IPv4Address("TCP", "127.0.0.1", 8080)  # type: ignore
        self.world.terminator.drain(port=8080)
        self.assertEqual(self.told(), [1])

    def test_nobody(self) -> None:
        """
        If nobody is meant, it is over at once, and nothing is left behind.
        """
        world = self.serve(2)
        for choice in ({"percent": 0}, {"olderThan": 99}, {"peer": "::1"}, {"port": 1}):
            report = self.successResultOf(world.terminator.drain(**choice))
            self.assertEqual((report.opened, report.seconds, report.entries), (0, 0.0, ()))
        self.assertEqual((self.told(), world.clock.getDelayedCalls()), ([], []))

    def test_bad(self) -> None:
        """
        What cannot be meant is refused, by name, and changes nothing.
        """
        terminator = self.serve(1).terminator
        bad = {
            "percent": 101,
            "olderThan": -1,
            "peer": "x",
            "port": 1.5,
            "select": 5,
            "gracePeriod": -1,
            "stagger": -1,
            "closeCode": 1005,
        }
        for option, value in bad.items():
            problem = self.assertRaises(InvalidOption, terminator.drain, **{option: value})
            self.assertEqual((problem.option, problem.value), (option, value))
        self.assertRaises(TypeError, terminator.drain, grace=5)
        self.assertEqual(self.told(), [])

    def test_notServing(self) -> None:
        """
        It is for servers: not while a stop is under way, nor after it; but while they are
        suspended.
        """
        world = self.serve(1, delay=None, quiesce=1, gracePeriod=3)
        self.successResultOf(world.terminator.suspend())
        self.successResultOf(world.terminator.drain(percent=0))
        self.protocols[0].busy = True
        world.terminator.terminate()
        phases = []
        for seconds in (0, 1.5, 2, 2):
            world.pass_(seconds)
            phases.append(world.terminator.phase)
            self.assertRaises(NotServing, world.terminator.drain)
        expected = [Phase.QUIESCING, Phase.DRAINING, Phase.ABORTING, Phase.TERMINATED]
        self.assertEqual(phases, expected)


class CourseTests(DrainTestCase):
    """
    How it goes.
    """

    def test_busy(self) -> None:
        """
        Who has something in flight is waited for, and was not aborted.
        """
        world = self.serve(2)
        self.protocols[0].busy = True
        result = world.terminator.drain()
        world.pass_(5)
        self.assertEqual((self.over(), self.protocols[0].drained), ([1], 1))
        self.protocols[0].finish()
        world.clock.advance(0)
        report = self.successResultOf(result)
        self.assertEqual((report.idle, report.finished, report.aborted), (1, 1, 0))

    def test_becomesIdle(self) -> None:
        """
        Who becomes idle after the end of the idle grace is told to go a moment later, and so
        is who was not ready before; the others stay.
        """
        world = self.serve(3)
        self.protocols[0].busy = True
        ready: Deferred[None] = Deferred()
        world.terminator.gate.whenDraining(self.transports[1]).addCallback(lambda _: ready)
        result = self.drain(0, 1)
        world.pass_(3)
        self.assertEqual([each.drained for each in self.protocols], [1, 0, 0])
        self.protocols[0].busy = False
        self.protocols[0].told()
        ready.callback(None)
        world.pass_(0.1)
        self.assertEqual(self.over(), [0, 1])
        self.assertEqual(self.successResultOf(result).finished, 2)

    def test_twoWords(self) -> None:
        """
        So is one that knows two words only, and is told at once.
        """
        world = self.serve(2, Polite)
        self.protocols[0].busy = self.protocols[1].busy = True
        result = self.drain(0)
        self.assertEqual([each.drained for each in self.protocols], [1, 0])
        self.protocols[0].finish()
        world.clock.advance(0)
        self.assertEqual(self.successResultOf(result).finished, 1)

    def test_unknown(self) -> None:
        """
        Those of which nothing is known are lost without a word.
        """
        world = self.serve(2, Plain)
        result = self.drain(1)
        world.pass_(1.1)
        self.assertEqual((self.over(), self.successResultOf(result).idle), ([1], 1))

    def test_deadline(self) -> None:
        """
        Who is busy at its deadline is aborted, after a last word, and named in its report;
        the others live on.
        """
        world = self.serve(3)
        for protocol in self.protocols:
            protocol.busy = True
        self.protocols[1].word = "503"
        result = self.drain(0, 1, gracePeriod=5)
        world.pass_(4.9)
        self.assertFalse(any(each.disconnecting for each in self.transports))
        world.pass_(0.13)
        self.assertEqual((self.over(), self.transports[1].disconnecting), ([0], False))
        world.pass_(LAST_WORD)
        self.assertEqual([each.aborted for each in self.transports], [True, False, False])
        report = self.successResultOf(result)
        self.assertEqual((report.opened, report.aborted), (2, 2))
        self.assertEqual([each.told for each in report.stragglers], ["", "503"])
        self.assertEqual([each.state for each in report.stragglers], [State.BUSY] * 2)
        self.assertEqual(self.over(), [0, 1])

    def test_notInLaterReports(self) -> None:
        """
        What came of the chosen is in their report; for that of a later stop they had ended
        before.
        """
        world = self.serve(4)
        self.protocols[0].busy = self.protocols[1].busy = True
        result = self.drain(0, 1, 2, gracePeriod=5)
        world.pass_(2)
        self.transports[1].end()
        world.pass_(4)
        report = self.successResultOf(result)
        self.assertEqual((report.idle, report.left, report.aborted), (1, 1, 1))
        outcomes = [each.outcome for each in report.entries]
        self.assertEqual(outcomes, [Outcome.LEFT, Outcome.ABORTED])
        result = world.terminator.terminate()
        world.pass_(1.1)
        report = self.successResultOf(result)
        self.assertEqual((report.opened, report.before, report.idle), (4, 3, 1))
        self.assertEqual((report.aborted, report.entries), (0, ()))

    def test_withoutDeadline(self) -> None:
        """
        Without a grace period they have all the time in the world.
        """
        world = self.serve(2)
        self.protocols[0].busy = True
        result = world.terminator.drain(gracePeriod=None)
        world.clock.advance(100_000)
        world.clock.advance(0)
        self.assertEqual(self.over(), [1])
        self.assertNoResult(result)
        self.assertEqual(world.clock.getDelayedCalls(), [])

    def test_atOnce(self) -> None:
        """
        With no grace at all they are aborted at once if they are busy, and lost if not.
        """
        world = self.serve(3)
        self.protocols[0].busy = True
        result = self.drain(0, 1, gracePeriod=0)
        world.pass_(0.02)
        report = self.successResultOf(result)
        self.assertEqual((report.aborted, report.idle, self.over()), (1, 1, [0, 1]))

    def test_settings(self) -> None:
        """
        Where settings are given they are this drain's alone.
        """
        world = self.serve(2, gracePeriod=10, closeCode=1001)
        result = self.drain(0, idleGrace=0.2, closeCode=1012)
        self.assertEqual(self.protocols[0].told.schedule.closeCode, 1012)
        world.pass_(0.3)
        self.assertEqual((self.over(), self.successResultOf(result).idle), ([0], 1))
        world.terminator.terminate()
        self.assertEqual(self.protocols[1].told.schedule.closeCode, 1001)
        world.pass_(0.9)
        self.assertEqual(self.over(), [0])
        world.pass_(0.2)
        self.assertEqual(self.over(), [0, 1])

    def test_shorterGrace(self) -> None:
        """
        A shorter grace period shortens whatever else is longer than that.
        """
        world = self.serve(1, idleGrace=2, quiesce=3)
        result = world.terminator.drain(gracePeriod=1, linger=1)
        world.pass_(1.1)
        self.assertEqual(self.successResultOf(result).idle, 1)
        world = self.serve(1, quiesce=3)
        world.terminator.drain(gracePeriod=1, idleGrace=0.5)
        world.pass_(0.6)
        self.assertEqual(self.over(), [0])

    def test_doesNotEnd(self) -> None:
        """
        One that does not even end when it is aborted is not waited for, and is an abort of
        its report; it stays where it is.
        """
        world = self.serve(1, delay=None)
        self.protocols[0].busy = True
        result = world.terminator.drain(gracePeriod=1)
        world.pass_(1 + LAST_WORD + GIVE_UP - 0.05)
        self.assertTrue(self.transports[0].aborted)
        self.assertNoResult(result)
        world.pass_(0.1)
        report = self.successResultOf(result)
        self.assertEqual((report.aborted, len(report.stragglers)), (1, 1))
        self.assertEqual(len(world.terminator.connections()), 1)
        self.assertEqual(self.successResultOf(world.terminator.drain()).opened, 0)
        self.transports[0].end()
        report = self.successResultOf(world.terminator.terminate())
        self.assertEqual((report.opened, report.before, report.aborted), (1, 1, 0))

    def test_cancelled(self) -> None:
        """
        To cancel is to wait no longer; the drain goes on.
        """
        world = self.serve(1)
        result = world.terminator.drain()
        result.cancel()
        self.failureResultOf(result, CancelledError)
        world.pass_(1.1)
        self.assertEqual(self.over(), [0])

    def test_nothingLeftBehind(self) -> None:
        """
        When it is over there is nothing left of it: no delayed call, and no connection in
        memory, not even of a straggler.
        """
        world = self.serve(2, gracePeriod=60)
        self.protocols[0].busy = True
        result = world.terminator.drain(gracePeriod=2)
        world.pass_(4)
        self.assertEqual(self.successResultOf(result).aborted, 1)
        self.assertEqual(world.clock.getDelayedCalls(), [])
        references = [weakref.ref(each) for each in self.transports]
        self.transports.clear()
        self.protocols.clear()
        world.factory.ended.clear()
        gc.collect()
        self.assertEqual([each() for each in references], [None, None])

    def test_timersAfterAnEarlyEnd(self) -> None:
        """
        That is also so when it is over long before its deadline.
        """
        world = self.serve(1)
        result = world.terminator.drain(gracePeriod=3600)
        world.pass_(1.1)
        self.successResultOf(result)
        self.assertEqual(world.clock.getDelayedCalls(), [])

    def test_overAtTheFirstWord(self) -> None:
        """
        That is also so if they are gone as soon as they are told.
        """
        world = self.serve(2)
        for protocol, transport in zip(self.protocols, self.transports, strict=True):
            protocol.hint = lambda idle, transport=transport: transport.end()
        report = self.successResultOf(world.terminator.drain())
        self.assertEqual((report.opened, report.idle), (2, 2))
        self.assertEqual(world.clock.getDelayedCalls(), [])
        references = [weakref.ref(each) for each in self.transports]
        self.transports.clear()
        self.protocols.clear()
        world.factory.ended.clear()
        del protocol, transport
        gc.collect()
        self.assertEqual([each() for each in references], [None, None])
