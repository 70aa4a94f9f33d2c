"""
One server, ended politely or at once.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from terminable.errors import InvalidOption
from terminable.policy.ledger import Outcome, State
from terminable.policy.phases import Phase
from terminable.policy.schedule import Schedule
from terminable.terminator import Terminator
from tests.doubles import Hinting, MemoryFactory, Polite, World


class OptionTests(SynchronousTestCase):
    """
    Making a terminator.
    """

    def test_oneByOne(self) -> None:
        """
        Times may be given one by one.
        """
        terminator = Terminator(
            MemoryReactorClock(),
            gracePeriod=10,
            idleGrace=2,
            quiesce=3,
            linger=4,
            lingerBytes=5,
        )
        self.assertEqual(terminator.schedule, Schedule(10, 2, 3, 4, 5))

    def test_allInOne(self) -> None:
        """
        A schedule has them all; what is given beside it is changed.
        """
        schedule = Schedule(None, linger=3)
        self.assertEqual(Terminator(MemoryReactorClock(), schedule).schedule, schedule)
        changed = Terminator(MemoryReactorClock(), schedule, quiesce=1, closeCode=1012)
        self.assertEqual(changed.schedule, Schedule(None, linger=3, quiesce=1, closeCode=1012))

    def test_bad(self) -> None:
        """
        A time that cannot be meant is refused.
        """
        self.assertRaises(InvalidOption, Terminator, MemoryReactorClock(), gracePeriod=-1)


class TerminateTests(SynchronousTestCase):
    """
    A polite end.
    """

    def test_nobodyThere(self) -> None:
        """
        Before anybody listens the end comes at once, and the report is empty.
        """
        terminator = Terminator(MemoryReactorClock())
        report = self.successResultOf(terminator.terminate())
        self.assertEqual((report.opened, report.seconds, report.entries), (0, 0.0, ()))
        self.assertIs(terminator.phase, Phase.TERMINATED)

    def test_nobodyConnected(self) -> None:
        """
        With nobody connected it ends at once.
        """
        world = World()
        report = self.successResultOf(world.terminator.terminate())
        self.assertEqual(report.opened, 0)
        self.assertEqual(world.clock.getDelayedCalls(), [])

    def test_idle(self) -> None:
        """
        Who has nothing in flight is told to go when the idle grace is over, not before;
        the stop ends with the last of them.
        """
        world = World()
        world.connect()
        result = world.terminator.terminate()
        [protocol] = world.factory.protocols
        world.clock.advance(0.99)
        self.assertEqual(protocol.drained, 0)
        world.pass_(0.02)
        self.assertEqual(protocol.drained, 1)
        report = self.successResultOf(result)
        self.assertEqual((report.opened, report.idle), (1, 1))
        self.assertAlmostEqual(report.seconds, 1.0, places=1)
        self.assertEqual(world.clock.getDelayedCalls(), [])

    def test_busy(self) -> None:
        """
        Who has something in flight is told to go at once, finishes, and is counted as
        finished; the stop ends with that, and waits for no time to pass.
        """
        world = World()
        world.connect(delay=0)
        [protocol] = world.factory.protocols
        protocol.busy = True
        result = world.terminator.terminate()
        self.assertEqual(protocol.drained, 1)
        world.pass_(5)
        self.assertNoResult(result)
        protocol.finish()
        world.clock.advance(0)
        report = self.successResultOf(result)
        self.assertEqual((report.finished, report.aborted), (1, 0))
        self.assertEqual(report.entries, ())
        self.assertEqual(world.clock.getDelayedCalls(), [])

    def test_straggler(self) -> None:
        """
        Who is busy at the deadline is aborted, counted and named.
        """
        world = World(gracePeriod=3)
        transport = world.connect(port=99)
        world.factory.protocols[0].busy = True
        result = world.terminator.terminate()
        world.clock.advance(2.99)
        self.assertFalse(transport.aborted)
        world.clock.advance(0.02)
        self.assertTrue(transport.aborted)
        world.clock.advance(0)
        report = self.successResultOf(result)
        self.assertEqual(report.aborted, 1)
        self.assertFalse(report.graceful)
        [entry] = report.entries
        self.assertEqual((entry.peer, entry.protocol), ("127.0.0.1:99", "Polite"))
        self.assertEqual((entry.state, entry.outcome), (State.BUSY, Outcome.ABORTED))
        self.assertAlmostEqual(entry.age, 3.01)

    def test_exactly(self) -> None:
        """
        The report counts from the request, as the deadline does, whatever time it takes to
        begin.
        """
        world = World(gracePeriod=5.0)
        world.connect()
        world.factory.protocols[0].busy = True
        seconds = world.clock.seconds

        def slowly() -> float:
            world.clock.rightNow += 1.0
            return float(seconds())

        self.patch(world.clock, "seconds", slowly)
        result = world.terminator.terminate()
        self.patch(world.clock, "seconds", seconds)
        # The first look at the clock is the request.
        ends: list[float] = []
        result.addCallback(lambda report: ends.append(world.clock.rightNow - 1.0) or report)
        world.pass_(8)
        self.assertAlmostEqual(self.successResultOf(result).seconds, ends[0])

    def test_left(self) -> None:
        """
        Whose peer goes away with something in flight is counted and named.
        """
        world = World()
        transport = world.connect()
        world.factory.protocols[0].busy = True
        result = world.terminator.terminate()
        transport.end()
        report = self.successResultOf(result)
        self.assertEqual((report.left, report.graceful), (1, True))
        [entry] = report.entries
        self.assertIs(entry.outcome, Outcome.LEFT)

    def test_before(self) -> None:
        """
        Whose connection was over before is counted as that.
        """
        world = World()
        world.connect().end()
        report = self.successResultOf(world.terminator.terminate())
        self.assertEqual((report.opened, report.before), (1, 1))

    def test_quiesce(self) -> None:
        """
        During the quiesce time hints are given and new connections served; nobody has
        to go.
        """
        world = World(Hinting, quiesce=2)
        world.connect()
        result = world.terminator.terminate()
        self.assertIs(world.terminator.phase, Phase.QUIESCING)
        world.connect()
        world.clock.advance(0)
        for protocol in world.factory.protocols:
            self.assertIsNotNone(protocol.told)
        world.pass_(1.9)
        self.assertIs(world.terminator.phase, Phase.QUIESCING)
        self.assertTrue(world.terminator.gate.accepting)
        world.pass_(0.2)
        self.assertIs(world.terminator.phase, Phase.DRAINING)
        self.assertEqual([it.drained for it in world.factory.protocols], [0, 0])
        world.pass_(1)
        self.assertEqual(self.successResultOf(result).idle, 2)

    def test_noGrace(self) -> None:
        """
        A grace period of 0 aborts at once.
        """
        world = World(gracePeriod=0)
        transport = world.connect()
        world.factory.protocols[0].busy = True
        result = world.terminator.terminate()
        self.assertFalse(transport.aborted)
        world.clock.advance(0)
        self.assertTrue(transport.aborted)
        self.assertEqual(self.successResultOf(result).aborted, 1)

    def test_noDeadline(self) -> None:
        """
        Without a grace period it waits for as long as it takes.
        """
        world = World(gracePeriod=None)
        transport = world.connect()
        world.factory.protocols[0].busy = True
        result = world.terminator.terminate()
        world.clock.pump([100.0] * 10)
        self.assertNoResult(result)
        self.assertFalse(transport.aborted)
        world.factory.protocols[0].finish()
        world.clock.advance(0)
        self.assertEqual(self.successResultOf(result).finished, 1)

    def test_memoryReactor(self) -> None:
        """
        It works with Twisted's reactor for tests, whose ports tell nothing.
        """
        reactor = MemoryReactorClock()
        terminator = Terminator(reactor)
        endpoint = TCP4ServerEndpoint(reactor, 80)
        self.successResultOf(terminator.listen(endpoint, MemoryFactory()))
        self.successResultOf(terminator.terminate())


class AgainTests(SynchronousTestCase):
    """
    Asking twice.
    """

    def busy(self, protocol: Any = Polite, **times: Any) -> World:
        world = World(protocol, **times)
        self.transport = world.connect()
        world.factory.protocols[0].busy = True
        return world

    def test_sameReport(self) -> None:
        """
        Every call gets the same report, also one that comes when all is over.
        """
        world = self.busy()
        results = [world.terminator.terminate(), world.terminator.terminate()]
        world.terminator.terminate()
        world.factory.protocols[0].finish()
        world.clock.advance(0)
        first, second = map(self.successResultOf, results)
        self.assertIs(first, second)
        self.assertIs(self.successResultOf(world.terminator.terminate()), first)
        self.assertIs(self.successResultOf(world.terminator.terminate(gracePeriod=9)), first)
        self.assertIs(self.successResultOf(world.terminator.abort()), first)
        self.assertEqual(world.clock.getDelayedCalls(), [])

    def test_shorter(self) -> None:
        """
        A later call may bring the deadline forward.
        """
        world = self.busy()
        result = world.terminator.terminate()
        world.clock.advance(5)
        world.terminator.terminate(gracePeriod=2)
        self.assertEqual(world.terminator.progress().left, 2.0)
        world.pass_(2.01)
        self.assertEqual(self.successResultOf(result).aborted, 1)

    def test_neverLonger(self) -> None:
        """
        It cannot put the deadline off, nor take it away.
        """
        for later in (100, None):
            world = self.busy(gracePeriod=3)
            result = world.terminator.terminate()
            world.terminator.terminate(gracePeriod=later)
            world.terminator.terminate()
            world.pass_(3.01)
            self.assertEqual(self.successResultOf(result).aborted, 1)

    def test_firstCallDecides(self) -> None:
        """
        The first call may have any grace period, longer or shorter than the
        terminator's own; idle grace and quiesce time are cut where they do not fit.
        """
        for length in (0.5, 30):
            world = self.busy(quiesce=1, idleGrace=2)
            result = world.terminator.terminate(gracePeriod=length)
            self.assertEqual(world.terminator.progress().left, length)
            world.clock.pump([0.1] * int(length * 10 - 2))
            self.assertNoResult(result)
            world.clock.pump([0.1] * 4)
            self.assertEqual(self.successResultOf(result).aborted, 1)

    def test_noDeadlineAskedFor(self) -> None:
        """
        C{None} asks for no deadline at all.
        """
        world = self.busy(gracePeriod=3)
        result = world.terminator.terminate(gracePeriod=None)
        world.pass_(5)
        self.assertNoResult(result)
        self.assertIsNone(world.terminator.progress().left)

    def test_bad(self) -> None:
        """
        What is no length of time is refused, and nothing has happened.
        """
        world = self.busy()
        problem = self.assertRaises(InvalidOption, world.terminator.terminate, "soon")
        self.assertEqual(problem.option, "gracePeriod")
        self.assertIs(world.terminator.phase, Phase.SERVING)
        self.assertEqual(world.clock.getDelayedCalls(), [])

    def test_toldOnce(self) -> None:
        """
        Nobody is told to go, or hinted at, a second time because the deadline has
        changed after the idle grace.
        """

        class Stubborn(Hinting):
            hints = 0

            def drain(self) -> None:
                self.drained += 1

            def hint(self, idle: Any) -> None:
                self.hints += 1

        world = World(Stubborn)
        world.connect()
        world.terminator.terminate()
        world.pass_(1.1)
        [protocol] = world.factory.protocols
        self.assertEqual((protocol.hints, protocol.drained), (1, 1))
        world.terminator.terminate(gracePeriod=5)
        world.pass_(0.5)
        self.assertEqual((protocol.hints, protocol.drained), (1, 1))

    def test_cancelled(self) -> None:
        """
        Cancelling what was returned cancels the waiting only; others who wait get the
        report.
        """
        world = self.busy()
        first, second = world.terminator.terminate(), world.terminator.terminate()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertIs(world.terminator.phase, Phase.DRAINING)
        world.factory.protocols[0].finish()
        world.clock.advance(0)
        self.assertEqual(self.successResultOf(second).finished, 1)

    def test_shorterWhileAborting(self) -> None:
        """
        A call that comes when the deadline is over does not keep the stop from ending
        with a connection that does not end.
        """
        world = World(gracePeriod=1)
        world.connect(delay=None)
        world.factory.protocols[0].busy = True
        result = world.terminator.terminate()
        world.pass_(1.5)
        self.assertIs(world.terminator.phase, Phase.ABORTING)
        world.terminator.terminate(gracePeriod=0)
        world.pass_(1)
        self.assertEqual(self.successResultOf(result).aborted, 1)
