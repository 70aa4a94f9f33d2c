"""
Releases at odd times: too many, of factories of others, from inside of what they end.
"""

from __future__ import annotations

import gc
from typing import Any

from terminable.errors import InvalidOption, NotServing
from terminable.generations import GENERATIONS
from terminable.policy.phases import Phase
from terminable.terminator import Terminator
from tests.doubles import Diary, Plain, Polite
from tests.releasing import ReleaseTestCase


class BoundTests(ReleaseTestCase):
    """
    How many generations there may be.
    """

    def test_oldestIsAborted(self) -> None:
        """
        When there is one more than allowed the oldest is aborted, and its report names
        whom.
        """
        self.begin(generations=2)
        generations = []
        for number in (1, 2, 3):
            self.connect(busy=True, number=number)
            generations.append(self.release())
            self.listen()
            self.clock.advance(0)
        [entry] = self.reportOf(generations[0]).stragglers
        self.assertEqual(entry.peer, "127.0.0.1:1")
        self.assertEqual(self.terminator.generations, generations[1:])
        self.assertEqual([each.over for each in generations], [True, False, False])
        self.assertFalse(any(it.transport.aborted for it in self.factory.protocols[1:]))

    def test_allThatAreTooMany(self) -> None:
        """
        The bound holds also if several releases come within one turn.
        """
        self.begin(generations=1)
        for number in range(4):
            self.connect(busy=True, number=number)
            self.release()
            self.listen()
        self.clock.advance(0)
        self.assertEqual(len(self.terminator.generations), 1)
        aborted = [it.transport.aborted for it in self.factory.protocols]
        self.assertEqual(aborted, [True, True, True, False])

    def test_default(self) -> None:
        """
        Without a word on it, a few may drain.
        """
        for number in range(GENERATIONS):
            self.connect(busy=True, number=number)
            self.release()
            self.listen()
        self.clock.advance(0)
        self.assertEqual(len(self.terminator.generations), GENERATIONS)

    def test_bad(self) -> None:
        """
        A bound that cannot be meant is refused.
        """
        for value in (0, -1, 1.5, True, "4", None):
            problem = self.assertRaises(InvalidOption, Terminator, self.clock, generations=value)
            self.assertEqual(
                str(problem), f"generations: {value!r} given, expected a whole number, 1 or more"
            )


class WrappedTests(ReleaseTestCase):
    """
    Factories that somebody else listens with.
    """

    def setUp(self) -> None:
        self.begin()
        self.successResultOf(self.terminator.release())
        self.wrapped = self.terminator.wrap(self.factory)
        self.foreign()

    def foreign(self) -> None:
        """
        Somebody else listens.
        """
        self.port = self.endpoint.kind(self.wrapped, self.clock)

    def test_nobodyListens(self) -> None:
        """
        Wrapping alone begins to serve.
        """
        self.assertIs(self.terminator.phase, Phase.SERVING)

    def test_recordedByTheNewOne(self) -> None:
        """
        Who comes after a release belongs to the new generation, by the same wrapped
        factory.
        """
        old = self.connect(busy=True)
        generation = self.release()
        new = self.connect(busy=True)
        self.pass_(26)
        self.assertEqual((old.aborted, new.aborted), (True, False))
        self.assertEqual(self.reportOf(generation).opened, 1)
        self.assertEqual(len(self.terminator.connections()), 1)
        self.assertTrue(self.port.listening)

    def test_awayDuringARelease(self) -> None:
        """
        A wrapped factory that was stopped with everything else, and missed a release, is
        recorded by whoever serves when it is used again.
        """
        self.successResultOf(self.terminator.terminate())
        self.endpoint.ports.clear()
        other = self.port
        self.listen()
        self.release()
        self.port = other
        self.port.startListening()
        self.assertIs(self.terminator.phase, Phase.SERVING)
        transport = self.connect()
        self.assertIsNotNone(transport.protocol)
        self.assertEqual(len(self.terminator.connections()), 1)

    def test_forgotten(self) -> None:
        """
        A factory that nobody has any more is not kept, however often there is a release.
        """
        for _ in range(5):
            self.listen()
            self.release()
            self.pass_(0.1)
        self.endpoint.ports.clear()
        del self.port
        gc.collect()
        self.listen()
        # Ours, and that of the port which is open now.
        self.assertEqual(len(self.terminator._now.factories), 2)


class ReentryTests(ReleaseTestCase):
    """
    Releases asked for from inside of what they end.
    """

    def test_fromARequest(self) -> None:
        """
        A request that asks for it is in flight, is answered, and counted as finished.
        """
        generations = []
        test = self

        class Asking(Polite):
            def dataReceived(self, data: bytes) -> None:
                self.busy = True
                generations.append(test.release())
                assert self.transport is not None
                self.transport.write(b"as you wish")
                self.finish()

        self.factory.protocol = Asking
        transport = self.connect()
        transport.protocol.dataReceived(b"release")
        self.assertEqual(transport.written, b"as you wish")
        self.clock.advance(0)
        self.assertEqual(self.reportOf(generations[0]).finished, 1)

    def test_fromConnectionLost(self) -> None:
        """
        A connection whose end is the cause is counted once, in the old generation.
        """
        generations = []
        test = self

        class Last(Plain):
            def connectionLost(self, reason: Any = None) -> None:
                generations.append(test.release())

        self.factory.protocol = Last
        self.connect().end()
        report = self.reportOf(generations[0])
        self.assertEqual((report.opened, report.before + report.idle), (1, 1))

    def test_askedToStopBefore(self) -> None:
        """
        When somebody has asked for the stop while the ports went away, it is that: nobody
        releases what is to end.
        """
        results = []

        def stopListening() -> None:
            results.append(self.terminator.terminate())
            self.assertIs(self.terminator.phase, Phase.SUSPENDED)
            self.assertRaises(NotServing, self.terminator.release)

        self.port.stopListening = stopListening
        self.successResultOf(self.terminator.suspend())
        self.successResultOf(results[0])
        self.assertIs(self.terminator.phase, Phase.TERMINATED)

    def test_stoppedByAnObserver(self) -> None:
        """
        An observer may end everything when it hears of the release: everybody is in that
        one report.
        """
        for what in ("terminate", "abort"):
            self.begin()
            self.stoppedBy(what)

    def stoppedBy(self, what: str) -> None:
        """
        The same by one of the two ways.
        """
        results: list[Any] = []
        terminator = self.terminator

        class Hasty(Diary):
            def phaseChanged(self, old: Phase, new: Phase) -> None:
                if new is Phase.RELEASED:
                    results.append(getattr(terminator, what)())

        terminator.addObserver(Hasty())
        self.connect(busy=True)
        generation = self.release()
        self.pass_(26)
        self.assertEqual(self.reportOf(generation).aborted, 1)
        self.assertEqual(self.reportOf(results[0]).aborted, 1)
        self.assertIs(terminator.phase, Phase.TERMINATED)
        self.assertEqual(terminator.generations, [])

    def test_listeningFromAnObserver(self) -> None:
        """
        An observer may listen again as soon as it hears that the ports are gone, and
        release again.
        """
        test = self

        class Eager(Diary):
            def portsClosed(self) -> None:
                super().portsClosed()
                test.listen()
                if self.portsGone < 3:
                    test.terminator.release()

        eager = Eager()
        self.terminator.addObserver(eager)
        self.connect(busy=True)
        self.release()
        self.assertEqual(eager.portsGone, 3)
        self.assertIs(self.terminator.phase, Phase.SERVING)
        self.assertTrue(self.port.listening)
        self.connect()
        self.assertEqual(len(self.terminator.connections()), 1)

    def test_fromTheResult(self) -> None:
        """
        Who waits for the free ports may listen right then.
        """
        self.terminator.release().addCallback(lambda _: self.listen())
        self.assertIs(self.terminator.phase, Phase.SERVING)

    def test_whileListening(self) -> None:
        """
        An observer that hears of the first port may release it at once.
        """
        test = self

        class Contrary(Diary):
            def phaseChanged(self, old: Phase, new: Phase) -> None:
                if new is Phase.SERVING:
                    test.terminator.release()

        self.release()
        self.terminator.addObserver(Contrary())
        listening = self.terminator.listen(self.endpoint, self.factory)
        self.port = self.successResultOf(listening)
        self.assertFalse(self.port.listening)
        self.assertIs(self.terminator.phase, Phase.RELEASED)
        self.pass_(1)
        self.assertEqual(self.terminator.generations, [])
