"""
One client after the other: each order is booked at another server before the next one is begun.

    LEDGER=tcp:127.0.0.1:7000 twistd -ny serial.tac
"""

import os

from twisted.application import service
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString, connectProtocol, serverFromString
from twisted.internet.error import ConnectError
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import LineReceiver

from terminable import Admission, TerminableService, Terminator, watch

listen = os.environ.get("SERIAL_LISTEN", "tcp:7001:interface=127.0.0.1:backlog=500")
ledger = clientFromString(reactor, os.environ.get("LEDGER", "tcp:127.0.0.1:7000"))
log = Logger()


class Lines(LineReceiver):
    """
    Waits for one line at a time.
    """

    delimiter = b"\n"
    awaited = None

    def lineReceived(self, line):
        self.answer(line)

    def connectionLost(self, reason=connectionDone):
        self.answer(None)

    def answer(self, line):
        awaited, self.awaited = self.awaited, None
        if awaited is not None:
            awaited.callback(line)

    def line(self):
        """
        The next line; None if there is none.
        """
        self.awaited = Deferred(lambda _: self.answer(None))
        return self.awaited


class Orders(Lines):
    """
    Takes one order.
    """

    def connectionMade(self):
        self.done = Deferred.fromCoroutine(self.serve())

    async def serve(self):
        peer = self.transport.getPeer().port
        log.info("begin {peer}", peer=peer)
        order = await self.line()
        if order is not None:
            self.sendLine(await self.book(order))
        log.info("end {peer}", peer=peer)
        self.transport.loseConnection()

    async def book(self, order):
        """
        Nobody else does this meanwhile.
        """
        try:
            books = await connectProtocol(ledger, Lines())
        except ConnectError:
            return b"not booked"
        books.sendLine(order)
        number = await books.line()
        books.transport.loseConnection()
        return b"not booked" if number is None else b"booked as " + number


terminator = Terminator(
    reactor,
    gracePeriod=20.0,
    # Whoever says nothing for two seconds has had his turn.
    admission=Admission(capacity=1, stay=2.0),
    admittedUntil=lambda orders: orders.done,
)
watch(reactor, terminator)
server = TerminableService(terminator)
server.listenOn(serverFromString(reactor, listen), Factory.forProtocol(Orders))

application = service.Application("serial")
server.setServiceParent(application)
