"""
What the processes of these tests serve: resources for C{--class}, factories for
C{--factory}.
"""

from __future__ import annotations

import time
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPullProducer
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.internet.threads import blockingCallFromThread, deferToThread
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from terminable import IDrainer

reactor: Any = _reactor
log = Logger()


def number(request: Request, name: bytes, default: float = 0.0) -> float:
    """
    A number out of the query.
    """
    return float(request.args.get(name, [b"%g" % default])[0])


class Sync(Resource):
    """
    Answers before C{render} returns, and says so on the log.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        log.info("asked for {uri}", uri=request.uri.decode())
        return b"sync\n"


#: Fires when this process is told to stop.
_stopped: Deferred[None] = Deferred()
reactor.addSystemEventTrigger("before", "shutdown", _stopped.callback, None)


def afterStop(seconds: float) -> Deferred[None]:
    """
    Fires so many seconds after this process was told to stop, or after now if it was already.
    """
    told: Deferred[None] = Deferred()
    _stopped.addCallback(told.callback)
    return told.addCallback(lambda _: deferLater(reactor, seconds))


class Later(Resource):
    """
    Answers after C{seconds}, or C{stopped} seconds after the process was told to stop: what
    is to be in flight then does not depend on how fast the machine is.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> int:
        log.info("asked for {uri}", uri=request.uri.decode())

        def answer(_: object) -> None:
            request.setHeader(b"content-length", b"6")
            request.write(b"later\n")
            request.finish()

        if b"stopped" in request.args:
            waiting = afterStop(number(request, b"stopped"))
        else:
            waiting = deferLater(reactor, number(request, b"seconds", 0.05))
        request.notifyFinish().addErrback(lambda reason: waiting.cancel())
        waiting.addCallback(answer).addErrback(lambda cancelled: None)
        return NOT_DONE_YET


class Big(Resource):
    """
    Answers with C{bytes} bytes, all at once.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        return b"x" * int(number(request, b"bytes"))


class Upload(Resource):
    """
    Answers with the number of bytes it was sent.
    """

    isLeaf = True

    def render_POST(self, request: Request) -> bytes:
        return b"%d\n" % len(request.content.read())


class Thread(Resource):
    """
    Occupies a thread for C{seconds}, which no deadline can end.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> int:
        deferToThread(time.sleep, number(request, b"seconds"))
        log.info("a thread is busy")
        return NOT_DONE_YET


class Root(Resource):
    """
    All of them.
    """

    def __init__(self) -> None:
        super().__init__()
        for kind in (Sync, Later, Big, Upload, Thread):
            self.putChild(kind.__name__.lower().encode(), kind())


def application(environ: dict[str, Any], startResponse: Any) -> list[bytes]:
    """
    The same in WSGI, as far as it needs to be: at work until some time after the stop.
    """
    blockingCallFromThread(reactor, afterStop, 0.3)
    startResponse("200 OK", [("Content-Length", "5")])
    return [b"wsgi\n"]


class Echo(Protocol):
    """
    Says what it hears.
    """

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)


@implementer(IDrainer)
class Deaf(Protocol):
    """
    Is asked to end, and does not.
    """

    def isBusy(self) -> bool:
        return True

    def drain(self) -> None:
        log.info("asked to drain")


@implementer(IDrainer)
class Faulty(Protocol):
    """
    Fails in whatever it is asked.
    """

    def isBusy(self) -> bool:
        raise RuntimeError("cannot tell")

    def drain(self) -> None:
        raise RuntimeError("cannot drain")


@implementer(IPullProducer)
class Endless(Protocol):
    """
    Produces without an end.
    """

    def connectionMade(self) -> None:
        self.transport.registerProducer(self, False)

    def resumeProducing(self) -> None:
        self.transport.write(b"x" * 65536)

    def stopProducing(self) -> None:
        pass


echo = Factory.forProtocol(Echo)
deaf = Factory.forProtocol(Deaf)
faulty = Factory.forProtocol(Faulty)
endless = Factory.forProtocol(Endless)
