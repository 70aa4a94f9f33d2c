"""
A second SIGTERM or ^C ends it now.

Twisted's first signal stops the reactor, which waits for services to stop; its
second one does nothing.  From the moment that the reactor is stopping, the second
signal aborts what is left, and a third one ends the process as if nobody had ever
handled it.  Only the doors that an operator opens use this.
"""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Any
from weakref import WeakKeyDictionary

from twisted.internet.interfaces import IReactorCore
from twisted.logger import Logger

from terminable import events
from terminable.terminator import Terminator

_log = Logger()

#: For so long, in seconds, another signal is the first one's echo: whoever signals both
#: a process and its group, as some runners and terminals do, means it once.
ECHO = 0.1

#: The signals that stop a reactor, and the name of what a reactor does about each.
_SIGNALS = {signal.SIGTERM: "sigTerm", signal.SIGINT: "sigInt"}


class SecondSignal:
    """
    Handles the signals that come while a reactor is stopping.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._terminators: list[Terminator] = []
        self._counted = 0
        self._heedFrom = 0.0
        reactor.addSystemEventTrigger("before", "shutdown", self.install)

    def add(self, terminator: Terminator) -> None:
        """
        Abort this one as well.
        """
        self._terminators.append(terminator)

    def install(self) -> None:
        """
        The reactor is stopping: take the signals over, if they are the reactor's.
        """
        self._heedFrom = self._reactor.seconds() + ECHO
        for number, name in _SIGNALS.items():
            if signal.getsignal(number) != getattr(self._reactor, name, None):
                continue
            try:
                signal.signal(number, self.received)
            except ValueError:
                # Not the main thread: the signals are somebody else's.
                return

    def received(self, number: int, frame: FrameType | None) -> None:
        """
        One more signal.
        """
        if self._reactor.seconds() < self._heedFrom:
            return
        self._counted += 1
        if self._counted == 1:
            self._reactor.callFromThread(self.abort)
        else:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def abort(self) -> None:
        """
        End it now.
        """
        _log.warn(
            "asked again: ending now; once more ends the process itself", event=events.HURRIED
        )
        for terminator in self._terminators:
            terminator.abort()


_watched: WeakKeyDictionary[Any, SecondSignal] = WeakKeyDictionary()


def abortOnSecondSignal(reactor: Any, terminator: Terminator) -> None:
    """
    Have the second signal that stops C{reactor} abort C{terminator}.

    @param reactor: nothing happens if it has no run that could be stopped.
    """
    if not IReactorCore.providedBy(reactor):
        return
    if reactor not in _watched:
        _watched[reactor] = SecondSignal(reactor)
    _watched[reactor].add(terminator)
