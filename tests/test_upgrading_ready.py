"""
Tests for what L{terminable.handover} offers to applications.
"""

from __future__ import annotations

import os
from typing import Any
from unittest import TestCase

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

import terminable.handover
from terminable.errors import HandoverFailed, UpgradeRefused
from terminable.handover import following, readyAfter, upgrade
from terminable.handover.channel import Serves
from terminable.handover.following import takeoverOf
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


class PidfileTests(UpgradeTestCase):
    """
    The file that names whoever serves.
    """

    def upgraded(self) -> None:
        """
        A successor serves.
        """
        self.begin()
        self.ready()
        self.turns()
        self.assertEqual(self.successResultOf(self.result), 99)

    def test_lastDeed(self) -> None:
        """
        C{twistd} takes it away as its last deed; then it is written anew, for whoever serves
        by then.
        """
        path = self.mktemp()
        self.own = self.own._replace(pidfile=path)
        self.upgraded()
        takeoverOf(self.reactor).serves(os.getpid())
        [deed] = self.last
        deed()
        with open(path) as written:
            self.assertEqual(written.read(), str(os.getpid()))

    def test_none(self) -> None:
        """
        Where there is none, none is written.
        """
        self.own = self.own._replace(pidfile="")
        self.upgraded()
        self.assertEqual(self.last, [])

    def test_next(self) -> None:
        """
        The successor says when it has one itself.
        """
        self.upgraded()
        self.spoken.callRemote(Serves, pid=7)
        self.turns()
        self.assertEqual(takeoverOf(self.reactor).serving, 7)


class FollowedTests(TakeoverTestCase):
    """
    One that has taken over, and is followed itself.
    """

    def test_told(self) -> None:
        """
        Those before it hear of that.
        """
        self.takeover.serves(7)
        self.turns()
        self.assertEqual(self.takeover.serving, 7)
        self.assertIn("Serves", self.answers.names())
        self.takeover.channel = None
        self.takeover.serves(8)
        self.assertEqual(self.takeover.serving, 8)

    def test_ended(self) -> None:
        """
        One that is told to end before it serves does not, though it ends the channel itself;
        the pidfile stays as it is.
        """
        self.listen()
        self.runs()
        self.takeover._ends()
        self.takeover._lost(Failure(Boom()))
        self.turns()
        self.assertTrue(self.takeover.waiting)
        self.assertFalse(self.path.exists())


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
