"""
What stands for threads and databases in the tests of the spool.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, execute, fail, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from terminable.spool import ISpoolStore, ITaken, Item


class SpoolReactor(Clock):
    """
    A reactor whose threads are this one.

    @ivar triggers: what is to be done when it ends.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rightNow = 1000.0
        self.triggers: list[Any] = []

    def callFromThread(self, call: Any, *arguments: Any) -> None:
        call(*arguments)

    def addSystemEventTrigger(self, phase: str, event: str, call: Any) -> Any:
        self.triggers.append(call)
        return call

    def removeSystemEventTrigger(self, trigger: Any) -> None:
        self.triggers.remove(trigger)

    def settle(self) -> None:
        """
        Do what is due now, and what comes of it.
        """
        while any(call.getTime() <= self.seconds() for call in self.getDelayedCalls()):
            self.advance(0)

    def go(self, seconds: float) -> None:
        """
        Let time pass.
        """
        self.settle()
        self.advance(seconds)
        self.settle()


class InlineThread:
    """
    A pool of threads that has none.
    """

    running = False

    def start(self) -> None:
        self.running = True

    def stop(self) -> None:
        self.running = False

    def callInThreadWithCallback(self, told: Any, call: Any, *arguments: Any) -> None:
        try:
            result = call(*arguments)
        except Exception:
            told(False, Failure())
        else:
            told(True, result)


class InlinePool:
    """
    What stands for a pool of one connection, in this thread.
    """

    connectionFactory: Any

    def __init__(self, module: str, address: str, **settings: Any) -> None:
        import psycopg

        self._open = settings.pop("cp_openfun")
        for name in ("cp_reactor", "cp_min", "cp_max"):
            settings.pop(name)
        self._connect = lambda: psycopg.connect(address, **settings)
        self.connection: Any = None

    def connect(self) -> Any:
        if self.connection is None:
            connection = self._connect()
            self._open(connection)
            self.connection = connection
        return self.connection

    def disconnect(self, connection: Any) -> None:
        self.connection = None

    def runWithConnection(self, call: Any, *arguments: Any) -> Deferred[Any]:
        return execute(lambda: call(self.connectionFactory(self), *arguments))

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()


@implementer(ITaken)
class HandTaken:
    """
    An item in hand, of which a test says what becomes.

    @ivar said: what was said about it.
    @ivar failing: what the next answers are, if not success.
    """

    def __init__(self, item: Item) -> None:
        self.item = item
        self.said: list[Any] = []
        self.failing: list[Exception] = []

    def _say(self, *words: Any) -> Deferred[None]:
        self.said.append(words)
        return fail(self.failing.pop(0)) if self.failing else succeed(None)

    def done(self, result: bytes | None) -> Deferred[None]:
        return self._say("done", result)

    def again(self, error: str, delay: float) -> Deferred[None]:
        return self._say("again", error, delay)

    def dead(self, error: str, begun: bool = True) -> Deferred[None]:
        return self._say("dead", error, begun)

    def giveBack(self) -> Deferred[None]:
        return self._say("giveBack")


@implementer(ISpoolStore)
class HandStore:
    """
    A store that a test answers for.

    @ivar asked: the Deferreds of those who want an item.
    @ivar calls: what else was asked.
    @ivar answer: what else is answered.
    """

    def __init__(self) -> None:
        self.asked: list[Deferred[Any]] = []
        self.calls: list[Any] = []
        self.answer: Any = None

    def __repr__(self) -> str:
        return "<HandStore>"

    def check(self) -> None:
        self.calls.append("check")

    def start(self, most: int | None, deadBlocks: bool) -> None:
        self.calls.append(("start", most, deadBlocks))

    def stop(self) -> Deferred[None]:
        self.calls.append("stop")
        return succeed(None)

    def _answer(self, *words: Any) -> Deferred[Any]:
        self.calls.append(words)
        return fail(self.answer) if isinstance(self.answer, Exception) else succeed(self.answer)

    def record(self, item: Item) -> Deferred[Item]:
        return self._answer("record", item)

    def take(self) -> Deferred[Any]:
        self.asked.append(Deferred())
        return self.asked[-1]

    def look(self, id: str) -> Deferred[Any]:
        return self._answer("look", id)

    def progress(self) -> Deferred[Any]:
        return self._answer("progress")

    def deadLetters(self, most: int) -> Deferred[Any]:
        return self._answer("deadLetters", most)

    def retryDead(self, id: str) -> Deferred[bool]:
        return self._answer("retryDead", id)

    def dropDead(self, id: str) -> Deferred[bool]:
        return self._answer("dropDead", id)

    def prune(self, age: float) -> Deferred[int]:
        return self._answer("prune", age)
