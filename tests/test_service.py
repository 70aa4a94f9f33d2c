"""
A service that ends before what it depends on.
"""

from __future__ import annotations

from typing import Any

from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from terminable.policy.phases import Phase
from terminable.service import TerminableService
from terminable.terminator import Terminator
from tests.doubles import Boom, HandReactor, MemoryEndpoint, MemoryFactory, Plain, listeningPort


class Child(Service):
    """
    Writes down what happens to it.
    """

    def __init__(self, name: str, diary: list[str]) -> None:
        self.setName(name)
        self.diary = diary
        self.stopped: Any = None

    def privilegedStartService(self) -> None:
        self.diary.append(f"{self.name} prepares")

    def startService(self) -> None:
        super().startService()
        self.diary.append(f"{self.name} starts")

    def stopService(self) -> Any:
        super().stopService()
        self.diary.append(f"{self.name} stops")
        if isinstance(self.stopped, Exception):
            raise self.stopped
        return self.stopped


class ServiceTestCase(SynchronousTestCase):
    """
    A service with two children and a port.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.diary: list[str] = []
        self.service = TerminableService(Terminator(self.clock))
        self.endpoint = MemoryEndpoint(self.clock)
        self.factory = MemoryFactory()
        for name in ("database", "cache"):
            Child(name, self.diary).setServiceParent(self.service)

    def child(self, name: str) -> Child:
        child = self.service.getServiceNamed(name)
        assert isinstance(child, Child)
        return child


class StartTests(ServiceTestCase):
    """
    Starting.
    """

    def test_isAService(self) -> None:
        """
        It is a service like others.
        """
        verifyObject(IService, self.service)

    def test_listensLast(self) -> None:
        """
        It listens when all children have started.
        """

        def kind(factory: Any, clock: Clock) -> Any:
            self.diary.append("listens")
            return listeningPort(reactor, factory)

        reactor = HandReactor()
        self.service.listenOn(MemoryEndpoint(self.clock, kind), self.factory)
        self.assertEqual(self.diary, [])
        self.service.startService()
        self.assertEqual(self.diary, ["database starts", "cache starts", "listens"])
        self.assertTrue(self.service.running)
        self.service.terminator.abort()

    def test_boundEarlyAcceptsLate(self) -> None:
        """
        Where rights are given up between the two, it binds its port before, and accepts
        nobody until it has started.
        """
        reactor = HandReactor()
        ports: list[Any] = []

        def kind(factory: Any, clock: Clock) -> Any:
            ports.append(listeningPort(reactor, factory))
            return ports[-1]

        self.service.listenOn(MemoryEndpoint(self.clock, kind), MemoryFactory(Plain))
        self.service.privilegedStartService()
        self.assertEqual(self.diary, ["database prepares", "cache prepares"])
        [port] = ports
        self.assertTrue(port.connected)
        self.assertEqual(reactor.readers, [])
        self.service.startService()
        self.assertEqual(reactor.readers, [port])
        self.assertEqual(len(ports), 1)
        self.service.terminator.abort()

    def test_while_running(self) -> None:
        """
        Listening on something while it runs happens at once.
        """
        self.service.startService()
        self.service.listenOn(self.endpoint, self.factory)
        self.assertTrue(self.endpoint.ports[-1].listening)

    def test_failsAtOnce(self) -> None:
        """
        If one endpoint fails at once the start fails like that, and nothing is left
        listening, privileged or not.
        """
        for start in ("startService", "privilegedStartService"):
            self.setUp()
            failing = MemoryEndpoint(self.clock)
            failing.failure = Boom("no such port")
            self.service.listenOn(self.endpoint, self.factory)
            self.service.listenOn(failing, self.factory)
            self.assertRaises(Boom, getattr(self.service, start))
            self.assertTrue(self.endpoint.ports)
            self.assertFalse(any(port.listening for port in self.endpoint.ports))

    def test_failsLater(self) -> None:
        """
        If one fails later, that is logged.
        """
        self.endpoint.held = Deferred()
        self.service.listenOn(self.endpoint, self.factory)
        self.service.startService()
        self.endpoint.held.errback(Boom())
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)

    def test_failsWhileRunning(self) -> None:
        """
        So it is if the service runs already.
        """
        self.endpoint.failure = Boom()
        self.service.startService()
        self.service.listenOn(self.endpoint, self.factory)
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)


class StopTests(ServiceTestCase):
    """
    Stopping.
    """

    def start(self) -> Any:
        self.service.listenOn(self.endpoint, self.factory)
        self.service.startService()
        self.diary.clear()
        return self.endpoint.ports[-1]

    def test_drainsFirst(self) -> None:
        """
        Children are stopped after the last request, one after the other, the last
        added first.
        """
        transport = self.start().connect()
        self.factory.protocols[0].busy = True
        self.child("cache").stopped = Deferred()
        stopped = self.service.stopService()
        self.assertFalse(self.service.running)
        self.clock.pump([1.0] * 5)
        self.assertEqual(self.diary, [])
        self.factory.protocols[0].finish()
        self.clock.advance(0)
        self.assertTrue(transport.over)
        self.assertEqual(self.diary, ["cache stops"])
        self.assertNoResult(stopped)
        self.child("cache").stopped.callback(None)
        self.assertEqual(self.diary, ["cache stops", "database stops"])
        self.assertIsNone(self.successResultOf(stopped))

    def test_childThatFails(self) -> None:
        """
        A child that fails to stop, at once or later, is logged; the next one is
        stopped.
        """
        self.start()
        self.child("cache").stopped = Boom()
        late: Deferred[None] = Deferred()
        self.child("database").stopped = late
        stopped = self.service.stopService()
        self.assertEqual(self.diary, ["cache stops", "database stops"])
        late.errback(Boom())
        self.successResultOf(stopped)
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 2)

    def test_neverStarted(self) -> None:
        """
        One that never ran can be stopped.
        """
        self.successResultOf(self.service.stopService())

    def test_again(self) -> None:
        """
        It can be started again, and then listens again.
        """
        self.start()
        self.successResultOf(self.service.stopService())
        self.assertIs(self.service.terminator.phase, Phase.TERMINATED)
        self.service.startService()
        self.assertIs(self.service.terminator.phase, Phase.SERVING)
        self.assertTrue(self.endpoint.ports[-1].listening)
        self.endpoint.ports[-1].connect()
        self.assertEqual(len(self.service.terminator.connections()), 1)

    def test_removeService(self) -> None:
        """
        A child that is removed is stopped if the service runs, and only then.
        """
        cache, database = self.child("cache"), self.child("database")
        self.successResultOf(self.service.removeService(cache))
        self.assertEqual(self.diary, [])
        self.start()
        database.stopped = Deferred()
        removed = self.service.removeService(database)
        self.assertEqual(self.diary, ["database stops"])
        self.assertNoResult(removed)
        database.stopped.callback(None)
        self.successResultOf(removed)
        self.assertEqual(list(self.service), [])
