"""
Tests for L{terminable.handover.upgrading} and L{terminable.handover.answers}: what asks for an
upgrade, and what a successor asks.
"""

from __future__ import annotations

import signal
from typing import Any
from weakref import WeakSet

from twisted.internet.defer import succeed
from twisted.internet.task import Clock

from terminable.errors import HandoverFailed
from terminable.handover.answers import Answers
from terminable.handover.channel import EndOldest, Older
from terminable.handover.following import takeoverOf
from terminable.handover.upgrading import upgradable, upgradeOf
from terminable.policy.phases import Phase
from tests.upgraded import FakeTerminator, UpgradeTestCase


class OlderTests(UpgradeTestCase):
    """
    More than two processes.
    """

    def test_bounded(self) -> None:
        """
        If one more would be too many, the oldest is told to end.
        """
        takeover = takeoverOf(self.reactor)
        ended: list[str] = []
        self.patch(takeover, "older", lambda: succeed(3))
        self.patch(takeover, "endOldest", lambda: ended.append("oldest"))
        self.begin()
        self.assertEqual(ended, [])
        self.reactor.processes[0].end(1)
        self.failureResultOf(self.result, HandoverFailed)
        self.upgrade.processes = 3
        self.begin()
        self.assertEqual(ended, ["oldest"])

    def test_counted(self) -> None:
        """
        The successor is told how many drain: this process, and those before it.
        """
        self.patch(takeoverOf(self.reactor), "older", lambda: succeed(2))
        self.begin()
        asked = self.spoken.callRemote(Older)
        self.turns()
        self.assertEqual(self.successResultOf(asked), {"count": 3})

    def test_oldest(self) -> None:
        """
        The oldest is this process if there is none before it; but nobody is ended for a
        successor that does not serve.
        """
        self.begin()
        self.spoken.callRemote(EndOldest)
        self.turns()
        self.assertEqual([each.told for each in self.terminators], [[], []])
        self.ready()
        self.turns()
        for terminator in self.terminators:
            terminator.told.clear()
        self.spoken.callRemote(EndOldest)
        self.turns()
        self.assertEqual([each.told for each in self.terminators], [["abort"], ["abort"]])

    def test_older(self) -> None:
        """
        If there is one, it is asked to see to it.
        """
        takeover = takeoverOf(self.reactor)
        ended: list[str] = []
        takeover.channel = object()
        self.patch(takeover, "endOldest", lambda: ended.append("oldest"))
        answers = Answers(self.reactor, self.terminators)
        self.assertEqual(answers.endOldest(), {})
        self.assertEqual((ended, self.terminators[0].told), (["oldest"], []))


class SignalTests(UpgradeTestCase):
    """
    Upgrades by a signal.
    """

    def setUp(self) -> None:
        super().setUp()
        self.installed: dict[int, Any] = {}
        self.patch(signal, "getsignal", lambda n: self.installed.get(n, signal.SIG_DFL))
        self.patch(signal, "signal", self.installed.__setitem__)

    def test_installed(self) -> None:
        """
        From when the reactor runs, the signal upgrades; why that fails is logged.
        """
        terminator = FakeTerminator()
        self.upgrade._terminators = WeakSet()
        upgradable(self.reactor, terminator)
        self.assertIn(terminator, self.upgrade._terminators)
        self.assertEqual(self.installed, {})
        self.reactor.run()
        terminator.phase = Phase.DRAINING
        self.installed[signal.SIGUSR2](signal.SIGUSR2, None)
        self.assertEqual(self.reactor.processes, [])
        self.reactor.turn()
        self.assertEqual(self.flushLoggedErrors(), [])
        terminator.phase = Phase.SERVING
        self.upgrade.ask()
        self.assertEqual(len(self.reactor.processes), 1)
        self.reactor.processes[0].end(1)

    def test_taken(self) -> None:
        """
        Somebody else's signal stays his.
        """
        self.installed[signal.SIGUSR2] = signal.SIG_IGN
        self.upgrade.onSignal()
        self.reactor.run()
        self.assertEqual(self.installed, {signal.SIGUSR2: signal.SIG_IGN})

    def test_thread(self) -> None:
        """
        Outside of the main thread there is no signal.
        """

        def refuse(*args: object) -> None:
            raise ValueError

        self.patch(signal, "signal", refuse)
        self.upgrade.onSignal()
        self.reactor.run()
        self.assertEqual(self.installed, {})

    def test_noRun(self) -> None:
        """
        A reactor that has no run is left alone.
        """
        clock = Clock()
        upgradable(clock, FakeTerminator())
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_one(self) -> None:
        """
        A reactor has one.
        """
        self.assertIs(upgradeOf(self.reactor), self.upgrade)
