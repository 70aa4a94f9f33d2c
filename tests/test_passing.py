"""
Live connections go on in another process.
"""

from __future__ import annotations

import os
import socket
import tempfile
from typing import Any

from twisted.internet import ssl
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.protocols.policies import WrappingFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from terminable.handover.movable import CannotMove, IMovable, NotNow
from terminable.handover.movers import moverOf
from terminable.handover.movinghttp import moverForHTTP
from terminable.handover.passing import passConnection
from terminable.tracking import internals
from tests.passages import CountingFactory, PassageTestCase, get, openFiles, sites


class HTTPTests(PassageTestCase):
    """
    HTTP/1.1 between two requests.
    """

    def setUp(self) -> None:
        here, there, self.page, _ = sites()
        self.begin(here, there)
        self.socket = self.client()

    def test_moves(self) -> None:
        """
        The next request is answered by the other one, and the client notices nothing.
        """
        self.assertEqual(self.body(self.socket), b"here /")
        self.pass_()
        self.assertHere(0, 1)
        self.assertEqual(self.body(self.socket), b"there /")
        self.assertEqual(self.body(self.socket, "/2", "Connection: close"), b"there /2FIN")

    def test_fresh(self) -> None:
        """
        A connection on which nothing was said moves too.
        """
        self.pass_()
        self.assertEqual(self.body(self.socket), b"there /")

    def test_requestOnItsWay(self) -> None:
        """
        What arrives while it is passed is read by the other one.
        """
        passing = self.start()
        self.socket.sendall(get("/while"))
        self.until(lambda: passing.called)
        self.assertIn(b"there /while", self.heard(self.socket))

    def test_busy(self) -> None:
        """
        A request in flight, or half of one, is in the way; it is answered here.
        """
        self.socket.sendall(get("/later"))
        self.until(lambda: self.page.waiting)
        self.assertIn("a request is in flight", self.refused(NotNow))
        self.page.answer()
        self.assertIn(b"here late", self.heard(self.socket))
        self.socket.sendall(b"GET /half HT")
        self.turns()
        self.assertIn("a request is in flight", self.refused(NotNow))
        self.assertIn(b"here /half", self.ask(self.socket, b"TP/1.1\r\nHost: here\r\n\r\n"))

    def test_unsent(self) -> None:
        """
        Output that the kernel does not take is in the way.
        """
        [connection] = self.here.connections()
        connection.transport.write(b"x" * 30_000_000)
        self.assertIn("output has not left", self.refused(NotNow))

    def test_lastAnswer(self) -> None:
        """
        After its last answer it does not move.
        """
        [connection] = self.here.connections()
        internals.httpChannel(connection.protocol).persistent = False
        self.assertIn("last answer", self.refused(CannotMove))

    def test_ending(self) -> None:
        """
        What is being lost, or is over, does not move.
        """
        [connection] = self.here.connections()
        connection.transport.loseConnection()
        self.assertIn("it is being lost", self.refused(CannotMove))
        self.assertEqual(self.heard(self.socket), b"FIN")
        passing = passConnection(connection, self.sender)
        self.assertIn("it is over", str(self.failureResultOf(passing, CannotMove).value))

    def test_halfEnded(self) -> None:
        """
        Nor does what has ended its writing.
        """
        [connection] = self.here.connections()
        connection.transport.loseWriteConnection()
        self.assertIn("one half", self.refused(CannotMove))

    def test_timeout(self) -> None:
        """
        A timeout that comes just then ends it where it is in the end, and nowhere else.
        """
        passing = self.start()
        [connection] = self.here.connections()
        internals.httpChannel(connection.protocol).timeoutConnection()
        self.until(lambda: passing.called)
        self.assertEqual(self.body(self.socket), b"there /")

    def test_descriptors(self) -> None:
        """
        Nothing remains open that was opened for it.
        """
        before = openFiles()
        self.pass_()
        self.assertLessEqual(openFiles(), before)

    def test_upgraded(self) -> None:
        """
        What an upgrade nobody knows has made of it stays.
        """
        [connection] = self.here.connections()
        internals.httpChannel(connection.protocol).dataReceived = lambda data: None
        self.assertIn("HTTP is over", self.refused(CannotMove))

    def test_inherited(self) -> None:
        """
        What the other one takes is not inherited by its children.
        """
        self.pass_()
        [connection] = self.there.connections()
        self.assertFalse(os.get_inheritable(connection.transport.fileno()))


class IPv6Tests(PassageTestCase):
    """
    Other kinds of sockets.
    """

    def test_ipv6(self) -> None:
        """
        IPv6 moves like IPv4, and the peer's address is the same.
        """
        here, there, *_ = sites()
        self.begin(here, there)
        self.port.connectionLost(Failure(ConnectionDone()))
        try:
            listening = socket.create_server(("::1", 0), family=socket.AF_INET6)
        except OSError:
            self.skipTest("there is no IPv6 here")
        self.addCleanup(listening.close)
        client = socket.create_connection(listening.getsockname()[:2])
        self.addCleanup(client.close)
        client.setblocking(False)
        accepted, name = listening.accept()
        protocol = here.buildProtocol(None)
        self.port._realPortNumber = 0
        transport = self.port.transport(accepted, protocol, name, self.port, 0, self.reactor)
        protocol.makeConnection(transport)
        before = transport.getPeer()
        self.pass_()
        self.assertEqual(self.body(client), b"there /")
        [connection] = self.there.connections()
        self.assertEqual(connection.transport.getPeer(), before)

    def test_unix(self) -> None:
        """
        So do UNIX sockets.
        """
        path = tempfile.mkdtemp()
        self.addCleanup(os.rmdir, path)
        self.begin(CountingFactory("a"), CountingFactory("b"), f"{path}/s")
        client = self.client()
        self.assertEqual(self.ask(client, b"x\n"), b"hello\na1 x\n")
        self.pass_()
        self.assertEqual(self.ask(client, b"y\n"), b"b2 y\n")


class StayingTests(PassageTestCase):
    """
    Connections that never move.
    """

    def test_http2(self) -> None:
        """
        HTTP/2.
        """
        from twisted.web._http2 import H2Connection

        error = self.assertRaises(CannotMove, moverForHTTP, H2Connection())
        self.assertIn("HTTP/2", str(error))
        self.begin(CountingFactory(), CountingFactory())

    def check(self, factory: Any, reason: str, first: bytes = b"x") -> None:
        self.begin(factory, CountingFactory())
        self.ask(self.client(), first)
        self.assertIn(reason, self.refused(CannotMove))
        self.assertHere()

    def test_plain(self) -> None:
        """
        Protocols that do not provide L{IMovable}.
        """
        self.check(Factory.forProtocol(Protocol), "Protocol does not provide IMovable")

    def test_wrapped(self) -> None:
        """
        Those within a wrapper: what that knows would be lost.
        """
        self.check(WrappingFactory(CountingFactory()), "what ProtocolWrapper knows")

    def test_tls(self) -> None:
        """
        TLS.
        """
        context = ssl.CertificateOptions()
        self.check(TLSMemoryBIOFactory(context, False, CountingFactory()), "TLS: its keys", b"")

    def test_otherTransport(self) -> None:
        """
        What has no socket that was accepted.
        """
        error = self.assertRaises(CannotMove, moverOf, StringTransport())
        self.assertIn("no socket", str(error))

    def test_adapted(self) -> None:
        """
        An adapter is as good as the interface.
        """

        class Plain(Protocol):
            pass

        @implementer(IMovable)
        class Adapter:
            def __init__(self, protocol: Any) -> None:
                self.protocol = protocol

            def save(self) -> bytes:
                return b"adapted"

            def restore(self, state: bytes) -> None:
                self.protocol.transport.write(state)

        from twisted.python.components import registerAdapter

        registerAdapter(Adapter, Plain, IMovable)
        factory: Any = Factory.forProtocol(Plain)
        self.begin(factory, factory)
        client = self.client()
        self.pass_()
        self.assertEqual(self.heard(client), b"adapted")
