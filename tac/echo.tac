"""
A raw TCP server, which knows nothing of C{terminable}, ends politely.

    twistd --nodaemon --python tac/echo.tac
    nc 127.0.0.1 8007

What has been received is echoed before a connection is lost, however slowly its peer
reads; a connection with nothing in flight is lost after C{idleGrace} seconds.
"""

import os

from twisted.application.service import Application
from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory, Protocol

from terminable import TerminableService, Terminator, watch


class Echo(Protocol):
    """
    Says what it hears.
    """

    def dataReceived(self, data):
        self.transport.write(data)


port = os.environ.get("PORT", "8007")
endpoint = serverFromString(reactor, f"tcp:{port}:interface=127.0.0.1")

terminator = Terminator(reactor, gracePeriod=10.0)
# A progress line a second while it ends; a second signal ends it at once.
watch(reactor, terminator)
server = TerminableService(terminator)
server.listenOn(endpoint, Factory.forProtocol(Echo))

# twistd looks for this name.
application = Application("echo")
server.setServiceParent(application)
