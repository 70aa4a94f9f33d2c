"""
Questions for one database connection, in order, and as many at a time as there are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from terminable.errors import TerminableError
from terminable.spool.items import SpoolAway

#: How many questions are answered by one transaction at most.
TOGETHER = 200

#: How many items to forget in one transaction.
PRUNE = 500


def always(connection: Any) -> bool:
    """
    @return: that something would be changed.
    """
    return True


def notRunning() -> Deferred[Any]:
    """
    @return: fails, as whatever is asked of a store that was not started.
    """
    return fail(SpoolAway("the spool is not running"))


async def pruned(some: Callable[[int], Deferred[int]]) -> int:
    """
    Forget items, so many in one transaction, until there are no more.

    @param some: forgets at most so many of them, and says how many there were.
    @return: how many there were.
    """
    count = 0
    while True:
        last = await some(PRUNE)
        count += last
        if last < PRUNE:
            return count


@dataclass(frozen=True)
class Job:
    """
    One question.

    @ivar run: is called with the connection, in the connection's thread.
    @ivar writes: is called before, and says whether C{run} would change anything now.
    @ivar key: the key whose order it touches; C{None} if it touches none.
    """

    run: Callable[[Any], Any]
    writes: Callable[[Any], bool] = always
    key: str | None = None

    def attempt(self, db: Any) -> Any:
        """
        @return: what C{run} returns, or its refusal, which changes nothing.
        """
        try:
            return self.run(db)
        except TerminableError:
            return Failure()


class Desk:
    """
    Takes questions at any time.  Those that come in one turn of the reactor, or while others
    are being answered, are answered together: one commit, which has to wait for a disk,
    serves all of them.
    """

    def __init__(self, reactor: Any, answer: Callable[[list[Job]], Deferred[list[Any]]]) -> None:
        """
        @param answer: answers several jobs in a thread, with a result or a Failure for each.
        """
        self._reactor = reactor
        self._answer = answer
        self._asked: list[tuple[Job, Deferred[Any]]] = []
        self._busy = False
        self._idle: list[Deferred[None]] = []

    def ask(self, job: Job) -> Deferred[Any]:
        """
        @return: fires with what C{job} returned, when that is committed.
        """
        asked: Deferred[Any] = Deferred()
        self._asked.append((job, asked))
        self._soon()
        return asked

    def whenIdle(self) -> Deferred[None]:
        """
        @return: fires when all questions are answered.
        """
        idle: Deferred[None] = Deferred()
        self._idle.append(idle)
        self._soon()
        return idle

    def _soon(self) -> None:
        if not self._busy:
            self._busy = True
            # Who else asks in this turn is answered with it.
            self._reactor.callLater(0, self._next)

    def _next(self) -> None:
        now, self._asked = self._asked[:TOGETHER], self._asked[TOGETHER:]
        if not now:
            self._busy = False
            idle, self._idle = self._idle, []
            for each in idle:
                each.callback(None)
            return
        answered = self._answer([job for job, _ in now])
        answered.addErrback(lambda failure: [failure] * len(now))
        answered.addCallback(self._tell, now)

    def _tell(self, results: list[Any], asked: list[tuple[Job, Deferred[Any]]]) -> None:
        for (_, each), result in zip(asked, results, strict=True):
            if isinstance(result, Failure):
                each.errback(result)
            else:
                each.callback(result)
        # What they asked next, when they were told, is answered together.
        self._reactor.callLater(0, self._next)
