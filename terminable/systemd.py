"""
What systemd is told: that we serve, how far a stop is, that we need more time, and that we live.

Nothing happens unless C{NOTIFY_SOCKET} is set.  It stays in the environment, because a
successor needs it too.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorCore
from zope.interface import implementer

from terminable.certificates.hangup import aroundHangup
from terminable.handover.following import takeoverOf
from terminable.handover.upgrading import upgradeOf
from terminable.interfaces import ITerminationObserver
from terminable.notifier import Notifier, watchdogInterval
from terminable.policy.ledger import Report
from terminable.policy.patience import Patience
from terminable.policy.phases import Phase
from terminable.terminator import Terminator

#: Seconds between two looks at a stop: a status each.
INTERVAL = 1.0

#: Seconds until a message for which systemd had no room is sent again.
RETRY = 0.2


@implementer(ITerminationObserver)
class SystemdObserver:
    """
    Tells systemd about one process and its terminators.

    @ivar notifier: what sends the messages.
    """

    def __init__(
        self,
        reactor: Any,
        notifier: Notifier,
        watchdog: float | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        @param reactor: provides L{twisted.internet.interfaces.IReactorCore} and
            L{twisted.internet.interfaces.IReactorTime}.
        @param watchdog: the watchdog's time in seconds; twice in it, systemd hears of us, by
            a timer of the reactor, so that one that hangs is found out.
        @param monotonic: C{CLOCK_MONOTONIC} in seconds.
        """
        self._reactor = reactor
        self._monotonic = monotonic
        self._watched: WeakKeyDictionary[Terminator, bool] = WeakKeyDictionary()
        self._running = self._told = self._ready = self._stopping = False
        self._reloads = 0
        self._unsent: list[tuple[dict[str, object], Callable[[], object]]] = []
        self._retry: Any = None
        self._look: Any = None
        self._patience = Patience()
        self._watchdog = watchdog
        self.notifier = notifier
        reactor.callWhenRunning(self._run)
        reactor.addSystemEventTrigger("before", "shutdown", self.stopping)

    def watch(self, terminator: Terminator, waits: bool = False) -> None:
        """
        Tell of this one as well.

        @param waits: it serves only when L{ready} says so; otherwise it does as soon as the
            reactor runs, for twistd has started every service by then.
        """
        self._watched[terminator] = not waits
        terminator.addObserver(self)

    def forget(self, terminator: Terminator) -> None:
        """
        Tell no more of it: it could not listen, say.
        """
        if self._watched.pop(terminator, None) is not None:
            terminator.removeObserver(self)
            self._announce()

    # -- serving

    def ready(self, terminator: Terminator | None = None) -> None:
        """
        This terminator, which is watched, serves.  systemd is told when the reactor runs and
        all that are watched serve.

        @param terminator: C{None} is all of them, also if there is none.
        """
        for each in [terminator] if terminator is not None else list(self._watched):
            self._watched[each] = True
        self._told = True
        self._announce()

    def _run(self) -> None:
        self._running = True
        if self._watchdog is not None:
            self._reactor.callLater(self._watchdog / 2, self._live, self._watchdog / 2)
        self._announce()

    def _live(self, interval: float) -> None:
        self.notifier.notify(WATCHDOG=1)
        self._reactor.callLater(interval, self._live, interval)

    def _announce(self) -> None:
        serves = all(self._watched.values()) if self._watched else self._told
        if self._running and serves and not (self._ready or self._stopping):
            self._ready = True
            self._surely(READY=1, STATUS="serving")

    def status(self, text: str) -> None:
        """
        Say something in C{systemctl status}, one line.
        """
        self.notifier.notify(STATUS=text)

    # -- a new configuration, a new process

    def reloading(self, work: Callable[[], object]) -> Deferred[Any]:
        """
        Tell that C{work} is a reload: when it begins, and when it is over.

        @param work: may return a Deferred.
        @return: fires, or fails, as C{work} does.
        """
        self.beginReload()

        def over(result: Any) -> Any:
            self.endReload()
            return result

        return maybeDeferred(work).addBoth(over)

    def beginReload(self) -> None:
        """
        A reload begins.  L{endReload} must follow.  Nothing is told before we are ready, or
        while we stop.
        """
        self._reloads += 1
        if self._ready and not self._stopping:
            # systemd takes only what is newer than its own signal, by this clock.
            self._surely(RELOADING=1, MONOTONIC_USEC=int(self._monotonic() * 1e6))

    def endReload(self) -> None:
        """
        A reload is over; several at once are when the last of them is.
        """
        self._reloads -= 1
        if self._ready and not (self._stopping or self._reloads):
            self._surely(READY=1)

    def mainPid(self, pid: int) -> Deferred[None]:
        """
        Another process, of the same unit, is the main one from now on.  It is the last thing
        that we say.

        @return: fires when systemd has it; only then may that process L{speak}, or it would
            not be listened to.
        """
        told: Deferred[None] = Deferred()

        def over() -> None:
            self.notifier.silent = True
            told.callback(None)

        self._surely(over, MAINPID=pid)
        return told

    def silence(self) -> None:
        """
        Say nothing until L{speak}: systemd expects it from another process still.
        """
        self.notifier.silent = True

    def speak(self) -> None:
        """
        This is the main process now: say what there was to say.
        """
        self.notifier.silent = False
        if self._watchdog is not None:
            self.notifier.notify(WATCHDOG=1)
        if self._ready:
            self._surely(READY=1, STATUS="serving")
        if self._stopping:
            self._surely(STOPPING=1)
        self._patience = Patience()
        self._attend()

    # -- stopping

    def stopping(self) -> None:
        """
        The process stops.  For systemd there is no way back from here.
        """
        if not self._stopping:
            self._stopping = True
            self._surely(STOPPING=1)

    def phaseChanged(self, old: Phase, new: Phase) -> None:
        """
        See L{ITerminationObserver.phaseChanged}.
        """
        if new.stopping and all(map(_ends, self._watched)):
            # One of several may stop alone, and the process live on.
            self.stopping()
        self._attend()

    def _attend(self) -> None:
        """
        Say how far the stops are, and ask for the time that they need.
        """
        if self._look is not None and self._look.active():
            self._look.cancel()
        ends = [each.progress() for each in self._watched if each.phase.stopping]
        if not ends:
            self._patience = Patience()
            return
        self.status(" | ".join(map(str, ends)))
        lefts = [each.left for each in ends if each.left is not None]
        left = max(lefts) if len(lefts) == len(ends) else None
        self._ask(left, sum(each.busy + each.idle for each in ends))
        self._look = self._reactor.callLater(INTERVAL, self._attend)

    def _ask(self, left: float | None, live: int) -> None:
        now = self._reactor.seconds()
        seconds = self._patience.wanted(now, left, live)
        if seconds and self.notifier.notify(EXTEND_TIMEOUT_USEC=math.ceil(seconds * 1e6)):
            self._patience.granted(now, seconds)

    def portsClosed(self) -> None:
        """
        See L{ITerminationObserver.portsClosed}.
        """

    def terminated(self, report: Report) -> None:
        """
        See L{ITerminationObserver.terminated}.
        """
        self.status(f"terminated: {report}")

    # -- what must not get lost

    def _surely(self, over: Callable[[], object] = lambda: None, /, **fields: object) -> None:
        """
        Send a message that will not be repeated by itself, in order with others of its kind.

        @param over: called when it was sent.
        """
        self._unsent.append((fields, over))
        if self._retry is None:
            self._flush()

    def _flush(self) -> None:
        self._retry = None
        while self._unsent:
            fields, over = self._unsent[0]
            if not self.notifier.notify(**fields):
                self._retry = self._reactor.callLater(RETRY, self._flush)
                return
            del self._unsent[0]
            over()


def _ends(terminator: Terminator) -> bool:
    return terminator.phase.stopping or terminator.phase is Phase.TERMINATED


_observers: WeakKeyDictionary[Any, SystemdObserver | None] = WeakKeyDictionary()


def systemdOf(reactor: Any, environ: Mapping[str, str] | None = None) -> SystemdObserver | None:
    """
    @param environ: the environment, by default that of this process.  It is read the first
        time only.
    @return: what tells systemd of the process in which C{reactor} runs, always the same; C{None} if
        systemd does not want to know, or the reactor has no run.
    @raise InvalidOption: the watchdog's time is none.
    """
    if not IReactorCore.providedBy(reactor):
        return None
    if reactor not in _observers:
        environ = os.environ if environ is None else environ
        notifier = Notifier.fromEnvironment(environ)
        observer = None
        if notifier is not None:
            observer = SystemdObserver(reactor, notifier, watchdogInterval(environ, os.getpid()))
            _follow(reactor, observer)
        _observers[reactor] = observer
    return _observers[reactor]


def _follow(reactor: Any, observer: SystemdObserver) -> None:
    """
    Have systemd know which process is the main one, when another follows it.
    """
    upgradeOf(reactor).observers.append(observer)
    aroundHangup(reactor, observer.beginReload, observer.endReload)
    takeover = takeoverOf(reactor)
    if takeover.waiting:
        observer.silence()
        takeover.whenMain.append(observer.speak)


def watchSystemd(
    reactor: Any,
    terminator: Terminator,
    waits: bool = False,
    environ: Mapping[str, str] | None = None,
) -> SystemdObserver | None:
    """
    Have systemd told of a terminator, if we run under it.

    @param waits: see L{SystemdObserver.watch}.
    @param environ: see L{systemdOf}.
    @return: what tells it, the same for all terminators of C{reactor}; C{None} if nobody does.
    @raise InvalidOption: the watchdog's time is none.
    """
    observer = systemdOf(reactor, environ)
    if observer is not None:
        observer.watch(terminator, waits)
    return observer
