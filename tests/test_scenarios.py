"""
Sixteen kinds of servers, for both ways of recording: their function is unchanged, their
connection is recorded once while it is open, and gone after.

This file has those that need no C{twisted.web}.
"""

from __future__ import annotations

import array
import os
import socket
import tempfile
from typing import Any

from twisted.internet.defer import inlineCallbacks
from twisted.internet.endpoints import TCP6ServerEndpoint, UNIXServerEndpoint
from twisted.internet.interfaces import (
    IFileDescriptorReceiver,
    IHalfCloseableProtocol,
    IHandshakeListener,
    IProtocol,
)
from twisted.internet.protocol import Factory, Protocol, ServerFactory
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from tests.scenarios import Client, RecordingWays, reactor
from tests.wire import certificate


class Echo(Protocol):
    """
    Says everything twice.
    """

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data + data)


class ScenariosMixin(RecordingWays):
    """
    The scenarios.
    """

    @inlineCallbacks
    def echo(self: Any, factory: Any, tls: bool = False) -> Any:
        """
        An echo that works, is recorded, and goes.
        """
        yield self.listen(factory, tls)

        def speak(client: Client) -> bytes:
            if tls:
                client.startTLS()
            client.send(b"abc")
            return client.until(b"abcabc")

        said = yield self.talk(speak)
        self.assertEqual(said, b"abcabc")
        connection = self.theOne()
        yield self.gone()
        return connection

    @inlineCallbacks
    def test_startTLS(self: Any) -> Any:
        """
        A protocol that begins TLS under way.
        """

        class Starting(Echo):
            def dataReceived(self, data: bytes) -> None:
                if data == b"STARTTLS\n":
                    self.transport.write(b"GO\n")
                    self.transport.startTLS(certificate().options())
                else:
                    super().dataReceived(data)

        yield self.listen(Factory.forProtocol(Starting))

        def speak(client: Client) -> bytes:
            client.send(b"STARTTLS\n")
            client.until(b"GO\n")
            client.startTLS()
            client.send(b"abc")
            return client.until(b"abcabc")

        said = yield self.talk(speak)
        self.assertEqual(said, b"abcabc")
        self.assertEqual(self.theOne().protocolName, "Starting")
        yield self.gone()

    @inlineCallbacks
    def test_handshakeListener(self: Any) -> Any:
        """
        A protocol that is told when the TLS handshake is over, and a plain one that
        is not.
        """
        told: list[Any] = []

        @implementer(IHandshakeListener)
        class Listening(Echo):
            def handshakeCompleted(self) -> None:
                told.append(self.transport.negotiatedProtocol)

        yield self.echo(Factory.forProtocol(Listening), tls=True)
        self.assertEqual(told, [None])
        yield self.port.stopListening()
        yield self.echo(Factory.forProtocol(Echo), tls=True)
        self.assertEqual(told, [None])

    @inlineCallbacks
    def test_halfClose(self: Any) -> Any:
        """
        A protocol that is told when the peer writes no more, and may still answer.
        """

        @implementer(IHalfCloseableProtocol)
        class Half(Protocol):
            received = b""

            def dataReceived(self, data: bytes) -> None:
                self.received += data

            def readConnectionLost(self) -> None:
                self.transport.write(self.received + b" and goodbye\n")

            def writeConnectionLost(self) -> None:
                pass

        yield self.listen(Factory.forProtocol(Half))

        def speak(client: Client) -> bytes:
            client.send(b"hello")
            client.socket.shutdown(socket.SHUT_WR)
            return client.until(b"\n")

        said = yield self.talk(speak)
        self.assertEqual(said, b"hello and goodbye\n")
        connection = self.theOne()
        connection.transport.loseConnection()
        yield self.gone()

    @inlineCallbacks
    def test_descriptorReceiver(self: Any) -> Any:
        """
        A protocol that is handed file descriptors over a UNIX socket.
        """
        got: list[int] = []

        @implementer(IFileDescriptorReceiver)
        class Receiving(Echo):
            def fileDescriptorReceived(self, descriptor: int) -> None:
                got.append(descriptor)

        path = yield self.listenUNIX(Factory.forProtocol(Receiving))

        def speak() -> bytes:
            client = Client(path, socket.AF_UNIX)
            self.clients.append(client)
            reading, writing = os.pipe()
            passed = array.array("i", [writing])
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, passed)]
            client.socket.sendmsg([b"abc"], rights)
            os.close(writing)
            said = client.until(b"abcabc")
            os.write(got[0], b"x")
            os.close(got[0])
            assert os.read(reading, 2) == b"x"
            os.close(reading)
            return said

        said = yield deferToThread(speak)
        self.assertEqual(said, b"abcabc")
        self.theOne()
        yield self.gone()

    @inlineCallbacks
    def listenUNIX(self: Any, factory: Any) -> Any:
        """
        Serve on a UNIX socket.

        @return: its path.
        """
        directory = tempfile.mkdtemp()
        self.addCleanup(os.rmdir, directory)
        self.addCleanup(lambda: self.port.stopListening())
        path = os.path.join(directory, "s")
        if self.own:
            endpoint = UNIXServerEndpoint(reactor, path)
            self.port = yield self.terminator.listen(endpoint, factory)
        else:
            self.port = reactor.listenUNIX(path, self.terminator.wrap(factory))
        return path

    @inlineCallbacks
    def test_unix(self: Any) -> Any:
        """
        Anybody on a UNIX socket.
        """
        path = yield self.listenUNIX(Factory.forProtocol(Echo))

        def speak() -> bytes:
            self.clients.append(Client(path, socket.AF_UNIX))
            self.clients[-1].send(b"abc")
            return self.clients[-1].until(b"abcabc")

        yield deferToThread(speak)
        self.assertEqual(self.theOne().peer, "unix socket")
        yield self.gone()

    @inlineCallbacks
    def test_ipv6(self: Any) -> Any:
        """
        Anybody on IPv6.
        """
        factory = Factory.forProtocol(Echo)
        if self.own:
            endpoint = TCP6ServerEndpoint(reactor, 0, interface="::1")
            self.port = yield self.terminator.listen(endpoint, factory)
        else:
            self.port = reactor.listenTCP(0, self.terminator.wrap(factory), interface="::1")

        def speak() -> bytes:
            address = ("::1", self.port.getHost().port)
            self.clients.append(Client(address, socket.AF_INET6))
            self.clients[-1].send(b"abc")
            return self.clients[-1].until(b"abcabc")

        yield deferToThread(speak)
        self.assertTrue(self.theOne().peer.startswith("[::1]:"))
        yield self.gone()

    @inlineCallbacks
    def test_transportsProtocolIsSelf(self: Any) -> Any:
        """
        A protocol that insists on being its transport's protocol, always.
        """

        class Insisting(Echo):
            def connectionMade(self) -> None:
                assert self.transport.protocol is self

            def dataReceived(self, data: bytes) -> None:
                assert self.transport.protocol is self
                super().dataReceived(data)

        connection = yield self.echo(Factory.forProtocol(Insisting))
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertFalse(connection.transport.connected)

    @inlineCallbacks
    def test_rebindsDataReceived(self: Any) -> Any:
        """
        A protocol that exchanges its C{dataReceived} on the instance.
        """

        class Rebinding(Protocol):
            def dataReceived(self, data: bytes) -> None:
                self.dataReceived = self.second  # type: ignore[method-assign]
                self.transport.write(b"first\n")

            def second(self, data: bytes) -> None:
                self.transport.write(b"second\n")

        yield self.listen(Factory.forProtocol(Rebinding))

        def speak(client: Client) -> bytes:
            client.send(b"a")
            first = client.until(b"\n")
            client.send(b"b")
            return first + client.until(b"\n")

        said = yield self.talk(speak)
        self.assertEqual(said, b"first\nsecond\n")
        self.theOne()
        yield self.gone()

    @inlineCallbacks
    def test_slots(self: Any) -> Any:
        """
        A protocol on which nothing can be set.
        """

        @implementer(IProtocol)
        class Slotted:
            __slots__ = ("transport",)

            def makeConnection(self, transport: Any) -> None:
                self.transport = transport

            def dataReceived(self, data: bytes) -> None:
                self.transport.write(data + data)

            def connectionLost(self, reason: Any) -> None:
                pass

        factory: Any = Factory()
        factory.buildProtocol = lambda addr: Slotted()
        yield self.echo(factory)

    @inlineCallbacks
    def test_handMadeExchange(self: Any) -> Any:
        """
        A protocol that puts another one in its place, by hand.
        """
        ended: list[str] = []

        class Second(Echo):
            def connectionLost(self, reason: Any = None) -> None:
                ended.append("second")

        class First(Protocol):
            def dataReceived(self, data: bytes) -> None:
                second = Second()
                self.transport.protocol = second
                second.makeConnection(self.transport)
                self.transport.write(b"exchanged\n")

            def connectionLost(self, reason: Any = None) -> None:
                ended.append("first")

        yield self.listen(Factory.forProtocol(First))

        def speak(client: Client) -> bytes:
            client.send(b"a")
            client.until(b"exchanged\n")
            client.send(b"abc")
            return client.until(b"abcabc")

        yield self.talk(speak)
        self.assertEqual(self.theOne().protocolName, "Second")
        yield self.gone()
        self.assertEqual(ended, ["second"])

    @inlineCallbacks
    def test_noneFromBuildProtocol(self: Any) -> Any:
        """
        A factory that wants nobody: the connection is closed, and nobody recorded.
        """
        asked: list[Any] = []

        class Refusing(ServerFactory):
            def buildProtocol(self, addr: Any) -> None:
                asked.append(addr)

        yield self.listen(Refusing())
        said = yield self.talk(lambda client: client.socket.recv(10))
        self.assertEqual((said, len(asked)), (b"", 1))
        self.assertEqual(self.terminator.connections(), [])
        self.assertEqual(self.flushLoggedErrors(), [])


class OwnPortScenarioTests(ScenariosMixin, TestCase):
    """
    On a port of ours.
    """

    own = True


class PairScenarioTests(ScenariosMixin, TestCase):
    """
    With a factory that somebody else listens with.
    """

    own = False
