"""
Tests for what L{terminable.handover} offers to applications.
"""

from __future__ import annotations

from typing import Any
from unittest import TestCase

from twisted.internet.defer import Deferred

import terminable.handover
from terminable.errors import HandoverFailed, UpgradeRefused
from terminable.handover import following, readyAfter, upgrade
from tests.doubles import Boom
from tests.takingover import TakeoverTestCase
from tests.upgraded import FakeListener, UpgradeTestCase


class NamesTests(TestCase):
    """
    The names of the package.
    """

    def test_there(self) -> None:
        """
        What is promised is there, and nothing else.
        """
        for name in terminable.handover.__all__:
            self.assertTrue(hasattr(terminable.handover, name), name)
        with self.assertRaises(AttributeError):
            terminable.handover.downgrade  # noqa: B018


class UpgradeNowTests(UpgradeTestCase):
    """
    An upgrade that somebody asks for.
    """

    def test_refused(self) -> None:
        """
        It is the one of the process: there is one at a time.
        """
        self.begin()
        self.failureResultOf(upgrade(self.reactor), UpgradeRefused)

    def test_openedMeanwhile(self) -> None:
        """
        A port that was opened after the sockets were given away is not in the successor's
        hands: it goes, and nothing has happened.
        """
        self.begin()
        self.terminators[0].listeners.append(FakeListener(self.listener(), "d", 9))
        self.goes()

    def test_exchangedMeanwhile(self) -> None:
        """
        So it is with one that is another now, as after a restart of its service.
        """
        self.begin()
        self.terminators[0].listeners[:] = [FakeListener(self.listener(), "c", 9)]
        self.goes()

    def goes(self) -> None:
        """
        The successor is ready, and told to end.
        """
        self.ready()
        self.turns()
        self.failureResultOf(self.result, HandoverFailed)
        self.assertEqual(self.reactor.processes[0].signals, ["TERM"])
        self.assertEqual(self.told(), [[], [], []])


class ReadyAfterTests(TakeoverTestCase):
    """
    A successor that needs a while.
    """

    def setUp(self) -> None:
        super().setUp()
        following._known[self.reactor] = self.takeover
        self.starting: Deferred[str] = Deferred()
        self.left: list[str] = []
        self.takeover.leave = lambda: self.left.append("left")

    def test_started(self) -> None:
        """
        It is ready when it says so, and the result goes on.
        """
        readyAfter(self.reactor, self.starting)
        self.listen()
        self.runs()
        self.assertEqual(self.answers.names().count("Ready"), 0)
        self.starting.callback("done")
        self.turns()
        self.assertEqual(self.answers.names().count("Ready"), 1)
        self.assertEqual(self.successResultOf(self.starting), "done")

    def test_failed(self) -> None:
        """
        If that fails, it leaves, and is never ready.
        """
        readyAfter(self.reactor, self.starting)
        self.listen()
        self.runs()
        self.starting.errback(Boom())
        self.turns()
        self.assertEqual((self.left, self.answers.names().count("Ready")), (["left"], 0))
        self.failureResultOf(self.starting, Boom)
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)


class AloneTests(UpgradeTestCase):
    """
    The same in a process that follows nobody.
    """

    def test_failed(self) -> None:
        """
        What fails there is for others to care about.
        """
        starting: Deferred[Any] = Deferred()
        readyAfter(self.reactor, starting)
        starting.errback(Boom())
        self.failureResultOf(starting, Boom)
