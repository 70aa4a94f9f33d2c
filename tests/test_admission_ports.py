"""
Admission on real ports: what stays in the kernel while somebody waits.
"""

from __future__ import annotations

import socket
import struct
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.protocol import Factory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase

from terminable.policy.admission import Admission
from terminable.terminator import Terminator
from terminable.tracking import sockets
from terminable.tracking.factory import buildAdmitted
from terminable.tracking.waiting import Waiting
from tests.admitting import AdmissionTestCase, Echo
from tests.doubles import HandReactor, MemoryFactory, Plain, listeningPort
from tests.wire import TLSPeer, certificate


class WaitingTests(AdmissionTestCase):
    """
    Somebody waits.
    """

    def test_inTheKernel(self) -> None:
        """
        What he sends stays in the kernel until it is his turn, and is not lost then.
        """
        self.serve(capacity=1)
        first = self.client(b"a")
        self.turn()
        second = self.client(b"b" * 3000)
        self.turn()
        _, waits = self.transports()
        self.assertIsInstance(waits.protocol, Waiting)
        self.assertNotIn(waits, self.reactor.readers)
        self.assertEqual(sockets.unread(waits.socket), 3000)
        self.assertIn("<Waiting #1 on", repr(waits))
        self.assertEqual(first.recv(100), b"hello a")
        first.close()
        self.turn()
        self.assertEqual(second.recv(6), b"hello ")
        self.assertEqual(second.recv(4000), b"b" * 3000)
        self.assertIn("<Echo #1 on", repr(waits))
        self.assertEqual(self.terminator.waiting, 0)

    def test_applicationsPause(self) -> None:
        """
        If the application pauses its transport at once, it stays paused.
        """
        self.serve(capacity=1)

        class Pauses(Echo):
            def connectionMade(self) -> None:
                super().connectionMade()
                self.transport.pauseProducing()  # type: ignore[union-attr]

        self.client()
        self.turn()
        second = self.client(b"b")
        self.turn()
        self.factory.protocol = Pauses
        self.transports()[0].abortConnection()
        self.turn()
        self.assertEqual(second.recv(100), b"hello ")
        (transport,) = self.transports()
        self.assertNotIn(transport, self.reactor.readers)
        transport.resumeProducing()
        self.turn()
        self.assertEqual(second.recv(100), b"b")

    def secured(self, factory: Any) -> Any:
        return TLSMemoryBIOFactory(certificate().options(), False, factory, clock=self.reactor)

    def test_handshake(self) -> None:
        """
        A TLS handshake has not begun.
        """
        self.serve(outer=self.secured, capacity=1)
        self.assertHandshakeWaits()

    def test_handshakeOfOthersPorts(self) -> None:
        """
        The same where only the factory within TLS is ours.
        """
        self.attach = lambda: None  # type: ignore[method-assign]
        self.serve(outer=lambda factory: self.secured(self.terminator.wrap(factory)), capacity=1)
        self.assertHandshakeWaits()

    def assertHandshakeWaits(self) -> None:
        first = TLSPeer(self.client())
        self.turn()
        second = TLSPeer(self.client())
        self.turn()
        self.speak(first, b"a")
        self.assertEqual(first.received, b"hello a")
        self.assertFalse(second.readSome(100))
        self.assertGreater(sockets.unread(self.transports()[1].socket), 100)
        self.assertEqual(self.terminator.connections()[1].state().value, "busy")
        first.socket.close()
        self.turn()
        self.speak(second, b"b")
        self.assertEqual(second.received, b"hello b")

    def speak(self, peer: TLSPeer, data: bytes) -> None:
        for _ in range(4):
            peer.readSome(10000)
            self.turn()
        peer.send(data)
        self.turn()
        peer.readSome(10000)

    def test_local(self) -> None:
        """
        Those at a UNIX socket are one peer.
        """
        self.serve(path=self.mktemp(), perPeer=1)
        self.client()
        self.client()
        self.turn()
        self.assertEqual((len(self.factory.protocols), self.terminator.waiting), (1, 1))

    def test_counted(self) -> None:
        """
        Who was connected before the port was taken over is inside.
        """
        self.attach = lambda: None  # type: ignore[method-assign]
        self.serve(capacity=1)
        first = self.client()
        self.turn()
        del self.attach
        self.attach()
        second = self.client()
        self.turn()
        self.assertEqual((len(self.factory.protocols), self.terminator.waiting), (1, 1))
        first.close()
        self.turn()
        self.assertEqual(second.recv(100), b"hello ")

    def test_anotherPort(self) -> None:
        """
        Another port is taken over while some wait, and some are refused: they are not counted.
        """
        self.serve(capacity=1, queue=1, full="refuse")
        for _ in range(3):
            self.client()
        self.turn(count=1)
        before = self.terminator.waiting
        other = listeningPort(self.reactor, MemoryFactory(Echo))
        self.terminator.attach(other)
        self.assertEqual((before, self.terminator.waiting), (1, 1))
        self.assertEqual(self.terminator.connections()[0].transport.server, self.port)

    def test_admittedElsewhere(self) -> None:
        """
        A connection that another process has admitted is inside.
        """
        self.serve(capacity=1)
        client, served = socket.socketpair()
        self.addCleanup(client.close)
        address = IPv4Address("TCP", "127.0.0.9", 1)
        protocol = buildAdmitted(self.port.factory, address)
        transport = self.port.transport(
            served, protocol, ("127.0.0.9", 1), self.port, 9, self.reactor
        )
        transport.protocol.makeConnection(transport)
        client.sendall(b"x")
        self.turn()
        self.assertEqual(client.recv(100), b"hello x")
        self.client()
        self.turn()
        self.assertEqual(self.terminator.waiting, 1)
        self.factory.buildProtocol = lambda addr: None
        self.assertIsNone(buildAdmitted(self.port.factory, address))

    def test_admittedElsewhereWithoutAdmission(self) -> None:
        """
        Where nobody is asked, the factory builds as ever.
        """
        factory = Factory.forProtocol(Plain)
        self.assertIsInstance(buildAdmitted(factory, None), Plain)
        wrapped = Terminator(HandReactor()).wrap(factory)
        self.assertIsInstance(buildAdmitted(wrapped, None).wrappedProtocol, Plain)


class GoneTests(AdmissionTestCase):
    """
    Somebody goes while he waits.
    """

    def reset(self, client: socket.socket) -> None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()

    def admitAll(self) -> list[bytes]:
        """
        @return: what the protocols that were built for others than the first received.
        """
        for _ in range(5):
            for transport in self.transports()[:1]:
                transport.abortConnection()
            self.turn()
        return [protocol.heard for protocol in self.factory.protocols[1:]]

    def test_resetAndEnded(self) -> None:
        """
        Whoever has reset, or has ended without a word, costs nothing; whoever has ended
        behind a word is heard.
        """

        class Hears(Plain):
            heard = b""

            def dataReceived(self, data: bytes) -> None:
                self.heard += data

        self.serve(factory=MemoryFactory(Hears), capacity=1)
        self.client()
        self.turn()
        self.reset(self.client())
        self.client().close()
        self.client(b"last words").close()
        self.reset(self.client(b"x"))
        self.turn()
        self.assertEqual(self.terminator.waiting, 4)
        self.assertEqual(self.admitAll(), [b"last words"])
        self.assertEqual(self.transports(), [])

    def test_sweep(self) -> None:
        """
        Before somebody is refused, those who have gone make room.
        """
        self.serve(capacity=1, queue=2, full="refuse")
        self.client()
        self.turn()
        for _ in range(2):
            self.client().close()
            self.turn()
        self.assertEqual(self.terminator.waiting, 2)
        self.turn(1.0)
        self.assertEqual(self.terminator.waiting, 0)

    def test_sweepBeforeRefusing(self) -> None:
        """
        Also in the moment when somebody comes.
        """
        self.serve(capacity=1, queue=1, full="refuse")
        self.client()
        self.turn()
        gone = self.client()
        self.turn()
        self.reactor.rightNow += 1
        gone.close()
        last = self.client()
        self.turn()
        self.assertEqual(self.terminator.waiting, 1)
        self.assertEqual(len(self.transports()), 2)
        last.settimeout(0.01)
        self.assertRaises(TimeoutError, last.recv, 1)

    def test_refusedAndGone(self) -> None:
        """
        Whoever has gone is not told anything.
        """
        self.serve(capacity=1, wait=1.0)
        self.client()
        self.turn()
        self.client().close()
        self.turn()
        self.turn(1.1)
        self.assertEqual(len(self.transports()), 1)


class PeerTests(SynchronousTestCase):
    """
    Who counts as one.
    """

    def test_network(self) -> None:
        """
        All addresses of an IPv6 network of 64 bits are one peer.
        """
        reactor = HandReactor()
        terminator = Terminator(reactor, admission=Admission(perPeer=2))
        factory = MemoryFactory(Plain)
        wrapped = terminator.wrap(factory)
        from tests.doubles import MemoryTransport

        for host in (*(f"2001:db8::{number:x}" for number in range(5)), "2001:db8:0:1::1"):
            transport = MemoryTransport(reactor)
            transport.protocol = wrapped.buildProtocol(IPv6Address("TCP", host, 1))
            transport.protocol.makeConnection(transport)
        self.assertEqual((len(factory.protocols), terminator.waiting), (3, 3))
