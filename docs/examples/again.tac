"""
A server that reads what it says anew at SIGHUP, and loses nobody.

    GREETING=greeting.txt twistd -ny again.tac
"""

import os
import signal
from pathlib import Path

from twisted.application import service
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from terminable import TerminableService, Terminator, watch

log = Logger()


class Greeting(Resource):
    """
    Takes a second to answer.
    """

    isLeaf = True

    def __init__(self, text):
        super().__init__()
        self.text = text

    def render_GET(self, request):
        waiting = deferLater(reactor, 1.0, request.write, self.text)
        waiting.addCallback(lambda _: request.finish())
        request.notifyFinish().addErrback(lambda reason: waiting.cancel())
        waiting.addErrback(lambda reason: None)
        return NOT_DONE_YET


def site():
    return Site(Greeting(Path(os.environ["GREETING"]).read_bytes()))


async def renew():
    # What cannot be read is noticed here, and the server goes on as it is.
    renewed = site()
    old = await terminator.release(keep=True)
    await terminator.listen(endpoint, renewed)
    log.info("renewed")
    # Its drain began with the release; this waits for the end.
    report = await old.terminate()
    log.info("those before are gone: {report}", report=report)


def renewing():
    renewed = Deferred.fromCoroutine(renew())
    renewed.addErrback(lambda reason: log.failure("not renewed", reason))


def hangup(number, frame):
    reactor.callFromThread(renewing)


listen = os.environ.get("GREETING_LISTEN", "tcp:8080:interface=127.0.0.1")
endpoint = serverFromString(reactor, listen)

terminator = Terminator(reactor, gracePeriod=20.0)
watch(reactor, terminator)
server = TerminableService(terminator)
server.listenOn(endpoint, site())
reactor.callWhenRunning(signal.signal, signal.SIGHUP, hangup)

application = service.Application("greeting")
server.setServiceParent(application)
