"""
What stands for worker processes and the reactor above them in unit tests.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ReactorNotRunning
from twisted.internet.interfaces import IReactorCore
from zope.interface import implementer

from terminable.errors import HandoverFailed
from terminable.handover import channel, following
from terminable.handover.offered import offeredTo
from terminable.handover.takeover import Takeover
from terminable.policy import summary
from terminable.policy.ledger import Report
from tests.doubles import HandReactor


@implementer(IReactorCore)
class WorkReactor(HandReactor):
    """
    A reactor that listens on real sockets.

    @ivar stopped: how often it was stopped.
    @ivar triggers: what is to be done before it stops.
    """

    running = True

    def __init__(self) -> None:
        super().__init__()
        self.stopped = 0
        self.triggers: list[Any] = []
        self.called: list[Any] = []

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        return self._listening(tcp.Port(port, factory, backlog, interface, self))

    def listenUNIX(
        self, address: str, factory: Any, backlog: int = 50, mode: int = 0o666, wantPID: int = 0
    ) -> Any:
        name: Any = address
        return self._listening(unix.Port(name, factory, backlog, mode, self, wantPID))

    def adoptStreamPort(self, descriptor: int, family: int, factory: Any) -> Any:
        kind: Any = unix.Port if family == socket.AF_UNIX else tcp.Port
        arguments = (family,) if kind is tcp.Port else ()
        make = kind._fromListeningDescriptor
        return self._listening(make(self, descriptor, *arguments, factory))

    def _listening(self, port: Any) -> Any:
        port.startListening()
        return port

    def callWhenRunning(self, work: Callable[..., Any], *args: Any) -> None:
        work(*args)

    def callFromThread(self, work: Callable[..., Any], *args: Any) -> None:
        self.called.append((work, args))

    def addSystemEventTrigger(self, phase: str, event: str, work: Any, *args: Any) -> None:
        self.triggers.append((phase, event, work, args))

    def stop(self) -> None:
        self.stopped += 1
        if self.stopped > 1:
            raise ReactorNotRunning()


class FakeChannel:
    """
    What a process is spoken to by.

    @ivar commands: what was sent.
    @ivar hurries: the time that was named at each L{channel.Leave}.
    """

    transport: Any = None

    def __init__(self) -> None:
        self.commands: list[Any] = []
        self.hurries: list[Any] = []
        self.deaf = False
        self.broken = False

    def callRemote(self, command: Any, **details: Any) -> Deferred[Any]:
        self.commands.append(command)
        if command is channel.Leave:
            self.hurries.append(details.get("gracePeriod"))
        if self.broken:
            return fail(ConnectionError("gone"))
        return Deferred() if self.deaf else succeed({})


class FakeSuccessor:
    """
    A process that does as a test says.

    @ivar signals: what it was sent.
    """

    last = 100

    def __init__(self, sockets: Any, locators: Any) -> None:
        self.sockets = sockets
        self.worker = locators[0]
        self.pid: int | None = None
        self.channel = FakeChannel()
        self.gone: Deferred[None] = Deferred()
        self.how = ""
        self.signals: list[str] = []
        self.ended = False
        self.impossible: OSError | None = None
        self._starting: Deferred[Any] | None = None
        self._serving: Deferred[Any] | None = None

    def start(self) -> Deferred[Any]:
        if self.impossible is not None:
            raise self.impossible
        FakeSuccessor.last += 1
        self.pid = FakeSuccessor.last
        self._starting = Deferred()
        return self._starting

    def ready(self) -> None:
        starting, self._starting = self._starting, None
        assert starting is not None
        starting.callback(self)

    def serve(self) -> Deferred[None]:
        self._serving = Deferred()
        return self._serving

    def serves(self) -> None:
        serving, self._serving = self._serving, None
        assert serving is not None
        serving.callback(None)

    @property
    def waits(self) -> bool:
        """
        Whether it was told to serve, and has not answered.
        """
        return self._serving is not None

    def signal(self, name: str) -> None:
        if not self.ended:
            self.signals.append(name)

    def end(self) -> None:
        self.signal("END")

    def exit(self, how: str = "with 0", report: Report | None = None) -> None:
        """
        It ends.
        """
        if report is not None:
            self.worker.reported(summary.toText(report))
        self.ended = True
        self.how = how
        for waiting in (self._starting, self._serving):
            if waiting is not None:
                waiting.errback(HandoverFailed(f"it ended {how}"))
        self._starting = self._serving = None
        self.gone.callback(None)

    @property
    def left(self) -> bool:
        """
        Whether it was told to go.
        """
        return channel.Leave in self.channel.commands


class FakeLauncher:
    """
    @ivar made: the processes, in order.
    @ivar impossible: what the next one cannot be started for.
    """

    def __init__(self, *details: Any) -> None:
        self.details = details
        self.made: list[FakeSuccessor] = []
        self.impossible: OSError | None = None

    def make(self, sockets: Any, locators: Any) -> FakeSuccessor:
        successor = FakeSuccessor(sockets, locators)
        successor.impossible = self.impossible
        self.made.append(successor)
        return successor


def taking(reactor: Any) -> Takeover:
    """
    Have a process follow another one, as far as others can see.
    """
    takeover = Takeover(reactor, offeredTo(reactor))
    following._known[reactor] = takeover
    return takeover


def listens(address: Any) -> bool:
    """
    Whether somebody listens there.
    """
    family = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
    with socket.socket(family) as sock:
        sock.settimeout(2)
        return sock.connect_ex(address) == 0


def inode(sock: Any) -> int:
    """
    What tells a socket from others.
    """
    return os.fstat(sock.fileno()).st_ino
