"""
The drainer for protocols of which nothing is known.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from terminable.drainers.raw import RawDrainer
from terminable.interfaces import IDrainer, IHintingDrainer
from tests.wire import Wire


class Producer:
    """
    Produces when asked to, without end.
    """

    def resumeProducing(self) -> None:
        pass

    def pauseProducing(self) -> None:
        pass

    def stopProducing(self) -> None:
        pass


class RawDrainerTests(SynchronousTestCase):
    """
    L{RawDrainer} on real sockets.
    """

    def wire(self, **options: Any) -> tuple[Wire, Any]:
        """
        A connection and its drainer.
        """
        wire = Wire(Factory.forProtocol(Protocol), **options)
        self.addCleanup(wire.close)
        return wire, IDrainer(wire.protocol)

    def test_isRegisteredForAll(self) -> None:
        """
        Anything that calls itself a protocol has this drainer, if no other.
        """

        @implementer(IProtocol)
        class Strange:
            pass

        drainer: Any = IDrainer(Strange())
        self.assertIsInstance(drainer, RawDrainer)
        self.assertTrue(verifyObject(IHintingDrainer, drainer))

    def test_aProtocolsOwnDrainerWins(self) -> None:
        """
        A protocol that provides L{IDrainer} is its own.
        """

        @implementer(IDrainer)
        class Own(Protocol):
            pass

        own = Own()
        self.assertIs(IDrainer(own), own)

    def test_idle(self) -> None:
        """
        Nothing is in flight on a connection on which nothing moves, and nothing is to
        be said of it.
        """
        _, drainer = self.wire()
        self.assertFalse(drainer.isBusy())
        self.assertTrue(drainer.silent)
        self.assertFalse(drainer.upgraded)
        self.assertEqual((drainer.describe(), drainer.lastWord(5)), ("", ""))
        drainer.hint(lambda: self.fail("called"))
        self.assertFalse(drainer.isBusy())

    def test_unsentIsBusy(self) -> None:
        """
        What was written and has not left makes it busy.
        """
        wire, drainer = self.wire()
        wire.protocol.transport.write(b"x")
        self.assertTrue(drainer.isBusy())
        wire.pumpUntil(lambda: wire.peer.received)
        self.assertFalse(drainer.isBusy())

    def test_unreadIsBusy(self) -> None:
        """
        What was sent to us and has not been read makes it busy.
        """
        for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
            wire, drainer = self.wire(family=family)
            wire.peer.send(b"x")
            wire.waitForInput()
            self.assertTrue(drainer.isBusy())
            wire.pump()
            self.assertFalse(drainer.isBusy())

    def test_producingIsBusy(self) -> None:
        """
        A registered producer makes it busy until it is done.
        """
        wire, drainer = self.wire()
        wire.transport.registerProducer(Producer(), True)
        self.assertTrue(drainer.isBusy())
        wire.transport.unregisterProducer()
        self.assertFalse(drainer.isBusy())

    def test_drainWritesEverything(self) -> None:
        """
        What was written before arrives before the end.
        """
        wire, drainer = self.wire()
        wire.protocol.transport.write(b"x" * 1_000_000)
        drainer.drain()
        wire.pumpUntil(lambda: wire.peer.over)
        self.assertEqual((len(wire.peer.received), wire.peer.over), (1_000_000, "FIN"))

    def test_drainWaitsForTheProducer(self) -> None:
        """
        A connection that is streaming is lost when its producer is done.
        """
        wire, drainer = self.wire()
        wire.transport.registerProducer(Producer(), True)
        drainer.drain()
        wire.pump()
        self.assertTrue(wire.transport.connected)
        wire.transport.write(b"the rest")
        wire.transport.unregisterProducer()
        wire.pumpUntil(lambda: wire.peer.over)
        self.assertEqual(wire.peer.received, b"the rest")

    def test_drainWaitsForAPullProducer(self) -> None:
        """
        The same for a producer that is asked for each piece.
        """
        wire, drainer = self.wire()
        asked: list[bytes] = [b"one", b"two", b"three"]

        class Pulled(Producer):
            def resumeProducing(self) -> None:
                wire.transport.write(asked.pop(0))
                if not asked:
                    wire.transport.unregisterProducer()

        wire.transport.registerProducer(Pulled(), False)
        drainer.drain()
        wire.pumpUntil(lambda: wire.peer.over)
        self.assertEqual(wire.peer.received, b"onetwothree")

    def test_encrypted(self) -> None:
        """
        Through TLS too, and with a goodbye.
        """
        wire, drainer = self.wire(tls=True)
        self.assertFalse(drainer.isBusy())
        wire.protocol.transport.write(b"hello")
        drainer.drain()
        wire.pumpUntil(lambda: wire.peer.notified)
        self.assertEqual(wire.peer.received, b"hello")

    def test_upgradedConnectionsLoseTheirProducer(self) -> None:
        """
        What remains of the protocol before an upgrade is no producer to wait for, and
        does not make the connection busy.
        """
        for tls in (False, True):
            wire, _ = self.wire(tls=tls)
            wire.protocol.transport.registerProducer(Producer(), True)
            drainer = RawDrainer(wire.protocol, upgraded=True)
            self.assertTrue(drainer.upgraded)
            self.assertFalse(drainer.isBusy())
            drainer.drain()
            wire.pumpUntil(lambda wire=wire: wire.peer.over or getattr(wire.peer, "notified", 0))

    def test_withoutATransport(self) -> None:
        """
        A protocol that has no transport, or keeps it to itself, does no harm.
        """
        drainer = RawDrainer(object())
        self.assertFalse(drainer.isBusy())
        drainer.drain()

    def test_inMemory(self) -> None:
        """
        On a transport that is no descriptor nothing can be known, but it can be lost.
        """
        protocol, transport = Protocol(), StringTransport()
        protocol.makeConnection(transport)
        drainer: Any = IDrainer(protocol)
        self.assertFalse(drainer.isBusy())
        drainer.drain()
        self.assertTrue(transport.disconnecting)

    def test_overAlready(self) -> None:
        """
        A connection that is over is not busy.
        """
        wire, drainer = self.wire()
        wire.close()
        self.assertFalse(drainer.isBusy())
