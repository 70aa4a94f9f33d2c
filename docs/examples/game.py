"""
A game over a WebSocket, played to its end before the goodbye.

    python game.py tcp:8000:interface=127.0.0.1
"""

from __future__ import annotations

import sys

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.task import react
from twisted.web.resource import Resource
from twisted.web.server import Request, Site
from twisted.web.websocket import WebSocketResource, WebSocketTransport
from zope.interface import implementer

from terminable import IDrainer, Terminator


@implementer(IDrainer)
class Game:
    """
    C{start} begins a game of three moves, each C{move} is one of them.
    """

    moves = 0

    def isBusy(self) -> bool:
        """
        A game that has begun is played to its end.
        """
        return self.moves > 0

    def drain(self) -> None:
        """
        Told first.  Without a game the close frame follows; with one, it is for us to close
        when that is over.
        """
        self.transport.sendTextMessage("last round")
        self.leaving = True

    leaving = False

    def textMessageReceived(self, message: str) -> None:
        if message == "start" and not self.leaving:
            self.moves = 3
        elif message == "move" and self.moves:
            self.moves -= 1
            self.transport.sendTextMessage(f"{self.moves} moves left")
            if self.leaving and not self.moves:
                self.transport.loseConnection(1012)

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        self.transport = transport

    def negotiationFinished(self) -> None:
        self.transport.sendTextMessage("welcome")

    def bytesMessageReceived(self, data: bytes) -> None:
        pass

    def pongReceived(self, payload: bytes) -> None:
        pass

    def connectionLost(self, reason: object) -> None:
        pass


class Games:
    def buildProtocol(self, request: Request) -> Game:
        return Game()


async def main(reactor, description: str) -> None:
    terminator = Terminator(reactor, gracePeriod=5.0, closeCode=1012, closeReason="restart")
    endpoint = serverFromString(reactor, description)
    root = Resource()
    root.putChild(b"game", WebSocketResource(Games()))
    try:
        port = await terminator.listen(endpoint, Site(root, reactor=reactor))
    except CannotListenError as problem:
        raise SystemExit(str(problem)) from None
    print("listening on", port.getHost().port, flush=True)
    # The reactor, when it is asked to stop, waits for the Deferred.
    reactor.addSystemEventTrigger(
        "before", "shutdown", lambda: terminator.terminate().addCallback(print)
    )
    await Deferred()


if __name__ == "__main__":
    react(main, sys.argv[1:])
