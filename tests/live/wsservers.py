"""
A server with WebSockets of every kind and event streams, for C{twistd --python}.

It has four ports: C{twisted.web} and Autobahn on its own, each without TLS and with it.
The environment has the C{PORTS}, the C{CERTIFICATE}, and the C{SETTINGS} of the terminator.
"""

from __future__ import annotations

import json
import os
from typing import Any

from autobahn.twisted.resource import WebSocketResource as AutobahnResource
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.application.service import Application
from twisted.internet import reactor as _reactor
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IProtocolNegotiationFactory
from twisted.internet.task import LoopingCall
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site
from twisted.web.static import Data
from twisted.web.websocket import WebSocketResource
from zope.interface import implementer

from terminable import TerminableService, Terminator, watch, whenDraining
from tests.live.wsclients import raiseLimit

reactor: Any = _reactor

#: How many messages are queued for everybody when the drain begins.
QUEUED = 10


class Talking:
    """
    What one WebSocket is to its application, whoever serves it: says hello, says what it
    hears, and counts when the drain begins.
    """

    def say(self, message: str) -> None:
        """
        Send a message.
        """
        raise NotImplementedError

    def opened(self, transport: Any) -> None:
        """
        It begins.
        """
        self.say("hello")
        whenDraining(transport).addCallback(self.count)

    def count(self, _: object) -> None:
        """
        The drain begins.
        """
        for number in range(QUEUED):
            self.say(str(number))


class TwistedApplication(Talking):
    """
    One of C{twisted.web.websocket}.
    """

    def negotiationStarted(self, transport: Any) -> None:
        self.transport = transport

    def negotiationFinished(self) -> None:
        self.opened(self.transport)

    def say(self, message: str) -> None:
        self.transport.sendTextMessage(message)

    def textMessageReceived(self, message: str) -> None:
        self.say(message)

    def bytesMessageReceived(self, data: bytes) -> None:
        pass

    def pongReceived(self, payload: bytes) -> None:
        pass

    def connectionLost(self, reason: object) -> None:
        pass


class TwistedFactory:
    """
    Builds them.
    """

    def buildProtocol(self, request: Request) -> TwistedApplication:
        return TwistedApplication()


class AutobahnApplication(Talking, WebSocketServerProtocol):  # type: ignore[misc]
    """
    One of Autobahn.
    """

    def onOpen(self) -> None:
        self.opened(self)

    def say(self, message: str) -> None:
        self.sendMessage(message.encode())

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.sendMessage(payload, isBinary)


class Events(Resource):
    """
    An event every tenth of a second, and one that says that it is the last.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> int:
        request.setHeader(b"content-type", b"text/event-stream")
        request.setHeader(b"access-control-allow-origin", b"*")
        ticking = LoopingCall(request.write, b"data: tick\n\n")
        ticking.clock = reactor
        ticking.start(0.1)
        request.notifyFinish().addErrback(lambda gone: ticking.stop())

        def end(_: object) -> None:
            ticking.stop()
            request.write(b"event: bye\ndata: the last\n\n")
            request.finish()

        whenDraining(request).addCallback(end)
        return NOT_DONE_YET


@implementer(IProtocolNegotiationFactory)
class AutobahnFactory(WebSocketServerFactory):  # type: ignore[misc]
    """
    Builds those, also for browsers, which propose by ALPN what to speak.
    """

    def acceptableProtocols(self) -> list[bytes]:
        return [b"http/1.1"]


def autobahn() -> AutobahnFactory:
    """
    What builds WebSockets of Autobahn.
    """
    factory = AutobahnFactory(reactor=reactor)
    factory.protocol = AutobahnApplication
    # Two thousand are not opened in an instant.
    factory.setProtocolOptions(openHandshakeTimeout=60)
    return factory


def site() -> Site:
    """
    All that C{twisted.web} serves.
    """
    root = Resource()
    twisted: Any = TwistedFactory()
    root.putChild(b"twisted", WebSocketResource(twisted))
    factory = autobahn()
    factory.startFactory()
    root.putChild(b"autobahn", AutobahnResource(factory))
    root.putChild(b"events", Events())
    root.putChild(b"page", Data(os.environ.get("PAGE", "").encode(), "text/html"))
    return Site(root)


def makeApplication() -> Any:
    """
    What C{twistd} runs.
    """
    raiseLimit()
    terminator = Terminator(reactor, **json.loads(os.environ["SETTINGS"]))
    watch(reactor, terminator)
    server = TerminableService(terminator)
    pem = os.environ["CERTIFICATE"]
    ports = os.environ["PORTS"].split()
    for number, factory in zip(ports, (site(), site(), autobahn(), autobahn()), strict=True):
        where = f"{number}:interface=127.0.0.1:backlog=1000"
        if number in ports[1::2]:
            description = f"ssl:{where}:certKey={pem}:privateKey={pem}"
        else:
            description = f"tcp:{where}"
        server.listenOn(serverFromString(reactor, description), factory)
    made = Application("sockets")
    server.setServiceParent(made)
    return made


if "PORTS" in os.environ:
    application = makeApplication()
