"""
A server with an admin door, and a check of its own.

    twistd -ny watched.tac
    curl --unix-socket admin.sock http://localhost/ready
    curl --unix-socket admin.sock -X POST http://localhost/terminate
"""

import os
import shutil

from twisted.application import service
from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.web.server import Site
from twisted.web.static import File

from terminable import TerminableService, Terminator, watch
from terminable.admin import AdminDoor, Watched, healthOf

listen = os.environ.get("WATCHED_LISTEN", "tcp:8080:interface=127.0.0.1")
admin = os.environ.get("WATCHED_ADMIN", "unix:admin.sock")


def hasRoom():
    """
    Is there a megabyte left where we write?
    """
    return shutil.disk_usage(".").free > 1_000_000


healthOf(reactor).addCheck("disk", hasRoom, timeLimit=0.5)

terminator = Terminator(reactor, gracePeriod=20.0)
watch(reactor, terminator)
server = TerminableService(terminator)
server.listenOn(serverFromString(reactor, listen), Site(File(".")))

# Whoever asks for the end at the door has the process end, as a signal would.
watched = Watched(reactor, terminator, leave=reactor.stop)
AdminDoor(reactor, admin, watched).beFirstOf(server)

application = service.Application("watched")
server.setServiceParent(application)
