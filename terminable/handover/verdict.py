"""
What came of several workers, in one report.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from terminable.handover.worker import Worker
from terminable.policy.ledger import Progress, Report


@dataclass(frozen=True)
class WorkersProgress(Progress):
    """
    How far a stop of workers is.

    @ivar busy: how many of them have not ended.
    """

    def __str__(self) -> str:
        text = f"{self.phase.value}: {self.busy} worker{'s' * (self.busy != 1)}"
        return text if self.left is None else f"{text}, {self.left:.1f} s left"


def verdict(workers: Iterable[Worker], seconds: float) -> tuple[Report, str]:
    """
    @param workers: those that were there when the stop began, ended by now.
    @param seconds: how long the stop took.
    @return: the sum of what they have reported; and its text, with what is missing in it.
    """
    report = Report(0, 0, 0, 0, 0, 0, seconds, ())
    missing = []
    unnamed = 0
    for worker in workers:
        for each in worker.reports:
            report = report.plus(each)
        unnamed += worker.unnamed
        if not worker.reports and worker.wasReady:
            missing.append(f"worker {worker.pid} ended without a report")
    if unnamed:
        missing.append(f"{unnamed} connections more are not named")
    return report, "; ".join([str(report), *missing])
