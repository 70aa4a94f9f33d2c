"""
Tests for L{terminable.handover.following}.
"""

from __future__ import annotations

import os
import socket
from gc import collect
from weakref import ref

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from terminable.errors import InvalidOption
from terminable.handover import environment
from terminable.handover.following import Alone, takeoverOf
from terminable.handover.offered import offeredTo
from terminable.policy.ledger import Report
from tests.handingover import CoreReactor, HandoverTestCase


class ForgettingTests(SynchronousTestCase):
    """
    What is known of a reactor.
    """

    def test_forgotten(self) -> None:
        """
        It does not keep the reactor alive: tests have very many.
        """
        reactor = Clock()
        takeoverOf(reactor)
        offeredTo(reactor)
        known = ref(reactor)
        del reactor
        collect()
        self.assertIsNone(known())


class TakeoverOfTests(HandoverTestCase):
    """
    What a process was started with.
    """

    def takeover(self, **started: str) -> Alone:
        """
        It was started with this.
        """
        observers = list(globalLogPublisher._observers)
        self.patch(environment, "STARTED", started)
        found = takeoverOf(self.reactor)
        for each in list(globalLogPublisher._observers):
            if each not in observers:
                globalLogPublisher.removeObserver(each)
        self.assertEqual(started, {})
        self.assertIs(takeoverOf(self.reactor), found)
        return found

    def test_nothing(self) -> None:
        """
        In most cases that is nothing: it serves at once.
        """
        found = self.takeover()
        self.assertFalse(found.waiting or found.worker)
        self.assertIsNone(found.channel)
        self.assertEqual((found.pidfile, found.serving), ("", os.getpid()))

    def test_alone(self) -> None:
        """
        It holds nothing, waits for nothing, and follows nobody.
        """
        found = self.takeover()
        port = self.reactor.listenTCP(0, self.factory, interface="127.0.0.1")
        self.assertFalse(found.holds(port))
        self.assertIsNone(found.portFor(port.getHost()))
        found.neverAccept(port)
        self.assertNotIn(port, self.reactor.getReaders())
        starting: Deferred[None] = Deferred()
        self.assertIs(found.awaits(starting), starting)
        self.assertFalse(found.report(Report(0, 0, 0, 0, 0, 0, 0.0, ())))
        self.assertEqual(self.successResultOf(found.older()), 0)
        found.endOldest()

    def test_bare(self) -> None:
        """
        A reactor that cannot be stopped will do.
        """

        class Bare:
            pass

        self.patch(environment, "STARTED", {})
        self.assertFalse(takeoverOf(Bare()).waiting)

    def test_systemd(self) -> None:
        """
        Sockets of somebody who does not hand over are only called by their names.
        """
        sock = self.listener()
        self.patch(environment, "FIRST", sock.fileno())
        pid = str(os.getpid())
        found = self.takeover(LISTEN_PID=pid, LISTEN_FDS="1", LISTEN_FDNAMES="web")
        self.assertFalse(found.waiting)
        offered = offeredTo(self.reactor)
        self.assertEqual((len(offered), offered.nameOf(sock)), (0, (0, "web")))

    def handed(self, sockets: int, **more: str) -> Alone:
        """
        It is handed so many sockets.
        """
        ours, theirs = socket.socketpair()
        self.speak(ours)
        environ = {"TERMINABLE_HANDOVER": str(theirs.detach()), "LISTEN_PID": str(os.getpid())}
        if sockets:
            descriptor = self.listener().detach()
            self.patch(environment, "FIRST", 3)
            os.dup2(descriptor, 200)
            os.close(descriptor)
            self.patch(environment, "FIRST", 200)
            environ["LISTEN_FDS"] = "1"
            environ["TERMINABLE_HANDOVER"] = str(self.above(int(environ["TERMINABLE_HANDOVER"])))
        return self.takeover(**environ, **more)

    def above(self, descriptor: int) -> int:
        """
        The same descriptor with a number that may be one.
        """
        os.dup2(descriptor, 210)
        os.close(descriptor)
        return 210

    def test_handed(self) -> None:
        """
        Somebody hands over: it waits, and his sockets with it.
        """
        found = self.handed(1, TERMINABLE_PIDFILE="x")
        self.assertTrue(found.waiting)
        self.assertEqual((found.pidfile, len(offeredTo(self.reactor))), ("x", 1))
        offeredTo(self.reactor).closeRest()

    def test_worker(self) -> None:
        """
        It may be a worker, and without sockets.
        """
        self.patch(os, "setpgid", lambda *args: None)
        found = self.handed(0, TERMINABLE_WORKER="1")
        self.assertTrue(found.waiting and found.worker)

    def test_wrong(self) -> None:
        """
        What is not so is refused.
        """
        self.patch(environment, "STARTED", {"TERMINABLE_HANDOVER": "x"})
        self.assertRaises(InvalidOption, takeoverOf, CoreReactor())
