"""
The scenarios that need C{twisted.web} or Autobahn.
"""

from __future__ import annotations

from typing import Any

from autobahn.twisted.resource import WebSocketResource as AutobahnResource
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from hyperframe.frame import SettingsFrame
from twisted.internet.defer import inlineCallbacks
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Site
from twisted.web.websocket import WebSocketResource

from tests.answers import Shop, readAnswers, request
from tests.frames import PREFACE
from tests.frames import Client as FrameClient
from tests.scenarios import Client, RecordingWays
from tests.test_http11_applications import UPGRADE, UpgradeTests


class AutobahnEcho(WebSocketServerProtocol):  # type: ignore[misc]
    """
    Answers each message with itself.
    """

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.sendMessage(payload, isBinary)


class WebScenariosMixin(RecordingWays):
    """
    The scenarios.
    """

    @inlineCallbacks
    def http(self: Any, tls: bool) -> Any:
        """
        Three requests on one connection.
        """
        yield self.listen(Site(Shop()), tls)

        def speak(client: Client) -> bytes:
            if tls:
                client.startTLS()
            said = b""
            for number in range(3):
                client.send(request(f"/{number}", "POST", b"body"))
                said += client.until(b"body")
            return said

        said = yield self.talk(speak)
        bodies = [answer.body for answer in readAnswers(said)]
        self.assertEqual(bodies, [b"/0 body", b"/1 body", b"/2 body"])
        self.assertEqual(self.theOne().protocolName, "HTTPChannel")
        yield self.gone()

    def test_http(self: Any) -> Any:
        """
        HTTP/1.1 with keep-alive.
        """
        return self.http(False)

    def test_https(self: Any) -> Any:
        """
        The same through TLS.
        """
        return self.http(True)

    @inlineCallbacks
    def test_alpn(self: Any) -> Any:
        """
        Who proposes both versions gets h2, who proposes only the old one http/1.1.
        """
        yield self.listen(Site(Shop()), True)
        for proposed, expected in [(["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1")]:
            chosen = yield self.talk(lambda client, p=proposed: client.startTLS(p))
            self.assertEqual(chosen, expected)
            self.theOne()
            yield self.gone()

    @inlineCallbacks
    def test_h2(self: Any) -> Any:
        """
        HTTP/2, after ALPN.
        """
        yield self.listen(Site(Shop()), True)
        frames = FrameClient()

        def speak(client: Client) -> bytes:
            assert client.startTLS(["h2"]) == "h2"
            client.send(PREFACE + SettingsFrame(0).serialize() + frames.get(1, "/a"))
            return client.until(b"/a ")

        yield self.talk(speak)
        self.assertEqual(self.theOne().protocolName, "H2Connection")
        yield self.gone()

    @inlineCallbacks
    def webSocket(self: Any, resource: Any, tls: bool) -> Any:
        """
        An upgrade, and a message each way.
        """
        root = Resource()
        root.putChild(b"socket", resource)
        yield self.listen(Site(root), tls)

        def speak(client: Client) -> bytes:
            if tls:
                client.startTLS()
            client.send(request("/socket", "GET", b"", *UPGRADE))
            head = client.until(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101"), head
            client.send(b"\x81\x85\0\0\0\0howdy")
            return client.until(b"\x81\x05howdy")

        yield self.talk(speak)
        connection = self.theOne()
        name = connection.protocolName
        yield self.gone()
        return name

    def twisted(self: Any, tls: bool) -> Any:
        """
        Twisted's WebSockets.
        """

        class Factory:
            def buildProtocol(self, request: Any) -> Any:
                return UpgradeTests.WebSocket()

        factory: Any = Factory()
        return self.webSocket(WebSocketResource(factory), tls)

    def test_webSocket(self: Any) -> Any:
        """
        Twisted's WebSockets.
        """
        return self.twisted(False)

    def test_webSocketTLS(self: Any) -> Any:
        """
        Twisted's WebSockets through TLS.
        """
        return self.twisted(True)

    @inlineCallbacks
    def autobahn(self: Any, tls: bool) -> Any:
        """
        Autobahn's WebSockets, which put their protocol in the channel's place.
        """
        factory = WebSocketServerFactory()
        factory.protocol = AutobahnEcho
        name = yield self.webSocket(AutobahnResource(factory), tls)
        self.assertEqual(name, "AutobahnEcho")

    def test_autobahn(self: Any) -> Any:
        """
        Autobahn's WebSockets.
        """
        return self.autobahn(False)

    def test_autobahnTLS(self: Any) -> Any:
        """
        Autobahn's WebSockets through TLS.
        """
        return self.autobahn(True)


class OwnPortWebScenarioTests(WebScenariosMixin, TestCase):
    """
    On a port of ours.
    """

    own = True


class PairWebScenarioTests(WebScenariosMixin, TestCase):
    """
    With a factory that somebody else listens with.
    """

    own = False
