"""
SIGHUP: look again.

Only doors that an operator opens use this.  A SIGHUP that somebody else handles, or that is
ignored (C{nohup}), stays as it is.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterable
from functools import partial
from types import FrameType
from typing import Any
from weakref import WeakKeyDictionary

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger

from terminable import events
from terminable.certificates.renewed import Renewal

_log = Logger()

#: What takes something back.
Undo = Callable[[], None]


class Hangups:
    """
    What is done at SIGHUP, by one reactor.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        # Each in a list of its own, so that two that are equal are still two.
        self._calls: list[list[Any]] = []
        self._around: list[list[Any]] = []
        self._busy = False
        self._again = False

    def _add(self, entries: list[list[Any]], *what: Any) -> Undo:
        if not (self._calls or self._around):
            self.install()
        own = list(what)
        entries.append(own)

        def undo() -> None:
            entries[:] = [each for each in entries if each is not own]
            if not (self._calls or self._around):
                self.uninstall()

        return undo

    def addCall(self, call: Callable[[], object]) -> Undo:
        """
        See L{onHangup}.
        """
        return self._add(self._calls, call)

    def addAround(self, begun: Callable[[], object], done: Callable[[], object]) -> Undo:
        """
        See L{aroundHangup}.
        """
        return self._add(self._around, begun, done)

    def install(self) -> None:
        """
        Take the signal over, if nobody has it.
        """
        number = getattr(signal, "SIGHUP", None)
        if number is None or not IReactorFromThreads.providedBy(self._reactor):
            return
        if signal.getsignal(number) != signal.SIG_DFL:
            _log.info(
                "SIGHUP stays as it is: somebody else handles or ignores it",
                event=events.HANGUP_LEFT,
            )
            return
        try:
            signal.signal(number, self.received)
        except ValueError:
            _log.info(
                "SIGHUP stays as it is: this is not the main thread", event=events.HANGUP_LEFT
            )

    def uninstall(self) -> None:
        """
        Give the signal back, if we have it.
        """
        number = getattr(signal, "SIGHUP", None)
        if number is not None and signal.getsignal(number) == self.received:
            # Another thread cannot; then it goes on, and does nothing.
            with contextlib.suppress(ValueError):
                signal.signal(number, signal.SIG_DFL)

    def received(self, number: int, frame: FrameType | None) -> None:
        """
        A SIGHUP; what is to be done is done in the reactor's own time.
        """
        self._reactor.callFromThread(self.run)

    def run(self) -> None:
        """
        Do it all.  A SIGHUP that comes meanwhile has it done once more afterwards.
        """
        if self._busy:
            self._again = True
            return
        self._busy = True
        around = list(self._around)
        for begun, _ in around:
            _guarded(begun)
        calls = DeferredList([_guarded(call) for (call,) in self._calls])
        calls.addCallback(lambda _: self._done([done for _, done in around]))

    def _done(self, tell: Iterable[Callable[[], object]]) -> None:
        for done in tell:
            _guarded(done)
        again, self._again, self._busy = self._again, False, False
        if again:
            self.run()


def _guarded(call: Callable[[], object]) -> Deferred[Any]:
    """
    Call it; what goes wrong is logged, and harms nobody else.
    """
    return maybeDeferred(call).addErrback(
        lambda reason: _log.failure("{call} failed at SIGHUP", reason, call=call)
    )


_hangups: WeakKeyDictionary[Any, Hangups] = WeakKeyDictionary()


def _of(reactor: Any) -> Hangups:
    if reactor not in _hangups:
        _hangups[reactor] = Hangups(reactor)
    return _hangups[reactor]


def onHangup(reactor: Any, call: Callable[[], object]) -> Undo:
    """
    Have something done at SIGHUP, in the reactor's own time.

    The signal is taken over if it has its default disposition (to end the process) and
    this is the main thread, and is given back when nothing is to be done any more.

    @param call: what to do; it may return a L{twisted.internet.defer.Deferred}.  An
        exception is logged.
    @return: call it to take that back.
    """
    return _of(reactor).addCall(call)


def aroundHangup(reactor: Any, begun: Callable[[], object], done: Callable[[], object]) -> Undo:
    """
    Be told of it: for those who report that the process reloads.

    @param begun: called before anything that was registered by L{onHangup}.
    @param done: called when all of that is over, Deferreds included, whether or not it went
        well.
    @return: call it to take that back.
    """
    return _of(reactor).addAround(begun, done)


def renewOnHangup(reactor: Any, renewals: Iterable[Renewal]) -> Undo:
    """
    Have certificates renewed at SIGHUP.  What has become of each stands in the log.

    @param renewals: as L{terminable.certificates.RenewedContext}.
    @return: call it to take that back.
    """
    renewed = list(renewals)

    def look() -> None:
        for renewal in renewed:
            _guarded(partial(_renew, renewal))

    return onHangup(reactor, look)


def _renew(renewal: Renewal) -> None:
    before = renewal.problem
    if renewal.renew() or renewal.problem != before:
        # It has said so.
        return
    paths = ", ".join(renewal.paths)
    if renewal.problem is None:
        _log.info("SIGHUP: nothing new in {paths}", event=events.CERTIFICATE_UNCHANGED, paths=paths)
    else:
        _log.warn(
            "SIGHUP: nothing new in {paths}, still not used: {problem}",
            event=events.CERTIFICATE_UNUSED,
            paths=paths,
            problem=renewal.problem,
        )
