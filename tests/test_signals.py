"""
A second signal ends it now.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from terminable.policy.phases import Phase
from terminable.signals import ECHO, abortOnSecondSignal
from tests.doubles import World


@implementer(IReactorFromThreads)
class SignalReactor(MemoryReactorClock):
    """
    A reactor with handlers for signals.
    """

    def __init__(self) -> None:
        super().__init__()
        self.queued: list[Callable[[], Any]] = []

    def callFromThread(self, callable: Any, *args: Any, **kwargs: Any) -> None:
        self.queued.append(lambda: callable(*args, **kwargs))

    def sigTerm(self, *args: Any) -> None:
        """
        What a reactor does.
        """

    sigInt = sigTerm

    def stopping(self) -> None:
        """
        Someone has stopped it.
        """
        for function, args, keywords in self.triggers["before"]["shutdown"]:
            function(*args, **keywords)


class SecondSignalTests(SynchronousTestCase):
    """
    The signals of a process are replaced by a table of our own.
    """

    def setUp(self) -> None:
        self.reactor = SignalReactor()
        self.handlers: dict[int, Any] = {
            signal.SIGTERM: self.reactor.sigTerm,
            signal.SIGINT: self.reactor.sigInt,
        }
        self.sent: list[tuple[int, int]] = []
        self.patch(signal, "getsignal", self.handlers.get)
        self.patch(signal, "signal", self.handlers.__setitem__)
        self.patch(os, "kill", lambda *details: self.sent.append(details))
        self.world = World()
        self.world.connect(delay=None)
        abortOnSecondSignal(self.reactor, self.world.terminator)

    def send(self, number: int, after: float = ECHO) -> None:
        self.reactor.advance(after)
        self.handlers[number](number, None)

    def test_notBefore(self) -> None:
        """
        While the reactor runs, its own handlers stay.
        """
        self.assertEqual(self.handlers[signal.SIGTERM], self.reactor.sigTerm)

    def test_second(self) -> None:
        """
        While it stops, a signal of either kind aborts, in the reactor's own time.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            self.setUp()
            self.reactor.stopping()
            self.world.terminator.terminate()
            self.send(number)
            self.assertIs(self.world.terminator.phase, Phase.DRAINING)
            [queued] = self.reactor.queued
            queued()
            self.assertIs(self.world.terminator.phase, Phase.ABORTING)
            self.assertEqual(self.sent, [])

    def test_echo(self) -> None:
        """
        What comes in the first moments is taken for the first signal's echo.
        """
        self.reactor.stopping()
        self.send(signal.SIGTERM, ECHO / 2)
        self.assertEqual((self.reactor.queued, self.sent), ([], []))
        self.send(signal.SIGTERM)
        self.assertEqual(len(self.reactor.queued), 1)

    def test_third(self) -> None:
        """
        One more ends the process as if nobody had ever handled it, whichever it is.
        """
        self.reactor.stopping()
        self.send(signal.SIGTERM)
        self.send(signal.SIGINT)
        self.assertEqual(self.handlers[signal.SIGINT], signal.SIG_DFL)
        self.assertEqual(self.sent, [(os.getpid(), signal.SIGINT)])

    def test_several(self) -> None:
        """
        All terminators of a reactor are aborted, by one handler.
        """
        other = World()
        other.connect(delay=None)
        abortOnSecondSignal(self.reactor, other.terminator)
        self.assertEqual(len(self.reactor.triggers["before"]["shutdown"]), 1)
        self.reactor.stopping()
        self.send(signal.SIGTERM)
        self.reactor.queued[0]()
        for world in (self.world, other):
            self.assertIs(world.terminator.phase, Phase.ABORTING)

    def test_somebodyElses(self) -> None:
        """
        A signal that somebody else handles stays with him.
        """
        self.handlers[signal.SIGINT] = signal.default_int_handler
        self.reactor.stopping()
        self.assertEqual(self.handlers[signal.SIGINT], signal.default_int_handler)
        self.assertNotEqual(self.handlers[signal.SIGTERM], self.reactor.sigTerm)

    def test_notTheMainThread(self) -> None:
        """
        Where signals cannot be handled they are not.
        """

        def refuse(number: int, handler: Any) -> None:
            raise ValueError("signal only works in main thread")

        self.patch(signal, "signal", refuse)
        self.reactor.stopping()
        self.assertEqual(self.handlers[signal.SIGTERM], self.reactor.sigTerm)

    def test_noReactorThatStops(self) -> None:
        """
        A clock cannot be stopped by a signal; nothing is to be done.
        """
        abortOnSecondSignal(Clock(), self.world.terminator)
        self.reactor.stopping()
        self.assertEqual(self.reactor.queued, [])
