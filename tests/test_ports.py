"""
Listening ports: closed without resetting anybody, and opened again.

The sockets are real; no reactor runs.
"""

from __future__ import annotations

import contextlib
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from terminable.listener import Listener
from terminable.ports import ACCEPTING, Ports, listeningPorts
from terminable.slices import BUDGET
from terminable.tracking import sockets
from tests.doubles import MemoryFactory, MemoryPort, Plain, PortTestCase, listeningPort


class ForeignTests(SynchronousTestCase):
    """
    Ports of a kind that nobody knows.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.factory = MemoryFactory()
        self.port = MemoryPort(self.factory, self.clock)
        self.listener = Listener(self.port, self.clock)

    def test_closed(self) -> None:
        """
        It is closed by what every port has.
        """
        self.assertTrue(self.listener.open)
        self.assertFalse(self.listener.refuseNew())
        self.assertTrue(self.listener.acceptAndClose())
        self.assertEqual((self.port.listening, self.listener.open), (False, False))
        self.listener.release()
        self.assertEqual(self.factory.numPorts, 0)

    def test_withoutAFactory(self) -> None:
        """
        One that does not say what it serves is closed once as well.
        """
        del self.port.factory
        closed: list[int] = []
        self.port.stopListening = lambda: closed.append(1)  # type: ignore[method-assign]
        self.listener.close()
        self.listener.close()
        self.listener.release()
        self.assertEqual((self.listener.open, closed), (False, [1]))

    def test_suspendAndResume(self) -> None:
        """
        It goes away and comes back.
        """
        self.assertTrue(self.listener.suspend())
        self.assertEqual((self.port.listening, self.listener.suspended), (False, True))
        self.listener.resume()
        self.assertEqual((self.port.listening, self.listener.suspended), (True, False))
        self.assertEqual(self.factory.numPorts, 1)


class PortsTests(PortTestCase):
    """
    All ports of a terminator.
    """

    def setUp(self) -> None:
        super().setUp()
        self.ports = Ports(self.reactor)
        self.done: list[str] = []

    def add(self) -> Any:
        listener = self.open()
        self.ports.add(self.port)
        return listener.port

    def finish(self) -> None:
        self.done.append("done")

    def refuse(self, answer: bool) -> None:
        self.patch(sockets, "refuseNew", lambda sock: answer)

    def test_none(self) -> None:
        """
        Without ports there is nothing to close.
        """
        self.assertFalse(self.ports.open)
        self.ports.closeAll(0.2, self.finish)
        self.assertEqual(self.done, ["done"])

    def test_closedAtOnce(self) -> None:
        """
        Where the kernel does not agree to refuse who is new, there is nothing to wait
        for.
        """
        self.refuse(False)
        first, second = self.add(), self.add()
        self.queue(2)
        self.ports.closeAll(0.2, self.finish)
        self.assertEqual((first.connected, second.connected), (False, False))
        self.assertEqual(len(self.factory.protocols), 2)
        self.assertEqual(self.done, ["done"])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_settle(self) -> None:
        """
        Where it does, those whose handshake has begun have so long to complete it.
        """
        self.refuse(True)
        port = self.add()
        self.ports.closeAll(0.2, self.finish)
        self.reactor.advance(0.19)
        self.assertTrue(self.ports.open)
        self.queue(1)
        self.reactor.advance(0.02)
        self.assertFalse(port.connected)
        self.assertEqual((len(self.factory.protocols), self.done), (1, ["done"]))

    def test_nobodyWaits(self) -> None:
        """
        Without any time to settle it closes at once all the same.
        """
        self.refuse(True)
        self.add()
        self.ports.closeAll(0.0, self.finish)
        self.assertEqual(self.done, ["done"])

    def test_storm(self) -> None:
        """
        If there is no end of new connections, it closes nevertheless.
        """
        self.refuse(False)
        port = self.add()

        def connectionMade(protocol: Any) -> None:
            self.factory.protocols.append(protocol)
            self.reactor.rightNow += BUDGET
            with contextlib.suppress(OSError):
                self.client()

        self.patch(Plain, "connectionMade", connectionMade)
        self.client()
        self.ports.closeAll(0.2, self.finish)
        for _ in range(1000):
            self.reactor.advance(0)
        self.assertFalse(port.connected)
        self.assertEqual(self.done, ["done"])
        self.assertLess(self.reactor.seconds(), ACCEPTING + 0.1)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_closeNow(self) -> None:
        """
        Closing at once does not wait, and nothing comes later.
        """
        self.refuse(True)
        port = self.add()
        self.ports.closeAll(0.2, self.finish)
        self.ports.closeNow()
        self.assertFalse(port.connected)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.ports.closeNow()
        self.assertEqual(self.done, [])

    def test_suspendAndResume(self) -> None:
        """
        All of them go away and come back.
        """
        self.refuse(False)
        ports = [self.add(), self.add()]
        self.ports.suspendAll(0.2, self.finish)
        self.assertEqual([port.connected for port in ports], [False, False])
        self.ports.resumeAll()
        self.assertEqual([port.connected for port in ports], [True, True])
        self.ports.resumeAll()
        self.assertEqual(self.factory.numPorts, 2)

    def test_resumedBeforeItWasGone(self) -> None:
        """
        Resumed while it still settles, the port stays, and accepts who comes as before.
        """
        port = self.add()
        self.ports.suspendAll(0.2, self.finish)
        self.ports.resumeAll()
        self.client()
        self.reactor.turn(1)
        self.assertTrue(port.connected)
        self.assertEqual(len(self.factory.protocols), 1)

    def test_onlyWhoRefusedAcceptsAgain(self) -> None:
        """
        Resumed while they settle, the ports whose kernel agreed to refuse are told to
        accept again, and no others.
        """
        first, second = self.add().socket, self.add().socket
        accepting: list[object] = []
        self.patch(sockets, "refuseNew", lambda sock: sock is first)
        self.patch(sockets, "acceptNew", accepting.append)
        self.ports.suspendAll(0.2, self.finish)
        self.ports.resumeAll()
        self.assertEqual(accepting, [first])
        self.assertTrue(second.fileno() >= 0)

    def test_addedTwice(self) -> None:
        """
        A port is there once.
        """
        port = self.add()
        self.ports.add(port)
        self.ports.closeNow()
        self.ports.release()
        self.assertEqual(self.factory.numPorts, 0)
        self.assertFalse(self.ports.open)

    def test_addThoseOf(self) -> None:
        """
        Ports that serve one of our factories are found, also inside of others, and once.
        """

        class Around(MemoryFactory):
            wrappedFactory = self.factory

        listeningPort(self.reactor, Around())
        listeningPort(self.reactor, MemoryFactory())
        self.open()
        for _ in range(2):
            self.ports.addThoseOf([self.factory])
        self.ports.closeAll(0.0, self.finish)
        [left] = listeningPorts(self.reactor)
        self.assertNotIn(left.factory, (self.factory, *left.factory.protocols))
        self.assertIs(type(left.factory), MemoryFactory)

    def test_nobodysPorts(self) -> None:
        """
        Without factories there is nothing to look for.
        """
        self.open()
        self.ports.addThoseOf([])
        self.assertFalse(self.ports.open)


class ListeningPortsTests(PortTestCase):
    """
    The ports of the process.
    """

    def test_ports(self) -> None:
        """
        They are the ports that listen, and not their connections.
        """
        self.open()
        self.client()
        self.reactor.turn()
        self.assertEqual(len(self.reactor.getReaders()), 2)
        self.assertEqual(listeningPorts(self.reactor), [self.port])

    def test_reactorThatCannotTell(self) -> None:
        """
        Where the reactor has no list there are none.
        """
        self.assertEqual(listeningPorts(Clock()), [])
