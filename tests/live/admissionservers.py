"""
Servers that admit so many connections at a time.

C{python -m tests.live.admissionservers KIND SETTINGS} listens on a port of its own, says which,
and serves C{KIND} with the settings of an L{Admission} (in JSON).  Settings that are none of
those:

 - C{seconds}: how long an answer takes, if the request does not say it;
 - C{files}: how many descriptors the process may have;
 - C{host}: where to listen;
 - C{grace}: the grace period.

At SIGTERM it ends politely, and says what there was.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.logger import globalLogBeginner, textFileLogObserver
from twisted.mail.smtp import SMTPFactory
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from terminable import Terminator, watch
from terminable.policy.admission import Admission

reactor: Any = _reactor


class Count:
    """
    How many there are, and have been.
    """

    now = most = ever = 0

    def enter(self) -> None:
        """
        One more.
        """
        self.now += 1
        self.ever += 1
        self.most = max(self.most, self.now)

    def leave(self) -> None:
        """
        One less.
        """
        self.now -= 1


count = Count()


class Slow(Resource):
    """
    Takes its time to answer, and says how many are being answered.
    """

    isLeaf = True

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def render(self, request: Request) -> Any:
        count.enter()
        gone = request.notifyFinish()
        gone.addErrback(lambda reason: None)
        seconds = float(request.args.get(b"seconds", [self._seconds])[0])
        answer = deferLater(reactor, seconds, self._answer, request)
        gone.addCallback(lambda _: answer.cancel())
        answer.addErrback(lambda reason: None)
        answer.addBoth(lambda _: count.leave())
        return NOT_DONE_YET

    def _answer(self, request: Any) -> None:
        if request.channel is not None:
            request.setHeader(b"content-length", b"3")
            request.write(b"ok\n")
            request.finish()


class Raw(Protocol):
    """
    Says hello, takes its time, repeats what it was sent by then, and goes.
    """

    factory: Any

    def connectionMade(self) -> None:
        count.enter()
        self.received = b""
        self.call = reactor.callLater(self.factory.seconds, self.answer)

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def answer(self) -> None:
        transport: Any = self.transport
        transport.write(b"you said " + self.received)
        transport.loseConnection()

    def connectionLost(self, reason: Any = connectionDone) -> None:
        count.leave()
        if self.call.active():
            self.call.cancel()


class Filing(Protocol):
    """
    Opens a file for each connection, and keeps the connection.
    """

    def connectionMade(self) -> None:
        count.enter()

    def dataReceived(self, data: bytes) -> None:
        transport: Any = self.transport
        with open(os.devnull) as found:
            transport.write(b"%d\n" % bool(found))
        transport.loseConnection()

    def connectionLost(self, reason: Any = connectionDone) -> None:
        count.leave()


def factoryFor(kind: str, seconds: float) -> Any:
    """
    What to serve.
    """
    if kind in ("http", "tls"):
        return Site(Slow(seconds))
    if kind == "smtp":
        return SMTPFactory()
    factory: Any = Factory.forProtocol(Filing if kind == "filing" else Raw)
    factory.seconds = seconds
    return factory


def main(kind: str, text: str) -> None:
    """
    Serve until told to end.
    """
    settings = json.loads(text)
    files = settings.pop("files", None)
    if files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    seconds = settings.pop("seconds", 0.01)
    host = settings.pop("host", "127.0.0.1").replace(":", r"\:")
    grace = settings.pop("grace", 10.0)
    backlog = settings.pop("backlog", 2000)
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stdout)])
    terminator = Terminator(reactor, gracePeriod=grace, admission=Admission(**settings))
    watch(reactor, terminator)
    description = f"tcp:0:interface={host}:backlog={backlog}"
    if kind == "tls":
        pem = os.environ["CERTIFICATE"]
        description = description.replace("tcp:", "ssl:", 1) + f":privateKey={pem}:certKey={pem}"
    listening = terminator.listen(serverFromString(reactor, description), factoryFor(kind, seconds))
    listening.addCallback(lambda port: print("listening on", port.getHost().port, flush=True))

    def stop(*args: object) -> None:
        reactor.callFromThread(begin)

    def begin() -> None:
        print("shutting down", terminator.waiting, "waiting", flush=True)
        terminator.terminate().addBoth(end)

    def end(report: object) -> None:
        print(f"terminated: {report}", flush=True)
        print(f"most {count.most} ever {count.ever}", flush=True)
        reactor.stop()

    reactor.callWhenRunning(signal.signal, signal.SIGTERM, stop)
    reactor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
