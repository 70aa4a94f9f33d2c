"""
A terminator releases its ports, and serves again while the connections that it had drain.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from terminable.errors import InvalidOption, NotServing
from terminable.policy.phases import Phase
from terminable.terminator import Terminator
from tests.doubles import Boom, Diary, Hinting
from tests.releasing import ReleaseTestCase


class FreeTests(ReleaseTestCase):
    """
    The ports.
    """

    def test_free(self) -> None:
        """
        The ports are free as an event of its own, while connections live on.
        """
        transport = self.connect(busy=True)
        generation = self.release()
        self.assertFalse(self.port.listening)
        self.assertFalse(transport.disconnecting)
        self.assertIs(self.terminator.phase, Phase.RELEASED)
        self.assertEqual(self.terminator.generations, [generation])
        self.assertEqual(repr(generation), "<Generation draining, 1 connections>")

    def test_observers(self) -> None:
        """
        Observers are told of the phase, and that the ports are closed, once for each
        release; not of how the old generation ends.
        """
        for number in (1, 2, 3):
            self.connect(busy=True, number=number)
            self.release()
            self.assertEqual(self.diary.portsGone, number)
            self.listen()
        for protocol in self.factory.protocols:
            protocol.finish()
        self.pass_(1)
        self.assertEqual(self.diary.phases, [Phase.RELEASED, Phase.SERVING] * 3)
        self.assertEqual((self.diary.portsGone, self.diary.reports), (3, []))
        self.assertEqual(self.terminator.generations, [])

    def test_observersAroundIt(self) -> None:
        """
        Who watches when the ports are gone is told of that, whenever it came, and no
        other.
        """
        early, late = Diary(), Diary()
        self.terminator.addObserver(early)
        closing: Deferred[None] = Deferred()
        self.port.stopListening = lambda: closing
        suspended = self.terminator.suspend()
        self.assertTrue(suspended.called)
        self.terminator.resume()
        self.release()
        self.terminator.removeObserver(early)
        self.terminator.addObserver(late)
        self.assertEqual((early.portsGone, self.diary.portsGone), (2, 2))
        self.terminator.terminate()
        self.assertEqual(early.phases[-1], Phase.RELEASED)
        self.assertEqual(late.phases[-1], Phase.TERMINATED)

    def test_failingObserver(self) -> None:
        """
        An observer that fails keeps nobody from being told.
        """

        class Failing(Diary):
            def phaseChanged(self, old: Phase, new: Phase) -> None:
                raise Boom

            def portsClosed(self) -> None:
                raise Boom

        last = Diary()
        self.terminator.addObserver(Failing())
        self.terminator.addObserver(last)
        self.release()
        self.assertEqual((last.phases, last.portsGone), ([Phase.RELEASED], 1))
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 2)

    def test_nobodyConnected(self) -> None:
        """
        Without connections the old generation is over with its ports.
        """
        report = self.reportOf(self.release())
        self.assertEqual((report.opened, self.terminator.generations), (0, []))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nobodyListened(self) -> None:
        """
        Before anybody has listened there is nothing to free, and that is at once.
        """
        self.terminator = Terminator(self.clock)
        self.reportOf(self.release())
        self.assertIs(self.terminator.phase, Phase.RELEASED)

    def test_notServing(self) -> None:
        """
        With no port, while a stop is under way, and after it, there is nothing to release.
        """
        self.connect(busy=True)
        self.release()
        for phase in ("released", "draining", "terminated"):
            problem = self.assertRaises(NotServing, self.terminator.release)
            self.assertEqual(str(problem), f"cannot release the ports while {phase}")
            self.terminator.terminate()
            if phase == "draining":
                self.factory.protocols[0].finish()
                self.clock.advance(0)

    def test_badGracePeriod(self) -> None:
        """
        What is no length of time is refused, and nothing has happened.
        """
        self.connect()
        for value in (-1, "soon", float("nan"), True):
            problem = self.assertRaises(InvalidOption, self.terminator.release, value)
            self.assertEqual(problem.option, "gracePeriod")
        self.assertIs(self.terminator.phase, Phase.SERVING)
        self.assertEqual((self.terminator.generations, self.diary.phases), ([], []))
        self.assertTrue(self.port.listening)
        self.assertEqual(len(self.terminator.connections()), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_whileSuspended(self) -> None:
        """
        Suspended ports are released as well, and may be listened on again.
        """
        transport = self.connect(busy=True)
        self.successResultOf(self.terminator.suspend())
        generation = self.release()
        self.assertRaises(NotServing, self.terminator.resume)
        self.listen()
        self.connect()
        self.factory.protocols[0].finish()
        self.clock.advance(0)
        self.assertTrue(transport.over)
        self.assertEqual(self.reportOf(generation).finished, 1)
        self.assertEqual(len(self.terminator.connections()), 1)

    def test_factoryIsStoppedLast(self) -> None:
        """
        A factory that serves several generations is stopped when the last of them is
        over.
        """
        for number in (1, 2, 3):
            self.connect(busy=True, number=number)
            self.release()
            self.assertEqual(self.factory.numPorts, number)
            self.listen()
        self.assertEqual(self.factory.numPorts, 4)
        for number, protocol in enumerate(self.factory.protocols):
            protocol.finish()
            self.clock.advance(0)
            self.assertEqual(self.factory.numPorts, 3 - number)
        self.successResultOf(self.terminator.terminate())
        self.assertEqual(self.factory.numPorts, 0)

    def test_listeningMeanwhile(self) -> None:
        """
        A port that somebody is about to open during a release belongs to the new
        generation.
        """
        held = self.endpoint.held = Deferred()
        listening = self.terminator.listen(self.endpoint, self.factory)
        self.release()
        self.endpoint.held = None
        held.callback(None)
        self.port = self.successResultOf(listening)
        self.assertIs(self.terminator.phase, Phase.SERVING)
        self.connect()
        self.assertEqual(len(self.terminator.connections()), 1)

    def test_releasedBetweenTheTwo(self) -> None:
        """
        So does one of a kind that is opened twice, and was the first time only.
        """
        first, second = Deferred[None](), Deferred[None]()
        self.endpoint.held = first
        listening = self.terminator.listen(self.endpoint, self.factory)
        self.endpoint.held = second
        first.callback(None)
        self.release()
        second.callback(None)
        self.port = self.successResultOf(listening)
        self.connect()
        self.assertEqual(len(self.terminator.connections()), 1)


class DrainTests(ReleaseTestCase):
    """
    The old generation drains, and the new one serves.
    """

    def test_oldAndNew(self) -> None:
        """
        Who is busy finishes, who is idle is lost after the idle grace; those of the new
        generation stay.
        """
        busy, idle = self.connect(busy=True), self.connect()
        generation = self.release()
        self.listen()
        newcomers = self.connect(), self.connect(busy=True)
        self.assertEqual([it.drained for it in self.factory.protocols], [1, 0, 0, 0])
        self.pass_(0.98)
        self.assertFalse(idle.over)
        self.pass_(0.04)
        self.assertTrue(idle.over)
        self.factory.protocols[0].finish()
        self.pass_(50)
        self.assertTrue(busy.over)
        report = self.reportOf(generation)
        self.assertEqual((report.opened, report.idle, report.finished), (2, 1, 1))
        self.assertFalse(any(each.disconnecting for each in newcomers))
        self.assertEqual([it.drained for it in self.factory.protocols[2:]], [0, 0])
        self.assertEqual(len(self.terminator.connections()), 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_hint(self) -> None:
        """
        The hint is given to the old generation, and to nobody else.
        """
        self.begin(Hinting, quiesce=5.0)
        self.connect()
        self.release()
        self.listen()
        self.connect()
        old, new = self.factory.protocols
        self.assertIsNotNone(old.told)
        self.assertIsNone(new.told)

    def test_deadline(self) -> None:
        """
        Who is busy at the deadline is aborted and named; the new port, and who came by
        it, are not touched.
        """
        for settings, length in (({}, 3.0), ({"gracePeriod": 1.5}, 1.5)):
            self.begin(gracePeriod=3)
            straggler = self.connect(busy=True, number=7)
            generation = self.release(**settings)
            self.listen()
            newcomer = self.connect(busy=True)
            self.pass_(length - 0.02)
            self.assertFalse(straggler.aborted)
            self.pass_(0.06)
            self.assertTrue(straggler.aborted)
            [entry] = self.reportOf(generation).stragglers
            self.assertEqual(entry.peer, "127.0.0.1:7")
            self.assertFalse(newcomer.disconnecting)
            self.assertTrue(self.port.listening)
            self.assertIs(self.terminator.phase, Phase.SERVING)

    def test_noDeadline(self) -> None:
        """
        C{None} lets the old generation take its time.
        """
        straggler = self.connect(busy=True)
        self.release(gracePeriod=None)
        self.clock.pump([100.0] * 10)
        self.assertFalse(straggler.disconnecting)

    def test_atOnce(self) -> None:
        """
        A grace period of 0 aborts the old generation alone.
        """
        straggler = self.connect(busy=True)
        generation = self.release(gracePeriod=0)
        self.listen()
        newcomer = self.connect(busy=True)
        self.clock.advance(0)
        self.assertEqual((straggler.aborted, newcomer.aborted), (True, False))
        self.assertEqual(self.reportOf(generation).aborted, 1)

    def test_whenDraining(self) -> None:
        """
        Those of the old generation who have asked to be called are; those of the new one
        are when it is their turn.
        """

        def call() -> Deferred[None]:
            gate = self.terminator.gate
            return gate.whenDraining(self.connect())

        calls = [call(), call()]
        for number in (2, 3):
            self.clock.advance(0)
            self.assertFalse(calls[-1].called)
            self.release()
            self.listen()
            calls.append(call())
            self.clock.advance(0)
            self.assertEqual([each.called for each in calls], [True] * number + [False])

    def test_chosen(self) -> None:
        """
        A drain by choice that is under way has its own report; everybody is counted once
        in that of the generation.
        """
        chosen, other = self.connect(busy=True), self.connect(busy=True)
        part = self.terminator.drain(lambda each: each.transport is chosen)
        generation = self.release()
        self.listen()
        whole = self.terminator.drain()
        self.assertEqual(self.reportOf(whole).opened, 0)
        for protocol in self.factory.protocols:
            protocol.finish()
        self.clock.advance(0)
        self.assertEqual(self.reportOf(part).finished, 1)
        self.assertEqual(self.reportOf(generation).finished, 2)
        self.assertTrue(other.over)

    def test_noDrainWithoutAPort(self) -> None:
        """
        Those who are left behind drain already: there is nothing to choose from.
        """
        self.connect(busy=True)
        self.release()
        self.assertRaises(NotServing, self.terminator.drain)

    def test_progress(self) -> None:
        """
        Progress counts all generations, and names the oldest of all connections that are
        busy.
        """
        self.begin(Hinting)
        self.connect(busy=True, number=1)
        self.clock.advance(2)
        self.release()
        self.listen()
        self.connect(busy=True, number=2)
        self.connect(number=3)
        self.assertEqual(
            str(self.terminator.progress()),
            "serving: 1 busy, 2 idle, 25.0 s left: doing something from 127.0.0.1:1, 2.0 s",
        )
        self.terminator.terminate()
        self.assertIn("draining: 2 busy, 1 idle", str(self.terminator.progress()))
        self.assertIn("127.0.0.1:1, 2.0 s", str(self.terminator.progress()))
