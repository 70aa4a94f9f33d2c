"""
One item in hand: worked on, and recorded as what became of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from terminable import events
from terminable.policy import schedule
from terminable.policy.backoff import Backoff
from terminable.spool.interfaces import ITaken
from terminable.spool.items import HandLost, Item, SpoolAway, errorOf, resultOf
from terminable.spool.pace import Doubling
from terminable.spool.terms import Terms

_log = Logger()


class Hand:
    """
    Works on one item.

    @ivar over: fires when it is recorded what became of it, or when nothing can be.
    """

    def __init__(
        self, reactor: Any, taken: ITaken, work: Callable[[Item], Any], terms: Terms
    ) -> None:
        self._reactor = reactor
        self._taken = taken
        self._work = work
        self._terms = terms
        self._working: tuple[Deferred[Any], Deferred[Any]] | None = None
        self._cut = False
        self._waiting: Deferred[None] | None = None
        self._backoff = Backoff()
        self.over: Deferred[None] = Deferred()

    @property
    def id(self) -> str:
        """
        Of the item.
        """
        return str(self._taken.item.id)

    def begin(self) -> None:
        """
        Work.
        """
        self._end(self._do())

    def putBack(self) -> None:
        """
        Do not even begin.
        """
        self._end(self._record(self._taken.giveBack))

    def _end(self, steps: Coroutine[Any, Any, None]) -> None:
        Deferred.fromCoroutine(steps).addErrback(self._failed).chainDeferred(self.over)

    def _failed(self, failure: Failure) -> None:
        _log.failure("item {id}", failure, id=self.id)

    def cut(self) -> None:
        """
        Time is up: cancel the work, and give the item back.
        """
        self._cut = True
        if self._working is not None:
            working, result = self._working
            working.cancel()
            if not result.called:
                # It does not care.
                result.errback(CancelledError())
        if self._waiting is not None:
            self._waiting.cancel()

    async def _do(self) -> None:
        taken, terms = self._taken, self._terms
        item: Item = taken.item
        if item.attempts > terms.attempts:
            # Whoever worked on it has never come to say what became of it.
            error = item.error or f"its process was ended each time, {terms.attempts} times"
            await self._giveUp(error, begun=False)
            return
        try:
            result = resultOf(await self._worked(item))
        except Exception as problem:
            await self._notDone(item, problem)
        else:
            await self._record(lambda: taken.done(result))

    async def _worked(self, item: Item) -> Any:
        working = maybeDeferred(self._work, item)
        limit = self._terms.timeLimit
        if limit is not None:
            working.addTimeout(limit, self._reactor, _overTime)
        result: Deferred[Any] = Deferred()
        working.addBoth(_tell, result)
        self._working = working, result
        try:
            return await result
        finally:
            self._working = None

    async def _notDone(self, item: Item, problem: Exception) -> None:
        taken, terms = self._taken, self._terms
        if self._cut:
            await self._record(taken.giveBack)
            return
        error = errorOf(problem)
        if item.attempts >= terms.attempts:
            await self._giveUp(error)
            return
        delay = self._delay(item)
        _log.info(
            "item {id}, attempt {n}: {error}",
            event=events.SPOOL_ATTEMPT,
            id=self.id,
            n=item.attempts,
            error=error,
        )
        await self._record(lambda: taken.again(error, delay))

    async def _giveUp(self, error: str, begun: bool = True) -> None:
        _log.warn(
            "item {id} is given up: {error}", event=events.SPOOL_GIVEN_UP, id=self.id, error=error
        )
        await self._record(lambda: self._taken.dead(error, begun))

    def _delay(self, item: Item) -> float:
        try:
            return schedule.seconds("backoff", self._terms.backoff(item.attempts))
        except Exception:
            _log.failure("backoff({attempts})", attempts=item.attempts)
            return Doubling()(item.attempts)

    async def _record(self, say: Callable[[], Deferred[None]]) -> None:
        """
        Say it until it is recorded, or until time is up.
        """
        while not await self._said(say):
            await self._pause()

    async def _said(self, say: Callable[[], Deferred[None]]) -> bool:
        """
        @return: whether it need not be said again.
        """
        try:
            await say()
        except HandLost as problem:
            _log.warn(
                "item {id} will be done again: {reason}",
                event=events.SPOOL_AGAIN,
                id=self.id,
                reason=problem,
            )
        except SpoolAway as problem:
            _log.warn("item {id}: {reason}", event=events.SPOOL_UNSURE, id=self.id, reason=problem)
            return self._cut
        return True

    async def _pause(self) -> None:
        wait = self._backoff.after(0.0)
        self._waiting = deferLater(self._reactor, wait, lambda: None)
        # If time is up meanwhile: once more, at once.
        with contextlib.suppress(CancelledError):
            await self._waiting
        self._waiting = None


def _tell(value: Any, result: Deferred[Any]) -> None:
    if not result.called:
        result.callback(value)


def _overTime(value: Any, limit: float) -> Any:
    if isinstance(value, Failure) and value.check(CancelledError):
        raise TimeoutError(f"not done within {limit:g} s")
    return value
