"""
What Prometheus is told.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as openMetrics
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openMetricsFamilies,
)
from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from terminable.admin import metrics
from terminable.admin.metrics import (
    OTHER,
    PROTOCOLS,
    Count,
    TerminatorMetrics,
)
from terminable.admin.tally import BUCKETS, Tally
from terminable.policy.admission import Admission
from terminable.spool.items import SpoolAway, SpoolProgress
from terminable.terminator import Terminator
from terminable.tracking import pausing, sockets
from terminable.tracking.connection import Connection
from tests.doubles import Hinting, MemoryFactory, PortTestCase, World
from tests.frames import HTTP2TestCase
from tests.releasing import ReleaseTestCase
from tests.test_ledger import report

ROW = r"^   \* - ``(\w+)``\n     - (\w+)\n     - (.*)\n     - \S"
PAGE = Path(__file__).parent.parent / "docs" / "howto" / "metrics.rst"


class Samples:
    """
    Metrics, as Prometheus reads them.
    """

    def __init__(self, text: bytes) -> None:
        self.families = {each.name: each for each in text_string_to_metric_families(text.decode())}
        self._values = {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float | None:
        """
        One of them; C{None} if it is not there.
        """
        return self._values.get((f"terminable_{name}", *sorted(labels.items())))

    def values(self, name: str) -> dict[str, float]:
        """
        All that are not 0 with this name, by their one label.
        """
        return {
            labels[0][1]: value
            for (found, *labels), value in self._values.items()
            if found == f"terminable_{name}" and value
        }


class Spooled:
    """
    A spool that says how it stands.

    @ivar answer: what it says.
    """

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def progress(self) -> Any:
        return self.answer if isinstance(self.answer, Deferred) else succeed(self.answer)


#: How a spool may stand.
PROGRESS = SpoolProgress(1, 2, 3, 4, 5.5, 6)


class MetricsTestCase(SynchronousTestCase):
    """
    A server in memory, and its metrics.
    """

    def setUp(self) -> None:
        self.world = World(Hinting, gracePeriod=5.0)
        self.clock = self.world.clock
        self.metrics = TerminatorMetrics(self.world.terminator)
        self.registry = CollectorRegistry()
        self.metrics.register(self.registry)

    def connect(self, busy: bool = False, **details: Any) -> Any:
        """
        Somebody connects.
        """
        transport = self.world.connect(**details)
        self.world.factory.protocols[-1].busy = busy
        return transport

    def read(self) -> Samples:
        """
        What Prometheus is told now.
        """
        return Samples(generate_latest(self.registry))


class ValueTests(MetricsTestCase):
    """
    Each metric.
    """

    def test_nothing(self) -> None:
        """
        Of a server without clients there is everything, with no numbers.
        """
        found = self.read()
        self.assertEqual(found.values("phase"), {"serving": 1.0})
        self.assertEqual(found.value("connections", state="idle", protocol="Hinting"), None)
        for name in ("opened_total", "requests_in_flight", "oldest_busy_seconds", "waiting"):
            self.assertEqual(found.value(name), 0.0, name)
        self.assertEqual(found.value("time_left_seconds"), math.inf)
        self.assertEqual(found.value("stop_duration_seconds_count"), 0.0)
        self.assertEqual([*found.values("build_info").values()], [1.0])

    def test_connections(self) -> None:
        """
        They are counted by what they do and by protocol.
        """
        self.connect()
        self.connect(True, port=1)
        self.connect(True, port=2)
        found = self.read()
        states = {
            state: found.value("connections", state=state, protocol="Hinting")
            for state in ("opening", "new", "idle", "busy", "upgraded", "waiting")
        }
        expected = {"opening": 0, "new": 0, "idle": 1, "busy": 2, "upgraded": 0, "waiting": 0}
        self.assertEqual(states, expected)
        self.assertEqual(found.values("phase_connections"), {"serving": 3.0})
        self.assertEqual(found.value("requests_in_flight"), 2.0)

    def test_known(self) -> None:
        """
        A protocol that was seen once stays, so that its series do not end.
        """
        transport = self.connect()
        self.read()
        transport.end()
        self.clock.advance(100)
        found = self.read()
        self.assertEqual(found.value("connections", state="idle", protocol="Hinting"), 0.0)

    def test_oldest(self) -> None:
        """
        The age of the oldest busy one.
        """
        self.connect()
        for busy in (True, True):
            self.clock.advance(2)
            self.connect(busy)
        self.clock.advance(3)
        self.assertEqual(self.read().value("oldest_busy_seconds"), 5.0)

    def test_totals(self) -> None:
        """
        What became of them.
        """
        self.connect()
        self.connect().end()
        found = self.read()
        self.assertEqual(found.value("opened_total"), 2.0)
        self.assertEqual(found.values("ended_total"), {"before": 1.0})

    def test_drains(self) -> None:
        """
        Those who are drained while others stay.
        """
        for number in range(3):
            self.connect(True, port=number)
        self.world.terminator.drain(lambda connection: connection.peer.endswith((":1", ":2")))
        found = self.read()
        self.assertEqual(found.value("drained_total"), 2.0)
        self.assertEqual(found.value("draining_connections"), 2.0)

    def test_throttled(self) -> None:
        """
        What limits have done.
        """
        counts = self.world.terminator.throttle.counts
        counts.held, counts.refused, counts.disconnected = 1, 2, 3
        expected = {"held": 1.0, "refused": 2.0, "disconnected": 3.0}
        self.assertEqual(self.read().values("throttled_total"), expected)

    def test_stop(self) -> None:
        """
        A stop has a phase, a time that is left, and a length.
        """
        self.connect(True)
        self.world.terminator.terminate()
        self.world.pass_(2)
        found = self.read()
        self.assertEqual(found.values("phase"), {"draining": 1.0})
        self.assertAlmostEqual(found.value("time_left_seconds") or 0.0, 3.0)
        self.world.pass_(5)
        found = self.read()
        self.assertEqual(found.values("phase"), {"terminated": 1.0})
        self.assertEqual(found.values("ended_total"), {"aborted": 1.0})
        self.assertEqual(found.value("time_left_seconds"), math.inf)
        self.assertEqual(found.value("stop_duration_seconds_bucket", le="5.0"), 0.0)
        self.assertEqual(found.value("stop_duration_seconds_bucket", le="10.0"), 1.0)
        self.assertEqual(found.value("stop_duration_seconds_bucket", le="+Inf"), 1.0)
        self.assertAlmostEqual(found.value("stop_duration_seconds_sum") or 0.0, 5.0, 1)

    def test_classes(self) -> None:
        """
        The classes of lengths are cumulative, and the last one has all.
        """
        tally = Tally(self.world.terminator)
        for seconds in (0.05, 0.2, 400.0):
            tally.terminated(report(seconds=seconds))
        self.metrics = TerminatorMetrics(self.world.terminator, tally)
        self.registry = CollectorRegistry()
        self.metrics.register(self.registry)
        values = [
            self.read().value("stop_duration_seconds_bucket", le=le)
            for le in [*map(str, BUCKETS), "+Inf"]
        ]
        self.assertEqual(values, [1.0, *[2.0] * (len(BUCKETS) - 1), 3.0])


class GenerationTests(ReleaseTestCase):
    """
    Older generations.
    """

    def test_phases(self) -> None:
        """
        Their connections are counted by their own phase.
        """
        registry = CollectorRegistry()
        TerminatorMetrics(self.terminator).register(registry)
        self.connect(busy=True)
        self.connect(busy=True, number=5)
        self.release()
        self.listen()
        self.connect(number=6)
        found = Samples(generate_latest(registry))
        self.assertEqual(found.values("phase"), {"serving": 1.0})
        self.assertEqual(found.values("phase_connections"), {"draining": 2.0, "serving": 1.0})
        self.assertEqual(found.value("draining_generations"), 1.0)


class FormTests(MetricsTestCase):
    """
    The form.
    """

    def setUp(self) -> None:
        super().setUp()
        self.connect(True)

    def test_parsed(self) -> None:
        """
        Prometheus' own parsers read both forms, and find the same names and kinds.
        """
        classic = self.read().families
        open_ = {
            each.name: each for each in openMetricsFamilies(openMetrics(self.registry).decode())
        }
        self.assertEqual(sorted(classic), sorted(open_))
        for name, family in classic.items():
            other = open_[name]
            self.assertEqual((family.type, family.documentation), (other.type, other.documentation))
            self.assertTrue(family.samples)

    def test_described(self) -> None:
        """
        Before anything is counted, the registry knows what will be: two terminators do not
        fit into one.
        """
        described = [(each.name, each.type) for each in self.metrics.describe()]
        collected = [(each.name, each.type) for each in self.metrics.collect()]
        self.assertEqual(described, collected)
        other = TerminatorMetrics(Terminator(self.clock))
        self.assertRaises(ValueError, other.register, self.registry)

    def test_page(self) -> None:
        """
        The page has a row for each, with its kind and its labels.
        """
        rows = re.findall(ROW, PAGE.read_text(), re.M)
        told = {name: (kind, {*re.findall(r"``(\w+)``", labels)}) for name, kind, labels in rows}
        found = {}
        measured = TerminatorMetrics(self.world.terminator, spools=[Spooled(PROGRESS)])
        self.successResultOf(measured.counted())
        for family in measured.collect():
            name = family.name + "_total" * (family.type == "counter")
            labels = {label for sample in family.samples for label in sample.labels} - {"le"}
            found[name] = (family.type, labels)
        self.assertEqual(told, found)


class AdmissionTests(SynchronousTestCase):
    """
    Those who are not admitted, and those who are held back.
    """

    def setUp(self) -> None:
        self.world = World(Hinting, admission=Admission(capacity=1, queue=1, full="refuse"))
        self.registry = CollectorRegistry()
        TerminatorMetrics(self.world.terminator).register(self.registry)

    def test_refused(self) -> None:
        """
        They are counted by why; of a server that admits everybody, none is.
        """
        for port in (1, 2, 3):
            self.world.connect(None, port=port)
        found = Samples(generate_latest(self.registry))
        self.assertEqual(found.values("refused_total"), {"full": 1.0})
        self.assertEqual(found.value("waiting"), 1.0)
        self.assertEqual(found.value("throttled_connections"), 0.0)

    def test_held(self) -> None:
        """
        A connection that a limit has wait is one that is throttled now.
        """
        first = self.world.connect(None, port=1)
        first.pauseProducing = first.resumeProducing = lambda: None
        pausing.pause(first, "limit")
        self.addCleanup(pausing.forget, first)
        found = Samples(generate_latest(self.registry))
        self.assertEqual(found.value("throttled_connections"), 1.0)


class SpoolTests(MetricsTestCase):
    """
    Spools, of which one is asked each time that connections are counted.
    """

    def measured(self, *spools: Any) -> Samples:
        self.metrics = TerminatorMetrics(self.world.terminator, spools=spools)
        self.registry = CollectorRegistry()
        self.metrics.register(self.registry)
        counted = self.metrics.counted()
        self.clock.advance(2.0)
        self.successResultOf(counted)
        return self.read()

    def test_told(self) -> None:
        """
        Its queues have their lengths; those of several are added up.
        """
        found = self.measured(Spooled(PROGRESS), Spooled(SpoolProgress(10, 0, 0, 0, 7.0, 0)))
        expected = {"waiting": 11.0, "working": 2.0, "done": 3.0, "dead": 4.0}
        self.assertEqual(found.values("spool_items"), expected)
        self.assertEqual(found.value("spool_oldest_seconds"), 7.0)

    def test_none(self) -> None:
        """
        Without a spool there is nothing of it.
        """
        self.assertNotIn("terminable_spool_items", self.measured().families)

    def test_away(self) -> None:
        """
        What is not known is not told as 0: the database is away, or takes too long, or the spool is
        broken, which is logged.
        """
        for answer in (fail(SpoolAway("away")), Deferred(), fail(ValueError("broken"))):
            found = self.measured(Spooled(PROGRESS), Spooled(answer))
            self.assertEqual(found.values("spool_items"), {})
            self.assertEqual(found.value("opened_total"), 0.0)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)


class ProtocolTests(MetricsTestCase):
    """
    Protocols' names.
    """

    def test_bounded(self) -> None:
        """
        However many there are, only so many have a series of their own, and all are counted.
        """
        for number in range(PROTOCOLS + 10):
            self.world.factory.protocol = type(f"Kind{number}", (Hinting,), {})
            self.connect(port=number)
        found = self.read()
        names = {
            sample.labels["protocol"] for sample in found.families["terminable_connections"].samples
        }
        self.assertEqual(len(names), PROTOCOLS + 1)
        self.assertEqual(found.value("connections", state="idle", protocol=OTHER), 10.0)
        self.assertEqual(found.value("phase_connections", phase="serving"), PROTOCOLS + 10)


class HTTP2Tests(HTTP2TestCase):
    """
    Requests of HTTP/2.
    """

    def test_streams(self) -> None:
        """
        Each stream is a request.
        """
        self.ask(1, 3, 5)
        protocol: Any = self.site.buildProtocol(None)
        protocol._channel = self.channel
        self.transport.protocol = protocol  # type: ignore[attr-defined]
        connection = Connection(self.transport, 0.0)
        roll = SimpleNamespace(connection=lambda transport: connection)
        gate = SimpleNamespace(ledger={self.transport}, drain=SimpleNamespace(roll=roll))
        count = Count(set())
        count.look((gate, self.transport))
        self.assertEqual(count.requests, 3)
        self.assertEqual(count.states, {("busy", "H2Connection"): 1})


class QueueTests(PortTestCase):
    """
    The queues of ports.
    """

    def test_queued(self) -> None:
        """
        Those whom the kernel has and we have not accepted.
        """
        factory = MemoryFactory()
        self.factory = factory
        self.open()
        terminator = Terminator(self.reactor)
        terminator.attach(self.port)
        self.queue(3)
        self.assertEqual(sockets.queued(self.port.socket), 3)
        registry = CollectorRegistry()
        TerminatorMetrics(terminator).register(registry)
        self.assertEqual(Samples(generate_latest(registry)).value("accept_queue"), 3.0)
        self.reactor.turn()
        self.assertEqual(Samples(generate_latest(registry)).value("accept_queue"), 0.0)

    def test_notTold(self) -> None:
        """
        A UNIX socket does not tell; a port without a socket has none.
        """
        self.open("\0metrics-of-a-test")
        self.assertEqual(sockets.queued(self.port.socket), 0)
        self.assertEqual(metrics._queued(SimpleNamespace(port=object())), 0)
