"""
The stop of a server whose older generations are still draining.
"""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from terminable.errors import InvalidOption, NotServing
from terminable.generation import Generation
from terminable.handover.following import takeoverOf
from terminable.policy.ledger import Report
from terminable.policy.phases import Phase
from tests.doubles import MemoryPort, MemoryTransport
from tests.releasing import ReleaseTestCase, addsUp


class StopTests(ReleaseTestCase):
    """
    One stop ends all generations.
    """

    def twoGenerations(self, **ofRelease: Any) -> Generation:
        """
        One busy connection in each.
        """
        self.connect(busy=True, number=1)
        generation = self.release(**ofRelease)
        self.listen()
        self.connect(busy=True, number=2)
        return generation

    def finish(self) -> None:
        """
        Nobody is busy any more.
        """
        for protocol in self.factory.protocols:
            protocol.finish()
        self.clock.advance(0)

    def test_oneReport(self) -> None:
        """
        The report is that of all of them, whoever asks for it and whenever.
        """
        generation = self.twoGenerations()
        self.connect(busy=False, number=3)
        results = [self.terminator.terminate(), self.terminator.terminate()]
        self.pass_(2)
        self.assertNoResult(results[0])
        self.finish()
        first, second = map(self.reportOf, results)
        self.assertEqual((first.opened, first.finished, first.idle), (3, 2, 1))
        self.assertIs(first, second)
        self.assertIs(self.reportOf(self.terminator.terminate()), first)
        self.assertIs(self.reportOf(self.terminator.abort()), first)
        self.assertEqual(self.diary.reports, [first])
        self.assertEqual(self.reportOf(generation).opened, 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_processAbove(self) -> None:
        """
        A process above that wants to know is told of all of them in one report.
        """
        told: list[Report] = []
        takeover: Any = takeoverOf(self.clock)
        takeover.report = lambda report: told.append(report) or True
        self.twoGenerations()
        result = self.terminator.terminate()
        self.finish()
        self.assertEqual(told, [self.reportOf(result)])

    def test_overBefore(self) -> None:
        """
        A generation that was over before has had its own report.
        """
        self.twoGenerations()
        self.factory.protocols[0].finish()
        self.clock.advance(0)
        result = self.terminator.terminate()
        self.finish()
        self.assertEqual(self.reportOf(result).opened, 1)

    def test_olderLastsLonger(self) -> None:
        """
        The stop is under way until the last generation is over: nobody can listen, and
        observers hear of the end, with the whole report, after that.
        """
        self.twoGenerations()
        result = self.terminator.terminate()
        self.factory.protocols[1].finish()
        self.clock.advance(0)
        self.assertIs(self.terminator.phase, Phase.DRAINING)
        self.assertEqual(self.diary.reports, [])
        listening = self.terminator.listen(self.endpoint, self.factory)
        self.failureResultOf(listening, NotServing)
        self.assertRaises(NotServing, self.terminator.release)
        self.finish()
        self.assertEqual(self.diary.phases[-1], Phase.TERMINATED)
        self.assertEqual([each.finished for each in self.diary.reports], [2])
        self.assertEqual(self.reportOf(result).finished, 2)

    def test_oldestLastsLongest(self) -> None:
        """
        The oldest may be the last to end, after those that came between: that is the end.
        """
        first = self.twoGenerations()
        second = self.release()
        self.listen()
        result = self.terminator.terminate()
        self.factory.protocols[1].finish()
        self.pass_(0.3)
        self.assertEqual((first.over, second.over), (False, True))
        self.assertNoResult(result)
        self.factory.protocols[0].finish()
        self.pass_(0.3)
        self.assertEqual(self.successResultOf(result).finished, 2)

    def test_withoutAPort(self) -> None:
        """
        So it is if nobody has listened since the release.
        """
        self.connect(busy=True)
        self.release()
        self.clock.advance(7)
        result = self.terminator.terminate()
        self.clock.advance(1)
        self.assertNoResult(result)
        self.finish()
        report = self.reportOf(result)
        self.assertEqual((report.finished, report.seconds), (1, 1.0))

    def test_earlierDeadline(self) -> None:
        """
        An older generation is ended by its own deadline or by that of the stop, whichever
        is earlier.
        """
        for own, asked, ends in (
            (2.0, 10.0, (2.0, 10.0)),
            (50.0, 3.0, (3.0, 3.0)),
            (None, 3.0, (3.0, 3.0)),
            (2.0, None, (2.0, 50.0)),
        ):
            self.begin()
            self.twoGenerations(gracePeriod=own)
            result = self.terminator.terminate(asked)
            for end in sorted(set(ends)):
                self.pass_(end - self.clock.seconds() - 0.02)
                before = [it.transport.aborted for it in self.factory.protocols]
                self.assertEqual(before, [end > each for each in ends])
                self.pass_(0.04)
            if asked is None:
                self.assertNoResult(result)
            else:
                names = [entry.peer[-1] for entry in self.reportOf(result).stragglers]
                self.assertEqual(sorted(names), ["1", "2"])

    def test_againIsNoDeadline(self) -> None:
        """
        Asking again without a grace period brings no deadline forward.
        """
        self.twoGenerations(gracePeriod=None)
        self.terminator.terminate(100)
        self.terminator.terminate()
        self.pass_(40)
        self.assertFalse(any(it.transport.aborted for it in self.factory.protocols))
        self.assertRaises(InvalidOption, self.terminator.terminate, "soon")
        result = self.terminator.terminate(1)
        self.pass_(1.02)
        self.assertEqual(self.reportOf(result).aborted, 2)

    def test_abort(self) -> None:
        """
        An abort ends all of them.
        """
        self.twoGenerations()
        self.release()
        result = self.terminator.abort()
        self.clock.advance(0)
        self.assertEqual(self.reportOf(result).aborted, 2)
        self.assertEqual(self.terminator.generations, [])

    def test_abortDuringTheStop(self) -> None:
        """
        So does one that comes during a stop.
        """
        self.twoGenerations()
        result = self.terminator.terminate()
        self.terminator.abort()
        self.clock.advance(0)
        self.assertEqual(self.reportOf(result).aborted, 2)

    def test_noEnd(self) -> None:
        """
        A connection of an older generation that does not end when it is aborted does not
        hold the stop up, and is counted.
        """
        self.connect(busy=True, delay=None)
        self.release()
        for what in ("terminate", "abort"):
            result = getattr(self.terminator, what)()
        self.pass_(1.2)
        report = self.successResultOf(result)
        self.assertEqual((report.opened, report.aborted), (1, 1))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_newAccount(self) -> None:
        """
        Nothing of it is in the report of the next stop.
        """
        self.twoGenerations()
        first = self.terminator.terminate()
        self.finish()
        self.assertEqual(self.reportOf(first).opened, 2)
        self.listen()
        self.assertEqual(self.reportOf(self.terminator.terminate()).opened, 0)

    def test_whatANewStopEnds(self) -> None:
        """
        A release after a stop, and the stop after that, are like the first ones.
        """
        for _ in range(3):
            self.factory.protocols.clear()
            self.twoGenerations()
            result = self.terminator.terminate()
            self.finish()
            self.assertEqual(self.reportOf(result).finished, 2)
            self.listen()
        self.assertEqual(len(self.diary.reports), 3)


class Releases(RuleBasedStateMachine):
    """
    A server that is released, listened with, and stopped, at random.
    """

    def __init__(self) -> None:
        super().__init__()
        self.case = ReleaseTestCase()
        self.case.begin(gracePeriod=2.0, idleGrace=0.3, generations=2)
        self.terminator = self.case.terminator
        self.transports: list[MemoryTransport] = []
        self.released: list[Generation] = []
        self.stopped: list[Deferred[Report]] = []
        self.reports: list[Report] = []
        # Those that are in the report of a stop.
        self.told: list[Generation] = []

    @rule(busy=st.booleans(), delay=st.sampled_from([0.0, 0.0, 0.2, None]))
    def connect(self, busy: bool, delay: float | None) -> None:
        port: MemoryPort = self.case.port
        if port.listening:
            transport = port.connect(delay)
            if transport.protocol is not None:
                self.case.factory.protocols[-1].busy = busy
                self.transports.append(transport)

    @precondition(lambda self: self.transports)
    @rule(data=st.data(), then=st.sampled_from(["end", "busy", "finish"]))
    def happens(self, data: st.DataObject, then: str) -> None:
        index = data.draw(st.integers(0, len(self.transports) - 1))
        protocol = self.case.factory.protocols[index]
        if then == "end":
            self.transports[index].end()
        elif then == "finish":
            protocol.finish()
        else:
            protocol.busy = True

    @rule(grace=st.sampled_from([0.0, 1.0, 2.0, None]))
    def release(self, grace: float | None) -> None:
        if self.terminator.phase in (Phase.SERVING, Phase.SUSPENDED):
            free = self.terminator.release(grace)
            assert self.terminator.phase is Phase.RELEASED
            free.addCallback(self.released.append)
            assert not self.case.port.listening

    @rule()
    def listen(self) -> None:
        may = self.terminator.phase in (Phase.SERVING, Phase.RELEASED, Phase.TERMINATED)
        if may and not self.case.port.listening:
            self.case.listen()

    @rule()
    def suspend(self) -> None:
        if self.terminator.phase is Phase.SERVING:
            self.terminator.suspend()
        elif self.terminator.phase is Phase.SUSPENDED:
            self.terminator.resume()

    @rule(grace=st.sampled_from([0.0, 1.0, 2.0]))
    def drain(self, grace: float) -> None:
        if self.terminator.phase is Phase.SERVING:
            self.terminator.drain(percent=50, gracePeriod=grace)

    @rule(how=st.sampled_from(["terminate", "abort"]))
    def stop(self, how: str) -> None:
        if not self.terminator.phase.stopping and self.terminator.phase is not Phase.TERMINATED:
            self.told += self.terminator.generations
        self.stopped.append(getattr(self.terminator, how)())

    @rule(seconds=st.sampled_from([0.0, 0.02, 0.3, 1.0]))
    def wait(self, seconds: float) -> None:
        self.case.pass_(seconds)
        draining = [each for each in self.terminator.generations if each.phase is Phase.DRAINING]
        assert len(draining) <= 2

    def teardown(self) -> None:
        self.stop("terminate")
        self.case.pass_(3.5)
        assert self.terminator.phase is Phase.TERMINATED
        assert self.terminator.generations == [] and self.terminator.connections() == []
        assert self.case.clock.getDelayedCalls() == []
        assert all(each.over for each in self.released)
        for result in self.stopped:
            result.addCallback(self.reports.append)
        assert len(self.reports) == len(self.stopped)
        ends = self.case.diary.reports
        assert set(map(id, self.reports)) == set(map(id, ends))
        assert len(set(map(id, self.told))) == len(self.told)
        own = [each for each in self.released if not any(each is it for it in self.told)]
        whole = [*ends, *map(self.case.reportOf, own)]
        assert all(map(addsUp, whole))
        assert sum(each.opened for each in whole) == len(self.transports)
        assert self.case.factory.numPorts == 0


class RandomTests(SynchronousTestCase):
    """
    Random releases and stops.
    """

    def test_alwaysEnds(self) -> None:
        """
        Whatever happens, all generations are over by their deadlines and a moment, no more
        drain than may, every connection is in one report, no factory stays started, and no
        delayed call is left.
        """
        for observer in list(globalLogPublisher._observers):
            globalLogPublisher.removeObserver(observer)
            self.addCleanup(globalLogPublisher.addObserver, observer)
        run_state_machine_as_test(
            Releases, settings=settings(deadline=None, max_examples=100, stateful_step_count=25)
        )
