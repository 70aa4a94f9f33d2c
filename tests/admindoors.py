"""
Admin doors with sockets, in a reactor that is turned by hand.
"""

from __future__ import annotations

import select
import socket
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from terminable.admin import AdminDoor, Watched
from terminable.terminator import Terminator
from tests.doubles import HandReactor, MemoryFactory, Polite, listeningPort


@implementer(IStreamServerEndpoint)
class RealEndpoint:
    """
    Listens on 127.0.0.1, or on a UNIX socket, when its time has come.
    """

    def __init__(self, reactor: Any, path: str | None = None) -> None:
        self.reactor = reactor
        self.path = path
        self.held: Deferred[None] = succeed(None)

    def listen(self, protocolFactory: Any) -> Deferred[Any]:
        return self.held.addCallback(lambda _: self._open(protocolFactory))

    def _open(self, factory: Any) -> Any:
        self.port = listeningPort(self.reactor, factory, self.path)
        return self.port


class EverywhereEndpoint(RealEndpoint):
    """
    Says only of its port that it listens on all addresses.
    """

    def _open(self, factory: Any) -> Any:
        port = super()._open(factory)
        port.getHost = lambda: type("Address", (), {"host": "0.0.0.0", "port": 1})()
        return port


class Turned(HandReactor):
    """
    A reactor that ends whoever says that he has come to his end.
    """

    def turn(self, seconds: float = 0.0) -> None:
        for descriptor in list(self.writers):
            if descriptor in self.writers and select.select([], [descriptor.socket], [], 0)[1]:
                why = descriptor.doWrite()
                if why is not None and descriptor.connected:
                    self.removeReader(descriptor)
                    self.removeWriter(descriptor)
                    descriptor.connectionLost(Failure(why))
        super().turn(seconds)


class DoorTestCase(SynchronousTestCase):
    """
    A door with a socket, in a reactor that is turned by hand.
    """

    def setUp(self) -> None:
        self.reactor = Turned()
        self.terminator = Terminator(self.reactor, gracePeriod=5.0)
        self.factory = MemoryFactory(Polite)
        self.watched = Watched(self.reactor, self.terminator, name="here")
        self.endpoint: Any = RealEndpoint(self.reactor)

    def open(self, token: Any = None) -> AdminDoor:
        door = AdminDoor(self.reactor, self.endpoint, self.watched, token)
        door.startService()
        self.addCleanup(self.shut, door)
        return door

    def shut(self, door: AdminDoor) -> None:
        door.stopService()
        for _ in range(4):
            self.reactor.turn(1.0)

    def connect(self) -> socket.socket:
        port = self.endpoint.port
        client = socket.socket(port.socket.family)
        self.addCleanup(client.close)
        client.settimeout(2)
        client.connect(port.socket.getsockname())
        self.turn()
        return client

    def turn(self, times: int = 6) -> None:
        for _ in range(times):
            self.reactor.turn(0.001)

    def ask(self, client: socket.socket, data: bytes) -> bytes:
        client.sendall(data)
        self.turn()
        return client.recv(65536)
