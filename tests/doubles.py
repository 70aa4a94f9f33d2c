"""
What stands for sockets, ports and applications in unit tests.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IHalfCloseableDescriptor,
    IListeningPort,
    IReactorFDSet,
    IStreamServerEndpoint,
    ITransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from terminable.interfaces import IDrainer, IHintingDrainer, ITerminationObserver
from terminable.listener import Listener
from terminable.policy.ledger import Report
from terminable.policy.phases import Phase
from terminable.terminator import Terminator
from tests.watches import HandWatch as HandWatch

_log = Logger()


class Boom(Exception):
    """
    Somebody's code has failed.
    """


@implementer(ITransport)
class MemoryTransport:
    """
    A transport without a socket.

    @ivar delay: how long the connection lives on after it was lost or aborted;
        C{None} is for ever, that is until L{end} is called.
    """

    disconnecting = False
    aborted = False
    over = False
    protocol: Any = None

    def __init__(self, clock: Clock, delay: float | None = 0.0, port: int = 4242) -> None:
        self.clock = clock
        self.delay = delay
        self.written = b""
        self._peer = IPv4Address("TCP", "127.0.0.1", port)

    def write(self, data: bytes) -> None:
        self.written += data

    def getPeer(self) -> IPv4Address:
        return self._peer

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", 80)

    def loseConnection(self) -> None:
        if not self.disconnecting:
            self.disconnecting = True
            if self.delay is not None:
                self.clock.callLater(self.delay, self.end)

    def abortConnection(self) -> None:
        self.aborted = True
        self.loseConnection()

    def end(self) -> None:
        """
        The connection is over, whatever the reason.
        """
        if not self.over:
            self.over = True
            self.protocol.connectionLost(connectionDone)


class Plain(Protocol):
    """
    A protocol of which nothing is known.
    """

    def connectionMade(self) -> None:
        self.factory.protocols.append(self)  # type: ignore[union-attr]

    def connectionLost(self, reason: Any = connectionDone) -> None:
        self.factory.ended.append(self)  # type: ignore[union-attr]


@implementer(IDrainer)
class Polite(Plain):
    """
    A protocol that knows how to say goodbye, when nothing is in flight.
    """

    busy = False
    drained = 0

    def isBusy(self) -> bool:
        return self.busy

    def drain(self) -> None:
        self.drained += 1
        if not self.busy:
            self.transport.loseConnection()  # type: ignore[union-attr]

    def finish(self) -> None:
        """
        What was in flight is done.
        """
        self.busy = False
        if self.drained:
            self.transport.loseConnection()  # type: ignore[union-attr]


@implementer(IHintingDrainer)
class Hinting(Polite):
    """
    A protocol that can also announce its goodbye, and has a last word.
    """

    silent = False
    told: Callable[[], None] | None = None
    word = ""

    def hint(self, idle: Callable[[], None]) -> None:
        self.told = idle

    def describe(self) -> str:
        return "doing something" if self.busy else ""

    def lastWord(self, retryAfter: int) -> str:
        return self.word


class Keeping(Hinting):
    """
    Says goodbye, and then waits for its peer to go.
    """

    def drain(self) -> None:
        self.drained += 1


class MemoryFactory(Factory):
    """
    @ivar protocols: those that were connected.
    @ivar ended: those whose connection is over.
    """

    noisy = False

    def __init__(self, protocol: Callable[[], Any] = Polite) -> None:
        self.protocol = protocol
        self.protocols: list[Any] = []
        self.ended: list[Any] = []


@implementer(IListeningPort)
class MemoryPort:
    """
    A listening port of a kind that nobody knows.
    """

    def __init__(self, factory: Any, clock: Clock) -> None:
        self.factory = factory
        self.clock = clock
        self.listening = True
        factory.doStart()

    def startListening(self) -> None:
        self.factory.doStart()
        self.listening = True

    def stopListening(self) -> None:
        if self.listening:
            self.listening = False
            self.factory.doStop()

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", 80)

    def connect(self, delay: float | None = 0.0, port: int = 4242) -> MemoryTransport:
        """
        Somebody connects.
        """
        return connectTo(self.factory, self.clock, delay, port)


@implementer(IStreamServerEndpoint)
class MemoryEndpoint:
    """
    @ivar ports: those that listen, or did.
    @ivar kind: what makes them.
    @ivar failure: what C{listen} fails with, if it shall.
    @ivar held: what has to be fired before C{listen} succeeds, if it shall wait.
    """

    failure: Exception | None = None
    held: Deferred[None] | None = None

    def __init__(self, clock: Clock, kind: Callable[[Any, Clock], Any] = MemoryPort) -> None:
        self.clock = clock
        self.kind = kind
        self.ports: list[Any] = []

    def listen(self, protocolFactory: Any) -> Deferred[Any]:
        if self.failure is not None:
            return fail(self.failure)
        waiting = succeed(None) if self.held is None else self.held
        return waiting.addCallback(lambda _: self._opened(protocolFactory))

    def _opened(self, factory: Any) -> Any:
        self.ports.append(self.kind(factory, self.clock))
        return self.ports[-1]


def connectTo(
    factory: Any, clock: Clock, delay: float | None = 0.0, port: int = 4242
) -> MemoryTransport:
    """
    Connect to what C{factory} builds.
    """
    transport = MemoryTransport(clock, delay, port)
    transport.protocol = factory.buildProtocol(transport.getPeer())
    if transport.protocol is not None:
        transport.protocol.makeConnection(transport)
    return transport


@implementer(ITerminationObserver)
class Diary:
    """
    An observer that writes down what it is told.
    """

    def __init__(self) -> None:
        self.phases: list[Phase] = []
        self.portsGone = 0
        self.reports: list[Report] = []

    def phaseChanged(self, old: Phase, new: Phase) -> None:
        self.phases.append(new)

    def portsClosed(self) -> None:
        self.portsGone += 1

    def terminated(self, report: Report) -> None:
        self.reports.append(report)


class World:
    """
    A clock, a terminator on it, and a factory that it wraps.
    """

    def __init__(self, protocol: Callable[[], Any] = Polite, **times: Any) -> None:
        self.clock = Clock()
        self.terminator = Terminator(self.clock, **times)
        self.factory = MemoryFactory(protocol)
        self.wrapped = self.terminator.wrap(self.factory)
        self.diary = Diary()
        self.terminator.addObserver(self.diary)

    def connect(self, delay: float | None = 0.0, port: int = 4242) -> MemoryTransport:
        """
        Somebody connects.
        """
        return connectTo(self.wrapped, self.clock, delay, port)

    def pass_(self, seconds: float) -> None:
        """
        Let time go by in small steps.
        """
        for _ in range(round(seconds * 100)):
            self.clock.advance(0.01)


@implementer(IReactorFDSet)
class HandReactor(Clock):
    """
    A reactor for real sockets that does nothing by itself: L{turn} is one turn.
    """

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[Any] = []
        self.writers: list[Any] = []

    def addReader(self, reader: Any) -> None:
        if reader not in self.readers:
            self.readers.append(reader)

    def addWriter(self, writer: Any) -> None:
        if writer not in self.writers:
            self.writers.append(writer)

    def removeReader(self, reader: Any) -> None:
        if reader in self.readers:
            self.readers.remove(reader)

    def removeWriter(self, writer: Any) -> None:
        if writer in self.writers:
            self.writers.remove(writer)

    def removeAll(self) -> list[Any]:
        return []

    def getReaders(self) -> list[Any]:
        return list(self.readers)

    def getWriters(self) -> list[Any]:
        return list(self.writers)

    def turn(self, seconds: float = 0.0) -> None:
        """
        What is readable is read, what can be written is written, and time goes by.
        """
        for readers, method in ((self.readers, "doRead"), (self.writers, "doWrite")):
            for descriptor in list(readers):
                sock = descriptor.socket if descriptor in readers else None
                lists = ([sock], []) if method == "doRead" else ([], [sock])
                if sock is not None and any(select.select(*lists, [], 0)):
                    self._do(descriptor, method)
        self.advance(seconds)

    def _do(self, descriptor: Any, method: str) -> None:
        """
        Read or write as Twisted's reactors do: what is returned, or raised, is the end of the
        descriptor, whoever has stopped reading and writing meanwhile.
        """
        try:
            why = getattr(descriptor, method)()
        except BaseException as problem:
            why = problem
            _log.failure("{descriptor}.{method} failed", descriptor=descriptor, method=method)
        if not why:
            return
        self.removeReader(descriptor)
        half = method == "doRead" and type(why) is ConnectionDone
        if half and IHalfCloseableDescriptor.providedBy(descriptor):
            descriptor.readConnectionLost(Failure(why))
            return
        self.removeWriter(descriptor)
        descriptor.connectionLost(Failure(why))


def listeningPort(reactor: Any, factory: Any, path: str | None = None) -> Any:
    """
    A real port on 127.0.0.1 or, with a path, a UNIX socket.
    """
    if path is None:
        port: Any = tcp.Port(0, factory, interface="127.0.0.1", reactor=reactor)
    else:
        port = unix.Port(path, factory, reactor=reactor)  # type: ignore[arg-type]
    port.startListening()
    return port


class PortTestCase(SynchronousTestCase):
    """
    One TCP port, or another one.
    """

    def setUp(self) -> None:
        self.reactor = HandReactor()
        self.factory = MemoryFactory(Plain)
        self.addCleanup(self.loseAll)

    def loseAll(self) -> None:
        for reader in list(self.reactor.readers):
            reader.connectionLost(Failure(Boom()))

    def open(self, path: str | None = None) -> Listener:
        self.port = listeningPort(self.reactor, self.factory, path)
        self.address = self.port.socket.getsockname()
        return Listener(self.port, self.reactor)

    def adopted(self) -> Listener:
        """
        One whose socket came from somebody else, and who still has it.
        """
        theirs = self.theirs = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(theirs.close)
        theirs.setblocking(False)
        self.port = tcp.Port._fromListeningDescriptor(
            self.reactor, theirs.fileno(), socket.AF_INET, self.factory
        )
        self.port.startListening()
        self.address = self.port.socket.getsockname()
        return Listener(self.port, self.reactor)

    def client(self, family: int = socket.AF_INET) -> socket.socket:
        client = socket.socket(family)
        self.addCleanup(client.close)
        client.settimeout(2)
        client.connect(self.address)
        return client

    def queue(self, count: int) -> list[socket.socket]:
        return [self.client() for _ in range(count)]
