"""
Servers with limits, and their clients, on real sockets with a clock that is moved by hand.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.basic import LineOnlyReceiver
from twisted.trial.unittest import SynchronousTestCase

from terminable.terminator import Terminator
from terminable.throttling.throttle import Throttle
from tests.wire import Turning, Wire


class Hearing(Protocol):
    """
    Remembers what it hears.

    @ivar ended: how often it was told that it is over.
    """

    transport: Any

    def __init__(self) -> None:
        self.heard = b""
        self.ended = 0

    def dataReceived(self, data: bytes) -> None:
        """
        There is something.
        """
        self.heard += data

    def connectionLost(self, reason: Any = None) -> None:
        """
        It is over.
        """
        self.ended += 1


class Lines(LineOnlyReceiver):
    """
    Remembers lines, and when they came.
    """

    delimiter = b"\n"
    transport: Any

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.times: list[float] = []
        self.ended = 0

    def lineReceived(self, line: bytes) -> None:
        """
        There is one.
        """
        self.lines.append(line)
        self.times.append(self.transport.reactor.seconds())

    connectionLost = Hearing.connectionLost


def numbers(count: int) -> bytes:
    """
    So many lines.
    """
    return b"".join(b"%d\n" % number for number in range(count))


def within(times: list[tuple[float, float]], burst: float, rate: float) -> float:
    """
    By how much, at most, more was used within any time than the burst and the rate allow.

    @param times: when how much was used.
    """
    worst = -burst
    for first, (begin, _) in enumerate(times):
        total = 0.0
        for end, size in times[first:]:
            total += size
            worst = max(worst, total - burst - rate * (end - begin))
    return worst


class Server:
    """
    One with limits.

    @ivar wires: the connections.
    """

    def __init__(self, protocol: Any, *limits: Any, **settings: Any) -> None:
        """
        @param settings: for the terminator.
        """
        self.clock = Turning()
        self.terminator = Terminator(self.clock, limits=limits, **settings)
        self.factory = self.terminator.wrap(Factory.forProtocol(protocol))
        self.wires: list[Wire] = []
        self.reports: list[Any] = []

    @property
    def throttle(self) -> Throttle:
        """
        What holds them to limits.
        """
        return self.terminator.throttle

    def connect(self, **options: Any) -> Wire:
        """
        Somebody connects.
        """
        wire = Wire(self.factory, reactor=self.clock, **options)
        while hasattr(wire.protocol, "wrappedProtocol"):
            wire.protocol = wire.protocol.wrappedProtocol
        # No real time passes here in which the kernel could wait for more.
        wire.transport.setTcpNoDelay(True)
        if wire.peer.socket.family != socket.AF_UNIX:
            wire.peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.wires.append(wire)
        return wire

    def leave(self, wire: Wire) -> None:
        """
        Somebody goes.
        """
        self.wires.remove(wire)
        wire.close()

    def pump(self, limit: int = 2**20) -> None:
        """
        Let happen what happens without time passing.
        """
        for wire in self.wires:
            wire.pump(limit)

    def go(self, seconds: float, step: float = 0.01, limit: int = 2**20) -> None:
        """
        Let time go by in small steps.

        @param limit: how much each client reads at once.
        """
        self.pump(limit)
        for _ in range(round(seconds / step)):
            self.clock.advance(step)
            self.pump(limit)

    def stop(self) -> None:
        """
        The stop begins.
        """
        self.terminator.terminate().addCallback(self.reports.append)

    def close(self) -> None:
        """
        Leave nothing open.
        """
        for wire in self.wires:
            wire.close()


class ThrottleTestCase(SynchronousTestCase):
    """
    Servers with limits.
    """

    def serve(self, protocol: Any, *limits: Any, **settings: Any) -> Server:
        """
        One of them.
        """
        server = Server(protocol, *limits, **settings)
        self.addCleanup(server.close)
        return server
