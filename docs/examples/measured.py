"""
A program with metrics of its own, and those of its server among them.

    python measured.py tcp:8080 9100
    curl http://127.0.0.1:9100/metrics
"""

from __future__ import annotations

import sys

from prometheus_client import REGISTRY, Counter, start_http_server
from twisted.internet import task
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from terminable import Terminator, watch
from terminable.admin.metrics import TerminatorMetrics

greetings = Counter("greetings", "How often somebody was greeted.")


class Greeting(Resource):
    """
    Greets, and counts that.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        greetings.inc()
        return b"Hello.\n"


async def main(reactor, description: str, port: str) -> None:
    """
    Serve, and be measured.
    """
    terminator = Terminator(reactor)
    watch(reactor, terminator)
    reactor.addSystemEventTrigger("before", "shutdown", terminator.terminate)
    TerminatorMetrics(terminator).register(REGISTRY)
    endpoint = serverFromString(reactor, description)
    listening = await terminator.listen(endpoint, Site(Greeting()))
    # It answers in threads of its own.
    start_http_server(int(port), "127.0.0.1")
    print("listening on", listening.getHost().port, flush=True)
    await Deferred()


task.react(main, sys.argv[1:])
