"""
A server that systemd is told about.

    twistd -n --pidfile= -y notify.tac
"""

import os

from twisted.application import service
from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.web.server import Site

from terminable import TerminableService, Terminator
from terminable.demo import demoSite
from terminable.systemd import watchSystemd

listen = os.environ.get("NOTIFY_LISTEN", "tcp:8080:interface=127.0.0.1")

terminator = Terminator(reactor, gracePeriod=25.0)
watchSystemd(reactor, terminator)  # does nothing where there is no systemd
server = TerminableService(terminator)
server.listenOn(serverFromString(reactor, listen), Site(demoSite(reactor)))

application = service.Application("notify")
server.setServiceParent(application)
