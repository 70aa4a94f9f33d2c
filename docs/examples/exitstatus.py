"""
A script of one's own that exits with 1 if somebody had to be aborted.

    python exitstatus.py tcp:8080:interface=127.0.0.1
"""

from __future__ import annotations

import sys

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.task import react
from twisted.web.server import Site
from twisted.web.static import Data

from terminable import Report, Terminator


async def main(reactor, description: str) -> None:
    terminator = Terminator(reactor, gracePeriod=1.0, idleGrace=0.2)
    root = Data(b"Hello.\n", "text/plain")
    root.isLeaf = True
    try:
        port = await terminator.listen(serverFromString(reactor, description), Site(root))
    except CannotListenError as problem:
        raise SystemExit(str(problem)) from None
    print("listening on", port.getHost().port, flush=True)

    reported: Deferred[Report] = Deferred()

    def stop():
        return terminator.terminate().addCallback(reported.callback)

    reactor.addSystemEventTrigger("before", "shutdown", stop)
    report = await reported
    for entry in report.stragglers:
        print("aborted:", entry)
    raise SystemExit(0 if report.graceful else 1)


if __name__ == "__main__":
    react(main, sys.argv[1:])
