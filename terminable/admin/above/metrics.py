"""
What Prometheus is told of all workers together.

Needs C{prometheus_client} (C{pip install txterminable[metrics]}).  Names and meanings are those
of one server; what can be added up is the sum over workers, and counters include those workers
that are gone.
"""

from __future__ import annotations

import math
import operator
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import accumulate, chain
from typing import Any
from weakref import WeakKeyDictionary

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families

from terminable.admin.above.asking import Heard
from terminable.admin.above.whole import STATES, Whole
from terminable.admin.families import COUNTER, FAMILIES, GAUGE, family, many, one
from terminable.admin.tally import BUCKETS
from terminable.handover.worker import Worker
from terminable.policy.phases import Phase
from terminable.tracking import sockets

#: One number of a worker: its name, its labels, and how much it is.
Sample = tuple[str, tuple[str, ...], float]

_BEGIN = "terminable_"

#: What is told of the process above, and not of its workers.
_OWN = ("build_info", "phase", "accept_queue", "time_left_seconds")

#: What that of the worker is in which it is greatest: all of them have one spool.
_GREATEST = ("oldest_busy_seconds", "longest_turn_seconds", "spool_items", "spool_oldest_seconds")

#: What is counted by all workers that there were; each has at most one label.
_COUNTERS = {name: labels for name, (kind, _, labels) in FAMILIES.items() if kind is COUNTER}

#: What all workers that there are have together.
_GAUGES = [name for name, (kind, *_) in FAMILIES.items() if kind is GAUGE and name not in _OWN]


def samplesIn(text: bytes) -> list[Sample]:
    """
    @param text: what a worker tells Prometheus.
    @return: what is ours of it; names are without C{terminable_} and C{_total}.
    """
    found = []
    for metric in text_string_to_metric_families(text.decode()):
        for sample in metric.samples:
            name = sample.name.removeprefix(_BEGIN).removesuffix("_total")
            if sample.name.startswith(_BEGIN) and name in FAMILIES:
                # In the text, they are in the order of the alphabet.
                labels = tuple(sample.labels.get(label, "") for label in FAMILIES[name][2])
                found.append((name, labels, sample.value))
    return found


class WholeMetrics:
    """
    Collects what there is to tell, for the registry of one door.
    """

    def __init__(self, whole: Whole) -> None:
        self._whole = whole
        self._last: dict[Worker, list[Sample]] = {}
        self._missing = 0
        self.registry = CollectorRegistry()
        itself: Any = self
        self.registry.register(itself)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)

    def hear(self, heard: Heard) -> None:
        """
        The workers have said this.
        """
        self._missing = len(heard.missing)
        # What is missing has not changed, as far as is known.
        living = self._whole.workers.living()
        self._last = {worker: self._last[worker] for worker in living if worker in self._last}
        for worker, _, samples in heard.said:
            counts = {
                (name, (*labels, "")[0]): value
                for name, labels, value in samples
                if name in _COUNTERS
            }
            self._whole.totals.note(worker, counts)
            self._last[worker] = samples

    def describe(self) -> list[Any]:
        """
        @return: nothing: there is no other collector of ours in this registry.
        """
        return []

    def collect(self) -> Iterator[Any]:
        """
        @return: the metrics as they are now.
        """
        pool = self._whole.terminator
        left = pool.progress().left if pool.phase.stopping else None
        yield one("build_info", 1, getattr(sys.modules["terminable"], "__version__", ""))
        yield many("phase", {phase.value: int(phase is pool.phase) for phase in Phase})
        yield from self._gauges()
        yield from self._counters()
        listeners = pool.ports.listeners
        yield one("accept_queue", sum(sockets.queued(each.port.socket) for each in listeners))
        yield one("time_left_seconds", math.inf if left is None else left)
        yield self._stops()
        yield from self._workers()

    def _gauges(self) -> Iterator[Any]:
        for name in _GAUGES:
            join = max if name in _GREATEST else operator.add
            found: dict[tuple[str, ...], float] = {}
            for each, labels, value in chain.from_iterable(self._last.values()):
                if each == name:
                    found[labels] = join(found.get(labels, 0.0), value)
            yield _told(name, found)

    def _counters(self) -> Iterator[Any]:
        sums = self._whole.totals.sums()
        for name, labels in _COUNTERS.items():
            found = {
                (label,)[: len(labels)]: sums[each, label] for each, label in sums if each == name
            }
            yield _told(name, found)

    def _stops(self) -> Any:
        totals = self._whole.totals
        bounds = [*map(str, BUCKETS), "+Inf"]
        buckets = list(zip(bounds, accumulate(totals.stops), strict=True))
        made = family("stop_duration_seconds")
        made.add_metric([], buckets, totals.seconds)
        return made

    def _workers(self) -> Iterator[Any]:
        workers = self._whole.workers
        counts = Counter(STATES[worker.state] for worker in workers.living())
        made = GaugeMetricFamily("terminable_workers", "Workers, by state.", labels=["state"])
        for state in dict.fromkeys(STATES.values()):
            made.add_metric([state], counts[state])
        yield made
        yield GaugeMetricFamily(
            "terminable_workers_wanted", "How many workers there are to be.", workers.count
        )
        yield GaugeMetricFamily(
            "terminable_workers_missing", "Workers that have not answered.", self._missing
        )
        yield CounterMetricFamily(
            "terminable_worker_starts", "Workers that were started.", workers.started
        )
        yield CounterMetricFamily(
            "terminable_worker_restarts",
            "Workers that have ended by themselves, and were replaced.",
            workers.replaced,
        )


def _told(name: str, found: Mapping[tuple[str, ...], float]) -> Any:
    made = family(name)
    for labels, value in sorted(found.items()):
        made.add_metric(labels, value)
    return made


_known: WeakKeyDictionary[Whole, WholeMetrics] = WeakKeyDictionary()


async def metricsOf(whole: Whole) -> tuple[bytes, bytes]:
    """
    @return: the media type, and what C{/metrics} answers.
    """
    if whole not in _known:
        _known[whole] = WholeMetrics(whole)
    metrics = _known[whole]
    metrics.hear(await whole.asking.everybody("/metrics", samplesIn))
    return CONTENT_TYPE_LATEST.encode(), generate_latest(metrics.registry)
