"""
Stops that are asked for from wherever it may be, and random ones.
"""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from terminable.policy.ledger import Report
from terminable.policy.phases import Phase
from tests.doubles import Boom, Hinting, MemoryTransport, Plain, Polite, World


class ReentryTests(SynchronousTestCase):
    """
    Stops asked for from inside of what they end.
    """

    def setUp(self) -> None:
        self.world = World()
        self.results: list[Deferred[Report]] = []

    def terminate(self) -> None:
        self.results.append(self.world.terminator.terminate())

    def abort(self) -> None:
        self.results.append(self.world.terminator.abort())

    def test_fromARequest(self) -> None:
        """
        A request that asks for the stop is in flight when it begins, is answered, and
        its report comes after that.
        """
        terminate = self.terminate

        class Asking(Polite):
            def dataReceived(self, data: bytes) -> None:
                self.busy = True
                terminate()
                assert self.transport is not None
                self.transport.write(b"as you wish")
                self.finish()

        self.world.factory.protocol = Asking
        transport = self.world.connect()
        transport.protocol.dataReceived(b"stop")
        self.assertNoResult(self.results[0])
        self.world.clock.advance(0)
        self.assertEqual(self.successResultOf(self.results[0]).finished, 1)
        self.assertEqual(transport.written, b"as you wish")

    def test_fromConnectionLost(self) -> None:
        """
        A connection whose end is the cause of the stop is the only one, and is
        counted once.
        """
        for ask in (self.terminate, self.abort):
            self.world = World(Plain)

            class Last(Plain):
                def connectionLost(self, reason: Any = None, ask: Any = ask) -> None:
                    ask()

            self.world.factory.protocol = Last
            transport = self.world.connect()
            self.world.connect()
            transport.end()
            self.world.pass_(2)
            report = self.successResultOf(self.results[0])
            self.assertEqual(report.opened, 2)
            self.assertEqual(report.before + report.idle, 2, str(report))
            self.assertEqual(self.world.clock.getDelayedCalls(), [])
            self.results.clear()

    def test_fromADrainer(self) -> None:
        """
        A drainer that asks for it again, politely or not, at every opportunity, does not
        keep it from ending.
        """
        for ask in (
            self.terminate,
            self.abort,
            lambda: self.results.append(self.world.terminator.terminate(gracePeriod=5)),
        ):
            self.world = World(gracePeriod=2)
            self.results.clear()
            calls: list[str] = []

            class Asking(Hinting):
                busy = True

                def isBusy(self, ask: Any = ask, calls: Any = calls) -> bool:
                    calls.append("isBusy")
                    assert len(calls) < 1000, "there is no end of it"
                    ask()
                    return True

            self.world.factory.protocol = Asking
            self.world.connect(delay=None)
            self.world.connect(delay=0.1)
            self.terminate()
            self.world.pass_(3.3)
            report = self.successResultOf(self.results[0])
            self.assertEqual((report.aborted, len(report.entries)), (2, 2), str(report))
            for result in self.results[1:]:
                self.assertIs(self.successResultOf(result), report)
            self.assertEqual(self.world.clock.getDelayedCalls(), [])

    def test_fromTheReport(self) -> None:
        """
        Whoever asks for it again when he gets the report gets the same.
        """
        again: list[Deferred[Report]] = []
        result = self.world.terminator.terminate()
        result.addCallback(lambda report: again.append(self.world.terminator.terminate()))
        self.successResultOf(again[0])
        self.assertEqual(len(self.world.diary.reports), 1)


class Random(Hinting):
    """
    A drainer of which anything may be expected: what each of its methods does besides
    is drawn at random.
    """

    script: dict[str, str]
    world: World
    silent = False

    def _do(self, method: str) -> None:
        action = self.script.get(method)
        if action == "raise":
            raise Boom(method)
        if action == "terminate":
            self.world.terminator.terminate()
        elif action == "shorten":
            self.world.terminator.terminate(gracePeriod=1)
        elif action == "abort" and self.world.terminator.phase.stopping:
            self.world.terminator.abort()
        elif action == "lose":
            assert self.transport is not None
            self.transport.loseConnection()

    def isBusy(self) -> bool:
        self._do("isBusy")
        return self.busy

    def hint(self, idle: Any) -> None:
        self.told = idle
        self._do("hint")

    def drain(self) -> None:
        self.drained += 1
        self._do("drain")
        if not self.busy and self.script.get("goes") != "never":
            assert self.transport is not None
            self.transport.loseConnection()

    def lastWord(self, retryAfter: int) -> str:
        self._do("lastWord")
        return self.word


METHODS = ("isBusy", "hint", "drain", "lastWord")
actions = st.sampled_from(["nothing"] * 4 + ["raise", "terminate", "shorten", "abort", "lose"])
scripts = st.fixed_dictionaries(
    {**dict.fromkeys(METHODS, actions), "goes": st.sampled_from(["", "never"])}
)


class Stops(RuleBasedStateMachine):
    """
    A terminator and everything around it, at random.
    """

    def __init__(self) -> None:
        super().__init__()
        self.transports: list[MemoryTransport] = []
        self.results: list[Deferred[Report]] = []
        self.deadline: float | None = None
        self.effects: list[object] = []

    @initialize(
        grace=st.sampled_from([0.0, 0.5, 2.0, 5.0]),
        idle=st.sampled_from([0.0, 0.3, 5.0]),
        quiesce=st.sampled_from([0.0, 0.0, 1.0]),
    )
    def begin(self, grace: float, idle: float, quiesce: float) -> None:
        self.world = World(
            Random, gracePeriod=grace, idleGrace=min(idle, grace), quiesce=min(quiesce, grace)
        )

    def _asked(self, grace: float) -> None:
        deadline = self.world.clock.seconds() + grace
        if self.deadline is None or deadline < self.deadline:
            self.deadline = deadline

    @rule(
        script=scripts,
        delay=st.sampled_from([0.0, 0.0, 0.2, None]),
        busy=st.booleans(),
        silent=st.booleans(),
        word=st.sampled_from(["", "503"]),
    )
    def connect(
        self, script: dict[str, str], delay: float | None, busy: bool, silent: bool, word: str
    ) -> None:
        before = len(self.world.factory.protocols)

        def protocol() -> Random:
            made = Random()
            made.script, made.world, made.word = script, self.world, word
            made.busy, made.silent = busy, silent
            return made

        self.world.factory.protocol = protocol
        transport = self.world.connect(delay)
        served = len(self.world.factory.protocols) > before
        assert served is (self.world.terminator.phase not in (Phase.ABORTING, Phase.TERMINATED))
        if served:
            self.transports.append(transport)

    @precondition(lambda self: self.transports)
    @rule(data=st.data(), then=st.sampled_from(["end", "busy", "idle", "told"]))
    def happens(self, data: st.DataObject, then: str) -> None:
        index = data.draw(st.integers(0, len(self.transports) - 1))
        protocol = self.world.factory.protocols[index]
        if then == "end":
            self.transports[index].end()
        elif then == "told" and protocol.told is not None:
            protocol.busy = False
            protocol.told()
        else:
            protocol.busy = then == "busy"

    @rule(again=st.sampled_from([None, None, 0.0, 1.0, 100.0]))
    def terminate(self, again: float | None) -> None:
        grace = self.world.terminator.schedule.gracePeriod
        assert grace is not None
        if again is None:
            if not self.results:
                self._asked(grace)
            self.results.append(self.world.terminator.terminate())
        else:
            self._asked(again)
            self.results.append(self.world.terminator.terminate(gracePeriod=again))

    @precondition(lambda self: self.results)
    @rule()
    def abort(self) -> None:
        self._asked(0)
        self.results.append(self.world.terminator.abort())

    @precondition(lambda self: self.results)
    @rule()
    def cancel(self) -> None:
        result = self.results[-1]
        result.addErrback(lambda reason: None)
        result.cancel()

    @rule(seconds=st.sampled_from([0.0, 0.02, 0.3, 1.0]))
    def wait(self, seconds: float) -> None:
        self.world.pass_(seconds)
        self.inTime()

    def inTime(self) -> None:
        late = self.deadline is not None and self.world.clock.seconds() > self.deadline + 1.2
        assert not late or self.world.terminator.phase is Phase.TERMINATED

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        self.terminate(None)
        assert self.deadline is not None
        self.world.pass_(max(0.0, self.deadline - self.world.clock.seconds()) + 1.25)
        self.inTime()
        self.over()
        for transport in self.transports:
            transport.end()
        for protocol in self.world.factory.protocols:
            if protocol.told is not None:
                protocol.told()
        self.world.pass_(1)
        self.over()

    def over(self) -> None:
        [report] = self.world.diary.reports
        assert self.world.diary.phases[-1] is Phase.TERMINATED
        assert self.world.diary.phases.count(Phase.TERMINATED) == 1
        assert report.opened == len(self.transports)
        ended = report.before + report.idle + report.finished + report.left + report.aborted
        assert ended == report.opened
        assert len(report.stragglers) == report.aborted, str(report)
        peers = [id(entry) for entry in report.entries]
        assert len(set(peers)) == len(peers) <= report.opened
        assert self.world.terminator.connections() == []
        assert self.world.clock.getDelayedCalls() == []
        told: list[Report | None] = []
        for result in self.results:
            result.addCallback(told.append)
        assert set(told) <= {report, None} and len(told) == len(self.results)
        self.results.clear()


class RandomTests(SynchronousTestCase):
    """
    Random stops of random connections.
    """

    def test_alwaysEnds(self) -> None:
        """
        Whatever drainers, peers and callers do, the stop is over by its deadline and
        a moment, every connection is counted once and those that were aborted are
        named, no delayed call is left, and nothing happens after the end.
        """
        # What drainers raise is logged thousands of times; nobody wants to read it.
        for observer in list(globalLogPublisher._observers):
            globalLogPublisher.removeObserver(observer)
            self.addCleanup(globalLogPublisher.addObserver, observer)
        run_state_machine_as_test(
            Stops, settings=settings(deadline=None, max_examples=150, stateful_step_count=25)
        )
