"""
Orders come faster than they can be packed: they are recorded first.

    twistd -ny spool.tac
    curl -i -d 'two apples' -H 'Spool-Key: alice' http://127.0.0.1:8080/orders
"""

import os

from twisted.application import service
from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import Site

from terminable import TerminableService, Terminator, watch
from terminable.spool import spooled

log = Logger()


async def pack(item):
    """
    Takes a while, and may be called again for an order that it has packed: it looks first.
    """
    await deferLater(reactor, 0.3)
    log.info("packed {order}", order=item.payload.decode())
    return f"packed for {item.key} at attempt {item.attempts}"


path = os.environ.get("SPOOL", "orders.db")
spool, orders = spooled(reactor, path, pack, rate="5/s", atOnce=2, timeLimit=10)
root = Resource()
root.putChild(b"orders", orders)

listen = os.environ.get("SPOOL_LISTEN", "tcp:8080:interface=127.0.0.1")
terminator = Terminator(reactor, gracePeriod=20.0)
watch(reactor, terminator)
server = TerminableService(terminator)
# A child starts before anybody is accepted, and stops after the last answer.
spool.setServiceParent(server)
server.listenOn(serverFromString(reactor, listen), Site(root))

application = service.Application("orders")
server.setServiceParent(application)
