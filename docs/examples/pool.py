"""
One process accepts, and workers serve.

    python pool.py worker ~/a.sock
    python pool.py worker ~/b.sock
    python pool.py accept 8000 ~/a.sock ~/b.sock
"""

from __future__ import annotations

import os
import sys

from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from terminable import Terminator
from terminable.handover.doorway import connectTo, listenForConnections
from terminable.handover.spreading import Spreader, leastConnections
from terminable.handover.taking import silentPort


class Who(Resource):
    """
    Says which process answers.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        return b"%d\n" % os.getpid()


async def work(reactor, path: str) -> None:
    """
    Serve what is passed to us; for TLS, wrap the factory in a TLSMemoryBIOFactory here.
    """
    terminator = Terminator(reactor)
    port = silentPort(reactor, terminator.wrap(Site(Who())))
    listenForConnections(
        reactor, path, lambda host: port, count=lambda: len(terminator.connections())
    )
    await Deferred()


async def accept(reactor, number: int, paths: list[str]) -> None:
    """
    Accept, and pass each connection on before a byte is read.
    """
    # Who comes while there is no worker waits for one.
    spreader = Spreader(reactor, choose=leastConnections())
    for path in paths:
        spreader.add(path, await connectTo(reactor, path))
    port = reactor.listenTCP(number, spreader, interface="127.0.0.1")
    print("listening on", port.getHost().port, flush=True)
    await Deferred()


def main(reactor, role: str, *arguments: str) -> Deferred[None]:
    if role == "worker":
        return Deferred.fromCoroutine(work(reactor, *arguments))
    number, *paths = arguments
    return Deferred.fromCoroutine(accept(reactor, int(number), paths))


if __name__ == "__main__":
    react(main, sys.argv[1:])
