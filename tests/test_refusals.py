"""
Those for whom there is no place are told so, each in the words of its protocol.
"""

from __future__ import annotations

from typing import Any

from autobahn.twisted.websocket import WebSocketServerFactory
from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.mail.imap4 import IMAP4Server
from twisted.mail.pop3 import POP3
from twisted.mail.smtp import ESMTP, SMTPFactory
from twisted.protocols.ftp import FTPFactory
from twisted.protocols.haproxy import proxyEndpoint
from twisted.protocols.policies import (
    LimitTotalConnectionsFactory,
    ProtocolWrapper,
    ThrottlingFactory,
    WrappingFactory,
)
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import Site
from twisted.words.protocols.irc import IRC
from zope.interface import implementer
from zope.interface.verify import verifyObject

from terminable.admission.http import PATIENCE, TEXT
from terminable.admission.refusals import Saying, refusalOf
from terminable.interfaces import IRefusal
from terminable.terminator import Terminator
from tests.answers import readAnswers, request
from tests.doubles import Boom, MemoryEndpoint
from tests.frames import HELLO, Client
from tests.test_http11_applications import UPGRADE
from tests.test_web import Negotiated
from tests.wire import Wire


class RefusalTestCase(SynchronousTestCase):
    """
    Refuses one connection to a factory.
    """

    def refuse(self, factory: Any, transport: Any = None) -> Any:
        """
        Connect what refuses.

        @return: the protocol.
        """
        self.clock = MemoryReactorClock()
        self.transport = transport or StringTransport()
        protocol = refusalOf(factory, None, 7, self.clock)
        protocol.makeConnection(self.transport)
        return protocol

    def assertSaid(self, factory: Any, expected: bytes) -> None:
        """
        It says this, and goes.
        """
        self.refuse(factory)
        self.assertEqual(self.transport.value(), expected)
        self.assertTrue(self.transport.disconnecting)


class WordsTests(RefusalTestCase):
    """
    Protocols in which the server speaks first.
    """

    def test_mail(self) -> None:
        """
        SMTP: 421, with an enhanced status code.
        """
        expected = b"421 4.3.2 Too many connections, try again in 7 seconds\r\n"
        self.assertSaid(SMTPFactory(), expected)
        self.assertSaid(Factory.forProtocol(ESMTP), expected)

    def test_mailboxes(self) -> None:
        """
        POP3 and IMAP4.
        """
        self.assertSaid(
            Factory.forProtocol(POP3),
            b"-ERR [SYS/TEMP] Too many connections, try again later\r\n",
        )
        self.assertSaid(
            Factory.forProtocol(IMAP4Server),
            b"* BYE [UNAVAILABLE] Too many connections, try again later\r\n",
        )

    def test_files(self) -> None:
        """
        FTP.
        """
        self.assertSaid(FTPFactory(), b"421 Too many connections, try again in 7 seconds.\r\n")

    def test_chat(self) -> None:
        """
        IRC, also a subclass of somebody's.
        """
        kind = type("Chat", (IRC,), {})
        self.assertSaid(
            Factory.forProtocol(kind),
            b"ERROR :Closing link: too many connections, try again in 7 seconds\r\n",
        )

    def test_others(self) -> None:
        """
        Of other protocols nothing is known: the connection is lost.
        """
        self.assertSaid(Factory.forProtocol(Protocol), b"")
        self.assertSaid(object(), b"")
        self.assertSaid(type("Odd", (), {"protocol": lambda: Protocol()})(), b"")


@implementer(IRefusal)
class Own(Factory):
    """
    Knows how to refuse.
    """

    def refusal(self, addr: Any, retryAfter: int) -> Any:
        """
        In its own words.
        """
        return Saying(b"BUSY %d\n" % retryAfter)


class OwnTests(RefusalTestCase):
    """
    L{IRefusal}.
    """

    def test_provided(self) -> None:
        """
        A factory says so itself, also one that is wrapped by a terminator.
        """
        self.assertTrue(verifyObject(IRefusal, Own()))
        self.assertSaid(Own(), b"BUSY 7\n")
        self.assertSaid(Terminator(Clock()).wrap(Own()), b"BUSY 7\n")

    def test_failing(self) -> None:
        """
        One that fails is logged, and its connection lost.
        """

        class Broken(Own):
            def refusal(self, addr: Any, retryAfter: int) -> Any:
                raise Boom

        self.assertSaid(Broken(), b"")
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)


class WrappingTests(RefusalTestCase):
    """
    Factories around others.
    """

    def test_plain(self) -> None:
        """
        The protocols around it are built as ever.
        """
        protocol = self.refuse(WrappingFactory(WrappingFactory(Own())))
        self.assertIsInstance(protocol.wrappedProtocol, ProtocolWrapper)
        self.assertEqual(self.transport.value(), b"BUSY 7\n")

    def test_counting(self) -> None:
        """
        Factories that count what they build are not asked; nobody knows what to say then.
        """
        self.assertSaid(ThrottlingFactory(Own()), b"")
        self.assertSaid(WrappingFactory(ThrottlingFactory(Own())), b"")
        self.assertSaid(LimitTotalConnectionsFactory(), b"")

    def test_proxy(self) -> None:
        """
        Behind the PROXY protocol too.
        """
        endpoint = MemoryEndpoint(Clock())
        self.successResultOf(proxyEndpoint(endpoint).listen(Own()))
        self.assertSaid(endpoint.ports[0].factory, b"BUSY 7\n")

    def test_tls(self) -> None:
        """
        And above TLS, when hands have been shaken.
        """

        class Refusing(Own):
            def buildProtocol(self, addr: Any) -> Any:
                return refusalOf(Own(), addr, 7, None)

        wire = Wire(Refusing(), tls=True)
        self.addCleanup(wire.close)
        wire.pumpUntil(lambda: wire.peer.received)
        self.assertEqual(wire.peer.received, b"BUSY 7\n")
        wire.pumpUntil(lambda: wire.peer.notified)


class WebTests(RefusalTestCase):
    """
    HTTP and WebSockets.
    """

    def ask(self, *requests: bytes, factory: Any = None) -> Any:
        """
        Be refused after some requests.
        """
        protocol = self.refuse(factory or Site(Resource()))
        for each in requests:
            protocol.dataReceived(each)
        return protocol

    def answer(self, *methods: bytes) -> Any:
        (answer,) = readAnswers(self.transport.value(), list(methods))
        return answer

    def test_503(self) -> None:
        """
        503, with Retry-After, and the last on its connection.
        """
        self.ask(request("/")[:10])
        self.assertEqual(self.transport.value(), b"")
        self.ask(request("/"))
        answer = self.answer()
        self.assertEqual((answer.status, answer.headers[b"retry-after"]), (503, b"7"))
        self.assertEqual((answer.body, answer.closes), (TEXT, True))
        self.assertTrue(self.transport.disconnecting)

    def test_once(self) -> None:
        """
        A second request has no answer.
        """
        self.ask(request("/") + request("/again"), request("/later"))
        self.assertEqual(self.answer().status, 503)

    def test_head(self) -> None:
        """
        HEAD has no body.
        """
        self.ask(request("/", "HEAD"))
        self.assertEqual(self.answer(b"HEAD").body, b"")

    def test_longBody(self) -> None:
        """
        Nobody waits for a body.
        """
        self.ask(request("/", "POST", b"x" * 100)[:-50], b"x" * 20)
        self.assertEqual(self.answer().status, 503)

    def test_nothingSaid(self) -> None:
        """
        Who asks for nothing is lost after a while.
        """
        protocol = self.ask()
        self.clock.advance(PATIENCE + 0.1)
        self.assertTrue(self.transport.disconnecting)
        protocol.connectionLost(None)

    def test_nonsense(self) -> None:
        """
        400, for what is no request.
        """
        self.ask(b"hello\r\n\r\n")
        self.assertTrue(self.transport.value().startswith(b"HTTP/1.1 400"))

    def assertTryAgain(self) -> None:
        head, _, frames = self.transport.value().partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 101 "))
        # The answer that is given in RFC 6455, section 1.3.
        self.assertIn(b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", head)
        self.assertEqual(frames, b"\x88\x11" + (1013).to_bytes(2, "big") + b"try again later")
        self.assertTrue(self.transport.disconnecting)

    def test_webSocket(self) -> None:
        """
        A WebSocket is opened, and closed with 1013; so is one of Autobahn's.
        """
        key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
        headers = [line for line in UPGRADE if "-Key" not in line]
        for factory in (Site(Resource()), WebSocketServerFactory("ws://localhost:1")):
            self.ask(request("/", "GET", b"", *headers, key), factory=factory)
            self.assertTryAgain()

    def test_halfAnUpgrade(self) -> None:
        """
        Without a key there is none.
        """
        self.ask(request("/", "GET", b"", "Upgrade: websocket", "Connection: Upgrade"))
        self.assertEqual(self.answer().status, 503)

    def test_http2(self) -> None:
        """
        HTTP/2: every request is answered, and the connection lost a moment later.
        """
        self.patch(reactor, "callLater", Clock().callLater)
        transport: Any = Negotiated()
        transport.negotiatedProtocol = b"h2"
        protocol = self.refuse(Site(Resource()), transport)
        client = Client()
        protocol.dataReceived(HELLO + client.get(1, "/") + client.get(3, "/other"))
        heads = client.heads(client.frames(transport.value()))
        self.assertEqual({heads[number][":status"] for number in (1, 3)}, {"503"})
        self.assertEqual(heads[1]["retry-after"], "7")
        self.assertFalse(transport.disconnecting)
        self.clock.advance(1)
        self.assertTrue(transport.disconnecting)
