"""
Workers that are fakes, on real sockets.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from terminable.handover import workers as module
from terminable.handover.worker import WorkerState
from terminable.handover.workers import Workers
from tests.doubles import Boom, Diary
from tests.workdoubles import FakeLauncher, FakeSuccessor, WorkReactor

STARTING, READY, SERVING, LEAVING = list(WorkerState)[:4]


class PoolTestCase(SynchronousTestCase):
    """
    Workers that are fakes, on real sockets.
    """

    def setUp(self) -> None:
        self.reactor = WorkReactor()
        self.addCleanup(self.loseAll)
        self.launcher = FakeLauncher()
        self.patch(module, "Launcher", lambda *details: self.launcher)

    def loseAll(self) -> None:
        for port in self.ports:
            if port.connected:
                port.connectionLost(Failure(Boom()))

    ports: Any = ()

    def pool(self, count: int = 2, **settings: Any) -> Workers:
        """
        Workers that are about to start on one port.
        """
        endpoint = TCP4ServerEndpoint(self.reactor, 0, interface="127.0.0.1")
        settings = {"idleGrace": 0.0, **settings}
        pool = self.workers = Workers(self.reactor, ["true"], count, [endpoint], **settings)
        self.diary = Diary()
        pool.addObserver(self.diary)
        return pool

    def start(self, count: int = 2, **settings: Any) -> Workers:
        """
        Workers that start.
        """
        pool = self.pool(count, **settings)
        pool.privilegedStartService()
        pool.startService()
        self.ports = [listener.port for listener in pool.ports.listeners]
        self.address = self.ports[0].socket.getsockname()
        return pool

    def serve(self, count: int = 2, **settings: Any) -> Workers:
        """
        Workers that serve.
        """
        pool = self.start(count, **settings)
        for number in range(count):
            self.bring(number)
        return pool

    def bring(self, number: int) -> FakeSuccessor:
        """
        Have one come to serve.
        """
        made = self.made[number]
        made.ready()
        made.serves()
        return made

    @property
    def made(self) -> list[FakeSuccessor]:
        return self.launcher.made

    def states(self) -> list[WorkerState]:
        return [each.state for each in self.workers.status()]
