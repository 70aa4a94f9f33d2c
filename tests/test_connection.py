"""
One live connection, looked at.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Site
from zope.interface import implementer

from terminable.drainers.plain import PlainDrainer
from terminable.drainers.raw import RawDrainer
from terminable.drainers.web import WebDrainer
from terminable.interfaces import IDrainer, IHintingDrainer
from terminable.policy.ledger import Outcome, State
from terminable.tracking.connection import Connection
from tests.answers import Shop, request
from tests.wire import Wire, certificate

ended = Failure(ConnectionDone())


@implementer(IDrainer)
class Chat(Protocol):
    """
    Ends itself.
    """

    busy: Any = False

    def isBusy(self) -> Any:
        if isinstance(self.busy, Exception):
            raise self.busy
        return self.busy

    def drain(self) -> None:
        self.busy = False


class ConnectionTests(SynchronousTestCase):
    """
    L{Connection} on real sockets.
    """

    def connect(self, factory: Any = None, **options: Any) -> tuple[Wire, Connection]:
        """
        A connection, opened at 10.
        """
        wire = Wire(factory or Factory.forProtocol(Protocol), **options)
        self.addCleanup(wire.close)
        return wire, Connection(wire.transport, 10.0)

    # -- what it is

    def test_plain(self) -> None:
        """
        Of a plain connection it knows protocol, peer and age; nobody was told to go.
        """
        wire, connection = self.connect()
        self.assertIs(connection.protocol, wire.protocol)
        host, port = wire.peer.socket.getsockname()
        self.assertEqual(connection.peer, f"{host}:{port}")
        self.assertEqual(connection.protocolName, "Protocol")
        self.assertEqual(connection.openedAt, 10.0)
        self.assertFalse(connection.told)
        self.assertEqual(repr(connection), f"<Connection Protocol from {host}:{port}>")

    def test_otherFamilies(self) -> None:
        """
        On IPv6 and UNIX sockets too.
        """
        _, connection = self.connect(family=socket.AF_INET6)
        self.assertTrue(connection.peer.startswith("[::1]:"))
        _, connection = self.connect(family=socket.AF_UNIX)
        self.assertEqual(connection.peer, "unix socket")

    def test_encrypted(self) -> None:
        """
        TLS is not the application.
        """
        wire, connection = self.connect(tls=True)
        self.assertIs(connection.protocol, wire.protocol)
        self.assertEqual(connection.protocolName, "Protocol")
        self.assertTrue(connection.peer.startswith("127.0.0.1:"))

    def test_web(self) -> None:
        """
        What C{Site} builds is named after what it speaks.
        """
        _, connection = self.connect(Site(Shop()))
        self.assertEqual(connection.protocolName, "HTTPChannel")

    def test_thePeerBehindAProxy(self) -> None:
        """
        The peer is who the outermost layer says it is; layers that cannot tell are
        passed over.
        """

        class Knowing(ProtocolWrapper):
            def getPeer(self) -> Any:
                return IPv4Address("TCP", "10.1.2.3", 4242)

        factory: Any = WrappingFactory(Factory.forProtocol(Protocol))
        factory.protocol = Knowing
        wire, connection = self.connect(factory)
        self.assertEqual(connection.peer, "10.1.2.3:4242")

        def broken() -> Any:
            raise ZeroDivisionError

        wire.transport.protocol.getPeer = broken
        self.assertTrue(connection.peer.startswith("127.0.0.1:"))
        wire.transport.getPeer = broken
        self.assertEqual(connection.peer, "somebody")

    def test_over(self) -> None:
        """
        When it is over there is no protocol, and nobody asks for more.
        """
        wire, connection = self.connect()
        wire.transport.connectionLost(ended)
        self.assertIsNone(connection.protocol)
        self.assertEqual(connection.protocolName, "connection")
        self.assertEqual(connection.roundTrip(), 0.0)
        self.assertFalse(connection.isOpening())
        self.assertFalse(connection.isLeaving())

    # -- its drainer

    def test_rawDrainer(self) -> None:
        """
        A protocol of which nothing is known is drained through what it was given as
        its transport, even if it keeps no reference to that.
        """
        for tls in (False, True):
            wire, connection = self.connect(tls=tls)
            expected = wire.transport.protocol if tls else wire.transport
            wire.protocol.transport = None
            drainer: Any = connection.drainer
            self.assertIsInstance(drainer, RawDrainer)
            self.assertIs(drainer.transport, expected)

    def test_webDrainer(self) -> None:
        """
        What C{Site} builds has its own.
        """
        _, connection = self.connect(Site(Shop()))
        self.assertIsInstance(connection.drainer, WebDrainer)

    def test_anIncompleteDrainerIsCompleted(self) -> None:
        """
        A protocol with two methods is a complete drainer here.
        """
        _, connection = self.connect(Factory.forProtocol(Chat))
        self.assertIsInstance(connection.drainer, PlainDrainer)
        self.assertTrue(IHintingDrainer.providedBy(connection.drainer))

    def test_noProtocolAtAll(self) -> None:
        """
        Somebody who does not even claim to be a protocol is drained all the same.
        """

        class Nobody:
            def makeConnection(self, transport: Any) -> None:
                pass

            def connectionLost(self, reason: Failure) -> None:
                pass

        factory: Any = Factory()
        factory.buildProtocol = lambda addr: Nobody()
        wire, connection = self.connect(factory)
        drainer: Any = connection.drainer
        self.assertIsInstance(drainer, RawDrainer)
        self.assertIs(drainer.transport, wire.transport)

    def test_theDrainerIsKept(self) -> None:
        """
        The drainer is made once for each protocol, and anew when that is exchanged.
        """
        wire, connection = self.connect()
        first = connection.drainer
        self.assertIs(connection.drainer, first)
        wire.transport.protocol = Chat()
        second = connection.drainer
        self.assertIsInstance(second, PlainDrainer)
        self.assertIs(connection.drainer, second)

    def test_theLastDrainerStays(self) -> None:
        """
        When the connection is over the drainer that it had is asked; C{keep} makes
        sure that there is one.
        """
        wire, connection = self.connect(Factory.forProtocol(Chat))
        wire.transport.protocol.busy = True
        connection.keep()
        wire.transport.connectionLost(ended)
        self.assertTrue(connection.isUnfinished())
        self.assertEqual(connection.protocolName, "Chat")

    def test_keepTakesNoOffence(self) -> None:
        """
        An adapter that fails is logged, no more.
        """

        class Strange(Protocol):
            def __conform__(self, interface: Any) -> Any:
                raise ZeroDivisionError

        _, connection = self.connect(Factory.forProtocol(Strange))
        connection.keep()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    # -- what it does

    def test_states(self) -> None:
        """
        A peer that never spoke is new, one with something in flight busy, else idle.
        """
        shop = Shop()
        wire, connection = self.connect(Site(shop))
        self.assertIs(connection.state(), State.NEW)
        wire.peer.send(request("/later"))
        wire.pumpUntil(lambda: shop.waiting)
        self.assertIs(connection.state(), State.BUSY)
        self.assertEqual(connection.describe(), "GET /later")
        shop.finish()
        wire.pumpUntil(lambda: wire.peer.received)
        self.assertIs(connection.state(), State.IDLE)
        self.assertEqual(connection.describe(), "")

    def test_newIsKnownOnlyOfTCP(self) -> None:
        """
        On UNIX sockets nobody knows who has spoken.
        """
        _, connection = self.connect(family=socket.AF_UNIX)
        self.assertIs(connection.state(), State.IDLE)

    def test_opening(self) -> None:
        """
        A connection is opening until its TLS handshake is over.
        """
        options = certificate().options()
        inner = Factory.forProtocol(Protocol)
        factory = TLSMemoryBIOFactory(options, False, inner, clock=MemoryReactorClock())
        _, connection = self.connect(factory)
        self.assertTrue(connection.isOpening())
        self.assertIs(connection.state(), State.OPENING)
        _, connection = self.connect(tls=True)
        self.assertFalse(connection.isOpening())
        self.assertIs(connection.state(), State.IDLE)

    def test_upgraded(self) -> None:
        """
        A drainer that says so makes it upgraded.
        """
        wire, connection = self.connect()
        wire.peer.send(b"x")
        wire.pumpUntil(lambda: not connection.isBusy())
        drainer: Any = connection.drainer
        drainer._upgraded = True
        self.assertIs(connection.state(), State.UPGRADED)

    def test_leaving(self) -> None:
        """
        Who was told to go is busy until the connection is over, on whatever layer;
        what the protocol itself calls C{disconnecting} is its own affair.
        """
        for tls in (False, True):
            wire, connection = self.connect(tls=tls)
            wire.protocol.disconnecting = True
            self.assertFalse(connection.isLeaving())
            wire.protocol.transport.loseConnection()
            self.assertTrue(connection.isLeaving())
            self.assertTrue(connection.isBusy())

    def test_brokenDrainer(self) -> None:
        """
        A drainer that cannot say whether it is busy is busy, one that cannot describe
        itself says nothing, and both are logged.
        """
        wire, connection = self.connect(Factory.forProtocol(Chat))
        wire.protocol.busy = ZeroDivisionError()
        self.assertTrue(connection.isUnfinished())
        self.assertTrue(connection.isBusy())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

        def describe() -> str:
            raise ZeroDivisionError

        drainer: Any = connection.drainer
        drainer.describe = describe
        self.assertEqual(connection.describe(), "")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_roundTrip(self) -> None:
        """
        The peer's distance is asked of the kernel.
        """
        wire, connection = self.connect()
        wire.transport.write(b"x")
        wire.pumpUntil(lambda: connection.roundTrip() > 0.0)
        self.assertLess(connection.roundTrip(), 1.0)

    def test_entry(self) -> None:
        """
        In the report it says everything that is known of it.
        """
        shop = Shop()
        wire, connection = self.connect(Site(shop))
        wire.peer.send(request("/later?x"))
        wire.pumpUntil(lambda: shop.waiting)
        wire.transport.write(b"12345")
        entry = connection.entry(12.5, State.BUSY, Outcome.ABORTED, "503")
        self.assertEqual(entry.peer, connection.peer)
        self.assertEqual((entry.protocol, entry.doing), ("HTTPChannel", "GET /later?x"))
        self.assertEqual((entry.state, entry.outcome), (State.BUSY, Outcome.ABORTED))
        self.assertEqual((entry.age, entry.unsent, entry.told), (2.5, 5, "503"))
        self.assertEqual(connection.entry(9.0, State.BUSY, Outcome.LEFT).age, 0.0)

    def test_inMemory(self) -> None:
        """
        A transport of a test, which knows nothing of its protocol, does no harm.
        """
        connection = Connection(StringTransport(), 0.0)
        self.assertIsNone(connection.protocol)
        self.assertFalse(connection.isBusy())
        self.assertIs(connection.state(), State.IDLE)
