"""
A script of one's own that exits with 1 if somebody had to be aborted.

    python exitstatus.py tcp:8080:interface=127.0.0.1
"""

from __future__ import annotations

import sys

from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.web.server import Site
from twisted.web.static import Data

from terminable import Report, Terminator


def main(description: str) -> int:
    terminator = Terminator(reactor, gracePeriod=1.0, idleGrace=0.2)
    root = Data(b"Hello.\n", "text/plain")
    root.isLeaf = True
    listening = terminator.listen(serverFromString(reactor, description), Site(root))
    listening.addCallback(lambda port: print("listening on", port.getHost().port, flush=True))

    reports: list[Report] = []

    def stop():
        return terminator.terminate().addCallback(reports.append)

    reactor.addSystemEventTrigger("before", "shutdown", stop)
    reactor.run()
    for entry in reports[0].stragglers:
        print("aborted:", entry)
    return 0 if reports[0].graceful else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
