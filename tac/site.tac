"""
A web site that ends without losing a request.

    twistd --nodaemon --python tac/site.tac
    curl http://127.0.0.1:8080/?seconds=5

Press ^C while curl waits: it gets its answer, with C{Connection: close}, and then the
server is gone.
"""

import os

from twisted.application.service import Application
from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import deferLater
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from terminable import TerminableService, Terminator, watch


class Patience(Resource):
    """
    Answers after as many seconds as were asked for.
    """

    isLeaf = True

    def render_GET(self, request):
        seconds = float(request.args.get(b"seconds", [b"0"])[0])

        def answer(_):
            request.write(b"thank you for waiting\n")
            request.finish()

        waiting = deferLater(reactor, seconds)
        # Nobody waits any more: neither do we.
        request.notifyFinish().addErrback(lambda reason: waiting.cancel())
        waiting.addCallback(answer).addErrback(lambda cancelled: None)
        return NOT_DONE_YET


port = os.environ.get("PORT", "8080")
endpoint = serverFromString(reactor, f"tcp:{port}:interface=127.0.0.1")

# Stragglers are aborted 25 seconds after the signal, and named in the log.
terminator = Terminator(reactor, gracePeriod=25.0)
# A progress line a second while it ends; a second signal ends it at once.
watch(reactor, terminator)
server = TerminableService(terminator)
server.listenOn(endpoint, Site(Patience()))

# twistd looks for this name.
application = Application("site")
server.setServiceParent(application)
