"""
What all workers have counted, those included that are gone: a sum that never falls.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from typing import Any

from terminable.admin.tally import BUCKETS, OPENED
from terminable.handover.worker import Worker, WorkerState
from terminable.policy.ledger import Outcome

#: What is counted, and of which kind, if there are several.
Key = tuple[str, str]

ENDED = "ended"
THROTTLED = "throttled"


class Totals:
    """
    Adds up what workers say.

    What a worker has counted is known by its last answer, and for connections by its report.
    Of a worker that has ended without a report, there is the last answer.

    @ivar stops: how many stops of workers took how long, see
        L{terminable.admin.tally.Tally.stops}.
    @ivar seconds: how long all of them took together.
    """

    def __init__(self) -> None:
        self._past: Counter[Key] = Counter()
        self._last: dict[Worker, dict[Key, Any]] = {}
        self.stops = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0

    def note(self, worker: Worker, counts: Mapping[Key, Any]) -> None:
        """
        A worker that lives has counted so far.
        """
        if worker.state is not WorkerState.ENDED:
            known = self._last.setdefault(worker, {})
            known.update({key: max(value, known.get(key, 0)) for key, value in counts.items()})

    def ended(self, worker: Worker) -> None:
        """
        It has ended, and will say nothing more.
        """
        for report in worker.reports:
            self.stops[bisect_left(BUCKETS, report.seconds)] += 1
            self.seconds += report.seconds
        counts: dict[Key, Any] = {(OPENED, ""): sum(each.opened for each in worker.reports)}
        for outcome in Outcome:
            name = outcome.value
            counts[ENDED, name] = sum(getattr(each, name) for each in worker.reports)
        known = self._last.pop(worker, {})
        for key in {*known, *counts}:
            self._past[key] += max(known.get(key, 0), counts.get(key, 0))

    def sums(self) -> Counter[Key]:
        """
        @return: how much of everything there was.
        """
        found = self._past.copy()
        for known in self._last.values():
            found.update(known)
        return found
