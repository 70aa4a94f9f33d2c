"""
Servers that release their ports, for tests.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.interfaces import IReactorSocket, IReactorTCP, IReactorUNIX
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from terminable.generation import Generation
from terminable.handover.offered import offeredTo
from terminable.policy.ledger import Report
from terminable.policy.phases import Phase
from terminable.terminator import Terminator
from tests.doubles import (
    Diary,
    HandReactor,
    MemoryEndpoint,
    MemoryFactory,
    MemoryTransport,
    Plain,
    Polite,
)


def addsUp(report: Report) -> bool:
    """
    Whether everything in a report is counted once.
    """
    ended = report.before + report.idle + report.finished + report.left + report.aborted
    return ended == report.opened


@implementer(IReactorTCP, IReactorUNIX, IReactorSocket)
class BindingReactor(HandReactor):
    """
    One by which endpoints can listen.
    """

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        return self._started(tcp.Port(port, factory, backlog, interface, self))

    def listenUNIX(
        self, address: Any, factory: Any, backlog: int = 50, mode: int = 0o666, wantPID: int = 0
    ) -> Any:
        return self._started(unix.Port(address, factory, backlog, mode, self, wantPID))

    def adoptStreamPort(self, fileDescriptor: int, addressFamily: Any, factory: Any) -> Any:
        if addressFamily == socket.AF_UNIX:
            return self._started(
                unix.Port._fromListeningDescriptor(self, fileDescriptor, factory)  # type: ignore[no-untyped-call]
            )
        return self._started(
            tcp.Port._fromListeningDescriptor(self, fileDescriptor, addressFamily, factory)
        )

    def _started(self, port: Any) -> Any:
        port.startListening()
        return port

    def _never(self, *args: Any, **keywords: Any) -> Any:
        raise NotImplementedError

    connectTCP = connectUNIX = listenUNIXDatagram = connectUNIXDatagram = _never
    adoptStreamConnection = adoptDatagramPort = _never


class ReleaseTestCase(SynchronousTestCase):
    """
    A terminator that listens on a port in memory.
    """

    def setUp(self) -> None:
        self.begin()

    def begin(self, protocol: Callable[[], Any] = Polite, **settings: Any) -> None:
        """
        Begin anew.
        """
        self.clock = HandReactor()
        self.terminator = Terminator(self.clock, **settings)
        self.diary = Diary()
        self.terminator.addObserver(self.diary)
        self.factory = MemoryFactory(protocol)
        self.endpoint = MemoryEndpoint(self.clock)
        self.listen()

    def listen(self) -> Any:
        """
        Listen, once more.
        """
        listening = self.terminator.listen(self.endpoint, self.factory)
        self.port: Any = self.successResultOf(listening)
        return self.port

    def connect(
        self, busy: bool = False, delay: float | None = 0.0, number: int = 4242
    ) -> MemoryTransport:
        """
        Somebody connects to the port that was opened last.
        """
        transport: MemoryTransport = self.port.connect(delay, number)
        self.factory.protocols[-1].busy = busy
        return transport

    def release(self, **settings: Any) -> Generation:
        """
        Release the ports.

        @return: the old generation.
        """
        return self.successResultOf(self.terminator.release(**settings))

    def pass_(self, seconds: float) -> None:
        """
        Let time go by in small steps.
        """
        for _ in range(round(seconds * 100)):
            self.clock.advance(0.01)

    def reportOf(self, ended: Generation | Deferred[Report]) -> Report:
        """
        The report of a generation that is over, or of a stop.
        """
        if isinstance(ended, Generation):
            self.assertTrue(ended.over)
            ended = ended.terminate()
        report = self.successResultOf(ended)
        self.assertTrue(addsUp(report), str(report))
        return report


class SocketTestCase(SynchronousTestCase):
    """
    A terminator that listens on 127.0.0.1.
    """

    def setUp(self) -> None:
        self.reactor = BindingReactor()
        self.addCleanup(self.loseAll)
        self.terminator = Terminator(self.reactor)
        self.diary = Diary()
        self.terminator.addObserver(self.diary)
        self.factory = MemoryFactory(Plain)
        self.endpoint: Any = TCP4ServerEndpoint(self.reactor, 0, interface="127.0.0.1")
        self.port = self.listen()
        self.address: Any = self.port.socket.getsockname()
        self.endpoint = TCP4ServerEndpoint(self.reactor, self.address[1], interface="127.0.0.1")

    def loseAll(self) -> None:
        self.terminator.abort()
        self.reactor.pump([0.1] * 15)
        offeredTo(self.reactor).closeRest()

    def listen(self) -> Any:
        port = self.successResultOf(self.terminator.listen(self.endpoint, self.factory))
        assert self.terminator.phase is Phase.SERVING
        return port

    def client(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX if isinstance(self.address, str) else socket.AF_INET)
        self.addCleanup(client.close)
        client.settimeout(2)
        client.connect(self.address)
        return client

    def turn(self) -> None:
        """
        Whoever waits is accepted and read.
        """
        for _ in range(3):
            self.reactor.turn(0.01)

    def free(self, **settings: Any) -> Generation:
        """
        Release, and let handshakes settle.
        """
        free = self.terminator.release(**settings)
        self.reactor.pump([0.1] * 3)
        return self.successResultOf(free)
