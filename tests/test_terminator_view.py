"""
Looking at a terminator, and being told by it.
"""

from __future__ import annotations

import inspect
import time
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from terminable.policy.ledger import State
from terminable.policy.phases import Phase
from terminable.terminator import Terminator
from tests.doubles import (
    Boom,
    Diary,
    Hinting,
    MemoryEndpoint,
    MemoryFactory,
    Plain,
    Polite,
    World,
)


class ViewTests(SynchronousTestCase):
    """
    Looking at what there is.
    """

    def test_connections(self) -> None:
        """
        The live connections are told oldest first, with what they do.
        """
        world = World(Hinting)
        for number in (1, 2):
            world.connect(port=number)
            world.clock.advance(1)
        world.factory.protocols[1].busy = True
        first, second = world.terminator.connections()
        self.assertEqual((first.peer, second.peer), ("127.0.0.1:1", "127.0.0.1:2"))
        self.assertEqual((first.openedAt, second.openedAt), (0.0, 1.0))
        self.assertEqual((first.state(), second.state()), (State.IDLE, State.BUSY))
        self.assertEqual((first.describe(), second.describe()), ("", "doing something"))
        self.assertEqual(first.protocolName, "Hinting")

    def test_progress(self) -> None:
        """
        Progress counts, and names the oldest of those who have been busy since the stop
        began.
        """
        world = World(Hinting)
        for number in (1, 2, 3):
            world.connect(port=number, delay=None)
            world.clock.advance(1)
        for protocol in world.factory.protocols[1:]:
            protocol.busy = True
        self.assertEqual(str(world.terminator.progress()), "serving: 0 busy, 3 idle")
        world.terminator.terminate()
        world.clock.advance(0.5)
        self.assertEqual(
            str(world.terminator.progress()),
            "draining: 2 busy, 1 idle, 24.5 s left: doing something from 127.0.0.1:2, 2.5 s",
        )

    def test_repr(self) -> None:
        """
        A terminator says where it stands, and how many connections it has.
        """
        world = World()
        world.connect()
        self.assertEqual(repr(world.terminator), "<Terminator serving, 1 connections>")

    def test_signature(self) -> None:
        """
        What is not given is called what it is where people look it up.
        """
        self.assertIn("<its own>", str(inspect.signature(Terminator.terminate)))

    def test_longestTurn(self) -> None:
        """
        How long one turn of the reactor has worked for us is known.
        """
        world = World()

        class Slow(Polite):
            def isBusy(self) -> bool:
                until = time.thread_time() + 0.002
                while time.thread_time() < until:
                    pass
                return False

        world.factory.protocol = Slow
        world.connect()
        self.assertEqual(world.terminator.longestTurn, 0.0)
        world.terminator.terminate()
        self.assertGreaterEqual(world.terminator.longestTurn, 0.002)


class ObserverTests(SynchronousTestCase):
    """
    Those who watch.
    """

    def test_everything(self) -> None:
        """
        They are told of each phase, of the ports' end, and of the report.
        """
        world = World(quiesce=1)
        world.connect()
        report = []
        world.terminator.terminate().addCallback(report.append)
        world.pass_(3)
        self.assertEqual(world.diary.phases, [Phase.QUIESCING, Phase.DRAINING, Phase.TERMINATED])
        self.assertEqual(world.diary.portsGone, 1)
        self.assertEqual(world.diary.reports, report)

    def test_abort(self) -> None:
        """
        So they are when it is an abort.
        """
        world = World()
        port = self.successResultOf(
            world.terminator.listen(MemoryEndpoint(world.clock), MemoryFactory())
        )
        world.terminator.abort()
        self.assertFalse(port.listening)  # type: ignore[attr-defined]
        self.assertEqual(world.diary.phases, [Phase.ABORTING, Phase.TERMINATED])
        self.assertEqual(world.diary.portsGone, 1)

    def test_noLonger(self) -> None:
        """
        Who no longer wants to be told is not.
        """
        world = World()
        world.terminator.removeObserver(world.diary)
        world.terminator.terminate()
        self.assertEqual(world.diary.phases, [])

    def test_failing(self) -> None:
        """
        An observer that fails changes nothing for the stop and for other observers;
        nor does one that lacks a method.
        """

        class Failing(Diary):
            def phaseChanged(self, old: Phase, new: Phase) -> None:
                raise Boom

            portsClosed = phaseChanged
            terminated = phaseChanged

        world = World(Plain)
        world.terminator.removeObserver(world.diary)
        for observer in (Failing(), object(), world.diary):
            world.terminator.addObserver(observer)  # type: ignore[arg-type]
        self.successResultOf(world.terminator.terminate())
        self.assertEqual(len(world.diary.phases), 3)
        self.assertEqual(len(world.diary.reports), 1)
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 3)
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 2)
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 5)

    def test_mayAsk(self) -> None:
        """
        An observer may abort when it is told of the drain.
        """

        class Impatient(Diary):
            def phaseChanged(self, old: Phase, new: Phase) -> None:
                super().phaseChanged(old, new)
                if new is Phase.DRAINING:
                    world.terminator.abort()

        world = World()
        impatient: Any = Impatient()
        world.terminator.addObserver(impatient)
        world.connect()
        world.factory.protocols[0].busy = True
        result = world.terminator.terminate()
        world.clock.advance(0)
        self.assertEqual(self.successResultOf(result).aborted, 1)
        self.assertEqual(impatient.phases, world.diary.phases)
        self.assertIs(impatient.phases[-1], Phase.TERMINATED)
