"""
One line for HAProxy.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from terminable.admin.agent import AgentCheck
from terminable.policy.admission import Admission
from terminable.policy.phases import Phase
from terminable.policy.schedule import Schedule
from terminable.terminator import Terminator
from tests.doubles import Boom, MemoryEndpoint, World


class Stand:
    """
    What is asked about: a phase, and whether a port is open.
    """

    schedule = Schedule(quiesce=2.0)

    def __init__(self, phase: Phase = Phase.SERVING, open: bool = True) -> None:
        self.phase = phase
        self.open = open
        self.ports = self
        self.observers: list[Any] = []
        self.addObserver = self.observers.append
        self.removeObserver = self.observers.remove


def listening(**settings: Any) -> World:
    """
    A server with a port.
    """
    world = World(**settings)
    world.terminator.listen(MemoryEndpoint(world.clock), world.factory)
    return world


class LineTests(SynchronousTestCase):
    """
    What is said.
    """

    def assertSays(self, line: bytes, terminator: Any, **options: Any) -> None:
        """
        A check of C{terminator} says this.
        """
        self.assertEqual(AgentCheck(Clock(), terminator, **options).line(), line)

    def test_serving(self) -> None:
        """
        A server that serves is ready, whatever was found out or said of it before.
        """
        self.assertSays(b"up ready\n", Stand())

    def test_accepting(self) -> None:
        """
        One that still accepts, but not for long, is to be drained.
        """
        self.assertSays(b"drain\n", Stand(Phase.QUIESCING))
        self.assertSays(b"drain\n", Stand(Phase.DRAINING))

    def test_portsGone(self) -> None:
        """
        One that nobody can connect to is in maintenance, in every phase.
        """
        for phase in Phase:
            self.assertSays(b"maint\n", Stand(phase, open=False))

    def test_away(self) -> None:
        """
        So it is when it is suspended, released, or over.
        """
        for phase in (Phase.SUSPENDED, Phase.RELEASED, Phase.TERMINATED):
            self.assertSays(b"maint\n", Stand(phase))

    def test_bound(self) -> None:
        """
        When half of the quiesce time is over, also those are sent away who are bound to it; the
        next stop begins anew.
        """
        clock, stand = Clock(), Stand()
        check = AgentCheck(clock, stand)

        def said() -> list[bytes]:
            lines = []
            for _ in range(5):
                lines.append(check.line())
                clock.advance(0.3)
            return lines

        for phase in (Phase.QUIESCING, Phase.DRAINING):
            stand.phase = phase
            self.assertEqual(said(), [b"drain\n"] * 4 + [b"maint\n"])
            stand.phase = Phase.SERVING
            self.assertEqual(said(), [b"up ready\n"] * 5)

    def test_weight(self) -> None:
        """
        A weight is said in whole per cent, and only while the server serves.
        """
        self.assertSays(b"up ready 75%\n", Stand(), weight=lambda: 74.6)
        self.assertSays(b"up ready 200%\n", Stand(), weight=lambda: 200)
        self.assertSays(b"drain\n", Stand(Phase.QUIESCING), weight=lambda: 75)

    def test_noWeight(self) -> None:
        """
        It is never 0, which would mean to drain.
        """
        for weight in (0, 0.3, -5):
            self.assertSays(b"up ready 1%\n", Stand(), weight=lambda weight=weight: weight)

    def test_weightFails(self) -> None:
        """
        A weight that fails, or is none, is logged, and nothing is said of it.
        """

        def fails() -> float:
            raise Boom

        self.assertSays(b"up ready\n", Stand(), weight=fails)
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)
        self.assertSays(b"up ready\n", Stand(), weight=lambda: float("inf"))
        self.assertEqual(len(self.flushLoggedErrors(OverflowError)), 1)

    def test_wholeStop(self) -> None:
        """
        A real server is ready when it listens, drains while it quiesces, and is in maintenance
        when its ports are gone.
        """
        world = listening(quiesce=1.0, gracePeriod=5.0, idleGrace=0.5)
        check = AgentCheck(world.clock, world.terminator)
        said = [check.line()]
        world.connect()
        world.terminator.terminate()
        for seconds in (0.0, 0.4, 0.7, 5.0):
            world.pass_(seconds)
            said.append(check.line())
        self.assertEqual(said, [b"up ready\n", b"drain\n", b"drain\n", b"maint\n", b"maint\n"])

    def test_notYetListening(self) -> None:
        """
        A terminator that has no port yet is in maintenance.
        """
        self.assertSays(b"maint\n", Terminator(Clock()))


class CapacityTests(SynchronousTestCase):
    """
    The weight of a server that has a capacity.
    """

    def check(self, **settings: Any) -> tuple[World, AgentCheck]:
        """
        A server with an admission, and its check.
        """
        world = listening(admission=Admission(**settings))
        return world, AgentCheck(world.clock, world.terminator)

    def test_free(self) -> None:
        """
        It is the part of the capacity that is free.
        """
        world, check = self.check(capacity=4)
        said = [check.line()]
        for port in range(5):
            world.connect(port=4000 + port)
            said.append(check.line())
        parts = [line.split()[-1] for line in said]
        self.assertEqual(parts, [b"100%", b"75%", b"50%", b"25%", b"1%", b"1%"])

    def test_unlimited(self) -> None:
        """
        An admission that only holds peers says nothing of a weight.
        """
        _, check = self.check(perPeer=4)
        self.assertEqual(check.line(), b"up ready\n")

    def test_own(self) -> None:
        """
        A weight of one's own is taken instead.
        """
        world, _ = self.check(capacity=4)
        check = AgentCheck(world.clock, world.terminator, weight=lambda: 33)
        self.assertEqual(check.line(), b"up ready 33%\n")
