"""
What a terminator does while it serves: listening, suspending, listening again.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from terminable.errors import CannotAttach, NotServing
from terminable.policy.phases import Phase
from terminable.terminator import Terminator
from terminable.tracking.factory import TerminableFactory
from tests.doubles import (
    Boom,
    Diary,
    MemoryEndpoint,
    MemoryFactory,
    MemoryPort,
    World,
    connectTo,
)


class ServingTestCase(SynchronousTestCase):
    """
    A terminator that listens on one port.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.terminator = Terminator(self.clock)
        self.diary = Diary()
        self.terminator.addObserver(self.diary)
        self.endpoint = MemoryEndpoint(self.clock)
        self.factory = MemoryFactory()
        self.port = self.listen()

    def listen(self) -> MemoryPort:
        port = self.successResultOf(self.terminator.listen(self.endpoint, self.factory))
        assert isinstance(port, MemoryPort)
        return port


class ListenTests(ServingTestCase):
    """
    Listening.
    """

    def test_recorded(self) -> None:
        """
        Who connects is recorded while the connection lives.
        """
        transport = self.port.connect(port=99)
        [connection] = self.terminator.connections()
        self.assertEqual(connection.peer, "127.0.0.1:99")
        self.assertIs(connection.transport, transport)
        transport.end()
        self.assertEqual(self.terminator.connections(), [])

    def test_recordedOnce(self) -> None:
        """
        The port that could not be recorded itself is replaced by one whose factory is
        wrapped; only that one listens.
        """
        first, second = self.endpoint.ports
        self.assertEqual((first.listening, second.listening), (False, True))
        self.assertIsInstance(second.factory, TerminableFactory)
        self.assertEqual(self.factory.numPorts, 1)

    def test_closed(self) -> None:
        """
        A stop closes the port, and stops its factory when the last connection is gone.
        """
        self.port.connect()
        result = self.terminator.terminate()
        self.assertFalse(self.port.listening)
        self.assertEqual(self.factory.numPorts, 1)
        self.clock.pump([0.5] * 3)
        self.successResultOf(result)
        self.assertEqual(self.factory.numPorts, 0)

    def test_fails(self) -> None:
        """
        It fails as the endpoint does.
        """
        self.endpoint.failure = Boom()
        self.failureResultOf(self.terminator.listen(self.endpoint, self.factory), Boom)

    def test_noEndpoint(self) -> None:
        """
        A description has to be made an endpoint first, and the error says so.
        """
        endpoint: Any = "tcp:8080"
        problem = self.failureResultOf(self.terminator.listen(endpoint, self.factory), TypeError)
        self.assertIn("serverFromString", problem.getErrorMessage())

    def test_noPort(self) -> None:
        """
        What is no listening port (standard input, say) cannot be used.
        """
        endpoint = MemoryEndpoint(self.clock, lambda factory, clock: object())
        failed = self.terminator.listen(endpoint, self.factory)
        problem = self.failureResultOf(failed, CannotAttach).value
        self.assertIn("not an endpoint with a listening port", str(problem))

    def test_whileStopping(self) -> None:
        """
        While a stop is under way, or suspended, nobody can listen or attach.
        """
        self.port.connect()
        self.terminator.suspend()
        for phase in ("suspended", "draining"):
            failed = self.terminator.listen(self.endpoint, self.factory)
            problem = self.failureResultOf(failed, NotServing).value
            self.assertEqual(str(problem), f"cannot listen while {phase}")
            self.assertRaises(NotServing, self.terminator.attach, self.port)
            self.terminator.terminate()
        self.assertEqual(len(self.endpoint.ports), 2)

    def test_tooLate(self) -> None:
        """
        A port that is open only after the stop has begun does not stay open, and does
        not keep the stop from ending.
        """
        for ends in (False, True):
            world = World(gracePeriod=None)
            transport = world.connect(delay=None)
            endpoint = MemoryEndpoint(world.clock)
            endpoint.held = Deferred()
            listening = world.terminator.listen(endpoint, MemoryFactory())
            stopped = world.terminator.terminate()
            if ends:
                transport.end()
            endpoint.held.callback(None)
            self.failureResultOf(listening, NotServing)
            if not ends:
                transport.end()
            self.successResultOf(stopped)
            self.assertFalse(any(port.listening for port in endpoint.ports))
            self.assertIs(world.terminator.phase, Phase.TERMINATED)


class AgainTests(ServingTestCase):
    """
    Serving again after a stop.
    """

    def test_newAccount(self) -> None:
        """
        The same terminator can listen again, and its next report begins at 0.
        """
        self.port.connect().end()
        first = self.successResultOf(self.terminator.terminate())
        port = self.listen()
        self.assertIs(self.terminator.phase, Phase.SERVING)
        port.connect()
        result = self.terminator.terminate()
        self.assertNoResult(result)
        self.clock.pump([0.5] * 3)
        second = self.successResultOf(result)
        self.assertEqual((first.opened, first.before), (1, 1))
        self.assertEqual((second.opened, second.before, second.idle), (1, 0, 1))
        self.assertFalse(port.listening)

    def test_fromTheReport(self) -> None:
        """
        Whoever gets the report may listen again right then.
        """
        again: list[object] = []

        def listen(report: object) -> None:
            again.append(self.listen())

        self.terminator.terminate().addCallback(listen)
        self.assertEqual(len(again), 1)
        self.assertIs(self.terminator.phase, Phase.SERVING)
        self.successResultOf(self.terminator.terminate())

    def test_deadlineIsNew(self) -> None:
        """
        The second stop has a deadline of its own.
        """
        self.terminator.terminate(gracePeriod=1)
        self.clock.advance(100)
        self.listen().connect(delay=None)
        self.factory.protocols[0].busy = True
        self.terminator.terminate()
        self.assertEqual(self.terminator.progress().left, 25.0)

    def test_wrapAgain(self) -> None:
        """
        Wrapping a factory is listening as well: it begins a new account.
        """
        self.terminator.terminate()
        wrapped = self.terminator.wrap(self.factory)
        self.assertIs(self.terminator.phase, Phase.SERVING)
        connectTo(wrapped, self.clock)
        self.assertEqual(len(self.terminator.connections()), 1)

    def test_attachFails(self) -> None:
        """
        What cannot be attached to changes nothing: what was terminated stays so.
        """
        report = self.successResultOf(self.terminator.terminate())
        self.assertRaises(CannotAttach, self.terminator.attach, self.port)
        self.assertIs(self.terminator.phase, Phase.TERMINATED)
        self.assertIs(self.successResultOf(self.terminator.terminate()), report)

    def test_nobodyIsServedInBetween(self) -> None:
        """
        Who comes by a port of somebody else when all is over is refused.
        """
        self.successResultOf(self.terminator.terminate())
        self.assertFalse(self.terminator.gate.accepting)
        transport = connectTo(self.port.factory, self.clock)
        self.assertIsNone(transport.protocol)

    def test_recordedInBetween(self) -> None:
        """
        One that is recorded nevertheless is lost in the next turn, if it still lives.
        """
        self.successResultOf(self.terminator.terminate())
        first, second = World().connect(), World().connect()
        for transport in (first, second):
            self.terminator.gate.opened(transport)
        self.terminator.gate.lost(second, None)
        self.clock.advance(0)
        self.assertEqual((first.disconnecting, second.disconnecting), (True, False))


class SuspendTests(ServingTestCase):
    """
    Ports that go away for a while.
    """

    def test_suspendAndResume(self) -> None:
        """
        The port goes away and comes back; connections live on.
        """
        transport = self.port.connect()
        self.successResultOf(self.terminator.suspend())
        self.assertFalse(self.port.listening)
        self.assertIs(self.terminator.phase, Phase.SUSPENDED)
        self.terminator.resume()
        self.assertTrue(self.port.listening)
        self.assertIs(self.terminator.phase, Phase.SERVING)
        self.assertEqual(self.factory.protocols[0].drained, 0)
        self.assertFalse(transport.disconnecting)
        self.assertEqual(self.factory.numPorts, 1)

    def test_again(self) -> None:
        """
        It can be done more than once, and a stop ends it all the same.
        """
        for _ in range(3):
            self.successResultOf(self.terminator.suspend())
            self.terminator.resume()
        self.successResultOf(self.terminator.terminate())
        self.assertEqual(self.factory.numPorts, 0)

    def test_twice(self) -> None:
        """
        Suspending what is suspended succeeds, and changes nothing.
        """
        self.successResultOf(self.terminator.suspend())
        self.successResultOf(self.terminator.suspend())
        self.assertIs(self.terminator.phase, Phase.SUSPENDED)

    def test_terminated(self) -> None:
        """
        A stop ends what is suspended, too.
        """
        self.port.connect()
        self.terminator.suspend()
        result = self.terminator.terminate()
        self.clock.pump([0.5] * 3)
        self.assertEqual(self.successResultOf(result).idle, 1)
        self.assertEqual(self.factory.numPorts, 0)

    def test_aborted(self) -> None:
        """
        So does an abort.
        """
        self.port.connect()
        self.terminator.suspend()
        result = self.terminator.abort()
        self.clock.advance(0)
        self.assertEqual(self.successResultOf(result).idle, 1)

    def test_notNow(self) -> None:
        """
        During a stop and after it nothing can be suspended, and what is not suspended
        cannot be resumed.
        """
        self.assertRaises(NotServing, self.terminator.resume)
        self.port.connect(delay=None)
        self.terminator.terminate()
        self.assertRaises(NotServing, self.terminator.suspend)
        self.assertRaises(NotServing, self.terminator.resume)
        self.terminator.abort()
        self.clock.advance(0)
        self.clock.advance(2)
        problem = self.assertRaises(NotServing, self.terminator.suspend)
        self.assertEqual(str(problem), "cannot suspend while terminated")

    def test_taken(self) -> None:
        """
        If somebody else has the port by then it stays suspended; later it can be
        resumed.
        """

        def refuse() -> None:
            raise CannotListenError("127.0.0.1", 80, "in use")

        self.terminator.suspend()
        self.port.startListening = refuse  # type: ignore[method-assign]
        self.assertRaises(CannotListenError, self.terminator.resume)
        self.assertIs(self.terminator.phase, Phase.SUSPENDED)
        del self.port.startListening
        self.terminator.resume()
        self.assertTrue(self.port.listening)

    def test_aPortOfSomebodyElse(self) -> None:
        """
        Observers are told when the ports are gone.
        """
        self.terminator.suspend()
        self.assertEqual(self.diary.portsGone, 1)
        self.assertEqual(self.diary.phases, [Phase.SUSPENDED])
