"""
What the measured servers serve, for C{--class} and C{--factory}.

With C{BENCH_HEARTBEAT} in the environment, the server that imports this also
measures the turns of its own reactor and writes the long ones to that file,
beside the longest turn that C{terminable} owns up to.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from typing import Any

from twisted.internet import interfaces, protocol
from twisted.internet import reactor as _reactor
from twisted.python import log
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface import directlyProvides, implementer

reactor: Any = _reactor
BLOCK = bytes(range(256)) * 256


def _number(request: Any, name: bytes, default: float) -> float:
    return float(request.args.get(name, [b"%r" % default])[0])


def _answer(request: Any, body: bytes) -> None:
    request.setHeader(b"content-length", b"%d" % len(body))
    request.write(body)
    request.finish()


def _answerLater(request: Any, seconds: float, body: bytes) -> None:
    call = reactor.callLater(seconds, _answer, request, body)
    gone = request.notifyFinish()
    gone.addErrback(lambda reason: call.active() and call.cancel())


class Hello(Resource):
    """
    The smallest answer.
    """

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        request.setHeader(b"content-type", b"text/plain")
        return b"hello\n"


class Slow(Resource):
    """
    C{/slow?seconds=1.5}: an answer that takes its time.
    """

    isLeaf = True

    def render_GET(self, request: Any) -> int:
        _answerLater(request, _number(request, b"seconds", 1.5), b"slow\n")
        return NOT_DONE_YET


class Block(Resource):
    """
    C{/block?seconds=0.5}: block the whole reactor, and say so in the log.
    """

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        log.msg("blocking the reactor")
        time.sleep(_number(request, b"seconds", 0.5))
        return b"blocked\n"


class Big(Resource):
    """
    C{/big?bytes=2000000&after=0.8}: all of it written in one go, in a while.
    """

    isLeaf = True

    def render_GET(self, request: Any) -> int:
        size = int(_number(request, b"bytes", 2_000_000))
        body = (BLOCK * (size // len(BLOCK) + 1))[:size]
        _answerLater(request, _number(request, b"after", 0), body)
        return NOT_DONE_YET


@implementer(interfaces.IPullProducer)
class _Blocks:
    """
    Writes a body piece by piece, as fast as the reader takes it.
    """

    def __init__(self, request: Any, size: int) -> None:
        self.request = request
        self.left = size

    def resumeProducing(self) -> None:
        piece = BLOCK[: self.left]
        self.left -= len(piece)
        self.request.write(piece)
        if not self.left:
            self.request.unregisterProducer()
            self.request.finish()

    def stopProducing(self) -> None:
        self.left = 0


class Download(Resource):
    """
    C{/download?bytes=33554432}: produced as the reader takes it, as a file is.
    """

    isLeaf = True

    def render_GET(self, request: Any) -> int:
        size = int(_number(request, b"bytes", 2.0**25))
        request.setHeader(b"content-length", b"%d" % size)
        request.registerProducer(_Blocks(request, size), False)
        return NOT_DONE_YET


class Upload(Resource):
    """
    C{/upload}: tells how many bytes came.
    """

    isLeaf = True

    def render_POST(self, request: Any) -> bytes:
        return b"%d\n" % len(request.content.read())


class Echo(Resource):
    """
    C{/echo?n=123}: the number, so that a client knows whose answer it got.  Numbers that
    end in 0 are answered 5 ms later, the others at once.
    """

    isLeaf = True

    def render_GET(self, request: Any) -> Any:
        request.setHeader(b"content-type", b"text/plain")
        number = request.args[b"n"][0]
        if not number.endswith(b"0"):
            return number + b"\n"
        _answerLater(request, 0.005, number + b"\n")
        return NOT_DONE_YET


class Root(Resource):
    """
    All of them.
    """

    def __init__(self) -> None:
        Resource.__init__(self)
        self.putChild(b"", Hello())
        for child in (Slow, Block, Big, Download, Upload, Echo):
            self.putChild(child.__name__.lower().encode("ascii"), child())


@implementer(interfaces.IPushProducer)
class Stubborn(protocol.Protocol):
    """
    Greets, then stays registered as a producer for ever, so that an ordinary
    C{loseConnection} never ends it.  Told "busy", it also claims from then on
    to be busy, and ignores it when it is asked to finish.
    """

    def connectionMade(self) -> None:
        transport: Any = self.transport
        transport.registerProducer(self, True)
        transport.write(b"hello\r\n")

    def dataReceived(self, data: bytes) -> None:
        if data == b"busy" and "terminable" in sys.modules:
            from terminable import IDrainer

            directlyProvides(self, IDrainer)

    def isBusy(self) -> bool:
        return True

    def pauseProducing(self) -> None:
        pass

    drain = resumeProducing = stopProducing = pauseProducing


class StubbornFactory(protocol.Factory):
    """
    Builds nothing but L{Stubborn}.
    """

    protocol = Stubborn


stubborn = StubbornFactory()


class Plain(protocol.Protocol):
    """
    The smallest answer to whatever is asked, by a protocol that sets no timers; C{/slow} is
    answered after 1.5 s.
    """

    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n%s\r\nhello\n"

    def dataReceived(self, data: bytes) -> None:
        if not data.startswith(b"GET /slow"):
            self.transport.write(self.answer % b"")  # type: ignore[union-attr]
            return
        if "terminable" in sys.modules:
            from terminable import IDrainer

            # Else it would look idle while it works.
            directlyProvides(self, IDrainer)
        reactor.callLater(1.5, self.finish)

    def finish(self) -> None:
        """
        Answer what took its time.
        """
        transport: Any = self.transport
        transport.write(self.answer % b"Connection: close\r\n")
        transport.loseConnection()

    def isBusy(self) -> bool:
        return True

    def drain(self) -> None:
        pass


plain = protocol.Factory.forProtocol(Plain)


class Heartbeat:
    """
    Asks for a call every millisecond and notes each one that comes more than
    2 ms late, as C{[monotonic moment, milliseconds late]}.
    """

    interval = 0.001
    worthNoting = 0.002

    def __init__(self, path: str) -> None:
        self.path = path
        self.stalls: list[tuple[float, float]] = []
        self.collections: list[tuple[float, float]] = []
        gc.callbacks.append(self.collected)
        reactor.callWhenRunning(self.start)
        reactor.addSystemEventTrigger("after", "shutdown", self.write)

    def start(self) -> None:
        self.last = time.monotonic()
        reactor.callLater(self.interval, self.beat)

    def beat(self) -> None:
        now = time.monotonic()
        late = now - self.last - self.interval
        if late > self.worthNoting:
            self.stalls.append((now, late * 1000))
        self.start()

    def collected(self, phase: str, details: object) -> None:
        """
        Note how long the garbage collector took: it stalls whoever set it off.
        """
        now = time.monotonic()
        if phase == "start":
            self.collecting = now
        else:
            self.collections.append((now, (now - self.collecting) * 1000))

    def write(self) -> None:
        late = time.monotonic() - self.last - self.interval
        self.stalls.append((time.monotonic(), late * 1000))
        with open(self.path, "w") as out:
            json.dump(
                {
                    "stalls": self.stalls,
                    "collections": self.collections,
                    "ours": _longestTurn(),
                },
                out,
            )


def _longestTurn() -> float | None:
    """
    The longest turn that any terminator of this process owns up to, in
    milliseconds.  They are searched for, so that every door can be measured
    without its help.
    """
    if "terminable" not in sys.modules:
        return None
    from terminable import Terminator

    turns = [one.longestTurn for one in gc.get_objects() if isinstance(one, Terminator)]
    return max(turns) * 1000 if turns else None


if "BENCH_HEARTBEAT" in os.environ:
    Heartbeat(os.environ["BENCH_HEARTBEAT"])
