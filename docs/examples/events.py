"""
An event stream and a long poll that end cleanly.

    python events.py tcp:8000:interface=127.0.0.1
"""

from __future__ import annotations

import sys

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.task import LoopingCall, react
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from terminable import Terminator, whenDraining


class Events(Resource):
    """
    The time, every tenth of a second, until one of us goes.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> int:
        request.setHeader(b"content-type", b"text/event-stream")
        clock = LoopingCall(lambda: request.write(b"data: %f\n\n" % reactor.seconds()))
        clock.start(0.1)
        request.notifyFinish().addErrback(lambda gone: clock.stop())

        def end(_: object) -> None:
            clock.stop()
            request.write(b"event: bye\ndata: back in a moment\n\n")
            request.finish()

        whenDraining(request).addCallback(end)
        return NOT_DONE_YET


class News(Resource):
    """
    Answers when there is news. There never is any; but before we go, everybody is told so.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> int:
        def end(_: object) -> None:
            request.setResponseCode(204)
            request.finish()

        whenDraining(request).addCallback(end)
        return NOT_DONE_YET


async def main(reactor, description: str) -> None:
    root = Resource()
    root.putChild(b"events", Events())
    root.putChild(b"news", News())
    terminator = Terminator(reactor)
    endpoint = serverFromString(reactor, description)
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
