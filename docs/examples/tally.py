"""
Adds up the numbers that it is sent, one to a line, and can be moved to another process while
somebody is adding.

    python tally.py take ~/tally.sock 8000
    python tally.py serve ~/tally.sock 8000
    kill -USR1 <the second process>
"""

from __future__ import annotations

import json
import os
import signal
import sys

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError
from twisted.internet.protocol import Factory
from twisted.internet.task import react
from twisted.protocols.basic import LineReceiver
from zope.interface import implementer

from terminable import Terminator
from terminable.handover.doorway import connectTo, listenForConnections
from terminable.handover.movable import IMovable
from terminable.handover.moving import moveAll
from terminable.handover.taking import silentPort


@implementer(IMovable)
class Tally(LineReceiver):
    """
    Answers each number with the sum of all so far.
    """

    delimiter = b"\n"

    def connectionMade(self) -> None:
        self.sum = 0
        # Not sent where a connection has been moved to: the peer has heard it.
        self.sendLine(b"numbers, please")

    def lineReceived(self, line: bytes) -> None:
        self.sum += int(line)
        self.sendLine(b"%d so far, says %d" % (self.sum, os.getpid()))

    def save(self) -> bytes:
        """
        The sum, and what has come of a line; this empties nothing.
        """
        rest = self.clearLineBuffer()
        self.setLineMode(rest)
        return json.dumps([self.sum, rest.decode()]).encode()

    def restore(self, state: bytes) -> None:
        """
        Go on with them.
        """
        self.sum, rest = json.loads(state)
        self.setLineMode(rest.encode())


async def take(reactor, path: str) -> None:
    """
    Take connections that another process passes by a UNIX socket.
    """
    terminator = Terminator(reactor)
    port = silentPort(reactor, terminator.wrap(Factory.forProtocol(Tally)))
    listenForConnections(reactor, path, lambda host: port)
    await Deferred()


async def serve(reactor, path: str, number: int) -> None:
    """
    Serve until SIGUSR1, and pass all connections then.
    """
    terminator = Terminator(reactor)
    port = reactor.listenTCP(number, Factory.forProtocol(Tally), interface="127.0.0.1")
    terminator.attach(port)
    asked: Deferred[None] = Deferred()
    signal.signal(signal.SIGUSR1, lambda *_: reactor.callFromThread(asked.callback, None))
    print("listening on", port.getHost().port, flush=True)
    await asked
    try:
        sender = await connectTo(reactor, path)
    except ConnectError as problem:
        raise SystemExit(f"nobody takes connections at {path}: {problem}") from None
    moved = await moveAll(reactor, terminator.connections(), sender, until=10.0)
    await sender.close()
    print(moved, flush=True)
    print(await terminator.terminate(), flush=True)


def main(reactor, role: str, path: str, number: str) -> Deferred[None]:
    work = take(reactor, path) if role == "take" else serve(reactor, path, int(number))
    return Deferred.fromCoroutine(work)


if __name__ == "__main__":
    react(main, sys.argv[1:])
