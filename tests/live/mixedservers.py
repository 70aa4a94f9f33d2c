"""
One process with five ports, each of which speaks something else, and one terminator, for
C{twistd --python}.

The environment has the C{MIXED_PORTS}, the C{CERTIFICATE}, and the C{SETTINGS} of the
terminator.  All three ports for the web serve the same.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import Any

from autobahn.twisted.resource import WebSocketResource as AutobahnResource
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.application.service import Application
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineOnlyReceiver
from twisted.web.resource import Resource
from twisted.web.server import Request, Site
from twisted.web.websocket import WebSocketResource
from zope.interface import implementer

from terminable import (
    IDrainer,
    ITerminationObserver,
    Phase,
    Report,
    TerminableService,
    Terminator,
    whenDraining,
)
from tests.live import resources
from tests.live.mailservers import makeSMTP

#: What each port speaks, in order; the second one over TLS.
PORTS = ("web", "secure", "sockets", "mail", "lines")


class Echo:
    """
    A WebSocket of C{twisted.web.websocket} that says what it hears, and tells how much that
    was: when its drain begins, and in the end.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._heard = 0
        self._before = 0

    def negotiationStarted(self, transport: Any) -> None:
        self._transport = transport

    def negotiationFinished(self) -> None:
        whenDraining(self._transport).addCallback(self._count)

    def _count(self, _: object) -> None:
        self._before = self._heard

    def textMessageReceived(self, message: str) -> None:
        self._heard += 1
        self._transport.sendTextMessage(message)

    def bytesMessageReceived(self, data: bytes) -> None:
        pass

    def pongReceived(self, payload: bytes) -> None:
        pass

    def connectionLost(self, reason: object) -> None:
        tell("socket", name=self._name, before=self._before, heard=self._heard)


class EchoFactory:
    """
    Builds them.
    """

    def buildProtocol(self, request: Request) -> Echo:
        address: Any = request.getClientAddress()
        return Echo(f"{address.host}:{address.port}")


class AutobahnEcho(WebSocketServerProtocol):  # type: ignore[misc]
    """
    One of Autobahn that says what it hears.
    """

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.sendMessage(payload, isBinary)


@implementer(IDrainer)
class Lines(LineOnlyReceiver):
    """
    Says each line, and in the end, how many there were.
    """

    delimiter = b"\n"

    def __init__(self) -> None:
        self._heard = 0

    def lineReceived(self, line: bytes) -> None:
        self._heard += 1
        self.sendLine(line)

    def isBusy(self) -> bool:
        """
        Every line is answered at once.
        """
        return False

    def drain(self) -> None:
        """
        Say goodbye.
        """
        self.sendLine(b"BYE %d" % self._heard)
        self.transport.loseConnection()  # type: ignore[union-attr]


@implementer(ITerminationObserver)
class Teller:
    """
    Tells what a stop came to.
    """

    def phaseChanged(self, old: Phase, new: Phase) -> None:
        pass

    def portsClosed(self) -> None:
        pass

    def terminated(self, report: Report) -> None:
        stragglers = [entry.peer for entry in report.stragglers]
        counts = {name: count for name, count in asdict(report).items() if name != "entries"}
        tell("account", stragglers=stragglers, **counts)


def tell(what: str, **details: Any) -> None:
    """
    Put a line on the log that tests read.
    """
    resources.log.info("{line}", line=f"{what} {json.dumps(details)}")


def site() -> Site:
    """
    All that is served to the web.
    """
    root: Resource = resources.Root()
    echoes: Any = EchoFactory()
    root.putChild(b"twisted", WebSocketResource(echoes))
    factory = WebSocketServerFactory(reactor=resources.reactor)
    factory.protocol = AutobahnEcho
    factory.startFactory()
    root.putChild(b"autobahn", AutobahnResource(factory))
    return Site(root)


def makeApplication() -> Any:
    """
    What C{twistd} runs.
    """
    terminator = Terminator(resources.reactor, **json.loads(os.environ["SETTINGS"]))
    terminator.addObserver(Teller())
    server = TerminableService(terminator)
    pem = os.environ["CERTIFICATE"]
    numbers = os.environ["MIXED_PORTS"].split()
    factories = (site(), site(), site(), makeSMTP(), Factory.forProtocol(Lines))
    for name, number, factory in zip(PORTS, numbers, factories, strict=True):
        where = f"{number}:interface=127.0.0.1:backlog=500"
        secure = f"ssl:{where}:certKey={pem}:privateKey={pem}"
        description = secure if name == "secure" else f"tcp:{where}"
        server.listenOn(serverFromString(resources.reactor, description), factory)
    made = Application("mixed")
    server.setServiceParent(made)
    return made


if "MIXED_PORTS" in os.environ:
    application = makeApplication()
