"""
An exit status that says whether a stop was graceful.
"""

from __future__ import annotations

import atexit
import os
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from terminable.exitstatus import FAILED, ExitStatus
from terminable.interfaces import ITerminationObserver
from terminable.policy.phases import Phase
from terminable.terminator import Terminator
from tests.doubles import World
from tests.test_ledger import report


class ExitStatusTests(SynchronousTestCase):
    """
    What the process would exit with.
    """

    def setUp(self) -> None:
        self.registered: list[Any] = []
        self.patch(atexit, "register", self.registered.append)
        self.exits: list[int] = []
        self.patch(os, "_exit", self.exits.append)
        self.reactor: Any = MemoryReactorClock()
        self.reactor._exitSignal = 15
        self.status = ExitStatus(self.reactor)

    def test_isAnObserver(self) -> None:
        """
        It can be told how a stop proceeds, and only wants to know its report.
        """
        verifyObject(ITerminationObserver, self.status)
        self.status.phaseChanged(Phase.SERVING, Phase.ABORTING)
        self.status.portsClosed()
        self.assertEqual((self.status.status, self.reactor._exitSignal), (0, 15))

    def test_graceful(self) -> None:
        """
        After a graceful stop Python exits in its own way, with 0 and not by the signal.
        """
        self.status.terminated(report(idle=1))
        self.assertIsNone(self.reactor._exitSignal)
        self.registered[0]()
        self.assertEqual(self.exits, [])

    def test_straggler(self) -> None:
        """
        After another the process exits with 1, as the last thing it does.
        """
        self.status.terminated(report(aborted=1))
        self.assertIsNone(self.reactor._exitSignal)
        self.assertEqual(self.exits, [])
        self.registered[0]()
        self.assertEqual(self.exits, [FAILED])

    def test_worstCounts(self) -> None:
        """
        A later stop that is graceful does not make up for one that was not.
        """
        self.status.terminated(report(aborted=1))
        self.status.terminated(report())
        self.registered[0]()
        self.assertEqual(self.exits, [FAILED])

    def test_observes(self) -> None:
        """
        Added to a terminator it knows of its stragglers.
        """
        world = World(gracePeriod=0)
        world.terminator.addObserver(self.status)
        world.connect()
        world.factory.protocols[0].busy = True
        world.terminator.terminate()
        self.assertEqual(self.status.status, 0)
        world.clock.advance(0)
        self.assertEqual(self.status.status, FAILED)

    def test_beforeTheStop(self) -> None:
        """
        Without a stop nothing is changed.
        """
        Terminator(self.reactor).addObserver(self.status)
        self.registered[0]()
        self.assertEqual((self.exits, self.reactor._exitSignal), ([], 15))
