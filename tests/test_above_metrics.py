"""
What Prometheus is told of all workers.
"""

from __future__ import annotations

from typing import Any

from terminable.admin.above.metrics import samplesIn
from terminable.admin.above.totals import Totals
from terminable.policy.ledger import Report
from tests.aboveworkers import AboveTestCase
from tests.test_metrics import Samples


class MetricsTests(AboveTestCase):
    """
    The sums.
    """

    def scrape(self) -> Samples:
        # A worker's count is good for a second.
        for made in self.made:
            if hasattr(made.channel, "world"):
                made.channel.world.clock.advance(1.5)
        return Samples(self.get("/metrics").body)

    def test_sums(self) -> None:
        """
        What workers count is added up, of some things there is the greatest.
        """
        first, second = self.served()
        for talking in (first, first, second):
            talking.connect(True)
        found = self.scrape()
        busy = {"state": "busy", "protocol": "Hinting"}
        self.assertEqual(found.value("connections", **busy), 3.0)
        self.assertEqual(found.value("requests_in_flight"), 3.0)
        self.assertEqual(found.value("oldest_busy_seconds"), 1.5)
        self.assertEqual(found.value("opened_total"), 3.0)
        self.assertEqual(found.value("ended_total", outcome="before"), 0.0)
        self.assertEqual(found.value("phase", phase="serving"), 1.0)
        self.assertEqual(found.value("accept_queue"), 0.0)
        self.assertEqual(found.value("workers", state="serving"), 2.0)
        self.assertEqual(found.value("workers_wanted"), 2.0)
        self.assertEqual(found.value("workers_missing"), 0.0)
        self.assertIn("process_cpu_seconds", " ".join(found.families))

    def test_counters(self) -> None:
        """
        Counters do not fall when a worker is replaced, or does not answer.
        """
        (talking,) = self.served(1)
        talking.connect().end()
        talking.connect(True)
        self.assertEqual(self.scrape().value("opened_total"), 2.0)
        talking.broken = True
        found = self.scrape()
        self.assertEqual(found.value("opened_total"), 2.0)
        self.assertEqual(found.value("workers_missing"), 1.0)
        self.assertEqual(found.value("requests_in_flight"), 1.0)
        self.post("/restart")
        self.answer(1)
        self.made[0].exit(report=Report(5, 1, 4, 0, 0, 0, 0.3, ()))
        found = self.scrape()
        self.assertEqual(found.value("requests_in_flight"), 0.0)
        self.assertEqual(found.value("opened_total"), 5.0)
        self.assertEqual(found.value("ended_total", outcome="idle"), 4.0)
        self.assertEqual(found.value("stop_duration_seconds_count"), 1.0)
        self.assertEqual(found.value("stop_duration_seconds_bucket", le="0.5"), 1.0)
        self.assertEqual(found.value("stop_duration_seconds_bucket", le="0.25"), 0.0)
        self.assertEqual(found.value("worker_starts_total"), 2.0)
        self.assertEqual(found.value("worker_restarts_total"), 0.0)

    def test_stop(self) -> None:
        """
        There is a deadline during a stop.
        """
        self.served(1)
        self.assertEqual(self.scrape().value("time_left_seconds"), float("inf"))
        self.workers.terminate()
        self.assertEqual(self.scrape().value("time_left_seconds"), 10.0)

    def test_samples(self) -> None:
        """
        Of what a worker tells, that counts which we know.
        """
        text = (
            b'terminable_connections{protocol="P",state="busy"} 3\n'
            b"terminable_opened_total 4\nterminable_unheard_of 1\nprocess_open_fds 5\n"
        )
        self.assertEqual(
            samplesIn(text), [("connections", ("busy", "P"), 3.0), ("opened", (), 4.0)]
        )


class TotalsTests(AboveTestCase):
    """
    What was counted.
    """

    def test_crashed(self) -> None:
        """
        Of a worker that ended without a report, there is what it said last; what comes later is
        nothing.
        """
        self.served(1)
        (worker,) = self.workers.living()
        totals = Totals()
        opened = ("opened", "")
        totals.note(worker, {opened: 3})
        totals.note(worker, {opened: 2})
        self.assertEqual(totals.sums()[opened], 3)
        self.made[0].exit("badly")
        late: Any = {opened: 9}
        totals.ended(worker)
        totals.note(worker, late)
        self.assertEqual((totals.sums()[opened], totals.seconds), (3, 0.0))
