"""
What the admin door above workers watches: all of them, as one server.
"""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred, succeed

from terminable.admin.above.asking import Asking, Heard
from terminable.admin.above.totals import THROTTLED, Totals
from terminable.admin.watched import SERVING, STARTING, Watched
from terminable.errors import NotServing
from terminable.handover.worker import Worker, WorkerState
from terminable.handover.workers import Workers
from terminable.interfaces import ITerminationObserver
from terminable.policy.ledger import Ledger, Progress
from terminable.policy.phases import Phase
from terminable.policy.schedule import Schedule
from terminable.ports import Ports

#: For how many seconds an answer of the workers is good.
FRESH = 0.1

#: What the states of a worker are called at the door; one that is ready accepts in a moment.
STATES = {
    WorkerState.STARTING: "starting",
    WorkerState.READY: "starting",
    WorkerState.SERVING: "serving",
    WorkerState.LEAVING: "draining",
}

_LIMITS = ("held", "refused", "disconnected")


#: What has to be told by each worker.
_NEEDED = ("busy", "idle", "waiting", "counting", "oldest", "generations", "longestTurn")


def _statusIn(body: bytes) -> dict[str, Any]:
    """
    @param body: what a worker has answered.
    @return: what of it is used here.
    @raise LookupError: something is not there.
    """
    told = json.loads(body)
    throttle = {name: told["throttle"][name] for name in _LIMITS}
    return {**{name: told[name] for name in _NEEDED}, "throttle": throttle}


class Pool:
    """
    Workers as a door knows a terminator; in this process, nothing is served.

    @ivar generations: none.
    @ivar gate: has recorded nobody.
    """

    generations = ()
    waiting = 0
    longestTurn = 0.0

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self.gate = SimpleNamespace(ledger=Ledger())
        self.throttle = SimpleNamespace(counts=SimpleNamespace(**dict.fromkeys(_LIMITS, 0)))

    @property
    def phase(self) -> Phase:
        """
        Where they stand.
        """
        return self._workers.phase

    @property
    def ports(self) -> Ports:
        """
        The sockets that they accept from.
        """
        return self._workers.ports

    @property
    def schedule(self) -> Schedule:
        """
        How long they take to end.
        """
        return self._workers.schedule

    def progress(self) -> Progress:
        """
        How far their stop is.
        """
        return self._workers.progress()

    def addObserver(self, observer: ITerminationObserver) -> None:
        """
        Tell one more.
        """
        self._workers.addObserver(observer)

    def removeObserver(self, observer: ITerminationObserver) -> None:
        """
        Tell one less.
        """
        self._workers.removeObserver(observer)

    def terminate(self, gracePeriod: float | None = None) -> Deferred[None]:
        """
        Have them end politely.
        """
        return self._workers.terminate(gracePeriod)

    def abort(self) -> Deferred[None]:
        """
        Have them end now.
        """
        over = self._workers.terminate()
        self._workers.abort()
        return over

    def suspend(self) -> Deferred[None]:
        """
        @raise NotServing: always.
        """
        raise NotServing(
            "workers cannot be suspended: all of them, and those yet to come, share the ports"
        )

    def resume(self) -> None:
        """
        @raise NotServing: always.
        """
        raise NotServing("not suspended: workers never are")


class Whole(Watched):
    """
    All workers, and the process above them.

    @ivar workers: the workers.
    @ivar asking: asks them.
    @ivar totals: what they have counted.
    @ivar missing: the process numbers of those that did not answer when they were last asked.
    """

    def __init__(self, reactor: Any, workers: Workers, **options: Any) -> None:
        """
        @param options: as for L{Watched}.
        """
        self.workers = workers
        self.asking = Asking(reactor, workers)
        self.totals = Totals()
        self.missing: list[int] = []
        self._known: dict[int, dict[str, Any]] = {}
        self._freshUntil = -1.0
        self._wanting: list[Deferred[dict[str, Any]]] = []
        super().__init__(reactor, Pool(workers), **options)
        workers.watchers.append(self._changed)

    def stop(self) -> None:
        """
        Watch no more.
        """
        self.workers.watchers.remove(self._changed)
        super().stop()

    # -- how they stand

    def _phase(self) -> str:
        phase = super()._phase()
        if phase == Phase.RELEASED.value:
            return STARTING
        if phase == SERVING and not self.serving():
            return STARTING
        return phase

    def phaseChanged(self, old: Phase, new: Phase) -> None:
        """
        See L{ITerminationObserver.phaseChanged}.
        """
        self._served = self._served or new is Phase.SERVING
        super().phaseChanged(old, new)

    def serving(self) -> list[Worker]:
        """
        @return: the workers that accept.
        """
        living = self.workers.living()
        return [worker for worker in living if worker.state is WorkerState.SERVING]

    @property
    def followed(self) -> Workers:
        """
        What has the ports that a successor is given.
        """
        return self.workers

    @property
    def counting(self) -> bool:
        """
        Whether one of them has just begun to stop, and counts.
        """
        return any(each["counting"] for each in self._all().values())

    def _changed(self, worker: Worker | None) -> None:
        if worker is not None and worker.state is WorkerState.ENDED:
            self.totals.ended(worker)
        self.tell()

    # -- what they say

    def fresh(self) -> Deferred[dict[str, Any]]:
        """
        Ask them, unless that was just done.

        @return: fires with the status, at most a second later.
        """
        if self.reactor.seconds() < self._freshUntil:
            return succeed(self.status())
        wanting: Deferred[dict[str, Any]] = Deferred()
        self._wanting.append(wanting)
        if len(self._wanting) == 1:
            self.asking.everybody("/status", _statusIn).addCallback(self._heard)
        return wanting

    def _heard(self, heard: Heard) -> None:
        self._freshUntil = self.reactor.seconds() + FRESH
        self.missing = heard.missing
        # What is missing has not changed, as far as is known.
        self._known = self._all()
        for worker, _, status in heard.said:
            assert worker.pid is not None
            self._known[worker.pid] = status
            counts = {(THROTTLED, name): count for name, count in status["throttle"].items()}
            self.totals.note(worker, counts)
        wanting, self._wanting = self._wanting, []
        for each in wanting:
            each.callback(self.status())

    def _all(self) -> dict[int, dict[str, Any]]:
        """
        What those have said who are still there, by their process numbers.
        """
        pids = [worker.pid or 0 for worker in self.workers.living()]
        return {pid: self._known[pid] for pid in pids if pid in self._known}

    def counts(self) -> tuple[int, int]:
        """
        @return: how many connections all of them have that are busy, and that are not.
        """
        known = self._all().values()
        return sum(each["busy"] for each in known), sum(each["idle"] for each in known)

    def _oldest(self) -> dict[str, Any] | None:
        known = self._all().items()
        found = [self.row(pid, each["oldest"]) for pid, each in known if each["oldest"]]
        return max(found, key=lambda row: row["age"], default=None)

    def row(self, pid: int, told: dict[str, Any]) -> dict[str, Any]:
        """
        @param told: what a worker tells of a connection.
        @return: the same, by an id that no other worker uses.
        """
        return {**told, "pid": pid, "id": f"{pid}-{told['id']}"}

    def status(self) -> dict[str, Any]:
        """
        @return: how all of them stand, as C{/status} tells it.
        """
        known = self._all().values()
        sums = self.totals.sums()
        return {
            **super().status(),
            "waiting": sum(each["waiting"] for each in known),
            "generations": [one for each in known for one in each["generations"]],
            "throttle": {name: sums[THROTTLED, name] for name in _LIMITS},
            "longestTurn": max((each["longestTurn"] for each in known), default=0.0),
            "workers": [self._workerWords(worker) for worker in self.workers.living()],
            "wanted": self.workers.count,
            "restarts": self.workers.replaced,
            "restart": self.workers.rolled,
            "missing": self.missing,
        }

    def _workerWords(self, worker: Worker) -> dict[str, Any]:
        known = self._known.get(worker.pid or 0, {})
        return {
            "pid": worker.pid,
            "state": STATES[worker.state],
            "age": round(self.reactor.seconds() - worker.since, 3),
            **{name: known.get(name) for name in ("busy", "idle", "waiting")},
        }
