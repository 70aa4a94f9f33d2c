"""
The layers between a socket and the application.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from terminable.interfaces import IDrainer
from terminable.tracking.layers import (
    StandIn,
    addressText,
    bottomOf,
    hasUnread,
    layers,
    socketOf,
    tlsLayer,
    topOf,
    unsent,
    unsentHere,
)
from tests.wire import Wire, certificate

ended = Failure(ConnectionDone())


class LayerTests(SynchronousTestCase):
    """
    Who stands between whom.
    """

    def wire(self, factory: Any = None, **options: Any) -> Wire:
        """
        A connection.
        """
        wire = Wire(factory or Factory.forProtocol(Protocol), **options)
        self.addCleanup(wire.close)
        return wire

    def test_plain(self) -> None:
        """
        On a plain connection there are the transport and the protocol.
        """
        wire = self.wire()
        self.assertEqual(layers(wire.transport), [wire.transport, wire.protocol])
        self.assertIs(topOf(wire.transport), wire.transport)
        self.assertIs(bottomOf(wire.transport), wire.transport)
        self.assertIsNone(tlsLayer(wire.transport))

    def test_encrypted(self) -> None:
        """
        With TLS there is one more, which is what the protocol writes to.
        """
        wire = self.wire(tls=True)
        tls = wire.transport.protocol
        self.assertEqual(layers(wire.transport), [wire.transport, tls, wire.protocol])
        self.assertIsInstance(tls, TLSMemoryBIOProtocol)
        self.assertIs(tlsLayer(wire.transport), tls)
        self.assertIs(topOf(wire.transport), tls)
        self.assertIs(bottomOf(tls), wire.transport)
        self.assertIs(bottomOf(wire.protocol.transport), wire.transport)

    def test_severalWrappers(self) -> None:
        """
        Wrappers within TLS are found, and the TLS below them.
        """
        wire = self.wire(WrappingFactory(Factory.forProtocol(Protocol)), tls=True)
        found = layers(wire.transport)
        self.assertEqual(len(found), 4)
        self.assertIs(topOf(wire.transport), found[2])
        self.assertIs(tlsLayer(wire.transport), found[1])
        self.assertIs(bottomOf(found[2]), wire.transport)

    def test_standInsAreNoTransports(self) -> None:
        """
        A stand-in is a layer, but not what the protocol behind it writes to.
        """
        wire = self.wire()
        between = StandIn()
        between.wrappedProtocol, wire.transport.protocol = wire.transport.protocol, between
        self.assertEqual(layers(wire.transport), [wire.transport, between, wire.protocol])
        self.assertIs(topOf(wire.transport), wire.transport)
        wire.transport.protocol = wire.protocol

    def test_aWrapperThatDrainsItself(self) -> None:
        """
        A wrapper that provides L{IDrainer} is the application.
        """

        @implementer(IDrainer)
        class Drains(ProtocolWrapper):
            pass

        factory: Any = WrappingFactory(Factory.forProtocol(Protocol))
        factory.protocol = Drains
        wire = self.wire(factory)
        self.assertEqual(layers(wire.transport), [wire.transport, wire.transport.protocol])

    def test_over(self) -> None:
        """
        When the connection is over there is the transport alone, and no socket.
        """
        wire = self.wire()
        wire.transport.connectionLost(ended)
        self.assertEqual(layers(wire.transport), [wire.transport])
        self.assertIs(topOf(wire.transport), wire.transport)
        self.assertIsNone(socketOf(wire.transport))
        self.assertFalse(hasUnread(wire.transport))

    def test_inMemory(self) -> None:
        """
        A transport of a test is its own bottom, and has no socket.
        """
        transport = StringTransport()
        self.assertIs(bottomOf(transport), transport)
        self.assertEqual(layers(transport), [transport])
        self.assertIsNone(socketOf(transport))
        self.assertEqual((unsent(transport), unsentHere(transport)), (0, 0))
        self.assertFalse(hasUnread(transport))

    def test_socketOf(self) -> None:
        """
        A live connection has a socket; something else of that name is none.
        """
        wire = self.wire()
        self.assertIsInstance(socketOf(wire.transport), socket.socket)
        strange: Any = StringTransport()
        strange.socket = "no socket"
        self.assertIsNone(socketOf(strange))


class AmountTests(SynchronousTestCase):
    """
    L{hasUnread}, L{unsent} and L{unsentHere}.
    """

    def wire(self, **options: Any) -> Wire:
        """
        A connection.
        """
        wire = Wire(Factory.forProtocol(Protocol), **options)
        self.addCleanup(wire.close)
        return wire

    def test_unreadInTheKernel(self) -> None:
        """
        What the kernel holds is unread, encrypted or not.
        """
        for tls in (False, True):
            wire = self.wire(tls=tls)
            self.assertFalse(hasUnread(wire.transport))
            wire.peer.send(b"x")
            wire.waitForInput()
            self.assertTrue(hasUnread(wire.transport))
            wire.pump()
            self.assertFalse(hasUnread(wire.transport))

    def test_unreadInTheTLSLayer(self) -> None:
        """
        So is what the TLS layer has taken, but not decrypted or not passed on.
        """
        wire = self.wire(tls=True)
        seen: list[bool] = []
        wire.protocol.dataReceived = lambda data: seen.append(hasUnread(wire.transport))
        wire.peer.socket.sendall(wire.peer.encrypt(b"one") + wire.peer.encrypt(b"two"))
        wire.pumpUntil(lambda: len(seen) == 2)
        self.assertEqual(seen, [True, False])

    def test_partOfATLSRecord(self) -> None:
        """
        A part of a TLS record is nothing that could be answered.
        """
        wire = self.wire(tls=True)
        record = wire.peer.encrypt(b"whole")
        wire.peer.socket.sendall(record[:-1])
        wire.waitForInput()
        wire.pump()
        self.assertFalse(hasUnread(wire.transport))

    def test_endedTLSIsNoInput(self) -> None:
        """
        When TLS is over but its transport is not yet, there is nothing unread.
        """
        wire = self.wire(tls=True)
        tls, wire.transport.protocol = wire.transport.protocol, StandIn()
        wire.transport.protocol.wrappedProtocol = tls
        tls.connectionLost(ended)
        self.assertIsNone(tls.getHandle())
        self.assertIs(tlsLayer(wire.transport), tls)
        self.assertFalse(hasUnread(wire.transport))
        wire.transport.protocol = Protocol()

    def test_handshakeIsNoInput(self) -> None:
        """
        Before the handshake is over there is nothing for the application.
        """
        factory = Factory.forProtocol(Protocol)
        options = certificate().options()
        wire = Wire(TLSMemoryBIOFactory(options, False, factory, clock=MemoryReactorClock()))
        self.addCleanup(wire.close)
        wire.peer.send(b"\x16\x03\x01\x00\x50")
        wire.waitForInput()
        self.assertTrue(hasUnread(wire.transport))
        wire.pump()
        self.assertIsNotNone(tlsLayer(wire.transport))
        self.assertFalse(hasUnread(wire.transport))

    def test_unsent(self) -> None:
        """
        What was written counts here until the kernel takes it, and as unsent until
        the peer confirms it.
        """
        wire = self.wire(sendBuffer=65536)
        size = 1_000_000
        wire.transport.write(b"x" * size)
        self.assertEqual((unsentHere(wire.transport), unsent(wire.transport)), (size, size))
        wire.pump(0)
        self.assertGreater(unsentHere(wire.transport), 0)
        self.assertLess(unsentHere(wire.transport), size)
        self.assertGreater(unsent(wire.transport), unsentHere(wire.transport))
        wire.pumpUntil(lambda: len(wire.peer.received) == size)
        wire.pumpUntil(lambda: unsent(wire.transport) == 0)
        self.assertEqual(unsentHere(wire.transport), 0)

    def test_unsentBelowTLS(self) -> None:
        """
        Asked of the TLS layer, what its transport holds counts here.
        """
        wire = self.wire(tls=True)
        tls = wire.transport.protocol
        tls.write(b"x" * 100_000)
        self.assertGreaterEqual(unsentHere(tls), 100_000)

    def test_unsentWhenOver(self) -> None:
        """
        When the connection is over, what never left is still counted.
        """
        wire = self.wire()
        wire.transport.write(b"abc")
        wire.transport.connectionLost(ended)
        self.assertEqual(unsent(wire.transport), 3)


class AddressTests(SynchronousTestCase):
    """
    L{addressText}.
    """

    def test_eachKind(self) -> None:
        """
        Addresses are written as people write them.
        """
        for address, text in [
            (IPv4Address("TCP", "10.1.2.3", 4242), "10.1.2.3:4242"),
            (IPv6Address("TCP", "::1", 4242), "[::1]:4242"),
            (UNIXAddress(b"/run/shop"), "unix:/run/shop"),
            (UNIXAddress(b"/run/\xff"), "unix:/run/\ufffd"),
            (UNIXAddress(None), "unix socket"),
            (UNIXAddress(b""), "unix socket"),
            (None, "None"),
        ]:
            self.assertEqual(addressText(address), text)
