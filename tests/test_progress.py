"""
What an operator sees of a stop.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from terminable.interfaces import ITerminationObserver
from terminable.policy.phases import Phase
from terminable.progress import ProgressLines, logLine, watch
from tests.doubles import Hinting, World


class ProgressLinesTests(SynchronousTestCase):
    """
    A line a second.
    """

    def setUp(self) -> None:
        self.world = World(Hinting, quiesce=1)
        self.lines: list[str] = []
        self.hidden: list[int] = []
        self.progress = ProgressLines(
            self.world.clock,
            self.world.terminator,
            self.lines.append,
            lambda: self.hidden.append(len(self.lines)),
        )
        self.world.terminator.addObserver(self.progress)

    def busy(self) -> Any:
        self.world.connect(port=99)
        [protocol] = self.world.factory.protocols
        protocol.busy = True
        return protocol

    def test_isAnObserver(self) -> None:
        """
        It is told how a stop proceeds; that the ports are gone is nothing to show.
        """
        verifyObject(ITerminationObserver, self.progress)
        self.progress.portsClosed()
        self.assertEqual(self.lines, [])

    def test_lines(self) -> None:
        """
        As long as the stop lasts there is a line each second, through all its phases,
        and none after it.
        """
        protocol = self.busy()
        self.world.terminator.terminate()
        self.world.pass_(2.5)
        self.assertEqual(
            self.lines,
            [
                "draining: 1 busy, 0 idle, 24.0 s left: doing something from 127.0.0.1:99, 1.0 s",
                "draining: 1 busy, 0 idle, 23.0 s left: doing something from 127.0.0.1:99, 2.0 s",
            ],
        )
        self.assertEqual(self.hidden, [])
        protocol.finish()
        protocol.transport.end()
        self.world.pass_(3)
        self.assertEqual((len(self.lines), self.hidden), (2, [2]))
        self.assertEqual(self.world.clock.getDelayedCalls(), [])

    def test_nothingWhileServing(self) -> None:
        """
        Before a stop, and while only suspended, nothing is shown.
        """
        self.busy()
        self.world.terminator.suspend()
        self.world.pass_(3)
        self.world.terminator.resume()
        self.assertEqual((self.lines, self.world.clock.getDelayedCalls()), ([], []))

    def test_overAtOnce(self) -> None:
        """
        A stop that takes no second shows nothing.
        """
        self.world.terminator.abort()
        self.world.pass_(2)
        self.assertEqual(self.lines, [])
        self.assertEqual(self.world.clock.getDelayedCalls(), [])

    def test_again(self) -> None:
        """
        The next stop of the same terminator is shown like the first.
        """
        self.world.terminator.abort()
        self.world.wrapped = self.world.terminator.wrap(self.world.factory)
        self.busy()
        self.world.terminator.terminate()
        self.world.pass_(1.5)
        self.assertEqual(len(self.lines), 1)

    def test_wasNotStopping(self) -> None:
        """
        To be told of the end alone is no reason to hide anything.
        """
        self.progress.phaseChanged(Phase.DRAINING, Phase.TERMINATED)
        self.assertEqual(self.hidden, [])


class LogTests(SynchronousTestCase):
    """
    What goes to the log.
    """

    def test_logLine(self) -> None:
        """
        A line is logged as it is, braces and all.
        """
        with capturedLogs() as events:
            logLine("1 busy {x}")
        self.assertEqual([formatEvent(event) for event in events], ["1 busy {x}"])

    def warnings(self, world: World) -> list[str | None]:
        with capturedLogs() as events:
            world.terminator.terminate()
        warnings = [event for event in events if event["log_level"] is LogLevel.warn]
        return [formatEvent(event) for event in warnings]

    def test_threads(self) -> None:
        """
        If threads will keep the process alive, that is said.
        """
        for working, expected in ((["a", "b"], 1), ([], 0), (None, 0)):
            world = World()
            reactor: Any = MemoryReactorClock()
            pool = None if working is None else SimpleNamespace(working=working)
            reactor.threadpool = pool
            watch(reactor, world.terminator)
            warnings = self.warnings(world)
            self.assertEqual(len(warnings), expected)
            if warnings:
                self.assertIn("2 threads", str(warnings[0]))

    def test_reactorWithoutThreads(self) -> None:
        """
        A reactor that knows no threads has nothing to say of them.
        """
        world = World()
        watch(world.clock, world.terminator)
        self.assertEqual(self.warnings(world), [])


class WatchTests(SynchronousTestCase):
    """
    An operator's terminator.
    """

    def test_both(self) -> None:
        """
        Progress is shown, and the second signal is waited for from when the reactor
        stops.
        """
        lines: list[str] = []
        reactor = MemoryReactorClock()
        world = World()
        watch(reactor, world.terminator, lines.append)
        self.assertEqual(list(reactor.triggers["before"]), ["shutdown"])
        world.connect(delay=None)
        world.terminator.terminate()
        reactor.advance(1)
        self.assertEqual(lines, ["draining: 0 busy, 1 idle, 25.0 s left"])
