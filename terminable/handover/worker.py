"""
One of several processes that accept from the same sockets, seen from above.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.logger import Logger
from twisted.protocols import amp

from terminable import events
from terminable.errors import HandoverFailed
from terminable.handover import channel, passage
from terminable.handover.successor import Successor
from terminable.policy import summary
from terminable.policy.ledger import Report

_log = Logger()

#: Seconds that a worker has to end when it was told to end at once.
ABORTED = 5.0

#: For so long after it has begun to leave, in seconds, a worker may take a signal for an echo
#: of what made it leave, and do nothing.
DEAF = 0.15

#: How many reports of one worker are kept: each of its terminators makes one.
REPORTS = 64


class WorkerState(Enum):
    """
    Where a worker stands.
    """

    STARTING = "starting"
    READY = "ready"
    SERVING = "serving"
    LEAVING = "leaving"
    ENDED = "ended"


class WorkerStatus(NamedTuple):
    """
    What is known of a worker.

    @ivar pid: its process number; C{None} if it could not even be started.
    @ivar since: when it was started, in seconds as the reactor counts them.
    @ivar state: where it stands.
    """

    pid: int | None
    since: float
    state: WorkerState


class Worker(amp.CommandLocator):
    """
    One worker.

    @ivar state: where it stands.
    @ivar since: when it was started, in seconds as the reactor counts them.
    @ivar asked: whether it was told to go.
    @ivar reports: what it said came of its connections.
    @ivar changed: called when it stands elsewhere.
    @ivar unnamed: how many connections it did not name in these, for want of room.
    """

    def __init__(
        self, reactor: Any, make: Callable[..., Successor], ended: Callable[[Worker], object]
    ) -> None:
        """
        @param make: called with the keyword C{locators}; makes the process that is started.
        @param ended: called when it has ended, whyever.
        """
        super().__init__()
        self._reactor = reactor
        self._successor = make(locators=[self])
        self._ended = ended
        self._ready: float | None = None
        self._told: Deferred[object] | None = None
        self._aborting = False
        self.changed: Callable[[], object] = lambda: None
        self.state = WorkerState.STARTING
        self.since = reactor.seconds()
        self.asked = False
        self.reports: list[Report] = []
        self.unnamed = 0

    def __repr__(self) -> str:
        return f"<Worker {self.pid} {self.state.value}>"

    @property
    def pid(self) -> int | None:
        """
        Its process number; C{None} if it could not be started.
        """
        return self._successor.pid

    @property
    def wasReady(self) -> bool:
        """
        Whether it has ever been ready.
        """
        return self._ready is not None

    @property
    def life(self) -> float:
        """
        For how many seconds it has been ready; 0 if it never was.
        """
        return 0.0 if self._ready is None else self._reactor.seconds() - self._ready

    def status(self) -> WorkerStatus:
        """
        What is known of it.
        """
        return WorkerStatus(self.pid, self.since, self.state)

    def start(self) -> Deferred[None]:
        """
        Start it.

        @return: fires when it is ready, or fails with L{HandoverFailed}; then it has ended,
            or will.
        """
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        try:
            starting = self._successor.start()
        except OSError as problem:
            # Neither a process nor a number for it.
            self._reactor.callLater(0, self._gone, None)
            raise HandoverFailed(f"it cannot be started ({problem})") from None
        self._successor.gone.addCallback(self._gone)
        _log.info("worker {pid} started", event=events.WORKER_STARTED, pid=self.pid)
        await starting
        self._ready = self._reactor.seconds()
        self._step(WorkerState.READY)
        _log.info("worker {pid} is ready", event=events.WORKER_READY, pid=self.pid)

    async def serve(self) -> None:
        """
        Have it accept.

        @raise HandoverFailed: it does not; then it has ended, or will.
        """
        await self._successor.serve()
        self._step(WorkerState.SERVING)

    def _step(self, state: WorkerState) -> None:
        if self.state not in (WorkerState.LEAVING, WorkerState.ENDED):
            self.state = state
            self.changed()

    # -- its end

    @channel.Report.responder
    def reported(self, report: str) -> dict[str, object]:
        """
        It says what came of its connections.
        """
        if len(self.reports) >= REPORTS:
            transport: Any = self._successor.channel.transport
            if transport is not None and transport.connected and not transport.disconnecting:
                _log.warn(
                    "worker {pid} reports too often; it is ended",
                    event=events.WORKER_FLOODING,
                    pid=self.pid,
                )
                self.end()
                transport.abortConnection()
            return {}
        try:
            told, more = summary.fromText(report)
        except ValueError as problem:
            _log.warn(
                "worker {pid} reports nonsense: {problem}",
                event=events.WORKER_NONSENSE,
                pid=self.pid,
                problem=problem,
            )
        else:
            self.reports.append(told)
            self.unnamed += more
        return {}

    def leave(self) -> None:
        """
        Tell it to drain, and go.  One that is not even ready is ended.
        """
        if self.asked or self.state is WorkerState.ENDED:
            return
        self.asked = True
        self._step(WorkerState.LEAVING)
        if not self.wasReady:
            self._successor.end()
            return
        self._told = self._successor.channel.callRemote(channel.Leave)
        # It says nothing sensible any more.
        self._told.addErrback(lambda reason: self._successor.signal("TERM"))

    def hurry(self, gracePeriod: float) -> None:
        """
        Tell it, after it was told to go, that there is less time.

        @param gracePeriod: seconds from now until stragglers are to be aborted.
        """
        if self.asked and self.wasReady and self.state is not WorkerState.ENDED:
            told = self.ask(channel.Leave, gracePeriod=gracePeriod)
            told.addErrback(lambda reason: None)

    def ask(self, command: Any, **arguments: Any) -> Deferred[Any]:
        """
        @param command: what to send, an AMP command.
        @return: fires with its answer, or fails with whatever is wrong.
        """
        return maybeDeferred(lambda: self._successor.channel.callRemote(command, **arguments))

    def abort(self) -> None:
        """
        Have it end now: connections that are left are aborted.
        """
        self.leave()
        if self._aborting or self.state is WorkerState.ENDED:
            return
        self._aborting = True
        told = self._told or succeed(None)
        told.addCallback(lambda _: self._reactor.callLater(DEAF, self._successor.signal, "TERM"))
        self._reactor.callLater(ABORTED, self.end)

    def makeRoom(self) -> None:
        """
        Have it end now, as there are too many that drain.
        """
        _log.warn(
            "too many workers are draining; {pid} is ended",
            event=events.WORKER_ABORTED,
            pid=self.pid,
        )
        self.abort()

    def end(self) -> None:
        """
        End the process, whatever it is at.
        """
        self.asked = True
        self._successor.signal("KILL")

    def _gone(self, _: None) -> None:
        transport = self._successor.channel.transport
        if transport is not None:
            passage.hearLastWords(transport)
        self.state = WorkerState.ENDED
        how = "; ".join([self._successor.how or "before it began", *map(str, self.reports)])
        _log.info("worker {pid} ended {how}", event=events.WORKER_ENDED, pid=self.pid, how=how)
        self.changed()
        self._ended(self)
