"""
Two servers in one process, by real sockets and a reactor that is driven by hand, between
which connections are passed.
"""

from __future__ import annotations

import gc
import os
import select
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet import unix
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.protocols import amp
from twisted.python import log
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site
from zope.interface import implementer

from terminable.handover.movable import IMovable
from terminable.handover.passing import Sender, passConnection
from terminable.handover.taking import Taking
from terminable.terminator import Terminator
from tests.doubles import HandReactor, listeningPort

#: For how long nothing must come for that to be all, and for how long to wait at most for what
#: the kernel does in its own time, in seconds.
QUIET = 0.01
PATIENCE = 3.0


@implementer(IMovable)
class Counting(Protocol):
    """
    Answers each line with its number and its text; says hello first.

    @ivar count: how many lines there were.
    @ivar lost: why it was lost, each time.
    """

    transport: Any

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.count = 0
        self.rest = b""
        self.lost: list[Failure] = []
        self.onSave: Callable[[], Any] = self.state
        self.onRestore: Callable[[], Any] = lambda: None
        self.onMade: Callable[[], Any] = lambda: None

    def connectionMade(self) -> None:
        self.transport.write(b"hello\n")
        self.onMade()

    def dataReceived(self, data: bytes) -> None:
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            self.count += 1
            self.transport.write(b"%s%d %s\n" % (self.name.encode(), self.count, line))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.append(reason)

    def state(self) -> bytes:
        """
        What there is to know.
        """
        return b"%d %s" % (self.count, self.rest)

    def save(self) -> Any:
        return self.onSave()

    def restore(self, state: bytes) -> None:
        count, _, self.rest = state.partition(b" ")
        self.count = int(count)
        self.onRestore()


class CountingFactory(Factory):
    """
    Builds them.

    @ivar made: those that were built.
    @ivar prepare: called with each.
    """

    noisy = False

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.made: list[Any] = []
        self.prepare: Callable[[Any], Any] = lambda made: None

    def buildProtocol(self, addr: Any) -> Any:
        self.made.append(Counting(self.name))
        return self.made[-1] if self.prepare(self.made[-1]) is None else None


class Page(Resource):
    """
    Says who serves; C{/later} is answered when the test says so.
    """

    isLeaf = True

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.waiting: list[Request] = []

    def render_GET(self, request: Request) -> bytes | int:
        if request.uri == b"/later":
            self.waiting.append(request)
            return NOT_DONE_YET
        return self.name.encode() + b" " + request.uri

    def answer(self) -> None:
        """
        Answer the first that waits.
        """
        request = self.waiting.pop(0)
        request.write(self.name.encode() + b" late")
        request.finish()


def get(path: str = "/", *headers: str) -> bytes:
    """
    A request.
    """
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: here", *headers, "", ""]).encode()


def channelPair(reactor: Any, *ends: amp.AMP) -> None:
    """
    Connect two AMP protocols.
    """
    for sock, end in zip(socket.socketpair(), ends, strict=True):
        sock.setblocking(False)
        factory: Any = Factory.forProtocol(lambda end=end: end)
        factory.noisy = False
        unix.Server._fromConnectedSocket(sock.fileno(), factory, reactor)
        sock.close()


class SocketReactor(HandReactor):
    """
    One that also ends what has written everything and was told to go.
    """

    def turn(self, seconds: float = 0.0) -> None:
        for known, method, place in ((self.readers, "doRead", 0), (self.writers, "doWrite", 1)):
            for descriptor in list(known):
                if descriptor not in known or not descriptor.connected:
                    continue
                lists: list[list[Any]] = [[], []]
                lists[place].append(descriptor.socket)
                if any(select.select(*lists, [], 0)):
                    self._do(descriptor, method)
        self.advance(seconds)

    def _do(self, descriptor: Any, method: str) -> None:
        try:
            why = getattr(descriptor, method)()
        except BaseException as error:
            # As a reactor does it.
            log.err()
            why = error
        if why is not None and descriptor.connected:
            descriptor.connectionLost(Failure(why))


class PassageTestCase(SynchronousTestCase):
    """
    A server that passes connections, and one that takes them.

    @ivar here: the terminator of the first.
    @ivar there: that of the second.
    """

    def begin(
        self, here: Any, there: Any, path: str | None = None, taking: Any = None, **settings: Any
    ) -> None:
        """
        @param here: the factory of the one that passes.
        @param there: that of the other.
        @param path: a UNIX socket, which both claim to listen on.
        @param taking: what locates commands on the other side, if it is special.
        """
        self.reactor = SocketReactor()
        self.addCleanup(self.endAll)
        self.here, self.there = Terminator(self.reactor), Terminator(self.reactor)
        self.port = listeningPort(self.reactor, here, path)
        self.other = listeningPort(self.reactor, there, path and path + "2")
        self.here.attach(self.port)
        self.there.attach(self.other)
        self.taking = taking or Taking(
            self.reactor, lambda host: self.other, lambda: len(self.there.connections())
        )
        self.near, self.far = amp.AMP(), amp.AMP(locator=self.taking)
        channelPair(self.reactor, self.near, self.far)
        if taking is None:
            self.taking.serve(self.far)
        self.sender = Sender(self.reactor, self.near, **settings)

    def endAll(self) -> None:
        """
        Leave no descriptor open.
        """
        for end in (self.near, self.far):
            if end.transport is not None:
                end.transport.connectionLost(Failure(ConnectionError()))
        for terminator in (self.here, self.there):
            for connection in terminator.connections():
                if connection.transport.connected:
                    connection.transport.connectionLost(Failure(ConnectionError()))
        for reader in list(self.reactor.readers):
            reader.connectionLost(Failure(ConnectionError()))
        self.flushLoggedErrors(ConnectionError)

    def client(self) -> socket.socket:
        """
        Somebody who has connected to the first.
        """
        address = self.port.socket.getsockname()
        client = socket.socket(self.port.addressFamily)
        self.addCleanup(client.close)
        client.connect(address)
        client.setblocking(False)
        if client.family != socket.AF_UNIX:
            # What is written leaves at once, and not when the kernel thinks fit.
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        before = len(self.here.connections())
        self.until(lambda: len(self.here.connections()) > before)
        if client.family != socket.AF_UNIX:
            self.here.connections()[-1].transport.setTcpNoDelay(True)
        return client

    def until(self, true: Callable[[], Any], seconds: float = 0.001) -> None:
        """
        Let turns go by until something is so.
        """
        for _ in range(int(PATIENCE / QUIET)):
            for _ in range(5):
                if true():
                    return
                self.reactor.turn(seconds)
            self.settle()
        self.fail("it never happens")

    def settle(self, *clients: socket.socket) -> bool:
        """
        Let the kernel deliver what is on its way, for a moment.

        @return: whether there is anything to read for a client, or for the reactor.
        """
        readers = [each.socket for each in self.reactor.readers]
        return bool(select.select([*readers, *clients], [], [], QUIET)[0])

    def turns(self, count: int = 20, seconds: float = 0.001) -> None:
        """
        Let some go by.
        """
        for _ in range(count):
            self.reactor.turn(seconds)

    def heard(self, client: socket.socket) -> bytes:
        """
        What a client has been sent; C{b"FIN"} and C{b"RST"} stand for the end.
        """
        found = b""
        self.turns(5)
        while self.settle(client):
            self.turns(5)
            try:
                data = client.recv(65536)
            except BlockingIOError:
                continue
            except ConnectionError:
                return found + b"RST"
            if not data:
                return found + b"FIN"
            found += data
        return found

    def ask(self, client: socket.socket, data: bytes) -> bytes:
        """
        What a client is answered.
        """
        client.sendall(data)
        return self.heard(client)

    def body(self, client: socket.socket, path: str = "/", *headers: str) -> bytes:
        """
        The body of an answer.
        """
        return self.ask(client, get(path, *headers)).partition(b"\r\n\r\n")[2]

    def start(self) -> Deferred[None]:
        """
        Begin to pass the one connection.
        """
        [connection] = self.here.connections()
        return passConnection(connection, self.sender)

    def pass_(self) -> None:
        """
        Pass the one connection, which succeeds.
        """
        passing = self.start()
        self.until(lambda: passing.called)
        self.successResultOf(passing)
        self.turns()

    def refused(self, kind: type[Exception]) -> str:
        """
        Pass the one connection, which fails.

        @return: why.
        """
        passing = self.start()
        self.until(lambda: passing.called, 0.1)
        reason = str(self.failureResultOf(passing, kind).value)
        self.turns()
        return reason

    def assertHere(self, here: int = 1, there: int = 0) -> None:
        """
        Who has how many connections.
        """
        found = len(self.here.connections()), len(self.there.connections())
        self.assertEqual(found, (here, there))


def openFiles() -> int:
    """
    How many descriptors this process has, those that nobody knows of any more left out.
    """
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def sites() -> tuple[Site, Site, Page, Page]:
    """
    Two that say who they are.
    """
    here, there = Page("here"), Page("there")
    # Their timers are on nobody's clock.
    return Site(here, reactor=Clock()), Site(there, reactor=Clock()), here, there
