"""
Tests of a server, with real sockets and a clean reactor after each.

    trial ./test_greeting.py
"""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import (
    TCP4ClientEndpoint,
    TCP4ServerEndpoint,
    connectProtocol,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase

from terminable import Terminator


class Greeting(Protocol):
    """
    What is to be tested.
    """

    def connectionMade(self) -> None:
        self.transport.write(b"hello")


class Listener(Protocol):
    """
    A client that never leaves by itself.
    """

    def __init__(self) -> None:
        self.heard: Deferred[bytes] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.heard.callback(data)


class GreetingTests(TestCase):
    """
    The server greets.
    """

    async def setUp(self) -> None:
        terminator = Terminator(reactor, gracePeriod=1.0, idleGrace=0.0)
        # Fires when the port is closed and every connection has been lost.
        self.addCleanup(terminator.terminate)
        endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
        self.port = await terminator.listen(endpoint, Factory.forProtocol(Greeting))
        self.terminator = terminator

    async def connect(self) -> Listener:
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.port.getHost().port)
        client = await connectProtocol(endpoint, Listener())
        self.addCleanup(client.transport.abortConnection)
        return client

    async def test_greets(self) -> None:
        client = await self.connect()
        self.assertEqual(await client.heard, b"hello")

    async def test_everybodyIsAccountedFor(self) -> None:
        clients = [await self.connect() for _ in range(3)]
        for client in clients:
            await client.heard
        report = await self.terminator.terminate()
        self.assertTrue(report.graceful)
        self.assertEqual((report.opened, report.idle), (3, 3))
