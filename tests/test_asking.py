"""
Applications that want to know when a connection is to end.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import Site
from twisted.web.websocket import WebSocketResource

from terminable import whenDraining
from tests.answers import request
from tests.asking import AskingTestCase
from tests.test_http11_applications import UPGRADE
from tests.wire import Wire


class Asking(Protocol):
    """
    Asks as soon as it has a transport.
    """

    def connectionMade(self) -> None:
        self.asked = whenDraining(self)


class ProtocolMixin:
    """
    Protocols and transports, in both ways of recording.
    """

    def test_protocol(self: Any) -> None:
        """
        A protocol is told, also one that asked when it was connected; and at once if the
        drain has begun.
        """
        wire = self.serve(Factory.forProtocol(Asking))
        asked = whenDraining(wire.protocol)
        self.assertNoResult(asked)
        self.assertNoResult(wire.protocol.asked)
        self.stop()
        self.successResultOf(asked)
        self.successResultOf(wire.protocol.asked)
        self.successResultOf(whenDraining(wire.protocol))

    def test_transport(self: Any) -> None:
        """
        So is who asks about a transport.
        """
        wire = self.serve(Factory.forProtocol(Protocol))
        asked = [whenDraining(each) for each in (wire.transport, wire.protocol.transport)]
        self.stop()
        for each in asked:
            self.successResultOf(each)

    def test_secure(self: Any) -> None:
        """
        Through TLS it is the same.
        """
        self.begin()
        wire = self.connect(Factory.forProtocol(Asking), tls=True)
        asked = whenDraining(wire.protocol.transport)
        self.assertIsNot(wire.protocol.transport, wire.transport)
        self.stop()
        self.successResultOf(asked)
        self.successResultOf(wire.protocol.asked)

    def test_onlyTheOne(self: Any) -> None:
        """
        A drain by choice is told to the chosen.
        """
        first = self.serve(Factory.forProtocol(Asking))
        second = self.connect(Factory.forProtocol(Asking))
        self.terminator.drain(lambda each: each.transport is second.transport)
        self.reactor.advance(0)
        self.assertNoResult(first.protocol.asked)
        self.successResultOf(second.protocol.asked)

    def test_overBefore(self: Any) -> None:
        """
        About a connection that is over nobody is told, whenever he has asked.
        """
        wire = self.serve(Factory.forProtocol(Asking))
        other = self.connect(Factory.forProtocol(Protocol))
        asked = wire.protocol.asked
        wire.peer.socket.close()
        wire.pumpUntil(lambda: not wire.transport.connected, 0)
        later = whenDraining(wire.protocol)
        self.stop()
        for each in (asked, later, whenDraining(wire.protocol)):
            self.assertNoResult(each)
        self.successResultOf(whenDraining(other.protocol))

    def test_cancelled(self: Any) -> None:
        """
        Who cancels is not told.
        """
        wire = self.serve(Factory.forProtocol(Asking))
        wire.protocol.asked.cancel()
        self.failureResultOf(wire.protocol.asked, CancelledError)
        self.assertFalse(self.callers(wire))
        self.stop()


class WrappedProtocolTests(ProtocolMixin, AskingTestCase):
    """
    Of a factory that somebody else listens with.
    """


class OwnProtocolTests(ProtocolMixin, AskingTestCase):
    """
    Of a port of ours.
    """

    own = True


class UnknownTests(SynchronousTestCase):
    """
    What nobody can be told about.
    """

    def test_unknown(self) -> None:
        """
        If no terminator knows of a connection, nothing ever happens.
        """
        wire = Wire(Factory.forProtocol(Protocol))
        self.addCleanup(wire.close)
        protocol = Protocol()
        protocol.makeConnection(StringTransport())
        for subject in (wire.protocol, wire.transport, protocol, protocol.transport):
            self.assertNoResult(whenDraining(subject))

    def test_noConnection(self) -> None:
        """
        What has no connection is refused.
        """
        for subject in (None, object(), Protocol(), "transport", Factory()):
            problem = self.assertRaises(TypeError, whenDraining, subject)
            self.assertEqual(str(problem), f"{subject!r} is not connected")


class WebSocketTests(AskingTestCase):
    """
    What an application of C{twisted.web.websocket} has as its transport.
    """

    def test_told(self) -> None:
        """
        It is told, and may still say something before the close frame.
        """
        asked: list[Deferred[None]] = []

        class Application:
            def negotiationStarted(self, transport: Any) -> None:
                self.transport = transport

            def negotiationFinished(self) -> None:
                told = whenDraining(self.transport)
                asked.append(told.addCallback(lambda _: self.transport.sendTextMessage("soon")))

            def connectionLost(self, reason: Any) -> None:
                pass

        factory: Any = type("Factory", (), {"buildProtocol": lambda _, request: Application()})()
        root = Resource()
        root.putChild(b"socket", WebSocketResource(factory))
        self.begin()
        wire = self.connect(Site(root, reactor=self.reactor))
        wire.peer.send(request("/socket", "GET", b"", *UPGRADE))
        wire.pumpUntil(lambda: asked)
        self.stop()
        self.successResultOf(asked[0])
        wire.pumpUntil(lambda: b"\x88" in wire.peer.received)
        self.assertIn(b"\x81\x04soon\x88\x02\x03\xe9", wire.peer.received)
