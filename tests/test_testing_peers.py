"""
The other ends of connections in memory.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.wire import Echo
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Site

from terminable.testing import MemoryPeer, MemoryServer
from tests.answers import Shop


class Pieces(Protocol):
    """
    Remembers in which pieces something has come.
    """

    def connectionMade(self) -> None:
        self.pieces: list[bytes] = []

    def dataReceived(self, data: bytes) -> None:
        self.pieces.append(data)


class PeerTests(SynchronousTestCase):
    """
    What a peer does and sees.
    """

    def serve(self, protocol: Any, **options: Any) -> tuple[MemoryPeer, Any]:
        """
        A peer, and the protocol that serves it.
        """
        self.server = MemoryServer(Factory.forProtocol(protocol))
        peer = self.server.connect(**options)
        return peer, self.server.protocols()[0]

    def test_pieces(self) -> None:
        """
        It sends in any pieces.
        """
        for tls in (False, True):
            peer, protocol = self.serve(Pieces, tls=tls)
            peer.send(b"abcde")
            peer.send(b"fghij", 2)
            peer.send(b"")
            self.assertEqual(protocol.pieces, [b"abcde", b"fg", b"hi", b"j"])

    def test_noRoom(self) -> None:
        """
        What there is no room for is sent when there is.
        """
        peer, protocol = self.serve(Pieces, buffer=10)
        protocol.transport.pauseProducing()
        peer.send(b"x" * 100)
        self.assertEqual((protocol.pieces, peer.unsent), ([], 100))
        protocol.transport.resumeProducing()
        self.server.advance(0.0)
        self.assertEqual((b"".join(protocol.pieces), peer.unsent), (b"x" * 100, 0))

    def test_received(self) -> None:
        """
        What it has read is there as a whole, and what is new of it.
        """
        peer, _ = self.serve(Echo)
        peer.send(b"one")
        self.assertEqual(peer.take(), b"one")
        peer.send(b"two")
        self.assertEqual((peer.take(), peer.take(), peer.received), (b"two", b"", b"onetwo"))

    def test_stopsReading(self) -> None:
        """
        It reads nothing until it reads on.
        """
        for tls in (False, True):
            peer, _ = self.serve(Echo, tls=tls)
            peer.stopReading()
            peer.send(b"hello")
            self.assertEqual(peer.received, b"")
            peer.startReading()
            self.assertEqual(peer.received, b"hello")

    def test_seesTheEnd(self) -> None:
        """
        It sees how the server ends, although it reads nothing.
        """
        for name, expected in (("loseConnection", "closed"), ("abortConnection", "reset")):
            peer, protocol = self.serve(Echo)
            peer.stopReading()
            getattr(protocol.transport, name)()
            self.server.advance(0.0)
            self.assertEqual((peer.ended, peer.left), (expected, None))
            peer.startReading()
            self.assertEqual((peer.ended, peer.left), (expected, "closed"))

    def test_stays(self) -> None:
        """
        It may keep its side when the server has ended, and be reset for what it sends then.
        """
        peer, protocol = self.serve(Echo, stays=True)
        protocol.transport.loseConnection()
        self.server.advance(0.0)
        self.assertEqual((peer.ended, peer.left), ("closed", None))
        peer.send(b"hello?")
        self.assertEqual(peer.ended, "reset")
        self.assertRaises(ConnectionResetError, peer.send, b"hello?")

    def test_resetWithOutput(self) -> None:
        """
        What it was about to send when it is reset is lost.
        """
        peer, protocol = self.serve(Echo, buffer=10)
        protocol.transport.pauseProducing()
        peer.send(b"x" * 100)
        protocol.transport.abortConnection()
        self.server.advance(0.0)
        self.assertEqual((peer.ended, peer.unsent), ("reset", 0))

    def test_leaves(self) -> None:
        """
        It leaves once, in one way.
        """
        for first, second in (("close", "reset"), ("reset", "close")):
            peer, _ = self.serve(Echo)
            getattr(peer, first)()
            left = peer.left
            getattr(peer, second)()
            self.assertEqual((peer.left, left), (left, "closed" if first == "close" else "reset"))
            self.assertEqual(self.server.connections(), [])
            self.assertRaises(BrokenPipeError, peer.send, b"x")

    def test_staysWithTLS(self) -> None:
        """
        With TLS, a peer that stays does not answer close_notify.
        """
        for stays, left in ((False, "closed"), (True, None)):
            peer, protocol = self.serve(Echo, tls=True, stays=stays)
            protocol.transport.loseConnection()
            self.server.advance(0.0)
            self.assertEqual((peer.notified, peer.left), (True, left))
            self.assertEqual(len(self.server.connections()), int(stays))

    def test_halfClosesTLS(self) -> None:
        """
        It says close_notify once, be it before a handshake is over.
        """
        peer, _ = self.serve(Echo, tls=True)
        peer.halfClose()
        peer.halfClose()
        self.assertEqual(peer.ended, "closed")
        peer, _ = self.serve(Echo, tls=True, silent=True)
        peer.startTLS()
        self.assertTrue(peer.secured)

    def test_answers(self) -> None:
        """
        It asks in HTTP, and reads the answers.
        """
        server = MemoryServer(Site(Shop()))
        peer = server.connect()
        peer.request("/a")
        peer.request("/b", "HEAD", headers={"X-Y": "1"})
        peer.request("/c", "PUT", b"body")
        answers = peer.answers("GET", "HEAD")
        self.assertEqual([each.body for each in answers], [b"/a ", b"", b"/c body"])
        self.assertTrue(all(each.complete for each in answers))

    def test_answerThatEndsWithTheConnection(self) -> None:
        """
        An answer without a length is complete when the server has ended.
        """

        class Old(Protocol):
            def dataReceived(self, data: bytes) -> None:
                self.transport.write(b"HTTP/1.0 200 OK\r\n\r\nthat is all")

        peer, protocol = self.serve(Old)
        peer.request()
        self.assertFalse(peer.answers()[0].complete)
        protocol.transport.loseConnection()
        self.server.advance(0.0)
        self.assertTrue(peer.answers()[0].complete)
