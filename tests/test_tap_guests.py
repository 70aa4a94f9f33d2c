"""
Ports of another plugin.
"""

from __future__ import annotations

from typing import Any

from twisted.application.service import MultiService
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from terminable.hosting import HostingService
from terminable.policy.phases import Phase
from terminable.terminator import Terminator
from tests.doubles import HandReactor, MemoryFactory, listeningPort

HERE = "tests.test_tap"


class HostingTests(SynchronousTestCase):
    """
    Ports that somebody else opens.
    """

    def setUp(self) -> None:
        self.reactor: Any = HandReactor()
        self.waiting: list[Any] = []
        self.reactor.callWhenRunning = self.waiting.append
        self.guest = MultiService()
        self.terminator = Terminator(self.reactor)
        self.service = HostingService(self.terminator, self.reactor, self.guest)

    def stop(self) -> None:
        stopped = self.service.stopService()
        # Handshakes that have begun may be completed.
        self.reactor.advance(1)
        self.successResultOf(stopped)

    def test_taken(self) -> None:
        """
        The guest's ports are taken when the reactor runs, and closed by the stop.
        """
        self.service.startService()
        self.assertTrue(self.guest.running)
        port = listeningPort(self.reactor, MemoryFactory())
        [takePorts] = self.waiting
        takePorts()
        takePorts()
        self.stop()
        self.assertFalse(port.connected)
        self.assertFalse(self.guest.running)

    def test_openedLater(self) -> None:
        """
        So are those that were opened later.
        """
        self.service.startService()
        port = listeningPort(self.reactor, MemoryFactory())
        self.stop()
        self.assertFalse(port.connected)

    def test_stoppedBefore(self) -> None:
        """
        If it has been stopped by the time that the reactor runs, nothing is taken; and
        it may be stopped again.
        """
        self.service.startService()
        self.stop()
        port = listeningPort(self.reactor, MemoryFactory())
        self.waiting[0]()
        self.stop()
        self.assertIs(self.terminator.phase, Phase.TERMINATED)
        self.assertTrue(port.connected)
        port.connectionLost(None)

    def test_reactorWithoutPorts(self) -> None:
        """
        A reactor that cannot tell its ports has none to be taken.
        """
        clock: Any = Clock()
        clock.callWhenRunning = self.waiting.append
        service = HostingService(Terminator(clock), clock, MultiService())
        service.startService()
        self.waiting[0]()
        self.successResultOf(service.stopService())
