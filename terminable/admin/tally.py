"""
What has become of all connections that a server ever had.

A server begins a new account when it listens again, and each generation has one of its own;
what a program adds up over weeks must not begin anew with them.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from zope.interface import implementer

from terminable.interfaces import ITerminationObserver
from terminable.policy.ledger import Outcome, Report
from terminable.policy.phases import Phase

#: Upper bounds, in seconds, of the classes into which the lengths of stops are sorted.
BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0)

#: What is counted beside what came of connections.
OPENED = "opened"
CHOSEN = "chosen"


@implementer(ITerminationObserver)
class Tally:
    """
    The sum of all accounts of a L{terminable.Terminator}, from when this is made.

    @ivar stops: how many stops took no longer than each of the L{BUCKETS}, but longer than the
        one before; the last number is of those that took longer than all of them.
    @ivar seconds: how long all stops took together.
    """

    def __init__(self, terminator: Any) -> None:
        self._terminator = terminator
        self._open: list[Any] = []
        self._past: Counter[str] = Counter()
        self.stops = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0
        terminator.addObserver(self)
        self._look()

    def stop(self) -> None:
        """
        Add nothing more.
        """
        self._terminator.removeObserver(self)

    def totals(self) -> Counter[str]:
        """
        @return: how many connections were L{OPENED}, how many of them were L{CHOSEN} to be
            drained while the others stayed, and how many had each outcome, by its value.
        """
        self._look()
        return sum((_countsOf(ledger) for ledger in self._open), self._past.copy())

    def _look(self) -> None:
        """
        Notice new accounts, and keep nothing but the numbers of those that are complete.
        """
        now = [each.gate.ledger for each in self._terminator.generations]
        now.append(self._terminator.gate.ledger)
        for ledger in self._open:
            if not any(ledger is each for each in now):
                self._past += _countsOf(ledger)
        self._open = now

    def phaseChanged(self, old: Phase, new: Phase) -> None:
        """
        See L{ITerminationObserver.phaseChanged}.
        """
        self._look()

    def portsClosed(self) -> None:
        """
        See L{ITerminationObserver.portsClosed}.
        """

    def terminated(self, report: Report) -> None:
        """
        See L{ITerminationObserver.terminated}.
        """
        place = next((n for n, most in enumerate(BUCKETS) if report.seconds <= most), len(BUCKETS))
        self.stops[place] += 1
        self.seconds += report.seconds


def _countsOf(ledger: Any) -> Counter[str]:
    counts = Counter({each.value: ledger.total(each) for each in Outcome})
    counts[OPENED] = ledger.opened
    counts[CHOSEN] = ledger.chosen
    return counts
