"""
A process that is one of several workers: how it goes, what it says, what it leaves alone.
"""

from __future__ import annotations

import os
import signal
import socket
import tempfile
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import UNIXServerEndpoint
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from terminable import progress
from terminable.handover import channel, environment
from terminable.handover import takeover as module
from terminable.handover.following import takeoverOf
from terminable.handover.offered import OfferedSocket, offeredTo
from terminable.handover.takeover import Takeover
from terminable.policy.ledger import Report
from terminable.policy.summary import fromText
from terminable.progress import watch
from terminable.terminator import Terminator
from tests.doubles import Boom, MemoryFactory
from tests.workdoubles import WorkReactor, listens, taking

NOTHING = Report(0, 0, 0, 0, 0, 0, 0.0, ())


class Above:
    """
    The channel to the process above.
    """

    def __init__(self) -> None:
        self.transport = self
        self.told: list[Any] = []
        self.written = 0

    def callRemote(self, command: Any, **details: Any) -> Deferred[Any]:
        self.told.append((command, details))
        return fail(Boom())

    def doWrite(self) -> None:
        self.written += 1


class WorkerTestCase(SynchronousTestCase):
    """
    A worker.
    """

    def setUp(self) -> None:
        self.reactor = WorkReactor()
        self.groups: list[Any] = []
        self.patch(os, "setpgid", lambda *what: self.groups.append(what))
        self.takeover = taking(self.reactor)
        self.takeover.beWorker()
        self.above = Above()
        self.takeover.channel = self.above  # type: ignore[assignment]

    def stopping(self) -> None:
        """
        The reactor is about to stop.
        """
        for phase, event, work, args in self.reactor.triggers:
            if (phase, event) == ("before", "shutdown"):
                work(*args)


class LeavingTests(WorkerTestCase):
    """
    How it goes.
    """

    def test_told(self) -> None:
        """
        Told to leave, it answers first; told again, it does nothing.
        """
        self.assertEqual(self.takeover.leaveNow(), {})
        self.assertEqual(self.reactor.stopped, 0)
        self.takeover.leaveNow()
        self.reactor.advance(0)
        self.assertEqual(self.reactor.stopped, 2)

    def test_hurried(self) -> None:
        """
        Told how long it has, it tells those who want to know, before it goes.
        """
        left: list[Any] = []
        self.takeover.hurried.append(lambda seconds: left.append((seconds, self.reactor.stopped)))
        self.takeover.leaveNow(gracePeriod=2.0)
        self.reactor.advance(0)
        self.assertEqual((left, self.reactor.stopped), ([(2.0, 0)], 1))

    def test_orphan(self) -> None:
        """
        It does not serve when the process above is gone, whether or not it did before.
        """
        for waiting in (True, False):
            self.reactor.stopped = 0
            self.takeover.waiting = waiting
            self.takeover._lost(Failure(Boom()))
            self.assertEqual((self.reactor.stopped, self.takeover.waiting), (1, waiting))
            self.assertIsNone(self.takeover.channel)

    def test_signals(self) -> None:
        """
        Signals that are meant for the process above neither end it nor halt it, once it runs;
        what others do about them stays.
        """
        numbers = (signal.SIGHUP, signal.SIGUSR2, signal.SIGTTIN, signal.SIGTTOU)
        installed: dict[int, Any] = {signal.SIGHUP: str}
        self.patch(signal, "getsignal", lambda number: installed.get(number, signal.SIG_DFL))
        self.patch(signal, "signal", installed.__setitem__)
        for number in numbers:
            module._spare(number)
        self.assertIs(installed.pop(signal.SIGHUP), str)
        self.assertEqual(sorted(installed), sorted(numbers[1:]))
        for number, spared in installed.items():
            self.assertIsNone(spared(number, None))

    def test_group(self) -> None:
        """
        It has a group of processes of its own, where that is possible.
        """
        self.assertEqual(self.groups, [(0, 0)])

        def refuse(*what: object) -> None:
            raise PermissionError

        self.patch(os, "setpgid", refuse)
        other = Takeover(self.reactor, offeredTo(self.reactor))
        other.beWorker()
        self.assertTrue(other.worker)


class ReportTests(WorkerTestCase):
    """
    What it says.
    """

    def test_sent(self) -> None:
        """
        At the end its report is with the kernel at once.
        """
        self.stopping()
        self.assertTrue(self.takeover.report(NOTHING))
        ((command, details),) = self.above.told
        self.assertEqual((command, self.above.written), (channel.Report, 1))
        self.assertEqual(fromText(details["report"]), (NOTHING, 0))

    def test_leaving(self) -> None:
        """
        It may come as soon as the process was told to leave.
        """
        self.takeover.leaveNow()
        self.assertTrue(self.takeover.report(NOTHING))

    def test_terminator(self) -> None:
        """
        A terminator's report goes up.
        """
        self.stopping()
        terminator = Terminator(self.reactor)
        self.assertEqual(self.successResultOf(terminator.terminate()).opened, 0)
        self.assertEqual(len(self.above.told), 1)

    def test_notSent(self) -> None:
        """
        Nothing is said of what ends while the process lives, or when nobody hears it, or by a
        process that is no worker.
        """
        self.assertFalse(self.takeover.report(NOTHING))
        self.stopping()
        self.takeover.channel = None
        self.assertFalse(self.takeover.report(NOTHING))
        self.takeover.channel = self.above  # type: ignore[assignment]
        self.takeover.worker = False
        self.assertFalse(self.takeover.report(NOTHING))
        self.assertEqual(self.above.told, [])


class PlaceTests(WorkerTestCase):
    """
    What it leaves alone.
    """

    def test_path(self) -> None:
        """
        When it ends, the path of a UNIX socket stays, and others go on listening.
        """
        path = os.path.join(tempfile.mkdtemp(), "socket")
        self.takeover.waiting = True
        offered = offeredTo(self.reactor)
        offered.taken = self.takeover.pause
        with socket.socket(socket.AF_UNIX) as theirs:
            theirs.bind(path)
            theirs.listen()
            offered.add([OfferedSocket("theirs", theirs.dup())])
            terminator = Terminator(self.reactor, idleGrace=0.0)
            factory: Any = MemoryFactory()
            self.successResultOf(terminator.listen(UNIXServerEndpoint(self.reactor, path), factory))
            terminator.abort()
            self.reactor.pump([0, 0, 0])
            self.assertFalse(terminator.ports.open)
            self.assertTrue(listens(path))

    def test_upgrade(self) -> None:
        """
        It is not upgraded by itself; another process is.
        """
        upgradable: list[Any] = []
        self.patch(progress, "upgradable", lambda *what: upgradable.append(what))
        watch(self.reactor, Terminator(self.reactor))
        self.assertEqual(upgradable, [])
        other = WorkReactor()
        terminator = Terminator(other)
        watch(other, terminator)
        self.assertEqual(upgradable, [(other, terminator)])


class EnvironmentTests(SynchronousTestCase):
    """
    How it knows.
    """

    def started(self, **variables: str) -> Takeover:
        """
        A process that was started with these variables, and a channel.
        """
        theirs, ours = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        self.patch(environment, "STARTED", {"LISTEN_PID": str(os.getpid()), "X": "1", **variables})
        self.patch(environment, "channel", lambda environ: ours)
        self.patch(module.Takeover, "begin", lambda takeover, sock: None)
        self.patch(os, "setpgid", lambda *what: None)
        return takeoverOf(WorkReactor())

    def test_worker(self) -> None:
        """
        A variable makes it a worker.
        """
        self.assertTrue(self.started(TERMINABLE_WORKER="1").worker)

    def test_successor(self) -> None:
        """
        Without it, this is a successor.
        """
        self.assertFalse(self.started().worker)

    def test_forgotten(self) -> None:
        """
        It is not inherited by whatever a worker starts.
        """
        environ = {environment.WORKER: "1", "PATH": "/bin"}
        environment.forget(environ)
        self.assertEqual(environ, {"PATH": "/bin"})
