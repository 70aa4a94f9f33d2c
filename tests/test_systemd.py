"""
What systemd is told of a server that serves, and by whom.
"""

from __future__ import annotations

import gc
import os
import re
import weakref
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from terminable.errors import InvalidOption
from terminable.handover.following import takeoverOf
from terminable.policy.patience import SPARE
from terminable.systemd import systemdOf, watchSystemd
from tests.supervising import LoggingTestCase, ObserverTestCase, Server, Systemd


class ReadyTests(ObserverTestCase):
    """
    READY=1.
    """

    def test_whenRunning(self) -> None:
        """
        Nothing is said before the reactor runs; then that we serve.
        """
        self.serve()
        self.assertEqual(self.systemd.heard(), [])
        self.reactor.run()
        self.assertEqual(self.systemd.heard(), ["READY=1\nSTATUS=serving"])

    def test_waits(self) -> None:
        """
        Those that wait have to be ready all.
        """
        first, second = self.serve(waits=True), self.serve(waits=True)
        self.serve()
        self.reactor.run()
        self.observer.ready(second.terminator)
        self.assertEqual(self.systemd.heard(), [])
        self.observer.ready(first.terminator)
        self.assertEqual(self.systemd.heard(), ["READY=1\nSTATUS=serving"])

    def test_readyBeforeRunning(self) -> None:
        """
        Being ready before the reactor runs is not enough.
        """
        server = self.serve(waits=True)
        self.observer.ready(server.terminator)
        self.assertEqual(self.systemd.heard(), [])
        self.reactor.run()
        self.assertEqual(len(self.systemd.heard()), 1)

    def test_all(self) -> None:
        """
        All can be ready at once.
        """
        self.serve(waits=True)
        self.serve(waits=True)
        self.reactor.run()
        self.observer.ready()
        self.assertEqual(len(self.systemd.heard()), 1)

    def test_once(self) -> None:
        """
        It is said once, also if another one comes to serve later.
        """
        self.serving()
        late = self.serve(waits=True)
        self.observer.ready(late.terminator)
        self.assertEqual(self.systemd.heard(), [])

    def test_nobodyWatched(self) -> None:
        """
        A process that watches nothing is ready only when it says so.
        """
        self.reactor.run()
        self.assertEqual(self.systemd.heard(), [])
        self.observer.ready()
        self.assertEqual(self.systemd.heard(), ["READY=1\nSTATUS=serving"])

    def test_forget(self) -> None:
        """
        One that could not listen is not waited for any more, and not listened to.
        """
        failed = self.serve(waits=True)
        self.serve()
        self.reactor.run()
        self.assertEqual(self.systemd.heard(), [])
        self.observer.forget(failed.terminator)
        self.observer.forget(failed.terminator)
        self.assertEqual(self.systemd.heard(), ["READY=1\nSTATUS=serving"])
        failed.connect()
        failed.terminator.terminate()
        self.assertEqual(self.systemd.heard(), [])

    def test_goneIsForgotten(self) -> None:
        """
        The observer keeps no terminator alive.
        """
        gone = weakref.ref(self.serve(waits=True).terminator)
        gc.collect()
        self.assertIsNone(gone())

    def test_notWhileStopping(self) -> None:
        """
        A server that is stopped before it was ready is not announced.
        """
        server = self.serve(waits=True)
        self.shutdown()
        self.reactor.run()
        self.observer.ready(server.terminator)
        self.assertEqual(self.systemd.heard(), ["STOPPING=1"])


class WatchdogTests(ObserverTestCase):
    """
    WATCHDOG=1.
    """

    def setUp(self) -> None:
        self.observe(watchdog=4.0)

    def test_whileRunning(self) -> None:
        """
        It is sent twice in the watchdog's time, from when the reactor runs, and not at once.
        """
        self.pass_(4)
        self.reactor.run()
        self.assertEqual(self.systemd.heard(), [])
        self.pass_(4)
        self.assertEqual(self.systemd.heard(), ["WATCHDOG=1"] * 2)

    def test_whileStopping(self) -> None:
        """
        It is sent until the process ends.
        """
        server = self.serving(gracePeriod=3.0)
        server.connect()
        self.shutdown()
        server.terminator.terminate()
        self.pass_(8)
        self.assertEqual(self.systemd.heard().count("WATCHDOG=1"), 4)

    def test_hangs(self) -> None:
        """
        A reactor that does not turn sends nothing, and goes on as soon as it does.
        """
        self.reactor.run()
        self.reactor.advance(20)
        self.assertEqual(self.systemd.heard(), ["WATCHDOG=1"])
        self.pass_(2)
        self.assertEqual(self.systemd.heard(), ["WATCHDOG=1"])


class UnitFileTests(SynchronousTestCase):
    """
    The unit files in C{docs/deploy}.
    """

    DEPLOY = Path(__file__).parent.parent / "docs" / "deploy"

    def test_services(self) -> None:
        """
        Each service speaks to systemd, by its main process, and is given more time for a stop
        than its grace period, so that it ends in time even if systemd grants no more.  One
        that is upgraded has its end waited for by a command.
        """
        services = sorted(self.DEPLOY.glob("*.service"))
        self.assertGreaterEqual(len(services), 4)
        for service in services:
            unit = service.read_text()
            for line in ("Type=notify", "NotifyAccess=main", "WatchdogSec=30"):
                self.assertIn(f"\n{line}\n", unit, service.name)
            waits = "\nExecStop=" in unit
            self.assertEqual("\nKillMode=mixed\n" in unit, not waits, service.name)
            self.assertEqual("USR2" in unit, waits, service.name)
            grace = re.search(r"^ExecStart=.* --grace (\d+) ", unit, re.MULTILINE)
            limit = re.search(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
            assert grace is not None and limit is not None
            self.assertGreaterEqual(int(limit[1]), int(grace[1]) + SPARE, service.name)

    def test_sockets(self) -> None:
        """
        Each socket has the service of its name, which listens on it.
        """
        for path in self.DEPLOY.glob("*.socket"):
            unit = path.with_suffix(".service").read_text()
            self.assertIn("--port systemd:domain=INET:index=0 ", unit)
            self.assertIn(f"\nRequires={path.name}\n", unit)


class WatchSystemdTests(LoggingTestCase):
    """
    What a door calls.
    """

    def setUp(self) -> None:
        super().setUp()
        self.reactor = MemoryReactorClock()

    def test_nothing(self) -> None:
        """
        Without the variable nothing happens at all.
        """
        server = Server(self.reactor)
        self.assertIsNone(watchSystemd(self.reactor, server.terminator, environ={}))
        self.assertEqual(self.reactor.triggers, {})
        self.assertEqual(self.reactor.whenRunningHooks, [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_ownEnvironment(self) -> None:
        """
        By default the environment is that of the process, and it is left as it is.
        """
        systemd = Systemd(self)
        environ = {"NOTIFY_SOCKET": systemd.place, "WATCHDOG_PID": str(os.getpid())}
        for name, value in environ.items():
            self.patch(os, "environ", {**os.environ, name: value})
        self.assertIsNotNone(watchSystemd(self.reactor, Server(self.reactor).terminator))
        self.assertEqual(os.environ["NOTIFY_SOCKET"], systemd.place)

    def test_noRun(self) -> None:
        """
        A clock has no run of which systemd could be told.
        """
        clock: Any = Clock()
        self.assertIsNone(systemdOf(clock, {"NOTIFY_SOCKET": "/run/notify"}))

    def test_shared(self) -> None:
        """
        The terminators of one reactor are told of together, and another reactor is another
        matter.
        """
        systemd = Systemd(self)
        environ = {"NOTIFY_SOCKET": systemd.place}
        servers = [Server(self.reactor) for _ in range(2)]
        first, second = (
            watchSystemd(self.reactor, server.terminator, True, environ) for server in servers
        )
        assert first is not None
        self.assertIs(first, second)
        self.assertIs(systemdOf(self.reactor), first)
        self.assertIsNot(systemdOf(MemoryReactorClock(), environ), first)
        self.reactor.run()
        first.ready(servers[0].terminator)
        self.assertEqual(systemd.heard(), [])
        first.ready(servers[1].terminator)
        self.assertEqual(systemd.heard(), ["READY=1\nSTATUS=serving"])

    def test_following(self) -> None:
        """
        A process that follows another one says nothing before it is the main one.
        """
        takeover = takeoverOf(self.reactor)
        takeover.waiting = True
        systemd = Systemd(self)
        watchSystemd(
            self.reactor, Server(self.reactor).terminator, environ={"NOTIFY_SOCKET": systemd.place}
        )
        self.reactor.run()
        self.assertEqual(systemd.heard(), [])
        for call in takeover.whenMain:
            call()
        self.assertEqual(systemd.heard(), ["READY=1\nSTATUS=serving"])

    def test_invalidOnce(self) -> None:
        """
        A place that is none is logged once for all doors.
        """
        for _ in range(3):
            self.assertIsNone(systemdOf(self.reactor, {"NOTIFY_SOCKET": "nowhere"}))
        self.assertEqual(len(self.logged), 1)

    def test_watchdog(self) -> None:
        """
        The watchdog is heard if it is ours.
        """
        systemd = Systemd(self)
        environ = {"NOTIFY_SOCKET": systemd.place, "WATCHDOG_USEC": "1000000"}
        systemdOf(self.reactor, environ)
        self.reactor.run()
        self.reactor.advance(0.5)
        self.assertEqual(systemd.heard(), ["WATCHDOG=1"])

    def test_badWatchdog(self) -> None:
        """
        A watchdog's time that is none is refused, before anything was changed.
        """
        environ = {"NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": "soon"}
        self.assertRaises(InvalidOption, systemdOf, self.reactor, environ)
        self.assertEqual(self.reactor.triggers, {})
