"""
The pair that records the connections of a wrapped factory.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import tcp
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    ILoggingContext,
    IProtocolFactory,
    IProtocolNegotiationFactory,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import Site
from zope.interface import implementer

from terminable.tracking.factory import TerminableFactory, TerminableProtocol
from terminable.tracking.transports import recording
from tests.wire import Recording, Wire

ended = Failure(ConnectionDone())


@implementer(IHalfCloseableProtocol)
class Half(Protocol):
    """
    Remembers what it is told.
    """

    received = b""
    reason: Any = None
    half = False

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def readConnectionLost(self) -> None:
        self.half = True

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Failure = ended) -> None:
        self.reason = reason


class FactoryTests(SynchronousTestCase):
    """
    L{TerminableFactory}.
    """

    def setUp(self) -> None:
        self.gate = Recording()
        self.inner: Any = Factory.forProtocol(Half)
        self.factory: Any = TerminableFactory(self.inner, self.gate)

    def test_providesWhatTheWrappedOneDoes(self) -> None:
        """
        Optional interfaces show if, and only if, the wrapped factory provides them.
        """
        self.assertTrue(IProtocolFactory.providedBy(self.factory))
        self.assertFalse(IProtocolNegotiationFactory.providedBy(self.factory))
        site: Any = TerminableFactory(Site(Resource()), self.gate)
        self.assertTrue(IProtocolNegotiationFactory.providedBy(site))
        self.assertIn(b"http/1.1", site.acceptableProtocols())

    def test_attributesAreTheWrappedOnes(self) -> None:
        """
        Reading and setting go to the wrapped factory.
        """
        self.inner.secret = 42
        self.assertEqual(self.factory.secret, 42)
        self.factory.other = 43
        self.assertEqual(self.inner.other, 43)
        self.assertRaises(AttributeError, getattr, self.factory, "missing")
        self.assertIs(self.factory.protocol, Half)

    def test_beforeItHasAFactory(self) -> None:
        """
        One that is only being made (copied, unpickled) says that it has no attributes,
        rather than look for them for ever.
        """
        empty = TerminableFactory.__new__(TerminableFactory)
        self.assertRaises(AttributeError, getattr, empty, "anything")

    def test_interfacesCanStillBeDeclared(self) -> None:
        """
        What is said of the wrapper's interfaces is the wrapper's own.
        """
        from zope.interface import alsoProvides

        alsoProvides(self.factory, IProtocolNegotiationFactory)
        self.assertTrue(IProtocolNegotiationFactory.providedBy(self.factory))
        self.assertFalse(IProtocolNegotiationFactory.providedBy(self.inner))

    def test_startAndStop(self) -> None:
        """
        The wrapped factory is started and stopped, and counts its ports itself.
        """
        calls: list[str] = []
        self.inner.startFactory = lambda: calls.append("start")
        self.inner.stopFactory = lambda: calls.append("stop")
        for _ in range(2):
            self.factory.doStart()
        self.assertEqual((calls, self.factory.numPorts), (["start"], 2))
        for _ in range(2):
            self.factory.doStop()
        self.assertEqual((calls, self.inner.numPorts), (["start", "stop"], 0))

    def test_logPrefix(self) -> None:
        """
        Logs name the wrapped factory, which may have a prefix of its own or none.
        """
        self.assertTrue(ILoggingContext.providedBy(self.factory))
        self.assertEqual(self.factory.logPrefix(), "Factory")

        class Plain:
            pass

        self.assertEqual(TerminableFactory(Plain(), self.gate).logPrefix(), "Plain")
        self.inner.logPrefix = lambda: "shop"
        self.assertEqual(self.factory.logPrefix(), "shop")

    def test_buildsPairs(self) -> None:
        """
        A protocol is built by the wrapped factory, with the address it was given.
        """
        asked: list[Any] = []
        self.inner.buildProtocol = lambda addr: asked.append(addr) or Half()
        address = IPv4Address("TCP", "127.0.0.1", 1)
        built = self.factory.buildProtocol(address)
        self.assertIsInstance(built, TerminableProtocol)
        self.assertIsInstance(built.wrappedProtocol, Half)
        self.assertEqual(asked, [address])

    def test_noneStaysNone(self) -> None:
        """
        A factory that wants nobody gets nobody.
        """
        self.inner.buildProtocol = lambda addr: None
        self.assertIsNone(self.factory.buildProtocol(None))
        self.assertEqual(self.gate.seen, [])

    def test_refusesWhenNoLongerServing(self) -> None:
        """
        When the gate is shut the wrapped factory is not even asked.
        """
        self.inner.buildProtocol = lambda addr: self.fail("asked")
        self.gate.accepting = False
        self.assertIsNone(self.factory.buildProtocol(None))


class ProtocolTests(SynchronousTestCase):
    """
    L{TerminableProtocol} on transports that name their protocol.
    """

    def setUp(self) -> None:
        self.gate = Recording()
        self.inner: Any = Factory.forProtocol(Half)

    def wire(self, factory: Any = None, **options: Any) -> Wire:
        """
        A connection of the pair.
        """
        wrapped = TerminableFactory(factory or self.inner, self.gate)
        wire = Wire(wrapped, **options)
        self.addCleanup(wire.close)
        return wire

    def test_stepsAside(self) -> None:
        """
        Once there is a connection, the wrapped protocol has it to itself.
        """
        wire = self.wire()
        self.assertIsInstance(wire.transport.protocol, Half)
        self.assertIs(wire.transport.protocol.transport, wire.transport)
        self.assertEqual(self.gate.live, [wire.transport])
        self.assertIn("<Half #7 on", repr(wire.transport))
        self.assertIn("Half", wire.transport.logstr)

    def test_stepsAsideAboveTLS(self) -> None:
        """
        Above TLS too; what is recorded is the transport with the socket.
        """
        wire = self.wire(tls=True)
        tls = wire.transport.protocol
        self.assertIsInstance(tls.wrappedProtocol, Half)
        self.assertIs(tls.wrappedProtocol.transport, tls)
        self.assertEqual(self.gate.live, [wire.transport])

    def test_theWrappedProtocolKnowsTheTransport(self) -> None:
        """
        C{connectionMade} already finds itself where it belongs, and recorded.
        """
        seen: list[Any] = []
        gate = self.gate

        class Looks(Protocol):
            def connectionMade(self) -> None:
                transport: Any = self.transport
                seen.append((transport.protocol is self, gate.live == [transport]))

        self.wire(Factory.forProtocol(Looks))
        self.assertEqual(seen, [(True, True)])

    def test_theEndIsTold(self) -> None:
        """
        The end reaches the protocol, with its reason, and the record.
        """
        wire = self.wire()
        inner = wire.transport.protocol
        wire.peer.socket.close()
        wire.pumpUntil(lambda: inner.half, 0)
        wire.transport.connectionLost(ended)
        self.assertIs(inner.reason, ended)
        self.assertEqual((self.gate.live, self.gate.ended), ([], [wire.transport]))

    def test_theEndIsToldWhenTheProtocolWasExchanged(self) -> None:
        """
        The end is told by the transport, whatever protocol it has by then.
        """
        wire = self.wire()
        wire.transport.protocol = other = Half()
        wire.transport.connectionLost(ended)
        self.assertIs(other.reason, ended)
        self.assertEqual(self.gate.ended, [wire.transport])

    def test_recordedOnce(self) -> None:
        """
        On a port whose transports record themselves the end is told once.
        """
        wire = self.wire(kind=recording(tcp.Server, self.gate))
        self.assertEqual(self.gate.live, [wire.transport])
        self.assertNotIn("connectionLost", vars(wire.transport))
        wire.transport.connectionLost(ended)
        self.assertEqual(self.gate.ended, [wire.transport])

    def test_withinAWrapper(self) -> None:
        """
        Within C{policies.WrappingFactory} the pair steps out of the wrapper's way.
        """
        wrapping: Any = WrappingFactory(TerminableFactory(self.inner, self.gate))
        wire = Wire(wrapping)
        self.addCleanup(wire.close)
        wrapper = wire.transport.protocol
        self.assertIsInstance(wrapper, ProtocolWrapper)
        self.assertIsInstance(wrapper.wrappedProtocol, Half)
        self.assertEqual(self.gate.live, [wire.transport])
        wire.transport.connectionLost(ended)
        self.assertEqual(self.gate.live, [])

    def test_logPrefixAndInterfaces(self) -> None:
        """
        Before it is connected it looks like what it stands for.
        """
        pair: Any = TerminableFactory(self.inner, self.gate).buildProtocol(None)
        self.assertEqual(pair.logPrefix(), "Half")
        self.assertTrue(IHalfCloseableProtocol.providedBy(pair))
        self.assertEqual(pair.received, b"")
        self.assertRaises(AttributeError, getattr, pair, "missing")


class PassingTests(SynchronousTestCase):
    """
    L{TerminableProtocol} on transports that do not name their protocol.
    """

    def setUp(self) -> None:
        self.gate = Recording()
        self.inner: Any = Factory.forProtocol(Half)
        self.pair: Any = TerminableFactory(self.inner, self.gate).buildProtocol(None)
        self.transport = StringTransport()

    def test_passesEverythingOn(self) -> None:
        """
        It stays, and the wrapped protocol gets everything.
        """
        self.pair.makeConnection(self.transport)
        self.pair.dataReceived(b"abc")
        inner = self.pair.wrappedProtocol
        self.assertEqual((inner.received, inner.transport), (b"abc", self.transport))
        self.assertEqual(self.gate.live, [self.transport])
        self.pair.connectionLost(ended)
        self.assertIs(inner.reason, ended)
        self.assertEqual(self.gate.ended, [self.transport])

    def test_endsAlthoughTheProtocolFails(self) -> None:
        """
        An exception in C{connectionLost} passes, and the record is closed.
        """
        self.pair.makeConnection(self.transport)

        def broken(reason: Failure) -> None:
            raise ZeroDivisionError

        self.pair.wrappedProtocol.connectionLost = broken
        self.assertRaises(ZeroDivisionError, self.pair.connectionLost, ended)
        self.assertEqual(self.gate.live, [])

    def test_aTransportThatNamesSomebodyElse(self) -> None:
        """
        It does not step aside for a transport whose protocol is not itself.
        """

        class Other(StringTransport):
            protocol = None

            def connectionLost(self, reason: Failure) -> None:
                pass

        self.pair.makeConnection(Other())
        self.pair.dataReceived(b"abc")
        self.assertEqual(self.pair.wrappedProtocol.received, b"abc")

    def test_aTransportThatCannotDescribeItself(self) -> None:
        """
        It steps aside for any transport that has C{protocol} and C{connectionLost}.
        """

        class Bare(StringTransport):
            def connectionLost(self, reason: Failure) -> None:
                self.protocol.connectionLost(reason)

        transport: Any = Bare()
        transport.protocol = self.pair
        self.pair.makeConnection(transport)
        self.assertIsInstance(transport.protocol, Half)
        transport.connectionLost(ended)
        self.assertEqual(self.gate.ended, [transport])
