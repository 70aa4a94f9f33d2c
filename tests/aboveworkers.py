"""
An admin door above workers that are fakes, and what these answer.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred, fail, maybeDeferred

from terminable.admin.above.answering import Answering
from terminable.admin.above.api import WholeApi
from terminable.admin.above.whole import Whole
from terminable.admin.guard import Guard
from terminable.admin.health import Health
from terminable.admin.site import AdminSite
from terminable.admin.watched import Watched
from terminable.handover import channel
from tests.adminasking import Response, Talk, question
from tests.doubles import Hinting, MemoryEndpoint, World
from tests.workdoubles import FakeChannel
from tests.workpools import PoolTestCase


class TalkingChannel(FakeChannel):
    """
    The channel to a worker that answers.

    @ivar world: what it serves.
    @ivar waiting: questions that have no answer yet, while it is deaf.
    """

    def __init__(self) -> None:
        super().__init__()
        self.world = World(Hinting)
        self.health = Health(self.world.clock)
        terminator = self.world.terminator
        self.watched = Watched(self.world.clock, terminator, health=self.health)
        # However slow the machine is, it takes no time.
        self.watched.work._worked = lambda: 0.0
        self.answering = Answering(self.watched)
        self.waiting: list[Deferred[Any]] = []
        self.asked: list[Any] = []
        terminator.listen(MemoryEndpoint(self.world.clock), self.world.factory)

    def connect(self, busy: bool = False) -> Any:
        """
        A client of this worker comes.
        """
        transport = self.world.connect()
        self.world.factory.protocols[-1].busy = busy
        return transport

    def callRemote(self, command: Any, **details: Any) -> Deferred[Any]:
        if command not in (channel.Ask, channel.More):
            return super().callRemote(command, **details)
        self.asked.append((command, details))
        if self.broken:
            return fail(ConnectionError("gone"))
        if self.deaf:
            self.waiting.append(Deferred())
            return self.waiting[-1]
        work = self.answering.ask if command is channel.Ask else self.answering.more
        return maybeDeferred(work, **details)


class AboveTestCase(PoolTestCase):
    """
    A door above workers in memory.
    """

    def above(self, count: int = 2) -> Whole:
        """
        A door above workers that are about to start.
        """
        pool = self.start(count, gracePeriod=10.0)
        self.left: list[str] = []
        self.whole = Whole(
            self.reactor,
            pool,
            leave=lambda: self.left.append("left"),
            name="here",
            now=lambda: 1000.0 + self.reactor.seconds(),
        )
        self.api = WholeApi(self.whole, Guard())
        self.site = AdminSite(self.reactor, self.api.serve)
        return self.whole

    def answer(self, number: int) -> TalkingChannel:
        """
        Have a worker serve, and answer.
        """
        talking = TalkingChannel()
        self.addCleanup(talking.watched.stop)
        self.made[number].channel = talking
        self.bring(number)
        return talking

    def served(self, count: int = 2) -> list[TalkingChannel]:
        """
        A door above workers that serve.
        """
        self.above(count)
        return [self.answer(number) for number in range(count)]

    def pids(self) -> list[Any]:
        return [each.pid for each in self.made]

    def get(self, path: str, **headers: str) -> Response:
        return Talk(self.site).ask(question(path, **headers))

    def post(self, path: str, values: Any = None) -> Response:
        body = b"" if values is None else json.dumps(values).encode()
        return Talk(self.site).ask(question(path, "POST", body))
