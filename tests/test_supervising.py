"""
What signals do to workers, and how a failed start ends.
"""

from __future__ import annotations

import signal
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from terminable import exitstatus, supervising
from terminable.errors import HandoverFailed, NotServing
from terminable.interfaces import ITerminationObserver
from terminable.policy.phases import Phase
from terminable.supervising import Supervisor, supervise
from tests.workdoubles import WorkReactor


class FakeWorkers:
    """
    Workers that do nothing.
    """

    count = 2
    serving = True
    restarted: Deferred[None] | None = None
    cannotStart: Any = None

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.observers: list[Any] = []

    def addObserver(self, observer: Any) -> None:
        self.observers.append(observer)

    def rollingRestart(self) -> Deferred[None]:
        return succeed(None) if self.serving else fail(HandoverFailed("no"))

    def resize(self, count: int) -> None:
        if not self.serving:
            raise NotServing("cannot")
        self.count = count
        self.sizes.append(count)


class FakeSystemd:
    """
    Writes down what it is told.
    """

    def __init__(self) -> None:
        self.told: list[str] = []

    def forget(self, workers: Any) -> None:
        self.told.append("forget")

    def watch(self, workers: Any, waits: bool) -> None:
        self.told.append(f"watch {waits}")

    def ready(self, workers: Any) -> None:
        self.told.append("ready")


class SupervisorTests(SynchronousTestCase):
    """
    Signals.
    """

    def setUp(self) -> None:
        self.reactor = WorkReactor()
        self.workers = FakeWorkers()
        workers: Any = self.workers
        self.supervisor = Supervisor(self.reactor, workers)
        self.installed: dict[int, Any] = {}
        self.former: dict[int, Any] = {}
        self.hangups: list[Any] = []
        default = signal.SIG_DFL
        self.patch(signal, "getsignal", lambda number: self.former.get(number, default))
        self.patch(signal, "signal", self.installed.__setitem__)
        self.patch(supervising, "onHangup", lambda *what: self.hangups.append(what))

    def send(self, number: int) -> None:
        """
        A signal comes.
        """
        self.installed[number](number, None)
        for work, args in self.reactor.called:
            work(*args)
        self.reactor.called.clear()

    def test_resize(self) -> None:
        """
        SIGTTIN is one more, SIGTTOU one less, and one stays.
        """
        self.supervisor.install()
        for number in (signal.SIGTTIN, signal.SIGTTOU, signal.SIGTTOU, signal.SIGTTOU):
            self.send(number)
        self.assertEqual(self.workers.sizes, [3, 2, 1, 1])

    def test_resizeFails(self) -> None:
        """
        Why it cannot be is only logged.
        """
        self.workers.serving = False
        self.supervisor.resize(1)
        self.assertEqual(self.workers.sizes, [])

    def test_restart(self) -> None:
        """
        SIGHUP is a rolling restart; why it fails is only logged.
        """
        self.supervisor.install()
        self.assertEqual(self.hangups, [(self.reactor, self.supervisor.restart)])
        self.successResultOf(self.supervisor.restart())
        self.workers.serving = False
        self.successResultOf(self.supervisor.restart())

    def test_foreign(self) -> None:
        """
        A signal that somebody else heeds, or ignores, stays as it is.
        """
        self.former = {signal.SIGTTIN: signal.SIG_IGN, signal.SIGTTOU: print}
        self.supervisor.install()
        self.assertEqual(self.installed, {})

    def test_thread(self) -> None:
        """
        In another thread than the main one, signals are somebody else's.
        """

        def refuse(*what: object) -> None:
            raise ValueError

        self.patch(signal, "signal", refuse)
        self.supervisor.install()
        self.assertEqual(self.installed, {})


class SuperviseTests(SynchronousTestCase):
    """
    All of it.
    """

    def setUp(self) -> None:
        self.reactor = WorkReactor()
        self.workers: Any = FakeWorkers()
        self.watched: list[Any] = []
        self.atExit: list[Any] = []
        self.patch(supervising, "watch", lambda *what: self.watched.append(what))
        self.patch(exitstatus.atexit, "register", self.atExit.append)
        self.systemd: Any = None
        self.patch(supervising, "systemdOf", lambda reactor: self.systemd)
        self.patch(Supervisor, "install", lambda supervisor: self.watched.append("install"))

    def test_watched(self) -> None:
        """
        Workers are watched like a terminator, and signals are heeded.
        """
        show, hide = object(), object()
        supervise(self.reactor, self.workers, show, hide)  # type: ignore[arg-type]
        self.assertEqual(self.watched, [(self.reactor, self.workers, show, hide), "install"])
        self.assertEqual(self.workers.observers, [])

    def test_systemd(self) -> None:
        """
        systemd is told that workers serve when all do, not when the reactor runs.
        """
        self.systemd = systemd = FakeSystemd()
        supervise(self.reactor, self.workers)
        self.assertEqual(systemd.told, ["forget", "watch True"])
        (observer,) = self.workers.observers
        verifyObject(ITerminationObserver, observer)
        observer.phaseChanged(Phase.RELEASED, Phase.SERVING)
        observer.phaseChanged(Phase.SERVING, Phase.DRAINING)
        observer.portsClosed()
        observer.terminated(None)
        self.assertEqual(systemd.told[2:], ["ready"])

    def test_failOnStraggler(self) -> None:
        """
        The exit status can tell whether somebody was aborted.
        """
        supervise(self.reactor, self.workers, failOnStraggler=True)
        (observer,) = self.workers.observers
        self.assertIsInstance(observer, exitstatus.ExitStatus)

    def test_cannotStart(self) -> None:
        """
        If the start fails, the process ends, with 1.
        """
        supervise(self.reactor, self.workers)
        self.workers.cannotStart("why")
        self.assertEqual(self.reactor.stopped, 1)
        (leave,) = self.atExit
        self.assertEqual(leave.__self__.status, 1)
