"""
Reports, and progress, of several generations in one.
"""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from terminable.policy import ledger as module
from terminable.policy.ledger import Progress
from terminable.policy.phases import Phase
from tests.test_ledger import entry, report


class SumTests(SynchronousTestCase):
    """
    Several of them in one.
    """

    def test_report(self) -> None:
        """
        Everything is added up but the time, which is that of the first.
        """
        whole = report(opened=15, before=1, idle=2, finished=3, left=4, aborted=5, seconds=2.0)
        other = report(opened=6, idle=6, seconds=7.0, entries=(entry(),))
        expected = report(opened=21, before=1, idle=8, finished=3, left=4, aborted=5, seconds=2.0)
        found = whole.plus(other)
        self.assertEqual(found.entries, (entry(),))
        self.assertEqual(found, replace(expected, entries=(entry(),)))

    def test_names(self) -> None:
        """
        No more are named than in one of them.
        """
        self.patch(module, "NAMED", 3)
        both = report(entries=(entry(),) * 2).plus(report(entries=(entry(),) * 2))
        self.assertEqual(len(both.entries), 3)

    def test_progress(self) -> None:
        """
        The later deadline holds, and the older connection is named; the phase is that of
        the first.
        """
        young, old = entry(age=1.0), entry(age=9.0)
        first = Progress(Phase.SERVING, 1, 2, None, young)
        second = Progress(Phase.DRAINING, 10, 20, 3.0, old)
        third = Progress(Phase.DRAINING, 0, 0, 2.0, None)
        expected = Progress(Phase.SERVING, 11, 22, 3.0, old)
        self.assertEqual(first.plus(second).plus(third), expected)
        self.assertEqual(third.plus(first), Progress(Phase.DRAINING, 1, 2, 2.0, young))
        self.assertEqual(str(third.plus(third)), str(third))
        fourth = Progress(Phase.DRAINING, 0, 0, None, None, waiting=2, counting=True)
        both = fourth.plus(Progress(Phase.DRAINING, 0, 0, None, None, waiting=3))
        self.assertEqual((both.waiting, both.counting), (5, True))
