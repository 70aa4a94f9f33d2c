"""
What is wanted of this project's figures.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import goals
from benchmarks.figures import Figure, exitStatus
from benchmarks.sheets import Sheet

from .test_benchmarks_sheets import sheet

COUNTS = {"1,000 idle": 1000, "10,000 idle": 10_000, "30,000 idle": 30_000}


def verdicts(figures: list[Figure]) -> list[bool | None]:
    """
    Which of them are as wanted.
    """
    return [figure.good for figure in figures]


def crowds(ours: dict[str, list[float]], floor: float = 100.0) -> Sheet:
    """
    Milliseconds until crowds were gone, and those of the plain loop for 10,000.
    """
    seen = sheet(terminable=ours, loop={"10,000 idle": [floor]})
    seen.cells[goals.PYTHON] = seen.cells.pop("loop")
    seen.more["counts"] = COUNTS
    return seen


class LostTests(SynchronousTestCase):
    """
    L{goals.lost}.
    """

    def test_none(self) -> None:
        """
        Losing nothing is as wanted; of others nothing is asked.
        """
        seen = sheet(terminable={"new": [0, 0]}, nginx={"new": [50]})
        self.assertEqual(verdicts(goals.lost(seen)), [True])

    def test_one(self) -> None:
        """
        A single lost request is too much.
        """
        found = goals.lost(sheet(terminable={"new": [0, 1, 0]}))
        self.assertEqual((verdicts(found), exitStatus(found)), ([False], 1))

    def test_failed(self) -> None:
        """
        What could not be measured is no success.
        """
        seen = sheet(terminable={"new": []})
        seen.add("terminable", "new", None, "did not start")
        self.assertEqual(verdicts(goals.lost(seen)), [False])

    def test_clientsCanFail(self) -> None:
        """
        Plain Twisted has to lose something.
        """
        for lost, good in ((0, False), (3, True)):
            seen = sheet(plain={"new": [lost]})
            seen.cells["plain Twisted"] = seen.cells.pop("plain")
            self.assertEqual(verdicts(goals.lost(seen)), [good])


class IdleTests(SynchronousTestCase):
    """
    L{goals.idle}.
    """

    def test_floor(self) -> None:
        """
        10,000 may take one and a half times what the plain loop takes.
        """
        for took, good in ((150.0, True), (151.0, False)):
            found = goals.idle(crowds({"10,000 idle": [took]}))
            self.assertEqual(verdicts(found), [good])

    def test_growth(self) -> None:
        """
        Each of 30,000 may take a fifth more than each of 10,000.
        """
        for took, good in ((360.0, True), (361.0, False)):
            found = goals.idle(crowds({"10,000 idle": [100.0], "30,000 idle": [took]}))
            self.assertEqual(verdicts(found), [True, good])

    def test_alone(self) -> None:
        """
        Without the smaller crowd, or with one of 1,000, there is nothing to judge.
        """
        found = goals.idle(crowds({"1,000 idle": [9999.0], "30,000 idle": [9999.0]}))
        self.assertEqual(found, [])


class LimitTests(SynchronousTestCase):
    """
    Figures that are to be below a limit.
    """

    def test_stalls(self) -> None:
        """
        The turns of protocols without timers are judged, those of twisted.web shown.
        """
        seen = sheet(terminable={"idle": [99]}, other={"idle": [9.9, 11, 9.9]})
        seen.cells["terminable (no timers)"] = seen.cells.pop("other")
        self.assertEqual(verdicts(goals.stalls(seen)), [None, True])

    def test_turns(self) -> None:
        """
        Our own turns are shorter.
        """
        for runs, good in (([4.0, 5.0, 9.0], True), ([5.1], False)):
            self.assertEqual(verdicts(goals.turns(sheet(terminable={"idle": runs}))), [good])

    def test_exits(self) -> None:
        """
        The median counts.
        """
        for runs, good in (([1, 9, 99], True), ([1, 11, 12], False)):
            self.assertEqual(verdicts(goals.exits(sheet(terminable={"busy": runs}))), [good])

    def test_deadline(self) -> None:
        """
        The latest counts.
        """
        for runs, good in (([2.0, 2.2], True), ([2.0, 2.3], False)):
            self.assertEqual(verdicts(goals.deadline(sheet(terminable={"gone": runs}))), [good])

    def test_marked(self) -> None:
        """
        What had to be ended is missed, whatever its figure.
        """
        seen = sheet(terminable={"gone": [2.0]})
        seen.add("terminable", "gone", 2.0, "had to be ended")
        self.assertEqual(verdicts(goals.deadline(seen)), [False])

    def test_restarts(self) -> None:
        """
        No request may fail.
        """
        for runs, good in (([0, 0], True), ([0, 1], False)):
            self.assertEqual(verdicts(goals.restarts(sheet(terminable={"new": runs}))), [good])

    def test_figures(self) -> None:
        """
        Only scenarios that were measured, and that have goals, are judged.
        """
        seen = {"lost": sheet(terminable={"new": [0]}), "memory": sheet(terminable={"new": [9]})}
        self.assertEqual(verdicts(goals.figures(seen)), [True])
