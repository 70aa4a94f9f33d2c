"""
Finding out what C{twisted.web} speaks on a connection.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http import HTTPChannel
from zope.interface.verify import verifyObject

from terminable.drainers import web
from terminable.drainers.http2 import HTTP2Drainer
from terminable.drainers.http11 import HTTP11Drainer
from terminable.drainers.web import WebDrainer, isUpgraded
from terminable.interfaces import IDrainer, IHintingDrainer, ILastingDrainer
from tests.answers import MemoryTransport, Served, request
from tests.frames import EVERY, HELLO, Client, bodies, goodbyes, pong


class Negotiated(MemoryTransport):
    """
    A transport on which ALPN has chosen, or will have once there are bytes.
    """

    negotiatedProtocol: Any = None


class WebDrainerTests(SynchronousTestCase):
    """
    L{WebDrainer}.
    """

    def setUp(self) -> None:
        # Twisted gives its HTTP/2 connections no other reactor than the global one.
        self.served = Served(transport=Negotiated())
        self.patch(reactor, "callLater", self.served.clock.callLater)

    def speakH2(self) -> Client:
        """
        The client has chosen HTTP/2, and begins.
        """
        self.served.transport.negotiatedProtocol = b"h2"
        self.served.send(HELLO)
        return Client()

    def frames(self) -> list[Any]:
        """
        What was sent.
        """
        return Client().frames(self.served.transport.value())

    def assertSaid(self, *last: int) -> None:
        """
        These are the last streams that GOAWAY frames have named.
        """
        self.assertEqual(goodbyes(self.frames()), list(last))

    def test_isRegistered(self) -> None:
        """
        What C{Site} builds has it, and a channel on its own too.
        """
        self.assertIsInstance(self.served.drainer, WebDrainer)
        self.assertIsInstance(IDrainer(HTTPChannel()), WebDrainer)
        for interface in (IHintingDrainer, ILastingDrainer):
            self.assertTrue(verifyObject(interface, self.served.drainer))

    def test_startsWithHTTP1(self) -> None:
        """
        Before anything was said it is HTTP/1.1, and silent when it is idle.
        """
        self.assertTrue(self.served.drainer.silent)
        self.assertFalse(self.served.drainer.upgraded)
        self.assertFalse(self.served.drainer.isBusy())
        self.assertFalse(self.served.drainer.lasting)
        self.assertFalse(self.served.drainer.prompt)
        self.assertFalse(self.served.drainer.answered)

    def test_theDrainerIsKept(self) -> None:
        """
        As long as the same is spoken the same drainer is asked.
        """
        made: list[Any] = []

        def making(channel: Any) -> HTTP11Drainer:
            made.append(channel)
            return HTTP11Drainer(channel)

        self.patch(web, "HTTP11Drainer", making)
        for _ in range(3):
            self.served.drainer.isBusy()
        self.assertEqual(made, [self.served.channel])

    def test_h2(self) -> None:
        """
        After ALPN has chosen it the HTTP/2 drainer is asked.
        """
        client = self.speakH2()
        self.served.send(client.get(1, "/later"))
        self.assertFalse(self.served.drainer.silent)
        self.assertTrue(self.served.drainer.isBusy())
        self.assertEqual(self.served.drainer.describe(), "GET /later")
        self.served.hint()
        self.assertFalse(self.served.drainer.answered)
        self.served.drainer.drain()
        self.assertSaid(EVERY)
        self.served.resource.finish()
        self.served.clock.pump([0.001] * 10)
        self.assertSaid(EVERY, 1)
        self.assertTrue(self.served.transport.disconnecting)

    def test_h2AfterTheHint(self) -> None:
        """
        A hint that came before ALPN reaches HTTP/2, whose first stream is served.
        """
        self.served.hint()
        self.assertEqual(self.served.transport.value(), b"")
        client = self.speakH2()
        self.assertNotIn("dataReceived", vars(self.served.protocol))
        self.assertSaid()
        self.served.send(client.get(1, "/a"))
        self.served.clock.pump([0.001] * 10)
        self.assertEqual(bodies(self.frames()), {1: b"/a "})
        self.assertSaid(EVERY)
        self.assertTrue(self.served.drainer.answered)

    def test_h2AfterTheHintWithItsFirstStream(self) -> None:
        """
        The same when the first stream comes with the first bytes.
        """
        self.served.hint()
        self.served.transport.negotiatedProtocol = b"h2"
        self.served.send(HELLO + Client().get(1, "/a"))
        self.served.clock.pump([0.001] * 10)
        self.assertEqual(bodies(self.frames()), {1: b"/a "})
        self.assertSaid(EVERY)
        self.served.send(pong())
        self.served.clock.advance(0)
        self.assertSaid(EVERY, 1)
        self.assertTrue(self.served.transport.disconnecting)

    def test_h2AnsweredWithItsFirstStream(self) -> None:
        """
        A stream that came with the first bytes after the hint has been answered since.
        """
        self.served.hint()
        self.served.transport.negotiatedProtocol = b"h2"
        self.served.send(HELLO + Client().get(1, "/a"))
        self.served.clock.pump([0.001] * 10)
        self.assertFalse(self.served.drainer.isBusy())
        self.assertTrue(self.served.drainer.answered)

    def test_h2ByAnother(self) -> None:
        """
        A drainer that is made anew goes on with what another has begun.
        """
        client = self.speakH2()
        self.served.send(client.get(1, "/a"))
        self.served.clock.pump([0.001] * 10)
        self.served.hint()
        drainer: Any = WebDrainer(self.served.protocol)
        drainer.drain()
        self.assertTrue(self.served.transport.disconnecting)

    def test_http1AfterTheHint(self) -> None:
        """
        If the first bytes are HTTP/1.1 the hint that was given holds.
        """
        self.served.hint()
        self.served.send(request("/a"))
        self.assertTrue(self.served.answers()[0].closes)
        self.assertNotIn("dataReceived", vars(self.served.protocol))

    def test_theHintLeavesNothingOnceItIsKnown(self) -> None:
        """
        When it is already known what is spoken, nobody has to look again.
        """
        self.served.send(request("/a"))
        self.served.hint()
        self.assertNotIn("dataReceived", vars(self.served.protocol))

    def test_channelOfItsOwn(self) -> None:
        """
        A channel without the protocol that stands for it is drained as well.
        """
        channel: Any = self.served.channel
        drainer: Any = IDrainer(channel)
        drainer.hint(self.served.watch)
        channel.dataReceived(request("/a"))
        self.assertTrue(self.served.answers()[0].closes)

    def test_lostIsNotUpgraded(self) -> None:
        """
        A channel that drops what comes after its last answer has not been upgraded.
        """
        channel: Any = self.served.channel
        self.served.send(request("/a", "GET", b"", "Connection: close"))
        self.served.protocol.dataReceived(request("/b"))
        self.assertFalse(isUpgraded(channel))
        channel.persistent = 0
        channel.lineReceived(b"")
        self.assertIn("dataReceived", vars(channel))
        self.assertFalse(isUpgraded(channel))

    def test_lastWord(self) -> None:
        """
        The last word is that of what is spoken.
        """
        self.served.send(request("/later"))
        self.assertEqual(self.served.drainer.lastWord(5), "503")

    def test_kinds(self) -> None:
        """
        The two drainers are what they are called.
        """
        client = self.speakH2()
        self.served.send(client.get(1, "/later"))
        self.assertEqual(HTTP2Drainer(self.served.channel).describe(), "GET /later")
