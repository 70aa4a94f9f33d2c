"""
How workers end: all of them together, by one deadline, with one report.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from terminable import events
from terminable.handover.held import HeldPorts
from terminable.handover.observed import Observed
from terminable.handover.place import Place
from terminable.handover.verdict import WorkersProgress, verdict
from terminable.handover.worker import Worker, WorkerState
from terminable.policy.ledger import Progress
from terminable.policy.phases import Phase
from terminable.policy.schedule import Schedule

_log = Logger()

#: Seconds beyond the grace period that workers have to end.
SPARE = 5.0


class Ending(Observed):
    """
    The end of workers.

    @ivar schedule: how long they take to end.
    @ivar ports: the sockets that they accept from.
    """

    schedule: Schedule
    ports: HeldPorts

    def __init__(self, reactor: Any) -> None:
        super().__init__()
        self._reactor = reactor
        self._resetEnd()

    def _resetEnd(self) -> None:
        self._places: list[Place] = []
        self._all: list[Worker] = []
        self._began: float | None = None
        self._until: float | None = None
        self._hurried = False
        self._force: Any = None
        self._empty: Deferred[None] | None = None
        self._over: list[Deferred[None]] = []

    def living(self) -> list[Worker]:
        """
        Each worker that has not ended, oldest first.
        """
        return [worker for worker in self._all if worker.state is not WorkerState.ENDED]

    def progress(self) -> Progress:
        """
        How far the stop is: its C{busy} ones are workers.
        """
        left = self.schedule.gracePeriod if self._began is None else self._left()
        return WorkersProgress(self.phase, len(self.living()), 0, left, None)

    def _left(self) -> float | None:
        if self._until is None:
            return None
        return max(0.0, self._until - float(self._reactor.seconds()))

    # -- the stop

    def terminate(self, gracePeriod: float | None = None) -> Deferred[None]:
        """
        Have all workers drain and go.  It may be called again: the stop is the same, and a
        later call can only bring its deadline forward.

        @param gracePeriod: seconds from now until stragglers are aborted; by default, what
            the schedule says.  Workers that are programs of somebody else's have their own.
        @return: fires when the last worker has gone.
        @raise terminable.InvalidOption: the grace period is no time.
        """
        given = gracePeriod is not None
        schedule = self.schedule.changed(gracePeriod=gracePeriod) if given else self.schedule
        if self.phase is Phase.TERMINATED:
            return succeed(None)
        over: Deferred[None] = Deferred()
        self._over.append(over)
        if self._began is None:
            self._hurried = given
            self._limit(schedule.gracePeriod)
            Deferred.fromCoroutine(self._stop(schedule))
        elif gracePeriod is not None:
            self._hasten(gracePeriod)
        return over

    def _limit(self, gracePeriod: float | None) -> None:
        """
        There is a new deadline.
        """
        self._cancel()
        self._until = None
        if gracePeriod is not None:
            self._until = self._reactor.seconds() + gracePeriod
            self._force = self._reactor.callLater(gracePeriod + SPARE, self._end)

    def _cancel(self) -> None:
        call, self._force = self._force, None
        if call is not None and call.active():
            call.cancel()

    def _hasten(self, gracePeriod: float) -> None:
        left = self._left()
        if left is not None and left <= gracePeriod:
            return
        self._hurried = True
        self._limit(gracePeriod)
        for worker in self.living():
            worker.hurry(gracePeriod)

    async def _stop(self, schedule: Schedule) -> None:
        self._began = self._reactor.seconds()
        served = self.phase is Phase.SERVING
        self.step(Phase.DRAINING)
        shutting = self._reactor.callLater(schedule.quiesce, self._shut)
        if schedule.quiesce:
            # They go on accepting for so long, and need paths for that.
            self._leave()
        if self.living():
            self._empty = Deferred()
            await self._empty
        self._cancel()
        if shutting.active():
            shutting.cancel()
        self._unlisten()
        self.step(Phase.TERMINATED)
        if served:
            self._report()
        over, self._over = self._over, []
        for each in over:
            each.callback(None)

    def _unlisten(self) -> None:
        self.ports.closeNow()
        self.ports.release()

    def _shut(self) -> None:
        self.ports.closeAll(self.schedule.settle, self._isShut)

    def _isShut(self) -> None:
        self.tell("portsClosed")
        self._leave()

    def _leave(self) -> None:
        for place in self._places:
            place.giveUp()
        left = self._left() if self._hurried else None
        for worker in self.living():
            worker.leave()
            if left is not None:
                worker.hurry(left)

    def _end(self) -> None:
        for worker in self.living():
            _log.warn(
                "worker {pid} does not end; it is ended", event=events.WORKER_STUCK, pid=worker.pid
            )
            worker.end()

    def abort(self) -> None:
        """
        Have all workers end now, if they are to end: connections that are left are aborted.
        """
        if self.phase.stopping:
            self.step(Phase.ABORTING)
            for worker in self.living():
                worker.abort()

    def _report(self) -> None:
        """
        One report of all that were there when the stop began.
        """
        assert self._began is not None
        report, text = verdict(self._all, self._reactor.seconds() - self._began)
        self._all = []
        details = events.fieldsOf(report)
        _log.info("terminated: {report}", event=events.TERMINATED, report=text, **details)
        self.tell("terminated", report)
