"""
Workers as an operator expects them: SIGHUP, SIGTTIN and SIGTTOU, progress, an exit status.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from terminable import events
from terminable.certificates.hangup import onHangup
from terminable.errors import TerminableError
from terminable.exitstatus import FAILED, ExitStatus
from terminable.handover.workers import Workers
from terminable.interfaces import ITerminationObserver
from terminable.policy.ledger import Report
from terminable.policy.phases import Phase
from terminable.progress import logLine, watch
from terminable.systemd import SystemdObserver, systemdOf

_log = Logger()


class Supervisor:
    """
    Does to workers what signals ask for.
    """

    def __init__(self, reactor: Any, workers: Workers) -> None:
        self._reactor = reactor
        self._workers = workers

    def install(self) -> None:
        """
        Heed SIGHUP, SIGTTIN and SIGTTOU, unless somebody else does, or ignores them.
        """
        onHangup(self._reactor, self.restart)
        for number, more in ((signal.SIGTTIN, 1), (signal.SIGTTOU, -1)):
            if signal.getsignal(number) is not signal.SIG_DFL:
                continue
            try:
                signal.signal(number, self._receiver(more))
            except ValueError:
                # Not the main thread: the signals are somebody else's.
                return

    def _receiver(self, more: int) -> Callable[[int, object], None]:
        return lambda number, frame: self._reactor.callFromThread(self.resize, more)

    def restart(self) -> Deferred[None]:
        """
        Replace the workers one by one, for somebody who only looks into the log.
        """
        return self._workers.rollingRestart().addErrback(
            lambda reason: _log.error(
                "rolling restart failed: {reason}",
                event=events.WORKERS_RESTART_FAILED,
                reason=reason.getErrorMessage(),
            )
        )

    def resize(self, more: int) -> None:
        """
        Have so many workers more, or less; never less than one.
        """
        try:
            self._workers.resize(max(1, self._workers.count + more))
        except TerminableError as problem:
            _log.error(
                "the number of workers stays: {problem}",
                event=events.WORKERS_COUNT_FAILED,
                problem=problem,
            )


@implementer(ITerminationObserver)
class Readiness:
    """
    Tells systemd that workers serve when they do, and not before.
    """

    def __init__(self, workers: Any, systemd: SystemdObserver) -> None:
        self._workers = workers
        self._systemd = systemd
        systemd.forget(workers)
        systemd.watch(workers, waits=True)

    def phaseChanged(self, old: Phase, new: Phase) -> None:
        """
        See L{ITerminationObserver.phaseChanged}.
        """
        if new is Phase.SERVING:
            self._systemd.ready(self._workers)

    def portsClosed(self) -> None:
        """
        See L{ITerminationObserver.portsClosed}.
        """

    def terminated(self, report: Report) -> None:
        """
        See L{ITerminationObserver.terminated}.
        """


def supervise(
    reactor: Any,
    workers: Workers,
    show: Callable[[str], object] = logLine,
    hide: Callable[[], object] = lambda: None,
    failOnStraggler: bool = False,
) -> None:
    """
    Treat workers as an operator expects it: what L{watch} does, a rolling restart at SIGHUP,
    one worker more at SIGTTIN and one less at SIGTTOU, and exit status 1 if the first worker
    does not become ready.

    @param failOnStraggler: exit with 1 also if a connection was aborted.
    """
    # What is watched there, these have as well.
    watched: Any = workers
    watch(reactor, watched, show, hide)
    systemd = systemdOf(reactor)
    if systemd is not None:
        workers.addObserver(Readiness(workers, systemd))
    status = ExitStatus(reactor)
    if failOnStraggler:
        workers.addObserver(status)

    def cannotStart(reason: str) -> None:
        status.status = FAILED
        reactor.stop()

    workers.cannotStart = cannotStart
    reactor.callWhenRunning(Supervisor(reactor, workers).install)
