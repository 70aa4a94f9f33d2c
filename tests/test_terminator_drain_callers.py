"""
Drains by choice, and whoever calls at the wrong moment.
"""

from __future__ import annotations

from functools import partial
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
from terminable.tracking.connection import Connection
from tests.chosen import DrainTestCase
from tests.doubles import Boom, Hinting, Keeping, MemoryTransport, World


class SelectTests(DrainTestCase):
    """
    What whoever chooses may do in the meantime.
    """

    def do(self, what: Any) -> Deferred[Report]:
        """
        Choose everybody, and do C{what} when asked about the first one.
        """
        todo = [what]

        def select(each: Connection) -> bool:
            if todo:
                todo.pop()()
            return True

        return self.world.terminator.drain(select, gracePeriod=2)

    def test_raises(self) -> None:
        """
        An exception is for whoever called; nobody was told, and nothing has begun.
        """
        world = self.serve(2)

        def fail() -> None:
            raise Boom

        self.assertRaises(Boom, self.do, fail)
        self.assertEqual((self.told(), world.clock.getDelayedCalls()), ([], []))
        result = world.terminator.drain()
        world.pass_(1.1)
        self.assertEqual(self.successResultOf(result).opened, 2)

    def test_drains(self) -> None:
        """
        Whom it drains by itself is not in the other drain, and keeps the time it was given.
        """
        world = self.serve(2, Keeping)
        inner: list[Deferred[Report]] = []
        outer = self.do(lambda: inner.append(self.drain(0, gracePeriod=10)))
        world.pass_(2.1)
        self.assertEqual((self.over(), self.successResultOf(outer).opened), ([1], 1))
        world.pass_(8)
        self.assertEqual(self.successResultOf(inner[0]).opened, 1)

    def test_loses(self) -> None:
        """
        Whose connection ends meanwhile is not in it, and not remembered.
        """
        world = self.serve(2)
        result = self.do(self.transports[0].end)
        world.pass_(1.1)
        report = self.successResultOf(result)
        self.assertEqual((report.opened, report.idle), (1, 1))
        self.assertEqual(world.terminator.gate.drain.roll.chosen, {})

    def test_stops(self) -> None:
        """
        If it stops the server, the drain is a part of that.
        """
        for name in ("terminate", "abort"):
            world = self.serve(2)
            self.protocols[0].busy = True
            stop, stopped = getattr(world.terminator, name), list[Deferred[Report]]()
            drained = self.do(partial(lambda stop, into: into.append(stop()), stop, stopped))
            world.pass_(2.2)
            for result in (drained, stopped[0]):
                report = self.successResultOf(result)
                self.assertEqual((report.opened, report.idle, report.aborted), (2, 1, 1), name)
            self.assertEqual(world.clock.getDelayedCalls(), [])

    def test_suspends(self) -> None:
        """
        It may suspend the server too, and resume it.
        """
        world = self.serve(1)

        def away() -> None:
            world.terminator.suspend()
            world.terminator.resume()
            world.terminator.suspend()

        result = self.do(away)
        world.pass_(1.1)
        self.assertEqual(self.successResultOf(result).idle, 1)
        self.assertIs(world.terminator.phase, Phase.SUSPENDED)

    def test_looks(self) -> None:
        """
        It may ask for everything that is known, without any effect.
        """
        world = self.serve(2)
        self.protocols[1].busy = True
        seen: list[Any] = []

        def select(each: Connection) -> None:
            seen.append((each.state().value, each.describe(), each.protocolName))

        self.successResultOf(world.terminator.drain(select))
        self.assertEqual(seen, [("idle", "", "Hinting"), ("busy", "doing something", "Hinting")])
        self.assertEqual((self.told(), len(world.terminator.connections())), ([], 2))


class Drains(RuleBasedStateMachine):
    """
    Random connections, drains by choice and, perhaps, a stop.
    """

    @initialize(stagger=st.sampled_from([0.0, 3.0]), quiesce=st.sampled_from([0.0, 1.0]))
    def begin(self, stagger: float, quiesce: float) -> None:
        """
        Somebody serves.
        """
        self.world = World(Hinting, gracePeriod=6, stagger=stagger, quiesce=quiesce)
        self.terminator = self.world.terminator
        self.transports: list[MemoryTransport] = []
        self.drains: list[tuple[Deferred[Report], list[Any], float]] = []
        self.chosen: set[Any] = set()
        self.stopped: Deferred[Report] | None = None

    @precondition(lambda self: self.terminator.gate.accepting)
    @rule(
        delay=st.sampled_from([0.0, 0.3, None]),
        busy=st.booleans(),
        silent=st.booleans(),
        word=st.sampled_from(["", "503"]),
        lasting=st.booleans(),
        waits=st.sampled_from([None, 0, 1, 2]),
    )
    def connect(self, delay: Any, waits: int | None, **details: Any) -> None:
        """
        Somebody connects, and perhaps wants to be told.
        """
        transport = self.world.connect(delay, port=len(self.transports))
        self.transports.append(transport)
        vars(self.world.factory.protocols[-1]).update(details, prompt=details["lasting"])
        if waits is not None:
            asked = self.terminator.gate.whenDraining(transport)
            asked.addCallback(lambda _: self.prepare(transport, waits))

    def prepare(self, transport: MemoryTransport, waits: int) -> Any:
        """
        Whoever was told takes some time, fails, or goes.
        """
        if not waits:
            transport.end()
        ready: Deferred[None] = Deferred()
        if waits == 1:
            self.world.clock.callLater(0.5, ready.callback, None)
        return ready

    @precondition(lambda self: self.stopped is None)
    @rule(
        percent=st.sampled_from([30, 50, 100]),
        grace=st.sampled_from([0, 0.5, 2, 5]),
        again=st.booleans(),
    )
    def drain(self, percent: int, grace: float, again: bool) -> None:
        """
        Drain a part of them, and perhaps another part while choosing.
        """
        taken: list[Any] = []
        todo = [again]

        def select(each: Connection) -> bool:
            if todo.pop() if todo else False:
                self.drain(50, 1, False)
            taken.append(each.transport)
            return True

        result = self.terminator.drain(select, percent=percent, gracePeriod=grace)
        assert again or not self.chosen.intersection(taken)
        now = self.world.clock.seconds()
        self.drains.append((result, taken, now + grace))
        self.chosen.update(self.terminator.gate.drain.roll.chosen)

    @precondition(lambda self: self.transports)
    @rule(data=st.data(), what=st.sampled_from(["busy", "finish", "end", "told", "lose"]))
    def happen(self, data: Any, what: str) -> None:
        """
        Something happens on one of the connections.
        """
        number = data.draw(st.integers(0, len(self.transports) - 1))
        transport, protocol = self.transports[number], self.world.factory.protocols[number]
        if what == "told" and protocol.told is not None:
            protocol.told()
        elif what == "busy":
            protocol.busy = True
        elif what == "end":
            transport.end()
        elif what in ("finish", "lose"):
            protocol.finish() if what == "finish" else transport.loseConnection()

    @rule(seconds=st.sampled_from([0.0, 0.02, 0.3, 1.0, 2.0]))
    def wait(self, seconds: float) -> None:
        """
        Time goes by.
        """
        self.world.pass_(seconds)
        self.check()

    @precondition(lambda self: self.stopped is None)
    @rule(away=st.booleans())
    def suspend(self, away: bool) -> None:
        """
        The ports come and go.
        """
        if away:
            self.terminator.suspend()
        elif self.terminator.phase is Phase.SUSPENDED:
            self.terminator.resume()

    @precondition(lambda self: self.transports and self.stopped is None)
    @rule(grace=st.sampled_from([0, 1, 4, 6]))
    def stop(self, grace: float) -> None:
        """
        The end.
        """
        terminator = self.terminator
        self.stopped = terminator.terminate(grace) if grace else terminator.abort()
        self.until = self.world.clock.seconds() + grace

    @precondition(lambda self: self.stopped is not None)
    @rule(grace=st.sampled_from([0, 0.5, 2]))
    def hurry(self, grace: float) -> None:
        """
        It has to be over before that.
        """
        self.terminator.terminate(grace) if grace else self.terminator.abort()
        self.until = min(self.until, self.world.clock.seconds() + grace)

    def check(self) -> None:
        """
        Every drain is over by its deadline and a moment; nobody else was touched.
        """
        now = self.world.clock.seconds()
        for result, taken, deadline in self.drains:
            assert result.called or now <= deadline + 1.2, (taken, deadline)
        if self.stopped is None:
            for number, protocol in enumerate(self.world.factory.protocols):
                chosen = self.transports[number] in self.chosen
                assert chosen or (protocol.told is None and not protocol.drained), number
        else:
            assert self.stopped.called or now <= self.until + 1.2

    def teardown(self) -> None:
        """
        In the end all reports are right.
        """
        if not hasattr(self, "world"):
            return
        if self.stopped is None:
            self.stop(6)
        assert self.stopped is not None
        self.world.pass_(7.25)
        self.check()
        reports: list[Report] = []
        for result, _, _ in self.drains:
            result.addCallback(reports.append)
        assert sum(report.opened for report in reports) == len(self.chosen)
        self.stopped.addCallback(reports.append)
        assert len(reports) == len(self.drains) + 1
        assert reports[-1].opened == len(self.transports)
        for report in reports:
            ended = report.before + report.idle + report.finished + report.left + report.aborted
            assert ended == report.opened, report
            assert len(report.stragglers) == report.aborted, report
        assert self.world.clock.getDelayedCalls() == []


class RandomTests(SynchronousTestCase):
    """
    Random drains.
    """

    def test_alwaysRight(self) -> None:
        """
        Whatever peers, drainers and callers do: each drain is over by its deadline and a
        moment, only the chosen are touched, nobody is chosen twice, and every report, also
        that of the stop, counts each of its connections once and names who was aborted.
        """
        # What is logged of those that do not end, nobody wants to read.
        for observer in list(globalLogPublisher._observers):
            globalLogPublisher.removeObserver(observer)
            self.addCleanup(globalLogPublisher.addObserver, observer)
        run_state_machine_as_test(
            Drains, settings=settings(deadline=None, max_examples=150, stateful_step_count=25)
        )
