"""
The port at which HAProxy asks, as a service and as an option.
"""

from __future__ import annotations

import select
import socket
from types import SimpleNamespace
from typing import Any

from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from terminable import tap
from terminable.admin.agent import MOST, PATIENCE, AgentCheck, AgentDoor
from terminable.handover.workers import Workers
from terminable.policy.phases import Phase
from terminable.service import TerminableService
from terminable.tap import makeService
from terminable.tracking import transports
from tests.doubles import Boom, HandReactor, listeningPort
from tests.test_agent import Stand
from tests.test_tap import TapTestCase


@implementer(IStreamServerEndpoint)
class RealEndpoint:
    """
    Listens on 127.0.0.1 when its time has come.
    """

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        self.held: Deferred[None] = succeed(None)
        self.port: Any = None

    def listen(self, protocolFactory: Any) -> Deferred[Any]:
        """
        Real sockets, turned by hand.
        """
        return self.held.addCallback(lambda _: self._open(protocolFactory))

    def _open(self, factory: Any) -> Any:
        self.port = listeningPort(self.reactor, factory)
        return self.port


class Reactor(HandReactor):
    """
    Ends a connection that says that it is done when it has written everything, also if it
    waits for nothing else, as reactors do.
    """

    def turn(self, seconds: float = 0.0) -> None:
        """
        One turn: what is readable is read, what can be written is written.
        """
        for reader in list(self.readers):
            if reader in self.readers and select.select([reader.socket], [], [], 0)[0]:
                self._end(reader, reader.doRead())
        for writer in list(self.writers):
            if writer in self.writers and select.select([], [writer.socket], [], 0)[1]:
                self._end(writer, writer.doWrite())
        self.advance(seconds)

    def _end(self, descriptor: Any, why: Any) -> None:
        if why is not None and descriptor.connected:
            descriptor.connectionLost(Failure(why))


class DoorTestCase(SynchronousTestCase):
    """
    A check with a real socket, in a reactor that is turned by hand.
    """

    def setUp(self) -> None:
        self.reactor = Reactor()
        self.stand = Stand()
        self.check = AgentCheck(self.reactor, self.stand)
        self.endpoint = RealEndpoint(self.reactor)
        self.door = AgentDoor(self.reactor, self.endpoint, self.check)

    def open(self) -> None:
        """
        Serve it, until the test is over.
        """
        self.door.startService()
        self.addCleanup(self.shut)

    def shut(self) -> None:
        """
        It does not matter in which state it is.
        """
        self.stand.phase = Phase.TERMINATED
        self.door.phaseChanged(Phase.DRAINING, Phase.TERMINATED)
        self.door.stopService()
        self.turn(4, 1.0)

    def turn(self, times: int = 4, seconds: float = 0.0) -> None:
        """
        Some turns of the reactor.
        """
        for _ in range(times):
            self.reactor.turn(seconds)

    def connect(self, said: bytes = b"") -> socket.socket:
        """
        Somebody asks.
        """
        client = socket.socket()
        self.addCleanup(client.close)
        client.settimeout(2)
        client.connect(self.endpoint.port.socket.getsockname())
        client.sendall(said)
        self.turn()
        return client

    def refused(self) -> bool:
        """
        Whether nobody listens any more.
        """
        return not self.endpoint.port.connected


class AnswerTests(DoorTestCase):
    """
    Those who ask.
    """

    def test_answer(self) -> None:
        """
        He is told at once, and that this is all.
        """
        self.open()
        client = self.connect()
        self.assertEqual(client.recv(100), b"up ready\n")
        self.assertEqual(client.recv(100), b"")

    def test_whatHeSays(self) -> None:
        """
        What he has said before does not cost him the end of the answer.
        """
        self.open()
        client = self.connect(b"hello\n" * 1000)
        self.assertEqual(client.recv(100), b"up ready\n")
        self.assertEqual(client.recv(100), b"")

    def test_goes(self) -> None:
        """
        When he has gone, nothing is left of him.
        """
        self.open()
        self.connect().close()
        self.turn()
        self.assertEqual((self.check.asking, self.reactor.getDelayedCalls()), (0, []))

    def test_stays(self) -> None:
        """
        If he has said something and does not go, he is cut off.
        """
        self.open()
        self.connect(b"hello\n")
        self.assertEqual(self.check.asking, 1)
        self.turn(4, 1.0)
        self.assertEqual((self.check.asking, self.reactor.getDelayedCalls()), (0, []))

    def test_tooMany(self) -> None:
        """
        Who comes when too many are there is not answered; when one has gone, the next is.
        """
        self.open()
        self.check.asking = MOST
        self.assertEqual(self.connect().recv(100), b"")
        self.check.asking -= 1
        self.assertEqual(self.connect().recv(100), b"up ready\n")

    def test_quiet(self) -> None:
        """
        The log says what the port is for, and nothing of its factory.
        """
        self.assertEqual((self.check.logPrefix(), self.check.noisy), ("Agent check", False))


class DoorTests(DoorTestCase):
    """
    The service.
    """

    def test_stop(self) -> None:
        """
        Told to stop while the server does not, it goes at once, with those who ask.
        """
        self.open()
        self.connect()
        stopped = self.door.stopService()
        self.assertNoResult(stopped)
        self.turn(2)
        self.turn(1, PATIENCE)
        self.successResultOf(stopped)
        self.assertTrue(self.refused())

    def test_stopsLast(self) -> None:
        """
        While the server is stopping, it answers, until that is over.
        """
        self.open()
        stopped = self.door.stopService()
        # In the same turn.
        self.stand.phase = Phase.QUIESCING
        self.turn(4)
        self.assertEqual(self.connect().recv(100), b"drain\n")
        for phase in (Phase.DRAINING, Phase.ABORTING):
            self.door.phaseChanged(self.stand.phase, phase)
            self.stand.phase = phase
        self.door.portsClosed()
        self.assertNoResult(stopped)
        self.assertEqual(self.stand.observers, [self.door])
        self.door.phaseChanged(phase, Phase.TERMINATED)
        self.door.terminated(None)  # type: ignore[arg-type]
        self.turn(2, PATIENCE)
        self.successResultOf(stopped)
        self.assertTrue(self.refused())
        self.assertEqual(self.stand.observers, [])

    def test_neverStarted(self) -> None:
        """
        One that was not started is stopped already.
        """
        self.assertIsNone(self.successResultOf(self.door.stopService()))

    def test_again(self) -> None:
        """
        It may be started again.
        """
        self.open()
        self.shut()
        self.stand.phase = Phase.SERVING
        self.open()
        self.assertEqual(self.connect().recv(100), b"up ready\n")

    def test_first(self) -> None:
        """
        It is started before its brothers and sisters, and so stopped after them.
        """
        parent, brother = MultiService(), Service()
        brother.setServiceParent(parent)
        self.door.beFirstOf(parent)
        self.assertEqual(list(parent), [self.door, brother])

    def test_cannotListen(self) -> None:
        """
        What fails at once is raised, and nothing is left to be stopped.
        """
        self.endpoint.held = fail(Boom())
        self.assertRaises(Boom, self.door.startService)
        self.assertIsNone(self.successResultOf(self.door.stopService()))

    def test_cannotListenLater(self) -> None:
        """
        What fails later is logged.
        """
        self.endpoint.held = Deferred()
        self.door.startService()
        self.endpoint.held.errback(Boom())
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)

    def test_beside(self) -> None:
        """
        Its port is none of those that a terminator could attach to.
        """
        self.open()
        self.assertFalse(transports.canAttach(self.endpoint.port))


class OptionTests(TapTestCase):
    """
    C{--agent-check}.
    """

    def made(self, *words: str) -> Any:
        """
        What is made of a command line, in the reactor of these tests.
        """
        return makeService(self.parse("--port", "tcp:0:interface=127.0.0.1", *words))

    def test_none(self) -> None:
        """
        Nobody has it who does not want it.
        """
        self.assertEqual([each for each in self.made() if isinstance(each, AgentDoor)], [])

    def test_first(self) -> None:
        """
        It is the first of the services, at the endpoint or the port that was given.
        """
        for word in ("tcp:0:interface=127.0.0.1", "0"):
            service = self.made("--agent-check", word)
            self.assertIsInstance(service, TerminableService)
            self.assertIsInstance(next(iter(service)), AgentDoor)

    def test_bad(self) -> None:
        """
        What cannot be meant is told as it was typed, in one line.
        """
        for wrong in ("nonsense", "terminable:tcp:0", "stdio:", "tcp:0:what=ever"):
            said = f"terminable: --agent-check: {wrong!r} given, expected "
            self.assertIn(said, self.refused("--port", "0", "--agent-check", wrong))

    def test_workers(self) -> None:
        """
        With several workers it is beside what is above them, and stops after it.
        """
        self.patch(tap, "supervise", lambda *what, **how: None)
        service = self.made("--workers", "2", "--agent-check", "0")
        first, second = service
        self.assertIsInstance(first, AgentDoor)
        self.assertIsInstance(second, Workers)

    def test_worker(self) -> None:
        """
        A worker has none: the one above has.
        """
        self.patch(tap, "takeoverOf", lambda reactor: SimpleNamespace(worker=True))
        service = self.made("--workers", "2", "--agent-check", "nonsense")
        self.assertEqual(list(service), [])
