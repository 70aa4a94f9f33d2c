"""
Somebody who watches how stops proceed, and what he may complain of.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Protocol

from terminable.policy.ledger import Outcome, Report
from terminable.policy.phases import TABLE, Phase

#: What the phase table and a release allow.
LEGAL = {(before, after) for (before, _), (after, _) in TABLE.items()} | {
    (Phase.SERVING, Phase.RELEASED),
    (Phase.SUSPENDED, Phase.RELEASED),
}


class Watched(Protocol):
    """
    Whom he may have do something.

    @ivar seen: what has happened, and how often.
    """

    seen: Counter[str]

    def act(self, protocol: Any, deed: str) -> None:
        """
        Do something within a call.
        """


class Observer:
    """
    Watches the stops, and may do something, or raise, when it is told.
    """

    def __init__(self, scene: Watched) -> None:
        self.scene = scene
        self.phase: Phase | None = None
        self.wrongs: list[str] = []
        self.deeds: dict[str, str] = {}
        self.reports: list[Report] = []
        self._within: set[str] = set()

    def phaseChanged(self, old: Phase, new: Phase) -> None:
        """
        Is that legal?
        """
        if self.phase is not None and old is not self.phase:
            self.wrongs.append(f"from {old} to {new}, but it was in {self.phase}")
        if (old, new) not in LEGAL:
            self.wrongs.append(f"from {old} to {new}")
        self.phase = new
        self.scene.seen[f"phase {new.value}"] += 1
        self._do("phaseChanged")

    def portsClosed(self) -> None:
        """
        The ports are gone.
        """
        self._do("portsClosed")

    def terminated(self, report: Report) -> None:
        """
        The stop is over.
        """
        self.reports.append(report)
        self.wrongs += faultsOf(report)
        self._do("terminated")

    def _do(self, moment: str) -> None:
        deed = self.deeds.get(moment)
        if deed is not None and moment not in self._within:
            self._within.add(moment)
            try:
                self.scene.act(None, deed)
            finally:
                self._within.discard(moment)


def faultsOf(report: Report) -> list[str]:
    """
    What does not add up in a report.
    """
    faults = []
    parts = report.before + report.idle + report.finished + report.left + report.aborted
    if parts != report.opened:
        faults.append(f"{report!r} does not add up")
    for outcome, number in ((Outcome.ABORTED, report.aborted), (Outcome.LEFT, report.left)):
        named = sum(entry.outcome is outcome for entry in report.entries)
        if named != number:
            faults.append(f"{named} named, but {number} {outcome.value}: {report!r}")
    idle = sum(entry.outcome is Outcome.IDLE for entry in report.entries)
    if idle > report.idle:
        faults.append(f"{idle} named, but {report.idle} idle: {report!r}")
    if min(report.before, report.idle, report.finished, report.left, report.aborted) < 0:
        faults.append(f"less than nothing in {report!r}")
    return faults
