"""
Several processes that accept from the same sockets, below one that only supervises them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from terminable import events
from terminable.errors import HandoverFailed, NotServing, UpgradeRefused
from terminable.handover.ending import Ending
from terminable.handover.following import takeoverOf
from terminable.handover.held import HeldPorts
from terminable.handover.launcher import Launcher
from terminable.handover.place import Place, countOf
from terminable.handover.successor import Successor
from terminable.handover.upgrading import READY
from terminable.handover.worker import Worker, WorkerState, WorkerStatus
from terminable.policy.phases import Phase
from terminable.policy.schedule import Schedule

_log = Logger()


class Workers(Ending, Service):
    """
    Listens, without ever accepting, and has workers accept: other processes, which are
    started by a command line, and replaced when they end.

    A worker is anything that listens on the same addresses through a
    L{terminable.Terminator} or a L{terminable.TerminableService}: it finds the sockets that
    are there.  One that cannot listen on any of them is not ready.

    @ivar phase: where all this stands; L{Phase.SERVING} from when all workers are ready.
    @ivar ports: the sockets.
    @ivar started: how many workers were ever started.
    @ivar replaced: how many of them have ended by themselves, and others were started instead.
    @ivar rolled: how the last rolling restart stands: C{None}, C{"under way"}, C{"done"}, or
        C{"failed: ..."}.
    @ivar watchers: each is called with a worker when that stands elsewhere, and with C{None}
        when a rolling restart does.
    @ivar cannotStart: called with the reason, one line, if the very first worker does not
        become ready; by default, the reactor is stopped.
    """

    def __init__(
        self,
        reactor: Any,
        command: Sequence[str] | None = None,
        count: int = 1,
        endpoints: Iterable[IStreamServerEndpoint] = (),
        *,
        schedule: Schedule | None = None,
        environ: Mapping[str, str] | None = None,
        path: str | None = None,
        timeout: float = READY,
        **settings: Any,
    ) -> None:
        """
        @param reactor: provides L{twisted.internet.interfaces.IReactorCore}, C{IReactorTime},
            C{IReactorProcess} and C{IReactorSocket}.
        @param command: the program that a worker is, and its arguments; by default, the
            command line of this process.
        @param count: how many workers there are to be.
        @param endpoints: what they accept from.
        @param schedule: how long they take to end; what they do then is up to themselves.
        @param environ: their environment, by default ours.
        @param path: where they are started; by default, where this process was.
        @param timeout: seconds until a worker must be ready.
        @param settings: the same as C{schedule} one by one: C{gracePeriod=10.0}.
        @raise InvalidOption: a number or a setting that cannot be meant, or no such command.
        """
        self._count = countOf("count", count)
        self.schedule = schedule.changed(**settings) if schedule else Schedule(**settings)
        super().__init__(reactor)
        self._launcher = Launcher(reactor, command, environ, path, timeout)
        self._endpoints = list(endpoints)
        self.started = self.replaced = 0
        self.rolled: str | None = None
        self.watchers: list[Callable[[Worker | None], object]] = []
        self.cannotStart: Callable[[str], object] = lambda reason: reactor.stop()
        self._reset()

    def _reset(self) -> None:
        self.phase = Phase.RELEASED
        self.ports = HeldPorts(self._reactor)
        self._resetEnd()
        self._waiting: list[Deferred[None]] = []
        self._listening: list[Deferred[None]] = []
        self._up: Deferred[None] = Deferred()
        self._everReady = self._serving = self._rolling = self._broken = False

    def __repr__(self) -> str:
        return f"<Workers {self.phase.value}, {len(self._all)} processes>"

    # -- what there is

    @property
    def count(self) -> int:
        """
        How many workers there are to be.
        """
        return self._count

    def status(self) -> list[WorkerStatus]:
        """
        What is known of each worker that has not ended, oldest first.
        """
        return [worker.status() for worker in self.living()]

    def connections(self) -> list[Any]:
        """
        There are none in this process.
        """
        return []

    # -- starting

    def privilegedStartService(self) -> None:
        """
        Listen, for which rights may be needed that are given up next.

        @raise Exception: whatever an endpoint fails with at once; no port is left open.
        """
        super().privilegedStartService()
        self._listen()

    def startService(self) -> None:
        """
        Have the workers started as soon as the reactor runs.

        @raise Exception: as in L{privilegedStartService}.
        """
        super().startService()
        if not self._listening:
            self._listen()
        takeoverOf(self._reactor).awaits(self._up)
        self._reactor.callWhenRunning(self._begin)

    def _listen(self) -> None:
        if self.phase is Phase.TERMINATED:
            self._reset()
        self._listening = [self.ports.listen(endpoint) for endpoint in self._endpoints]
        for listening in self._listening:
            failed = getattr(listening, "result", None)
            if isinstance(failed, Failure):
                self._unlisten()
                failed.raiseException()

    def _unlisten(self) -> None:
        for listening in self._listening:
            listening.addErrback(lambda reason: None)
        self._listening = []
        super()._unlisten()

    def _begin(self) -> None:
        Deferred.fromCoroutine(self._start()).addErrback(self.isNotReady)

    async def _start(self) -> None:
        ports = self.ports
        for listening in self._listening:
            await listening
        if not self.running or ports is not self.ports or self._began is not None:
            # Stopped, or even started again, while an endpoint was at it.
            ports.closeNow()
            ports.release()
            return
        takeover = takeoverOf(self._reactor)
        if takeover.waiting:
            takeover.observers.append(self._serve)
        else:
            self._serve()
        # One alone: what it stumbles over, all would.
        self._addPlace()

    def _addPlace(self) -> None:
        place = Place(self._reactor, self)
        self._places.append(place)
        place.fill()

    def _serve(self) -> None:
        self._serving = True
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)

    # -- what places ask

    @property
    def lives(self) -> bool:
        """
        Whether workers are started.
        """
        ending = self._began is not None
        return bool(self.running) and not (ending or self._broken or self.ports.handedOver)

    def make(self, place: Place) -> Worker:
        """
        A worker that is yet to be started.
        """
        worker = Worker(self._reactor, self._successor, lambda worker: self._gone(worker, place))
        self._all.append(worker)
        self.started += 1
        worker.changed = lambda: self._tellChange(worker)
        worker.changed()
        return worker

    def _tellChange(self, worker: Worker | None) -> None:
        for watcher in list(self.watchers):
            try:
                watcher(worker)
            except Exception:
                _log.failure("{watcher} failed", watcher=watcher)

    def _successor(self, **options: Any) -> Successor:
        return self._launcher.make(self.ports.sockets(), **options)

    def mayServe(self) -> Deferred[None]:
        """
        Fires when whoever is ready may accept.
        """
        if self._serving:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        return waiting

    def isReady(self) -> None:
        """
        Somebody is.
        """
        if not self._everReady:
            self._everReady = True
            while len(self._places) < self._count:
                self._addPlace()
        if self.phase is Phase.RELEASED and all(place.wasReady for place in self._places):
            self.step(Phase.SERVING)
            self._up.callback(None)

    def isNotReady(self, problem: Any) -> None:
        """
        Somebody does not come to it.
        """
        if self._everReady or not self.lives:
            return
        self._broken = True
        reason = problem.getErrorMessage() if isinstance(problem, Failure) else str(problem)
        _log.error("workers cannot start: {reason}", event=events.WORKERS_FAILED, reason=reason)
        for place in self._places:
            place.giveUp()
        self.cannotStart(reason)

    def _gone(self, worker: Worker, place: Place) -> None:
        if not self.phase.stopping:
            self.replaced += place.worker is worker and self.lives
            self._all.remove(worker)
            place.ended(worker)
        elif self._empty is not None and not self.living():
            self._empty.callback(None)

    # -- while they serve

    def _mustServe(self, what: str) -> None:
        if self.phase is not Phase.SERVING or not self.lives:
            raise NotServing(f"cannot {what} while {self.phase.value}")

    def resize(self, count: int) -> None:
        """
        Have another number of workers; those that are too many leave.

        @raise InvalidOption: this is no number of workers.
        @raise NotServing: not all workers have been ready yet, or all are ending.
        """
        count = countOf("count", count)
        self._mustServe("resize")
        self._count = count
        _log.info("the number of workers is {count} now", event=events.WORKERS_COUNT, count=count)
        while len(self._places) < count:
            self._addPlace()
        while len(self._places) > count:
            self._places.pop().giveUp()

    def rollingRestart(self) -> Deferred[None]:
        """
        Replace the workers one by one: the next one when the new one before it serves.

        @return: fires when all of them are new.  Fails with L{NotServing} if not all workers
            have been ready yet, or all are ending; with L{UpgradeRefused} if this is under
            way; with L{HandoverFailed} if a new worker does not come to serve: those that
            were not replaced stay.
        """
        return Deferred.fromCoroutine(self._rollOnce())

    async def _rollOnce(self) -> None:
        self._mustServe("restart workers")
        if self._rolling:
            raise UpgradeRefused("a rolling restart is under way already")
        try:
            await self._roll()
        except Exception as problem:
            self._hasRolled(f"failed: {problem}")
            raise
        self._hasRolled("done")

    async def _roll(self) -> None:
        self._rolling = True
        self._hasRolled("under way")
        try:
            for place in list(self._places):
                if place in self._places and self.lives:
                    await place.replace()
                    self._bound()
        except HandoverFailed:
            # Perhaps because all of them end.
            self._mustServe("restart workers")
            raise
        finally:
            self._rolling = False
        self._mustServe("restart workers")
        _log.info("rolling restart: done", event=events.WORKERS_RESTARTED)

    def _hasRolled(self, how: str) -> None:
        self.rolled = how
        self._tellChange(None)

    def _bound(self) -> None:
        leaving = [worker for worker in self._all if worker.state is WorkerState.LEAVING]
        for worker in leaving[: -2 * self._count]:
            worker.makeRoom()

    # -- stopping

    def stopService(self) -> Deferred[None]:
        """
        Have all workers drain and go.

        @return: fires when the last one has gone.
        """
        super().stopService()
        return self.terminate()
