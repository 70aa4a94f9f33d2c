"""
What the processes of the tests for HTTP/2 serve.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import LoopingCall
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from tests.live import resources


class Pieces(Resource):
    """
    Answers with C{count} pieces, one every C{seconds}, the first at once.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> int:
        left = int(resources.number(request, b"count", 3))
        resources.log.info("asked for {uri}", uri=request.uri.decode())

        def write() -> None:
            nonlocal left
            left -= 1
            request.write(b"piece\n")
            if not left:
                loop.stop()
                request.finish()

        loop = LoopingCall(write)
        loop.clock = resources.reactor
        request.notifyFinish().addErrback(lambda reason: loop.stop())
        loop.start(resources.number(request, b"seconds", 0.005))
        return NOT_DONE_YET


class Root(resources.Root):
    """
    The resources of the other tests and this one; says in the end how many requests there
    were.
    """

    def __init__(self) -> None:
        super().__init__()
        self.putChild(b"pieces", Pieces())
        self.requests = 0
        resources.reactor.addSystemEventTrigger("after", "shutdown", self.tell)

    def getChildWithDefault(self, path: bytes, request: Request) -> Any:
        """
        One more.
        """
        self.requests += 1
        return super().getChildWithDefault(path, request)

    def tell(self) -> None:
        """
        Say how many.
        """
        resources.log.info("there were {requests} requests", requests=self.requests)
