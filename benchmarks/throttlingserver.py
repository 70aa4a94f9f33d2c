"""
What C{throttling.py} measures: ports with limits, in a process of its own.

    python benchmarks/throttlingserver.py '[{"kind": "lines", "limits": ["messages=10/s"]}]'

Says in one line of JSON on which ports it listens.  C{kind} is C{lines}, C{websocket} (of
C{twisted.web.websocket}) or C{autobahn}, with C{+tls} behind it if that is wanted; it answers

  - each message with C{+},
  - C{send} with as much as is taken,
  - C{pause 0.5} by pausing its transport for so many seconds, as applications do,
  - C{sum} with how many bytes of messages it has had before and their SHA-256.

Each line on its standard input is answered with its memory in bytes: resident now, and at most.
"""

from __future__ import annotations

import hashlib
import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet import ssl
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Factory
from twisted.internet.stdio import StandardIO
from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogBeginner,
    textFileLogObserver,
)
from twisted.protocols.basic import LineOnlyReceiver, LineReceiver
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.resource import Resource
from twisted.web.server import Site
from twisted.web.websocket import WebSocketResource
from zope.interface import implementer

from terminable import Terminator

HOST = "127.0.0.1"

#: What is sent at once, where as much is sent as is taken.
PIECE = 16384

reactor: Any = _reactor


@implementer(IPushProducer)
class Sender:
    """
    Says something as long as it is taken.
    """

    def __init__(self, say: Callable[[bytes], None]) -> None:
        self._say = say
        self._taken = False

    def resumeProducing(self) -> None:
        """
        More.
        """
        self._taken = True
        while self._taken:
            self._say(b"x" * PIECE)

    def pauseProducing(self) -> None:
        """
        No more.
        """
        self._taken = False

    stopProducing = pauseProducing


class Talking:
    """
    What there is to say, whoever says it.
    """

    transport: Any

    def __init__(self) -> None:
        self._sum = hashlib.sha256()
        self._count = 0

    def say(self, words: bytes) -> None:
        """
        Send a message.
        """
        raise NotImplementedError

    @property
    def below(self) -> Any:
        """
        The transport.
        """
        return self.transport

    def produce(self, sender: Sender) -> None:
        """
        Have it asked for more when the transport takes it.
        """
        raise NotImplementedError

    def hear(self, words: bytes) -> None:
        """
        A message has come.
        """
        if words == b"sum":
            self.say(b"%d %s" % (self._count, self._sum.hexdigest().encode()))
        elif words.startswith(b"pause "):
            below = self.below
            below.pauseProducing()
            reactor.callLater(float(words[6:]), below.resumeProducing)
        elif words == b"send":
            sender = Sender(self.say)
            self.produce(sender)
            sender.resumeProducing()
        else:
            self._count += len(words)
            self._sum.update(words)
            self.say(b"+")


class Lines(LineReceiver, Talking):
    """
    By lines.
    """

    MAX_LENGTH = 2**20

    def __init__(self) -> None:
        Talking.__init__(self)

    def lineReceived(self, line: bytes) -> None:
        self.hear(line)

    def say(self, words: bytes) -> None:
        self.sendLine(words)

    def produce(self, sender: Sender) -> None:
        self.transport.registerProducer(sender, True)  # type: ignore[union-attr]


class TwistedSocket(Talking):
    """
    By messages of C{twisted.web.websocket}.
    """

    def negotiationStarted(self, transport: Any) -> None:
        self.transport = transport

    def negotiationFinished(self) -> None:
        pass

    def textMessageReceived(self, message: str) -> None:
        self.hear(message.encode())

    def bytesMessageReceived(self, data: bytes) -> None:
        self.hear(bytes(data))

    def pongReceived(self, payload: bytes) -> None:
        pass

    def connectionLost(self, reason: object) -> None:
        pass

    def say(self, words: bytes) -> None:
        self.transport.sendBytesMessage(words)

    @property
    def below(self) -> Any:
        return self.transport.transport

    def produce(self, sender: Sender) -> None:
        # The channel is registered already.
        self.transport.detachProducer()
        self.transport.attachProducer(sender)


def twistedFactory() -> Site:
    """
    What serves WebSockets of Twisted.
    """
    factory: Any = type("Sockets", (), {"buildProtocol": lambda _, request: TwistedSocket()})()
    root = Resource()
    root.putChild(b"", WebSocketResource(factory))
    return Site(root)


def autobahnFactory() -> Any:
    """
    What serves WebSockets of Autobahn.
    """
    from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol

    class AutobahnSocket(WebSocketServerProtocol, Talking):  # type: ignore[misc]
        """
        By messages of Autobahn.
        """

        def __init__(self) -> None:
            WebSocketServerProtocol.__init__(self)
            Talking.__init__(self)

        def onMessage(self, payload: bytes, isBinary: bool) -> None:
            self.hear(payload)

        def say(self, words: bytes) -> None:
            self.sendMessage(words, True)

        def produce(self, sender: Sender) -> None:
            self.registerProducer(sender, True)

    factory = WebSocketServerFactory(reactor=reactor)
    factory.protocol = AutobahnSocket
    factory.setProtocolOptions(openHandshakeTimeout=60)
    return factory


def linesFactory() -> Factory:
    """
    What serves lines.
    """
    return Factory.forProtocol(Lines)


FACTORIES = {"lines": linesFactory, "websocket": twistedFactory, "autobahn": autobahnFactory}

#: Somebody has to hold the terminators, as services would.
kept: list[Terminator] = []


def serve(kind: str, limits: list[str], certificate: str = "") -> int:
    """
    Listen with limits of its own.

    @param kind: what is spoken.
    @return: the port.
    """
    name, _, tls = kind.partition("+")
    terminator = Terminator(reactor, limits=limits)
    kept.append(terminator)
    factory: Any = terminator.wrap(FACTORIES[name]())
    if tls:
        pem = ssl.PrivateCertificate.loadPEM(Path(certificate).read_text())
        factory = TLSMemoryBIOFactory(pem.options(), False, factory)
    return int(reactor.listenTCP(0, factory, interface=HOST, backlog=200).getHost().port)


def memory() -> tuple[int, int]:
    """
    What is resident of this process, in bytes: now, and at most.
    """
    status = Path("/proc/self/status").read_text().splitlines()
    found = dict(line.split(":", 1) for line in status)
    return tuple(int(found[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))  # type: ignore[return-value]


class Control(LineOnlyReceiver):
    """
    Who asks for the memory.
    """

    delimiter = b"\n"

    def lineReceived(self, line: bytes) -> None:
        now, most = memory()
        self.sendLine(b"%d %d" % (now, most))

    def connectionLost(self, reason: object = None) -> None:
        if reactor.running:
            reactor.stop()


def main(what: str, certificate: str = "") -> None:
    """
    Serve until nobody asks any more.
    """
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    told = FilteringLogObserver(
        textFileLogObserver(sys.stderr), [LogLevelFilterPredicate(LogLevel.warn)]
    )
    globalLogBeginner.beginLoggingTo([told], redirectStandardIO=False)
    ports = [serve(each["kind"], each["limits"], certificate) for each in json.loads(what)]
    print(json.dumps(ports), flush=True)
    StandardIO(Control())
    reactor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
