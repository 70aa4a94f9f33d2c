"""
A server of one's own.

    twistd -ny hello.tac
"""

import os

from twisted.application import service
from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import deferLater
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from terminable import TerminableService, Terminator, watch


class Hello(Resource):
    """
    Takes two seconds to answer.
    """

    isLeaf = True

    def render_GET(self, request):
        waiting = deferLater(reactor, 2.0, request.write, b"Hello.\n")
        waiting.addCallback(lambda _: request.finish())
        request.notifyFinish().addErrback(lambda reason: waiting.cancel())
        waiting.addErrback(lambda reason: None)
        return NOT_DONE_YET


listen = os.environ.get("HELLO_LISTEN", "tcp:8080:interface=127.0.0.1")

terminator = Terminator(reactor, gracePeriod=20.0)
watch(reactor, terminator)  # a progress line a second; a second signal aborts
server = TerminableService(terminator)
server.listenOn(serverFromString(reactor, listen), Site(Hello()))

application = service.Application("hello")
server.setServiceParent(application)
