"""
Servers in memory: what their protocols see, also with TLS.
"""

from __future__ import annotations

import ssl as standardSSL

from twisted.internet import ssl
from twisted.internet.error import (
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
)
from twisted.internet.protocol import Factory

from terminable import Admission, State
from terminable.testing import MemoryPeer, MemoryServer
from terminable.testing.memory import certificate
from terminable.testing.reactor import Restless
from terminable.testing.selfsigned import pair
from tests.memoryservers import HalfCloseable, MemoryTestCase, Producer, Recorder


class TransportTests(MemoryTestCase):
    """
    A protocol sees what it would see on a real connection.
    """

    def test_addresses(self) -> None:
        """
        Peers come from where they are said to, each by a port of its own.
        """
        server = self.serve()
        for host in ("127.0.0.1", "10.0.0.1", "::1", "2001:db8::7"):
            for _ in range(2):
                server.connect(host)
        found = [protocol.transport for protocol in server.protocols()]
        self.assertEqual(
            [each.getPeer().host for each in found],
            [*("127.0.0.1", "127.0.0.1", "10.0.0.1", "10.0.0.1"), *("::1", "::1")]
            + ["2001:db8::7"] * 2,
        )
        self.assertEqual(len({each.getPeer().port for each in found}), 8)
        self.assertEqual([each.address[1] for each in server.peers], list(range(49152, 49160)))
        self.assertEqual(
            {(each.getHost().host, each.getHost().port) for each in found},
            {
                ("127.0.0.1", 80),
                ("::1", 80),
            },
        )

    def test_options(self) -> None:
        """
        The options of TCP are remembered.
        """
        server = self.serve()
        server.connect()
        transport = server.protocols()[0].transport
        for name in ("TcpNoDelay", "TcpKeepAlive"):
            self.assertFalse(getattr(transport, f"get{name}")())
            getattr(transport, f"set{name}")(True)
            self.assertTrue(getattr(transport, f"get{name}")())
        self.assertEqual(transport.getHandle().getpeername(), server.peers[0].address)

    def test_reasons(self) -> None:
        """
        How it was lost is told as ever.
        """
        for end, kind in (
            (MemoryPeer.close, ConnectionDone),
            (MemoryPeer.halfClose, ConnectionDone),
            (MemoryPeer.reset, ConnectionLost),
            ("loseConnection", ConnectionDone),
            ("abortConnection", ConnectionAborted),
        ):
            server = self.serve()
            client = server.connect()
            [protocol] = server.protocols()
            if callable(end):
                end(client)
            else:
                getattr(protocol.transport, end)()
            server.advance(0.0)
            protocol.lost.trap(kind)
            self.assertEqual(server.connections(), [])

    def test_resetWhilePaused(self) -> None:
        """
        Who does not read notices a reset only when it writes.
        """
        server = self.serve()
        client = server.connect()
        [protocol] = server.protocols()
        protocol.transport.pauseProducing()
        client.reset()
        self.assertIsNone(protocol.lost)
        protocol.transport.write(b"x")
        server.advance(0.0)
        protocol.lost.trap(ConnectionLost)

    def test_halfClosed(self) -> None:
        """
        A protocol that can have half a connection goes on with it.
        """
        server = self.serve(HalfCloseable)
        client = server.connect()
        client.send(b"this")
        client.halfClose()
        self.assertEqual((client.received, client.ended), (b"heard this", "closed"))
        self.assertRaises(BrokenPipeError, client.send, b"more")

    def test_halfClosing(self) -> None:
        """
        What was not sent yet goes before the end of a side.
        """
        server = self.serve(HalfCloseable)
        client = server.connect(buffer=10)
        [protocol] = server.protocols()
        protocol.transport.pauseProducing()
        client.send(b"x" * 100)
        client.halfClose()
        self.assertEqual(client.unsent, 100)
        protocol.transport.resumeProducing()
        server.advance(0.0)
        self.assertEqual((client.received, client.unsent), (b"heard " + b"x" * 100, 0))

    def test_pushProducer(self) -> None:
        """
        When a client stops reading, what is written piles up until the producer is paused;
        when it reads on, the producer is resumed.
        """
        server = self.serve()
        client = server.connect(buffer=30_000)
        client.stopReading()
        producer = Producer(server.protocols()[0].transport, True, 3)
        producer.resumeProducing()
        server.advance(0.0)
        producer.resumeProducing()
        server.advance(0.0)
        self.assertEqual(producer.calls, ["resume", "resume"])
        producer.resumeProducing()
        server.advance(0.0)
        self.assertEqual(producer.calls[3:], ["pause"])
        client.startReading()
        self.assertEqual(producer.calls[3:], ["pause", "resume"])
        self.assertEqual((len(client.received), client.ended), (150_000, "closed"))

    def test_pullProducer(self) -> None:
        """
        A pull producer is asked whenever everything is written.
        """
        server = self.serve()
        client = server.connect()
        Producer(server.protocols()[0].transport, False, 10)
        server.advance(0.0)
        self.assertEqual((len(client.received), client.ended), (500_000, "closed"))

    def test_endless(self) -> None:
        """
        Who produces for ever, to somebody who reads at once, is noticed.
        """
        server = self.serve()
        server.connect()
        Producer(server.protocols()[0].transport, False, -1)
        self.assertRaises(Restless, server.advance, 0.0)

    def test_refusingFactory(self) -> None:
        """
        A factory may build nothing.
        """
        factory = Factory()
        factory.buildProtocol = lambda addr: None  # type: ignore[method-assign]
        server = MemoryServer(factory)
        self.assertEqual(server.connect().ended, "closed")

    def test_failing(self) -> None:
        """
        A protocol that fails has its own connection lost, and the failure is logged.
        """

        class Failing(Recorder):
            def dataReceived(self, data: bytes) -> None:
                raise ZeroDivisionError

        server = self.serve(Failing)
        client, other = server.connect(), server.connect()
        protocol, _ = server.protocols()
        client.send(b"x")
        self.assertEqual((client.ended, other.ended), ("closed", None))
        protocol.lost.trap(ZeroDivisionError)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_lossOfBytes(self) -> None:
        """
        Limits on bytes hold as on real connections.
        """
        server = self.serve(limits=["received=100/s:burst=100", "sent=100/s:burst=100"])
        client = server.connect()
        [protocol] = server.protocols()
        client.send(b"x" * 1000)
        protocol.transport.write(b"y" * 1000)
        server.advance(2.0)
        for count in (len(protocol.heard), len(client.received)):
            self.assertGreater(count, 200)
            self.assertLess(count, 400)
        server.advance(20.0)
        self.assertEqual((len(protocol.heard), len(client.received)), (1000, 1000))

    def test_admission(self) -> None:
        """
        So does an admission.
        """
        server = self.site(admission=Admission(1))
        first, second = server.connect(), server.connect()
        for each in (first, second):
            each.request("/")
        self.assertEqual((len(first.answers()), len(second.answers())), (1, 0))
        first.close()
        server.advance(0.0)
        self.assertEqual(len(second.answers()), 1)


class TLSTests(MemoryTestCase):
    """
    With TLS.
    """

    def test_certificate(self) -> None:
        """
        The certificate may be one's own, and the client may insist on it.
        """
        own, key = pair("shop")
        context = standardSSL.create_default_context(cadata=own.decode())
        made = ssl.PrivateCertificate.loadPEM((own + key).decode())
        server = self.site(certificate=made.options())
        client = server.connect(tls=context, hostname="shop")
        client.request()
        self.assertEqual((client.secured, len(client.answers())), (True, 1))

    def test_untrusted(self) -> None:
        """
        A client that does not trust the certificate goes, and says why.
        """
        server = self.serve()
        client = server.connect(tls=standardSSL.create_default_context(), hostname="shop")
        assert client.failure is not None
        self.assertIn("CERTIFICATE_VERIFY_FAILED", str(client.failure))
        self.assertEqual((client.secured, client.left), (False, "closed"))
        self.assertRaises(BrokenPipeError, client.send, b"x")

    def test_alpn(self) -> None:
        """
        The client may propose protocols.
        """
        client = self.site().connect(tls=True, alpn=["h2", "http/1.1"])
        self.assertEqual(client.alpn, "h2")

    def test_silent(self) -> None:
        """
        Who never says hello is opening, and gone at the end of the idle grace.
        """
        server = self.serve(idleGrace=1.0)
        client = server.connect(tls=True, silent=True)
        [connection] = server.connections()
        self.assertIs(connection.state(), State.OPENING)
        server.terminate()
        server.advance(30.0)
        self.assertIsNotNone(client.ended)
        self.assertFalse(client.notified)

    def test_startTLS(self) -> None:
        """
        TLS may begin under way.
        """

        class Starting(Recorder):
            def dataReceived(self, data: bytes) -> None:
                super().dataReceived(data)
                if data == b"STARTTLS":
                    self.transport.write(b"GO")
                    self.transport.startTLS(certificate().options())

        server = self.serve(Starting)
        client = server.connect()
        client.send(b"STARTTLS")
        self.assertEqual((client.take(), client.alpn, client.secured), (b"GO", None, False))
        client.startTLS()
        client.send(b"secret")
        self.assertEqual(server.protocols()[0].heard, b"STARTTLSsecret")

    def test_clientLeaves(self) -> None:
        """
        A client may end its side, by close_notify.
        """
        server = self.serve()
        client = server.connect(tls=True)
        [protocol] = server.protocols()
        client.send(b"bye")
        client.halfClose()
        server.advance(0.0)
        protocol.lost.trap(ConnectionDone)
        self.assertEqual((client.ended, client.notified), ("closed", True))

    def test_early(self) -> None:
        """
        What is sent before the handshake is over is sent after it.
        """
        server = self.serve()
        server.terminator.ports.listeners[0].pause()
        server.connect(tls=True)
        for listener in server.terminator.ports.listeners:
            listener.pause()
        client = server.connect(tls=True)
        client.send(b"hello")
        for listener in server.terminator.ports.listeners:
            listener.unpause()
        server.advance(0.0)
        self.assertEqual(server.protocols()[-1].heard, b"hello")
