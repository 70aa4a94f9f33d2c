"""
What stands for reactors and processes in tests of handing over.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.interfaces import IReactorCore
from twisted.protocols import amp
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import alsoProvides

from terminable.handover import channel
from tests.doubles import Boom, HandReactor, MemoryFactory, Plain


class FakeProcess:
    """
    A process that was started.

    @ivar signals: what it was sent.
    @ivar channel: its end of the channel.
    """

    pid = 4711

    def __init__(self, protocol: Any, arguments: Any, given: dict[str, Any]) -> None:
        self.protocol = protocol
        self.arguments = arguments
        self.given = given
        self.signals: list[str] = []
        self.channel = socket.socket(fileno=os.dup(list(given["childFDs"].values())[-1]))

    def signalProcess(self, name: str) -> None:
        self.signals.append(name)

    def end(self, status: int = 0) -> None:
        """
        It ends.
        """
        reason = ProcessTerminated(exitCode=status) if status else ProcessDone(0)
        self.protocol.processExited(Failure(reason))


class CoreReactor(HandReactor):
    """
    A reactor by hand that can be stopped, starts processes, and adopts sockets.

    @ivar processes: those that were started.
    @ivar starting: called with each; what it raises, C{spawnProcess} raises.
    """

    def __init__(self) -> None:
        super().__init__()
        alsoProvides(self, IReactorCore)
        self.stopped = 0
        self.running: list[Callable[[], object]] = []
        self.triggers: list[tuple[Any, ...]] = []
        self.processes: list[FakeProcess] = []
        self.starting: Callable[[FakeProcess], object] = lambda process: None

    def stop(self) -> None:
        self.stopped += 1

    def callWhenRunning(self, work: Callable[..., object], *args: object) -> None:
        self.running.append(lambda: work(*args))

    def run(self) -> None:
        """
        It runs from now on.
        """
        while self.running:
            self.running.pop(0)()

    def callFromThread(self, work: Callable[..., object], *args: object) -> None:
        self.callLater(0, work, *args)

    def addSystemEventTrigger(self, phase: str, event: str, work: Any, *args: Any) -> None:
        self.triggers.append((phase, event, work, args))

    def trigger(self, phase: str) -> None:
        """
        Do what is to be done at that time of a shutdown.
        """
        for when, _, work, args in self.triggers:
            if when == phase:
                work(*args)

    def spawnProcess(
        self, protocol: Any, program: str, args: Any, env: Any, path: str, **given: Any
    ) -> Any:
        process = FakeProcess(protocol, args, {"env": env, "path": path, **given})
        self.processes.append(process)
        self.starting(process)
        return process

    def adoptStreamConnection(self, descriptor: int, family: int, factory: Any) -> Any:
        kind: Any = unix.Server
        return kind._fromConnectedSocket(descriptor, factory, self)

    def adoptStreamPort(self, descriptor: int, family: int, factory: Any) -> Any:
        kind: Any = unix.Port if family == socket.AF_UNIX else tcp.Port
        more = () if family == socket.AF_UNIX else (family,)
        port = kind._fromListeningDescriptor(self, descriptor, *more, factory)
        port.startListening()
        return port

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        made = tcp.Port(port, factory, backlog, interface, self)
        made.startListening()
        return made

    def listenUNIX(
        self, address: str, factory: Any, backlog: int = 50, mode: int = 0o666, wantPID: int = 0
    ) -> Any:
        kind: Any = unix.Port
        made = kind(address, factory, backlog, mode, wantPID, self)
        made.startListening()
        return made


class Answers(amp.CommandLocator):
    """
    The other end of a channel, which notes what is asked.

    @ivar answers: what is answered, by the name of the command; or what is raised.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[str, Any] = {}

    def _answer(self, name: str, **given: Any) -> Any:
        self.asked.append((name, given))
        answer = self.answers.get(name, {})
        if isinstance(answer, Exception):
            raise answer
        return answer

    def names(self) -> list[str]:
        """
        Which commands.
        """
        return [name for name, _ in self.asked]

    @channel.Ready.responder
    def ready(self, **given: Any) -> Any:
        return self._answer("Ready", **given)

    @channel.Serve.responder
    def serve(self) -> Any:
        return self._answer("Serve")

    @channel.Serves.responder
    def serves(self, **given: Any) -> Any:
        return self._answer("Serves", **given)

    @channel.Leave.responder
    def leave(self, gracePeriod: float | None = None) -> Any:
        return self._answer("Leave")

    @channel.Report.responder
    def report(self, **given: Any) -> Any:
        return self._answer("Report", **given)

    @channel.Main.responder
    def main(self) -> Any:
        return self._answer("Main")

    @channel.Older.responder
    def older(self) -> Any:
        return self._answer("Older")

    @channel.EndOldest.responder
    def endOldest(self) -> Any:
        return self._answer("EndOldest")


class HandoverTestCase(SynchronousTestCase):
    """
    Has a reactor by hand, and real sockets.
    """

    def setUp(self) -> None:
        self.reactor = CoreReactor()
        self.factory = MemoryFactory(Plain)
        self.addCleanup(self.loseAll)

    def loseAll(self) -> None:
        for reader in self.reactor.getReaders():
            reader.connectionLost(Failure(Boom()))
        for process in self.reactor.processes:
            process.channel.close()

    def turns(self, count: int = 8) -> None:
        """
        Let everybody hear what was said.
        """
        for _ in range(count):
            self.reactor.turn()

    def listener(
        self, family: int = socket.AF_INET, place: Any = ("127.0.0.1", 0)
    ) -> socket.socket:
        """
        A socket that listens.
        """
        sock = socket.socket(family)
        self.addCleanup(sock.close)
        sock.bind(place)
        sock.listen()
        return sock

    def speak(self, sock: socket.socket) -> tuple[Any, Answers]:
        """
        Be the other end of a channel.
        """
        answers = Answers()
        spoken = channel.Channel(lambda reason: None, [answers])
        sock.setblocking(False)
        self.reactor.adoptStreamConnection(sock.fileno(), socket.AF_UNIX, channel.Once(spoken))
        sock.close()
        return spoken, answers
