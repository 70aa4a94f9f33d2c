"""
Workers: how they are started.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint, UNIXServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.python.failure import Failure

from terminable.errors import InvalidOption
from terminable.handover.following import takeoverOf
from terminable.handover.place import MOST, countOf
from terminable.handover.workers import Workers
from terminable.policy.phases import Phase
from tests.doubles import Boom, MemoryEndpoint
from tests.workdoubles import listens, taking
from tests.workpools import READY, SERVING, STARTING, PoolTestCase


class StartTests(PoolTestCase):
    """
    Before they serve.
    """

    def test_first(self) -> None:
        """
        One is started alone, the others when it is ready; each serves as soon as it is.
        """
        pool = self.start(3)
        self.assertEqual(len(self.made), 1)
        self.assertEqual(self.states(), [STARTING])
        self.made[0].ready()
        self.assertEqual(self.states(), [READY, STARTING, STARTING])
        self.made[0].serves()
        self.assertEqual(self.states(), [SERVING, STARTING, STARTING])
        self.assertIs(pool.phase, Phase.RELEASED)
        self.bring(1)
        self.bring(2)
        self.assertIs(pool.phase, Phase.SERVING)
        self.assertEqual(self.states(), [SERVING] * 3)
        self.assertEqual([each.pid for each in pool.status()], [each.pid for each in self.made])
        self.assertEqual(repr(pool), "<Workers serving, 3 processes>")

    def test_sockets(self) -> None:
        """
        Every worker is given the sockets, which nobody accepts from here.
        """
        pool = self.serve()
        (port,) = self.ports
        for each in self.made:
            self.assertEqual(each.sockets, [("any", port.socket)])
        self.assertNotIn(port, self.reactor.getReaders())
        self.assertTrue(listens(self.address))
        self.assertEqual(pool.connections(), [])

    def test_waits(self) -> None:
        """
        While this process is about to take over, workers are made ready, and do not serve.
        """
        takeover = taking(self.reactor)
        takeover.waiting = True
        pool = self.start()
        for each in self.made:
            each.ready()
        self.assertEqual([each.waits for each in self.made], [False, False])
        self.assertIs(pool.phase, Phase.SERVING)
        takeover.serve()
        self.reactor.advance(0)
        self.assertNotIn(self.ports[0], self.reactor.getReaders())
        self.assertEqual([each.waits for each in self.made], [True, True])

    def test_readiness(self) -> None:
        """
        This process is not ready to take over before all workers are.
        """
        pool = self.pool(1)
        awaited: list[Deferred[Any]] = []
        self.patch(takeoverOf(self.reactor), "awaits", awaited.append)
        pool.startService()
        self.ports = [listener.port for listener in pool.ports.listeners]
        self.assertNoResult(awaited[0])
        self.made[0].ready()
        self.successResultOf(awaited[0])

    def test_leftAlone(self) -> None:
        """
        A worker that is told to go before it may serve is not told to serve.
        """
        takeover = taking(self.reactor)
        takeover.waiting = True
        pool = self.serveNot()
        done = pool.stopService()
        self.reactor.advance(0)
        takeover.serve()
        self.reactor.advance(0)
        self.assertFalse(self.made[0].waits)
        self.made[0].exit()
        self.successResultOf(done)

    def serveNot(self) -> Workers:
        pool = self.start(1)
        self.made[0].ready()
        return pool

    def test_broken(self) -> None:
        """
        If the first worker does not become ready, there are no others, and the reactor stops.
        """
        pool = self.start(3)
        self.made[0].exit("badly")
        self.reactor.advance(100)
        self.assertEqual((len(self.made), self.reactor.stopped), (1, 1))
        self.successResultOf(pool.stopService())
        self.assertEqual(self.diary.reports, [])
        self.assertFalse(listens(self.address))

    def test_brokenOnce(self) -> None:
        """
        What is heard of it after that says nothing new.
        """
        pool = self.start()
        reasons: list[str] = []
        pool.cannotStart = reasons.append
        self.made[0].exit("badly")
        pool.isNotReady(Failure(Boom()))
        self.assertEqual(reasons, ["it ended badly"])

    def test_impossible(self) -> None:
        """
        A process that cannot even be started is one that is not ready.
        """
        self.launcher.impossible = OSError(11, "no more")
        pool = self.pool()
        reasons: list[str] = []
        pool.cannotStart = reasons.append
        pool.startService()
        self.ports = [listener.port for listener in pool.ports.listeners]
        self.reactor.advance(0)
        self.assertEqual(reasons, ["it cannot be started ([Errno 11] no more)"])
        self.assertEqual(pool.status(), [])

    def test_cannotListen(self) -> None:
        """
        An endpoint that fails at once fails the start; no port is left open.
        """
        free = TCP4ServerEndpoint(self.reactor, 0, interface="127.0.0.1")
        bad = UNIXServerEndpoint(self.reactor, "/nowhere/at/all")
        pool = Workers(self.reactor, ["true"], 1, [free, bad])
        self.assertRaises(CannotListenError, pool.privilegedStartService)
        self.assertEqual(pool.ports.listeners, [])
        self.assertEqual(self.made, [])

    def test_cannotListenLater(self) -> None:
        """
        One that fails later has the reactor stopped.
        """
        endpoint = MemoryEndpoint(self.reactor)
        endpoint.held = Deferred()
        pool = Workers(self.reactor, ["true"], 1, [endpoint])
        pool.startService()
        endpoint.held.errback(Boom())
        self.assertEqual((self.made, self.reactor.stopped), ([], 1))

    def test_stoppedWhileListening(self) -> None:
        """
        Nothing is started when all was stopped before the last port was open.
        """
        endpoint = MemoryEndpoint(self.reactor)
        endpoint.held = Deferred()
        pool = Workers(self.reactor, ["true"], 1, [endpoint])
        pool.startService()
        self.successResultOf(pool.stopService())
        endpoint.held.callback(None)
        self.assertEqual(self.made, [])

    def test_startedAgainWhileListening(self) -> None:
        """
        A port that opens too late is closed again, and workers are started once.
        """

        def kind(factory: Any, clock: Any) -> Any:
            return clock.listenTCP(0, factory, interface="127.0.0.1")

        endpoint = MemoryEndpoint(self.reactor, kind)
        endpoint.held = held = Deferred()
        pool = Workers(self.reactor, ["true"], 1, [endpoint])
        pool.startService()
        self.successResultOf(pool.stopService())
        endpoint.held = None
        pool.startService()
        held.callback(None)
        self.ports = endpoint.ports
        self.assertEqual([port.connected for port in self.ports], [True, False])
        self.assertEqual(len(self.made), 1)

    def test_noSocket(self) -> None:
        """
        An endpoint without a socket that others could accept from is refused.
        """
        endpoint = MemoryEndpoint(self.reactor)
        pool = Workers(self.reactor, ["true"], 1, [endpoint])
        self.assertRaises(InvalidOption, pool.privilegedStartService)
        self.assertFalse(endpoint.ports[0].listening)

    def test_count(self) -> None:
        """
        A number of workers is a whole number from 1 to a limit.
        """
        for bad in (0, -1, True, 1.0, "x", "2", None, MOST + 1):
            problem = self.assertRaises(InvalidOption, Workers, self.reactor, ["true"], bad)
            self.assertEqual((problem.option, problem.value), ("count", bad))
        self.assertEqual([countOf("count", good) for good in (1, MOST)], [1, MOST])
