"""
A server that tells HAProxy how much it wants: the less, the busier its machine is.

    twistd -ny balanced.tac
"""

from __future__ import annotations

import os

from twisted.application import service
from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.web.server import Site
from twisted.web.static import File

from terminable import TerminableService, Terminator, watch
from terminable.admin.agent import AgentCheck, AgentDoor

LISTEN = os.environ.get("BALANCED_LISTEN", "haproxy:tcp:8081")
AGENT = os.environ.get("BALANCED_AGENT", "tcp:9081")


def weight() -> float:
    """
    Per cent of the configured weight.
    """
    return 100.0 * (1.0 - os.getloadavg()[0] / (os.cpu_count() or 1))


terminator = Terminator(reactor, gracePeriod=25.0, quiesce=2.0)
watch(reactor, terminator)
server = TerminableService(terminator)
server.listenOn(serverFromString(reactor, LISTEN), Site(File(".")))
# It answers before the server does, and until the stop is over.
check = AgentCheck(reactor, terminator, weight)
AgentDoor(reactor, serverFromString(reactor, AGENT), check).beFirstOf(server)

application = service.Application("balanced")
server.setServiceParent(application)
