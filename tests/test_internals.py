"""
The canary: every private name of Twisted that we touch still exists, and means what we
take it to mean.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet import reactor, tcp
from twisted.internet.main import CONNECTION_DONE
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http import HTTPChannel
from twisted.web.server import Site

from terminable.tracking import internals
from tests.answers import Served, Shop, request
from tests.test_web import Negotiated
from tests.wire import Turning, Wire


class TransportTests(SynchronousTestCase):
    """
    Transports and TLS.
    """

    def wire(self, **options: Any) -> Wire:
        """
        A connection.
        """
        wire = Wire(Factory.forProtocol(Protocol), **options)
        self.addCleanup(wire.close)
        return wire

    def test_unsentBytes(self) -> None:
        """
        C{_tempDataLen} is what was written since the last turn, the rest is in
        C{dataBuffer}.
        """
        wire = self.wire(sendBuffer=4096)
        self.assertEqual(internals.unsentBytes(wire.transport), 0)
        wire.transport.write(b"x" * 1_000_000)
        self.assertEqual(wire.transport._tempDataLen, 1_000_000)
        wire.write()
        self.assertEqual(wire.transport._tempDataLen, 0)
        left = internals.unsentBytes(wire.transport)
        self.assertTrue(0 < left < 1_000_000)
        wire.transport.write(b"y")
        self.assertEqual(internals.unsentBytes(wire.transport), left + 1)

    def test_onFlushed(self) -> None:
        """
        C{_postLoseConnection} is called when everything is written, and decides.
        """
        wire = self.wire()
        answers: list[Any] = [None, CONNECTION_DONE]
        internals.onFlushed(wire.transport, lambda: answers.pop(0))
        wire.transport.write(b"x")
        wire.write()
        self.assertEqual(len(answers), 2)
        wire.transport.loseConnection()
        wire.write()
        self.assertTrue(wire.transport.connected)
        wire.transport.startWriting()
        wire.write()
        self.assertFalse(wire.transport.connected)

    def test_flushing(self) -> None:
        """
        The same for a class.
        """
        asked: list[Any] = []

        class Asking(internals.Flushing, tcp.Server):
            def flushed(self) -> object:
                asked.append(self)
                return None

        wire = self.wire(kind=Asking)
        wire.transport.loseConnection()
        wire.pump()
        self.assertEqual(asked, [wire.transport])
        self.assertTrue(wire.transport.connected)

    def test_handshakeDone(self) -> None:
        """
        C{_handshakeDone} is false before the handshake and true after it.
        """
        from twisted.internet.ssl import CertificateOptions
        from twisted.protocols.tls import TLSMemoryBIOFactory

        inner = Factory.forProtocol(Protocol)
        outer: Any = TLSMemoryBIOFactory(CertificateOptions(), False, inner, clock=Turning())
        fresh = Wire(outer)
        self.addCleanup(fresh.close)
        self.assertFalse(internals.handshakeDone(fresh.transport.protocol))
        self.assertTrue(internals.handshakeDone(self.wire(tls=True).transport.protocol))

    def test_tlsBacklog(self) -> None:
        """
        C{_producer} is waited for, and so is what C{_appSendBuffer} holds back.
        """
        tls = self.wire(tls=True).transport.protocol
        self.assertFalse(internals.tlsBacklog(tls))
        tls._appSendBuffer.append(b"x")
        self.assertTrue(internals.tlsBacklog(tls))
        tls._appSendBuffer.clear()
        tls.registerProducer(HTTPChannel(), True)
        self.assertTrue(internals.tlsBacklog(tls))
        tls.unregisterProducer()
        self.assertFalse(internals.tlsBacklog(tls))


class PortTests(SynchronousTestCase):
    """
    Listening ports.
    """

    def test_adopted(self) -> None:
        """
        C{_shouldShutdown} tells ports of our own from those whose socket was given.
        """
        own: Any = tcp.Port(0, Factory(), 50, "127.0.0.1", Turning())
        self.assertFalse(internals.adopted(own))
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen(1)
            listening.setblocking(False)
            given: Any = tcp.Port._fromListeningDescriptor(
                Turning(), listening.fileno(), socket.AF_INET, Factory()
            )
            given.startListening()
            self.assertTrue(internals.adopted(given))
            given.connectionLost(None)
        strange: Any = object()
        self.assertFalse(internals.adopted(strange))

    def test_exchangePath(self) -> None:
        """
        C{_bindPath} is the file that a UNIX port removes when it closes.
        """
        from twisted.internet import unix

        directory = f"/tmp/.{os.getpid()}-{id(self)}"
        os.mkdir(directory)
        self.addCleanup(os.rmdir, directory)
        path = f"{directory}/s"
        port: Any = unix.Port(path, Factory(), reactor=Turning())
        port.startListening()
        self.assertEqual(internals.exchangePath(port, b"\0other"), path.encode())
        self.assertEqual(internals.exchangePath(port, b"\0other"), b"\0other")
        port.connectionLost(None)
        self.assertTrue(os.path.exists(path))
        os.unlink(path)


class WebTests(SynchronousTestCase):
    """
    C{twisted.web}.
    """

    def setUp(self) -> None:
        self.served = Served(transport=Negotiated())

    def test_httpChannel(self) -> None:
        """
        C{_channel} is what the protocol that C{Site} builds stands for.
        """
        self.assertTrue(internals.GENERIC_HTTP.made(self.served.protocol))
        self.assertIsInstance(internals.httpChannel(self.served.protocol), HTTPChannel)
        other = Protocol()
        self.assertIs(internals.httpChannel(other), other)

    def test_negotiating(self) -> None:
        """
        C{_negotiatedProtocol} is C{None} until the first bytes.
        """
        self.assertTrue(internals.negotiating(self.served.protocol))
        self.served.send(b"GET")
        self.assertFalse(internals.negotiating(self.served.protocol))
        self.assertFalse(internals.negotiating(Protocol()))

    def test_idle(self) -> None:
        """
        C{_buffer} holds part of a line, C{requests} what has begun.
        """
        channel = self.served.channel
        self.assertTrue(internals.httpIdle(channel))
        self.served.send(b"GET /la")
        self.assertEqual(channel._buffer, b"GET /la")
        self.assertFalse(internals.httpIdle(channel))
        self.served.send(b"ter HTTP/1.1\r\n")
        self.assertFalse(internals.httpIdle(channel))

    def test_handling(self) -> None:
        """
        C{_handlingRequest} is true while a request is with the application.
        """
        channel = self.served.channel
        whole = request("/later")
        self.served.send(whole[:-1])
        self.assertFalse(internals.httpHandling(channel))
        self.served.send(whole[-1:])
        self.assertTrue(internals.httpHandling(channel))
        self.served.resource.finish()
        self.assertFalse(internals.httpHandling(channel))

    def test_pipelined(self) -> None:
        """
        C{_dataBuffer} holds what came behind the request that is being answered; an
        empty piece of it is nothing.
        """
        channel = self.served.channel
        self.served.send(request("/later", "POST", b"x"))
        self.assertFalse(internals.httpPipelined(channel))
        channel._dataBuffer.append(b"")
        self.assertFalse(internals.httpPipelined(channel))
        self.served.send(b"GET")
        self.assertTrue(internals.httpPipelined(channel))

    def test_requestLine(self) -> None:
        """
        C{_command} and C{_path} are those of a request that is being received.
        """
        channel = self.served.channel
        whole = request("/later?x", "POST", b"abc")
        self.served.send(whole[:-1])
        self.assertEqual((channel._command, channel._path), (b"POST", b"/later?x"))
        line = internals.httpRequestLine(channel, channel.requests[0])
        self.assertEqual(line, (b"POST", b"/later?x"))
        self.served.send(whole[-1:])
        self.assertFalse(hasattr(channel, "_command"))
        line = internals.httpRequestLine(channel, channel.requests[0])
        self.assertEqual(line, (b"POST", b"/later?x"))

    def test_noRequestLine(self) -> None:
        """
        Of a first line that is none there is nothing to tell.
        """
        channel = self.served.channel
        self.served.send(b"nonsense\r\n")
        line = internals.httpRequestLine(channel, channel.requests[0])
        self.assertEqual(line, (b"", b""))

    def test_siteBuildsThem(self) -> None:
        """
        What C{Site} builds is still what we adapt.
        """
        built = Site(Shop()).buildProtocol(None)
        self.assertTrue(internals.GENERIC_HTTP.made(built))


class ProcessTests(SynchronousTestCase):
    """
    The process.
    """

    def test_exitSignal(self) -> None:
        """
        C{_exitSignal} is where the reactor remembers the signal that stopped it.
        """
        running: Any = reactor
        self.assertTrue(hasattr(running, "_exitSignal"))
        stand = type("Reactor", (), {"_exitSignal": 15})()
        internals.forgetExitSignal(stand)
        self.assertIsNone(stand._exitSignal)
