"""
A place where one worker is to be: whoever ends is replaced.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from terminable import events
from terminable.errors import HandoverFailed, InvalidOption, TerminableError
from terminable.handover.worker import Worker
from terminable.policy.backoff import Backoff

_log = Logger()

#: How many workers there may be.
MOST = 1024


def countOf(option: str, value: object) -> int:
    """
    @return: a number of workers.
    @raise InvalidOption: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST:
        raise InvalidOption(option, value, f"a whole number from 1 to {MOST}")
    return value


class Place:
    """
    One of the places of a pool.

    @ivar worker: who is there; C{None} while nobody is.
    @ivar wasReady: whether somebody here has ever been ready.
    """

    def __init__(self, reactor: Any, pool: Any) -> None:
        """
        @param pool: makes workers (C{make}), says when they may serve (C{mayServe}) and whether
            there are to be new ones (C{lives}), and is told when one is ready (C{isReady}) or
            does not come to that (C{isNotReady}).
        """
        self._reactor = reactor
        self._pool = pool
        self._backoff = Backoff()
        self._call: Any = None
        self._given = True
        self.worker: Worker | None = None
        self.wasReady = False

    def fill(self) -> None:
        """
        Have somebody here.
        """
        self._call = None
        self.worker = worker = self._pool.make(self)
        Deferred.fromCoroutine(self._bring(worker)).addErrback(self._failed, worker)

    async def _bring(self, worker: Worker) -> None:
        try:
            await worker.start()
        except HandoverFailed as problem:
            self._pool.isNotReady(problem)
            raise
        self.wasReady = True
        self._pool.isReady()
        await self._pool.mayServe()
        if not worker.asked:
            await worker.serve()

    def _failed(self, reason: Any, worker: Worker) -> None:
        if reason.check(TerminableError) is None:
            _log.failure("{worker} failed", reason, worker=worker)
        elif self._pool.lives:
            why = reason.getErrorMessage()
            _log.warn(
                "worker {pid} does not serve: {why}",
                event=events.WORKER_NOT_SERVING,
                pid=worker.pid,
                why=why,
            )

    def ended(self, worker: Worker) -> None:
        """
        A worker that was made for this place has ended: if it is the one that should be
        here, there is another one in a moment.
        """
        if worker is not self.worker:
            return
        self.worker = None
        if self._pool.lives:
            wait = self._backoff.after(worker.life)
            _log.warn(
                "another worker is started in {wait:g} s", event=events.WORKER_AGAIN, wait=wait
            )
            self._call = self._reactor.callLater(wait, self.fill)

    async def replace(self) -> None:
        """
        Have somebody new here; who is here leaves when the new one serves.

        @raise HandoverFailed: the new one does not; who was here stays.
        """
        new = self._pool.make(self)
        await self._bring(new)
        if new.asked or not self._given:
            # The place is given up, or everything ends.
            new.leave()
            return
        old, self.worker = self.worker, new
        self._cancel()
        if old is not None:
            old.leave()

    def giveUp(self) -> None:
        """
        Nobody is to be here any more.
        """
        self._given = False
        self._cancel()
        worker, self.worker = self.worker, None
        if worker is not None:
            worker.leave()

    def _cancel(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
