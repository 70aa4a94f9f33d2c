"""
What the servers of a soak serve, by C{--factory}: numbers, WebSockets, and lines.

Whoever answers names its process.  Every request of the web is written down before it is
answered, in the file that C{SOAK_HEARD} names, so that one that was done twice is found.
"""

from __future__ import annotations

import json
import os
from typing import Any

from autobahn.twisted.resource import WebSocketResource as AutobahnResource
from autobahn.twisted.websocket import WebSocketServerFactory
from twisted.internet import reactor as _reactor
from twisted.internet.defer import CancelledError
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.protocols.basic import LineReceiver
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site
from twisted.web.websocket import WebSocketResource
from zope.interface import implementer

from terminable import IDrainer
from terminable.handover.movable import IMovable
from tests.live.passingservers import Autobahn, Twisted

reactor: Any = _reactor

#: What the answers name.
_PID = os.getpid()


class _Heard:
    """
    The file in which requests are written down, by all processes of a server.
    """

    descriptor = -1

    def write(self, number: int) -> None:
        """
        Write a number down, unless it is 0 or there is no such file.
        """
        if self.descriptor < 0 and "SOAK_HEARD" in os.environ:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            self.descriptor = os.open(os.environ["SOAK_HEARD"], flags, 0o600)
        if self.descriptor >= 0 and number:
            os.write(self.descriptor, b"%d\n" % number)


heard = _Heard()


def _number(request: Request, name: bytes) -> float:
    return float(request.args.get(name, [b"0"])[0])


def _answer(request: Request, body: bytes) -> None:
    request.setHeader(b"content-length", b"%d" % len(body))
    request.setHeader(b"x-pid", b"%d" % _PID)
    request.write(body)
    request.finish()


class Numbers(Resource):
    """
    Answers with the number C{n}, after C{seconds}, and C{bytes} more; to an upload, with the
    number and its length.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> int:
        number = int(_number(request, b"n"))
        heard.write(number)
        body = b"%d\n" % number + b"x" * int(_number(request, b"bytes"))
        waiting = deferLater(reactor, _number(request, b"seconds"), _answer, request, body)
        request.notifyFinish().addErrback(lambda reason: waiting.cancel())
        waiting.addErrback(lambda reason: reason.trap(CancelledError))
        return NOT_DONE_YET

    def render_POST(self, request: Request) -> int:
        number = int(_number(request, b"n"))
        heard.write(number)
        content: Any = request.content
        _answer(request, b"%d %d\n" % (number, len(content.read())))
        return NOT_DONE_YET


@implementer(IDrainer, IMovable)
class Lines(LineReceiver):
    """
    Answers each line with the line, how many there were, and the process, as the WebSockets
    do; the goodbye tells how many there were.
    """

    delimiter = b"\n"

    def __init__(self) -> None:
        self.count = 0

    def lineReceived(self, line: bytes) -> None:
        self.count += 1
        self.sendLine(b"%b %d %d" % (line, self.count, _PID))

    def isBusy(self) -> bool:
        """
        Every line is answered at once.
        """
        return False

    def drain(self) -> None:
        """
        Say goodbye.
        """
        self.sendLine(b"BYE %d" % self.count)
        self.transport.loseConnection()  # type: ignore[union-attr]

    def save(self) -> bytes:
        """
        See L{IMovable.save}: the count, and what has come of a line.
        """
        rest = self.clearLineBuffer()
        self.setLineMode(rest)
        return json.dumps([self.count, rest.decode()]).encode()

    def restore(self, state: bytes) -> None:
        """
        See L{IMovable.restore}.
        """
        self.count, rest = json.loads(state)
        self.setLineMode(rest.encode())


class QuietSite(Site):
    """
    Logs no requests.
    """

    noisy = False

    def log(self, request: Any) -> None:
        pass


class _Sockets:
    """
    Builds WebSockets.
    """

    def buildProtocol(self, request: Request) -> Twisted:
        return Twisted()


def web() -> Site:
    """
    All that is served to the web.
    """
    root = Resource()
    root.putChild(b"n", Numbers())
    sockets: Any = _Sockets()
    root.putChild(b"twisted", WebSocketResource(sockets))
    autobahn = WebSocketServerFactory(reactor=reactor)
    autobahn.protocol = Autobahn
    autobahn.startFactory()
    root.putChild(b"autobahn", AutobahnResource(autobahn))
    return QuietSite(root)


def lines() -> Factory[Any]:
    """
    Lines.
    """
    made: Factory[Any] = Factory.forProtocol(Lines)
    made.noisy = False
    return made
