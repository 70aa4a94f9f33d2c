"""
Tests for L{terminable.handover.takeover}.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXServerEndpoint
from twisted.internet.error import ReactorNotRunning

from terminable.handover.channel import VERSION, Leave, Main, Serve
from terminable.handover.offered import OfferedSocket
from terminable.handover.takeover import ANSWER
from terminable.policy.ledger import Report
from terminable.tracking import internals
from tests.takingover import TakeoverTestCase


class StartingTests(TakeoverTestCase):
    """
    Until it serves.
    """

    def test_ready(self) -> None:
        """
        When the reactor runs, it says which process it is, and what it listens on; what it was
        told is forgotten, and sockets that nobody wants are closed.
        """
        port = self.listen()
        other = self.listener()
        self.offered.add([OfferedSocket("other", other)])
        self.turns()
        self.assertEqual(self.answers.names(), [])
        self.runs()
        expected = {"version": VERSION, "pid": os.getpid(), "listening": ["web"]}
        self.assertEqual(self.answers.asked, [("Ready", expected)])
        self.assertEqual((other.fileno(), os.environ), (-1, {"HOME": "/"}))
        self.assertTrue(self.takeover.holds(port))
        self.assertNotIn(port, self.reactor.getReaders())
        self.assertTrue(self.offered.early)

    def test_awaited(self) -> None:
        """
        It is ready when all is that must be, even if that has failed.
        """
        starting: Deferred[None] = Deferred()
        self.assertIs(self.takeover.awaits(starting), starting)
        starting.addErrback(lambda reason: None)
        self.runs()
        self.assertEqual(self.answers.names(), [])
        starting.errback(ValueError())
        self.turns()
        self.assertEqual(self.answers.names(), ["Ready"])
        self.takeover.awaits(Deferred()).callback(None)
        self.turns()
        self.assertEqual(self.answers.names(), ["Ready"])

    def test_served(self) -> None:
        """
        Told to serve, it answers, and accepts; whoever observes is told, and the pidfile
        speaks of it.
        """
        port, observed = self.listen(), []
        self.takeover.observers.append(lambda: observed.append(port.connected))
        gone = self.reactor.adoptStreamPort(self.listener().fileno(), socket.AF_INET, self.factory)
        self.takeover.pause(gone)
        self.runs()
        gone.connectionLost(None)
        self.successResultOf(self.ask(Serve))
        self.assertIn(port, self.reactor.getReaders())
        self.assertNotIn(gone, self.reactor.getReaders())
        self.assertFalse(self.takeover.waiting or self.offered.early)
        self.assertEqual(observed, [True])
        self.assertEqual(int(self.path.read_text()), os.getpid())
        self.successResultOf(self.ask(Serve))
        self.assertEqual(observed, [True])

    def test_later(self) -> None:
        """
        What it listens on when it serves is accepted at once.
        """
        self.runs()
        self.ask(Serve)
        port = self.reactor.listenTCP(0, self.factory, interface="127.0.0.1")
        self.takeover.pause(port)
        self.assertIn(port, self.reactor.getReaders())
        self.assertFalse(self.takeover.holds(port))

    def test_kept(self) -> None:
        """
        A port that is only kept for others does not accept.
        """
        port = self.listen()
        self.takeover.neverAccept(port)
        self.runs()
        self.ask(Serve)
        self.assertNotIn(port, self.reactor.getReaders())

    def test_refused(self) -> None:
        """
        Whoever does not want it says so by an error, or by leaving; both end elsewhere.
        """
        self.answers.answers["Ready"] = ValueError("no")
        self.runs()
        self.assertEqual(self.answers.names(), ["Ready"])
        self.flushLoggedErrors(ValueError)

    def test_left(self) -> None:
        """
        Told to leave, it does, and does not serve when the channel ends.
        """
        self.listen()
        self.runs()
        self.successResultOf(self.ask(Leave))
        self.spoken.transport.abortConnection()
        self.turns()
        self.assertEqual(self.reactor.stopped, 1)
        self.assertTrue(self.takeover.waiting)

    def test_leftEarly(self) -> None:
        """
        So it does before it was ready.
        """
        self.ask(Leave)
        self.spoken.transport.abortConnection()
        self.turns()
        self.runs()
        self.assertEqual((self.reactor.stopped, self.takeover.waiting), (1, True))

    def test_leaving(self) -> None:
        """
        A process that ends already does not mind.
        """

        def stop() -> None:
            raise ReactorNotRunning

        self.takeover.leave = stop
        self.ask(Leave)
        self.assertEqual(self.answers.names(), [])


class LostTests(TakeoverTestCase):
    """
    The process before this one is gone.
    """

    def lose(self) -> None:
        """
        It is.
        """
        self.spoken.transport.abortConnection()
        self.turns()

    def test_waiting(self) -> None:
        """
        A successor that was ready serves.
        """
        port = self.listen()
        self.runs()
        self.lose()
        self.assertIn(port, self.reactor.getReaders())
        self.assertIsNone(self.takeover.channel)
        self.assertEqual(int(self.path.read_text()), os.getpid())

    def test_starting(self) -> None:
        """
        One that was not serves as soon as it is.
        """
        port = self.listen()
        self.lose()
        self.assertNotIn(port, self.reactor.getReaders())
        self.assertFalse(self.path.exists())
        self.runs()
        self.assertIn(port, self.reactor.getReaders())

    def test_main(self) -> None:
        """
        Whoever supervises listens to this process then, and is told once.
        """
        told: list[bool] = []
        self.takeover.whenMain.append(lambda: told.append(True))
        self.runs()
        self.ask(Serve)
        self.assertEqual(told, [])
        self.ask(Main)
        self.lose()
        self.assertEqual(told, [True])

    def test_notMain(self) -> None:
        """
        One that was told to leave says nothing to anybody.
        """
        told: list[bool] = []
        self.takeover.whenMain.append(lambda: told.append(True))
        self.ask(Leave)
        self.lose()
        self.assertEqual(told, [])

    def test_pidfile(self) -> None:
        """
        The file that it has taken away is there again, and speaks of whoever serves now.
        """
        self.runs()
        self.ask(Serve)
        self.path.unlink()
        self.takeover.serving = os.getppid()
        self.lose()
        self.assertEqual(self.path.read_text(), str(os.getppid()))

    def test_noPidfile(self) -> None:
        """
        Where nobody wants one, there is none.
        """
        self.takeover.pidfile = ""
        self.runs()
        self.ask(Serve)
        self.lose()
        self.assertFalse(self.path.exists())

    def test_lock(self) -> None:
        """
        The locks of UNIX sockets are free, and are taken.
        """
        path = os.path.relpath(self.mktemp())
        self.offered.add([OfferedSocket("x", self.listener(socket.AF_UNIX, path))])
        endpoint = UNIXServerEndpoint(self.reactor, path, wantPID=1)
        port: Any = self.successResultOf(self.offered.through(endpoint).listen(self.factory))
        self.runs()
        self.assertFalse(os.path.islink(f"{path}.lock"))
        self.lose()
        self.assertTrue(port.lockFile.locked)


class OlderTests(TakeoverTestCase):
    """
    Those that were there before.
    """

    def test_count(self) -> None:
        """
        They are counted by the one before.
        """
        self.answers.answers["Older"] = {"count": 3}
        asked = self.takeover.older()
        self.turns()
        self.assertEqual(self.successResultOf(asked), 3)

    def test_stuck(self) -> None:
        """
        One that does not answer is one.
        """
        self.answers.answers["Older"] = Deferred()
        asked = self.takeover.older()
        self.turns()
        self.reactor.advance(ANSWER)
        self.assertEqual(self.successResultOf(asked), 1)
        self.turns()

    def test_going(self) -> None:
        """
        One that goes instead is none.
        """
        asked = self.takeover.older()
        self.spoken.transport.abortConnection()
        self.turns()
        self.assertEqual(self.successResultOf(asked), 0)
        self.assertEqual(self.successResultOf(self.takeover.older()), 0)
        self.takeover.endOldest()

    def test_ended(self) -> None:
        """
        The one before is asked to end the oldest; its trouble with that is its own.
        """
        self.takeover.endOldest()
        self.turns()
        self.answers.answers["EndOldest"] = ValueError()
        self.takeover.endOldest()
        self.turns()
        self.assertEqual(self.answers.names(), ["EndOldest"] * 2)
        self.flushLoggedErrors(ValueError)


class WorkerTests(TakeoverTestCase):
    """
    One that serves beside others.
    """

    def setUp(self) -> None:
        super().setUp()
        self.groups: list[tuple[int, int]] = []
        self.patch(os, "setpgid", lambda *args: self.groups.append(args))
        self.takeover.beWorker()

    def test_group(self) -> None:
        """
        It has a process group of its own, if it may; its sockets are others' too.
        """
        self.assertEqual(self.groups, [(0, 0)])
        self.assertTrue(self.offered.lent)
        port = self.reactor.listenTCP(0, self.factory, interface="127.0.0.1")
        self.takeover.pause(port)
        self.assertTrue(internals.adopted(port))

    def test_alone(self) -> None:
        """
        When the process above is gone, it goes; also if it does so already.
        """
        self.spoken.transport.abortConnection()
        self.turns()
        self.assertEqual(self.reactor.stopped, 1)

        def stop() -> None:
            raise ReactorNotRunning

        self.takeover.leave = stop
        self.takeover._lost(None)  # type: ignore[arg-type]

    def test_report(self) -> None:
        """
        What came of its connections is told at its end, and only then.
        """
        report = Report(0, 0, 0, 0, 0, 0, 0.0, ())
        self.assertFalse(self.takeover.report(report))
        self.reactor.trigger("before")
        self.assertTrue(self.takeover.report(report))
        self.turns()
        self.assertEqual(self.answers.names(), ["Report"])
        self.answers.answers["Report"] = ValueError()
        self.takeover.report(report)
        self.turns()
        self.flushLoggedErrors(ValueError)
