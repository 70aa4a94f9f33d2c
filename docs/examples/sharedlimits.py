"""
A site on which each address has so many requests, however many processes serve it.

    python sharedlimits.py tcp:8000 redis://127.0.0.1:6379/0
"""

from __future__ import annotations

import math
import sys

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import react
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from terminable import Terminator
from terminable.sharing import SharedQuota


class Counted(Resource):
    """
    Answers those who are within their quota, and tells the others when to come again.
    """

    isLeaf = True

    def __init__(self, quota: SharedQuota) -> None:
        super().__init__()
        self.quota = quota

    def render_GET(self, request: Request) -> int:
        asked = self.quota.take(request.getClientAddress().host)
        request.notifyFinish().addErrback(lambda _: asked.cancel())
        asked.addCallback(self.answer, request).addErrback(lambda _: None)
        return NOT_DONE_YET

    def answer(self, wait: float, request: Request) -> None:
        if wait:
            request.setResponseCode(429)
            request.setHeader("Retry-After", str(math.ceil(wait)))
        request.write(b"too many\n" if wait else b"hello\n")
        request.finish()


async def main(reactor, description: str, redis: str) -> None:
    quota = SharedQuota(reactor, redis, rate="2/s", burst=3, away="open", name="hello")
    await quota.start()
    terminator = Terminator(reactor, gracePeriod=5.0)
    port = await terminator.listen(serverFromString(reactor, description), Site(Counted(quota)))
    print("listening on", port.getHost().port, flush=True)

    async def stop() -> None:
        print(await terminator.terminate())
        quota.stop()

    reactor.addSystemEventTrigger("before", "shutdown", lambda: Deferred.fromCoroutine(stop()))
    await Deferred()


if __name__ == "__main__":
    react(main, sys.argv[1:])
