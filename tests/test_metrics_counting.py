"""
What Prometheus is told: when connections are counted, and for whom.
"""

from __future__ import annotations

import threading
from typing import Any

from prometheus_client import CollectorRegistry
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python import threadable
from zope.interface import directlyProvides

from terminable.admin import metrics
from terminable.admin.metrics import TerminatorMetrics, counted, metricsOf
from terminable.admin.watched import Watched
from terminable.admin.work import Work
from tests.test_metrics import MetricsTestCase, Samples


class CountingTests(MetricsTestCase):
    """
    When they are counted.
    """

    def idle(self) -> float | None:
        """
        How many are said to be idle.
        """
        return self.read().value("connections", state="idle", protocol="Hinting")

    def test_fresh(self) -> None:
        """
        Without having been counted before, they are counted each time.
        """
        self.connect()
        self.assertEqual(self.idle(), 1.0)
        self.connect()
        self.assertEqual(self.idle(), 2.0)

    def test_slices(self) -> None:
        """
        Counted before, in slices, they are not counted again for a second; what has gone
        meanwhile is left out.
        """
        transports = [self.connect(port=number) for number in range(20)]
        worked = iter(range(1000))
        self.by(lambda: next(worked) * 0.002)
        done = self.metrics.counted()
        also = self.metrics.counted()
        self.assertNoResult(done)
        for transport in transports[-5:]:
            transport.end()
        self.clock.pump([0.01] * 10)
        self.successResultOf(done)
        self.successResultOf(also)
        self.assertEqual(self.idle(), 15.0)
        self.connect()
        self.successResultOf(self.metrics.counted())
        self.assertEqual(self.idle(), 15.0)
        self.clock.advance(100)
        self.assertEqual(self.idle(), 16.0)

    def by(self, worked: Any) -> None:
        """
        Have the time that counting takes told like this.
        """
        work = Work(self.clock, worked)
        self.metrics = TerminatorMetrics(self.world.terminator, work=work)
        self.registry = CollectorRegistry()
        self.metrics.register(self.registry)

    def test_share(self) -> None:
        """
        A count that has taken long is good for longer.
        """
        self.connect()
        worked = iter((0.0, 0.2))
        self.by(lambda: next(worked))
        self.successResultOf(self.metrics.counted())
        self.connect()
        self.clock.advance(9.9)
        self.assertEqual(self.idle(), 1.0)
        self.clock.advance(0.2)
        self.assertEqual(self.idle(), 2.0)


class ThreadTests(MetricsTestCase):
    """
    In another thread.
    """

    def setUp(self) -> None:
        super().setUp()
        self.asked: list[Any] = []
        self.clock.callFromThread = self.asked.append  # type: ignore[attr-defined]
        directlyProvides(self.clock, IReactorFromThreads)
        self.patch(threadable, "ioThread", threadable.getThreadID())
        self.results: list[Samples] = []

    def begin(self) -> threading.Thread:
        """
        Read in another thread.
        """
        thread = threading.Thread(target=lambda: self.results.append(self.read()), daemon=True)
        thread.start()
        self.addCleanup(thread.join, 10)
        return thread

    def test_elsewhere(self) -> None:
        """
        The reactor counts, and the other thread waits for it.
        """
        self.connect()
        thread = self.begin()
        while not self.asked:
            thread.join(0.001)
        self.assertEqual(self.results, [])
        self.asked[0]()
        thread.join(10)
        self.assertEqual(self.results[0].value("opened_total"), 1.0)

    def test_stuck(self) -> None:
        """
        If the reactor does not come to it, there is nothing to tell.
        """
        self.patch(metrics, "PATIENCE", 0.01)
        self.begin().join(10)
        self.assertEqual(self.results[0].families, {})

    def test_here(self) -> None:
        """
        In the reactor's thread nobody waits; nor while there is none, or where the reactor
        has no threads.
        """
        self.read()
        self.patch(threadable, "ioThread", None)
        self.read()
        self.patch(threadable, "ioThread", -1)
        directlyProvides(self.clock)
        self.read()
        self.assertEqual(self.asked, [])


class DoorTests(MetricsTestCase):
    """
    At the admin door.
    """

    def setUp(self) -> None:
        super().setUp()
        self.watched = Watched(self.clock, self.world.terminator)

    def test_answer(self) -> None:
        """
        The server, its process, and Python; as text.
        """
        self.connect()
        kind, body = metricsOf(self.watched)
        self.assertTrue(kind.startswith(b"text/plain; version="), kind)
        found = Samples(body)
        self.assertEqual(found.value("opened_total"), 1.0)
        for name in (
            "process_cpu_seconds",
            "process_open_fds",
            "python_info",
            "python_gc_collections",
        ):
            self.assertIn(name, found.families)

    def test_counted(self) -> None:
        """
        Counting beforehand is for the same registry, always.
        """
        self.connect()
        self.successResultOf(counted(self.watched))
        self.connect()
        for _ in range(2):
            found = Samples(metricsOf(self.watched)[1])
            idle = found.value("connections", state="idle", protocol="Hinting")
            self.assertEqual((idle, found.value("opened_total")), (1.0, 2.0))
            self.assertEqual(found.value("phase_connections", phase="serving"), 2.0)

    def test_fromTheBeginning(self) -> None:
        """
        What has happened since the door was made is told, also if nobody has asked before.
        """
        self.connect()
        self.world.terminator.terminate()
        self.world.pass_(8)
        found = Samples(metricsOf(self.watched)[1])
        self.assertEqual(found.values("ended_total"), {"idle": 1.0})
        self.assertEqual(found.value("stop_duration_seconds_count"), 1.0)

    def test_stopped(self) -> None:
        """
        When the door is closed nothing is added up any more.
        """
        self.watched.stop()
        self.world.terminator.terminate()
        self.world.pass_(8)
        self.assertEqual(sum(self.watched.tally.stops), 0)
