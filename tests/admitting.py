"""
Servers with an admission, in memory and on real ports that are driven by hand.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from terminable.policy.admission import Admission
from terminable.terminator import Terminator
from tests.doubles import (
    HandReactor,
    MemoryFactory,
    MemoryTransport,
    Plain,
    World,
    listeningPort,
)


class Echo(Plain):
    """
    Says hello, and repeats what it is sent.
    """

    def connectionMade(self) -> None:
        super().connectionMade()
        self.transport.write(b"hello ")  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)  # type: ignore[union-attr]


class Page(Resource):
    """
    A page.
    """

    isLeaf = True

    def render(self, request: Any) -> bytes:
        return b"page"


GET = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


class RoomTestCase(SynchronousTestCase):
    """
    A server with an admission.
    """

    def open(self, protocol: Any = Plain, until: Any = None, **given: Any) -> None:
        """
        Make it.
        """
        times = {name: given.pop(name) for name in ("gracePeriod", "idleGrace") if name in given}
        admission = Admission(**given)
        self.world = World(protocol, admission=admission, admittedUntil=until, **times)
        self.clock = self.world.clock
        self.factory = self.world.factory

    @property
    def terminator(self) -> Terminator:
        return self.world.terminator

    def come(self, count: int = 1, delay: float | None = 0.0) -> list[MemoryTransport]:
        """
        So many connect, from as many ports.
        """
        return [self.world.connect(delay, port=number) for number in range(1, count + 1)]

    def inside(self) -> list[int]:
        """
        The ports of those whose protocols were connected and are not over, in that order.
        """
        live = [it for it in self.factory.protocols if it not in self.factory.ended]
        return [it.transport.getPeer().port for it in live]


class AdmissionTestCase(SynchronousTestCase):
    """
    A terminator with an admission, and a port.
    """

    def serve(
        self, outer: Any = None, path: str | None = None, factory: Any = None, **given: Any
    ) -> None:
        """
        Listen.

        @param outer: makes what listens out of the factory, if it is another one.
        """
        self.reactor = HandReactor()
        self.terminator = Terminator(self.reactor, admission=Admission(**given))
        self.factory = MemoryFactory(Echo) if factory is None else factory
        listens = self.factory if outer is None else outer(self.factory)
        self.port = listeningPort(self.reactor, listens, path)
        self.address = self.port.socket.getsockname()
        self.addCleanup(self.loseAll)
        self.attach()

    def attach(self) -> None:
        """
        Have the terminator take the port.
        """
        self.terminator.attach(self.port)

    def loseAll(self) -> None:
        for _ in range(5):
            self.terminator.abort()
            self.turn(1.0)

    def turn(self, seconds: float = 0.0, count: int = 4) -> None:
        """
        Some turns of the reactor, then time goes by.
        """
        for _ in range(count):
            self.reactor.turn()
        if seconds:
            self.reactor.turn(seconds)
            self.turn()

    def client(self, data: bytes = b"") -> socket.socket:
        """
        Somebody connects, and speaks.
        """
        client = socket.socket(self.port.addressFamily if isinstance(self.address, tuple) else 1)
        self.addCleanup(client.close)
        client.settimeout(2)
        client.connect(self.address)
        if data:
            client.sendall(data)
        return client

    def transports(self) -> list[Any]:
        """
        Those that were accepted and live, the oldest first.
        """
        return [each.transport for each in self.terminator.connections()]
