"""
The port of the admin door: how many come by it, who follows, and who else may have such a port.
"""

from __future__ import annotations

import os
import stat
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorCore
from zope.interface import directlyProvides, providedBy

from terminable.admin import beside, site, visitors
from terminable.admin.beside import Beside
from terminable.handover.following import takeoverOf
from terminable.handover.upgrading import upgradeOf
from terminable.policy.phases import Phase
from tests.adminasking import question
from tests.admindoors import DoorTestCase, RealEndpoint


class CrowdTests(DoorTestCase):
    """
    Very many.
    """

    def test_pace(self) -> None:
        """
        Who comes when very many have come waits in the kernel's queue for a moment.
        """
        self.patch(visitors, "BURST", 2.0)
        self.patch(site, "ARRIVALS", 1.0)
        self.open()
        self.endpoint.port.numberAccepts = 1
        clients = [self.connect() for _ in range(3)]
        self.endpoint.port.numberAccepts = 1
        late = self.connect()
        for client in clients[:2]:
            self.assertIn(b" 200 ", self.ask(client, question("/live")))
        late.sendall(question("/live"))
        self.turn()
        late.setblocking(False)
        self.assertRaises(BlockingIOError, late.recv, 1)
        for _ in range(5):
            self.reactor.turn(1.0)
        self.assertIn(b" 200 ", late.recv(1000))

    def test_endMeanwhile(self) -> None:
        """
        The end may come meanwhile.
        """
        self.patch(visitors, "BURST", 1.0)
        door = self.open()
        for _ in range(3):
            self.connect()
        self.shut(door)
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class UpgradeTests(DoorTestCase):
    """
    A successor.
    """

    def setUp(self) -> None:
        super().setUp()
        reactor: Any = self.reactor
        directlyProvides(reactor, IReactorCore, providedBy(reactor))
        reactor.stop = lambda: None
        reactor.addSystemEventTrigger = lambda *details: None
        self.running: list[Any] = []
        reactor.callWhenRunning = self.running.append

    def test_news(self) -> None:
        """
        What becomes of it is told, and who has been answered is sent to the successor.
        """
        door = self.open()
        upgrade = upgradeOf(self.reactor)
        [observer] = upgrade.observers
        client = self.connect()
        observer.beginReload()
        self.assertEqual(self.watched.upgrade, "under way")
        observer.endReload()
        self.assertEqual(self.watched.upgrade, "failed")
        self.assertNotIn(b"Connection: close", self.ask(client, question("/live")))
        self.successResultOf(observer.mainPid(7))
        self.assertEqual(self.watched.upgrade, "done")
        self.assertIn(b"Connection: close", self.ask(client, question("/live")))
        self.shut(door)
        self.assertEqual(upgrade.observers, [])

    def test_handedOver(self) -> None:
        """
        The port is among those that are handed over, nobody who is connected is, and it never
        stands in the way of an upgrade.
        """
        self.open()
        [known] = list(upgradeOf(self.reactor)._terminators)
        self.assertEqual((known.phase, known.connections()), (Phase.SERVING, []))
        [listener] = known.ports.listeners
        self.assertIs(listener.port, self.endpoint.port)
        self.assertTrue(known.listening)
        client = self.connect()
        known.abort()
        known.ports.handOver()
        self.assertFalse(known.listening)
        self.assertIn(b" 200 ", self.ask(client, question("/live")))

    def test_since(self) -> None:
        """
        When serving begins is noted as soon as the reactor runs.
        """
        told: list[str] = []
        self.watched.addListener(lambda: told.append(self.watched.phase))
        self.open()
        [look] = self.running
        look()
        self.assertEqual(told, ["starting"])

    def test_sinceTakeover(self) -> None:
        """
        Or when the process before this one lets go.
        """
        self.open()
        takeover = takeoverOf(self.reactor)
        takeover.waiting = True
        self.running[0]()
        self.assertEqual(len(takeover.observers), 1)


class BesideTests(DoorTestCase):
    """
    A port beside others, as other services may have it.
    """

    def test_public(self) -> None:
        """
        It need not be private.
        """
        path = self.mktemp()
        self.endpoint = RealEndpoint(self.reactor, path)
        self.patch(beside, "peerUser", lambda sock: 12345)
        public = Beside(self.reactor, self.endpoint, self.factory, private=False)
        self.successResultOf(public.listen())
        self.assertNotEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.connect()
        self.assertEqual(len(public.live), 1)
        [transport] = public.live
        self.assertNoResult(public.whenDraining(transport))
        public.forget(transport, Deferred())
        stopped = public.stop(1.0)
        self.turn()
        self.successResultOf(stopped)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_abstract(self) -> None:
        """
        A name in the abstract namespace has no mode; the kernel knows who comes.
        """
        name = f"\0terminable-{os.getpid()}"
        self.endpoint = RealEndpoint(self.reactor, name)
        private = Beside(self.reactor, self.endpoint, self.factory)
        self.successResultOf(private.listen())
        self.connect()
        self.assertEqual(len(private.live), 1)
        private.stop(1.0)
        self.turn()
        self.assertEqual(len(private.live), 0)
