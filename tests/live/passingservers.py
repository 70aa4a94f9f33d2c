"""
Servers that pass their connections to others, and those others.

C{python -m tests.live.passingservers take PATH PORTS} takes what comes by the UNIX socket at
C{PATH} for the three C{PORTS}, and listens on none; with C{DIES} in the environment it is gone
at so many.

With C{CERTIFICATE}, the first of the ports speaks TLS.

C{python -m tests.live.passingservers spread PORT PATH...} listens on the port, and passes each
connection on at once.

C{python -m tests.live.passingservers give PORTS PATH...} listens on the ports, and passes its
connections to those who take at SIGUSR1, evenly.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet import reactor as _reactor
from twisted.internet import ssl
from twisted.internet.defer import gatherResults
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.resource import Resource
from twisted.web.server import Request, Site
from twisted.web.websocket import WebSocketResource
from zope.interface import implementer

from terminable import Terminator
from terminable.handover.doorway import connectTo, listenForConnections
from terminable.handover.movable import IMovable
from terminable.handover.moving import moveAll
from terminable.handover.spreading import Spreader
from terminable.handover.taking import silentPort
from tests.live.wsclients import raiseLimit

reactor: Any = _reactor

#: For how many seconds to try.
UNTIL = 15.0


class Echo(Resource):
    """
    Answers with the path, and says who does.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        request.setHeader(b"x-by", b"%d" % os.getpid())
        return bytes(request.uri)


class Quiet(Site):
    """
    Logs no requests.
    """

    def log(self, request: Any) -> None:
        pass


class Numbering:
    """
    What a WebSocket is to its application: answers each message with its number.
    """

    count = 0

    def say(self, message: str) -> None:
        """
        Send a message.
        """
        raise NotImplementedError

    def hear(self, message: str) -> None:
        """
        A message has come.
        """
        self.count += 1
        self.say(f"{message} {self.count} {os.getpid()}")

    def save(self) -> bytes:
        return b"%d" % self.count

    def restore(self, state: bytes) -> None:
        self.count = int(state)


@implementer(IMovable)
class Twisted(Numbering):
    """
    One of C{twisted.web.websocket}.
    """

    transport: Any = None

    def negotiationStarted(self, transport: Any) -> None:
        self.transport = transport

    def negotiationFinished(self) -> None:
        pass

    def textMessageReceived(self, message: str) -> None:
        self.hear(message)

    def connectionLost(self, reason: object) -> None:
        pass

    def say(self, message: str) -> None:
        self.transport.sendTextMessage(message)


@implementer(IMovable)
class Autobahn(Numbering, WebSocketServerProtocol):  # type: ignore[misc]
    """
    One of Autobahn.
    """

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.hear(payload.decode())

    def say(self, message: str) -> None:
        self.sendMessage(message.encode())


def factories() -> list[Any]:
    """
    What is served, in the order of the ports.
    """
    builder: Any = type("Builder", (), {"buildProtocol": lambda _, request: Twisted()})()
    root = Resource()
    root.putChild(b"", WebSocketResource(builder))
    autobahn = WebSocketServerFactory(reactor=reactor)
    autobahn.protocol = Autobahn
    autobahn.setProtocolOptions(openHandshakeTimeout=60, autoPingInterval=0)
    return [Quiet(Echo()), Quiet(root), autobahn]


def give(ports: list[int], paths: list[str]) -> None:
    """
    Serve, and pass everything on at SIGUSR1.
    """
    terminator = Terminator(reactor)
    for number, factory in zip(ports, factories(), strict=True):
        port = reactor.listenTCP(number, factory, backlog=1000, interface="127.0.0.1")
        terminator.attach(port)

    async def move() -> None:
        senders = await gatherResults([connectTo(reactor, path) for path in paths])
        all_ = terminator.connections()
        began = time.monotonic()
        moved = await gatherResults(
            [
                moveAll(reactor, all_[number :: len(senders)], sender, UNTIL)
                for number, sender in enumerate(senders)
            ]
        )
        took = time.monotonic() - began
        count = sum(each.moved for each in moved)
        left = "; ".join(str(each) for each in moved)
        print(f"passed {count} of {len(all_)} in {took:.3f} s: {left}", flush=True)

    def begin(*_: object) -> None:
        reactor.callFromThread(lambda: reactor.callLater(0, run))

    def run() -> None:
        from twisted.internet.defer import ensureDeferred
        from twisted.logger import Logger

        ensureDeferred(move()).addErrback(lambda why: Logger().failure("move", why))

    signal.signal(signal.SIGUSR1, begin)


def take(path: str, ports: list[int]) -> None:
    """
    Take what is passed.
    """
    all_ = factories()
    if "CERTIFICATE" in os.environ:
        pem = Path(os.environ["CERTIFICATE"]).read_text()
        options = ssl.PrivateCertificate.loadPEM(pem).options()
        all_[0] = TLSMemoryBIOFactory(options, False, all_[0])
    known = {
        number: silentPort(reactor, factory) for number, factory in zip(ports, all_, strict=True)
    }
    dies = int(os.environ.get("DIES", "0"))
    seen = 0

    def portFor(host: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen == dies:
            os.kill(os.getpid(), signal.SIGKILL)
        return known[host.port]

    listenForConnections(reactor, path, portFor)


def spread(number: int, paths: list[str]) -> None:
    """
    Accept for others.
    """
    spreader = Spreader(reactor)

    def connected(senders: Any) -> None:
        for path, sender in zip(paths, senders, strict=True):
            spreader.add(path, sender)
        reactor.listenTCP(number, spreader, interface="127.0.0.1")

    gatherResults([connectTo(reactor, path) for path in paths]).addCallback(connected)


def main(role: str, *arguments: str) -> None:
    """
    Serve.
    """
    from twisted.python import log

    raiseLimit()
    log.startLogging(sys.stdout)
    if role == "take":
        path, ports = arguments
        take(path, [int(each) for each in ports.split(",")])
    elif role == "spread":
        ports, *paths = arguments
        spread(int(ports), paths)
    else:
        ports, *paths = arguments
        give([int(each) for each in ports.split(",")], paths)
    reactor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
