"""
What an operator sees of a stop: a line a second, and what it came to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.logger import Logger
from zope.interface import implementer

from terminable import events
from terminable.handover.following import takeoverOf
from terminable.handover.upgrading import upgradable
from terminable.interfaces import ITerminationObserver
from terminable.policy.ledger import Progress, Report
from terminable.policy.phases import Phase
from terminable.signals import abortOnSecondSignal
from terminable.systemd import watchSystemd
from terminable.terminator import Terminator

#: Seconds between two lines.
INTERVAL = 1.0

_log = Logger()


def logLine(line: str) -> None:
    """
    Show a line on the log.
    """
    _log.info("{line}", line=line)


def logProgress(progress: Progress) -> None:
    """
    Show progress on the log, with its numbers.
    """
    _log.info(
        "{progress}",
        event=events.PROGRESS,
        progress=str(progress),
        phase=progress.phase.value,
        busy=progress.busy,
        idle=progress.idle,
        waiting=progress.waiting,
        counting=progress.counting,
        left=None if progress.left is None else round(progress.left, 3),
    )


@implementer(ITerminationObserver)
class ProgressLines:
    """
    Shows how a stop proceeds, once a second.
    """

    def __init__(
        self,
        reactor: Any,
        terminator: Terminator,
        show: Callable[[str], object] = logLine,
        hide: Callable[[], object] = lambda: None,
    ) -> None:
        """
        @param show: called with each line.
        @param hide: called when there will be no more.
        """
        self._reactor = reactor
        self._terminator = terminator
        self._show = show
        self._hide = hide
        self._call: Any = None

    def phaseChanged(self, old: Phase, new: Phase) -> None:
        """
        See L{ITerminationObserver.phaseChanged}.
        """
        _log.info("{old}, now {new}", event=events.PHASE, old=old.value, new=new.value)
        if new.stopping and self._call is None:
            self._next()
        elif new is Phase.TERMINATED:
            self._stop()

    def _next(self) -> None:
        self._call = self._reactor.callLater(INTERVAL, self._tick)

    def _tick(self) -> None:
        # First: whoever shows it may fail.
        self._next()
        progress = self._terminator.progress()
        if self._show is logLine:
            # Whoever reads the log by a program wants the numbers.
            logProgress(progress)
            return
        try:
            self._show(str(progress))
        except BaseException:
            _log.failure("{show} failed", show=self._show)

    def _stop(self) -> None:
        call, self._call = self._call, None
        if call is not None and call.active():
            call.cancel()
            self._hide()

    def portsClosed(self) -> None:
        """
        See L{ITerminationObserver.portsClosed}.
        """
        _log.info("all ports are closed", event=events.PORTS_CLOSED)

    def terminated(self, report: Report) -> None:
        """
        See L{ITerminationObserver.terminated}.  Says so if the process will stay: the
        reactor waits for its threads, and no deadline reaches them.
        """
        pool = getattr(self._reactor, "threadpool", None)
        working = len(pool.working) if pool is not None else 0
        if working:
            _log.warn(
                "{working} threads are still at work; Twisted waits for them",
                event=events.THREADS,
                working=working,
            )


def watch(
    reactor: Any,
    terminator: Terminator,
    show: Callable[[str], object] = logLine,
    hide: Callable[[], object] = lambda: None,
) -> None:
    """
    Treat a terminator as an operator expects it: progress is shown, a second signal
    aborts, at SIGUSR2 a successor takes its ports over, and systemd is told how things stand.
    """
    terminator.addObserver(ProgressLines(reactor, terminator, show, hide))
    abortOnSecondSignal(reactor, terminator)
    if not takeoverOf(reactor).worker:
        # Workers are replaced by the process above them.
        upgradable(reactor, terminator)
        watchSystemd(reactor, terminator)
