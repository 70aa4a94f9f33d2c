"""
Goodbyes spread over time.
"""

from __future__ import annotations

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from terminable.policy.stagger import Stagger


def places(count: int, window: float = 1.0, start: float = 0.0) -> list[float]:
    """
    When each of C{count} connections has its turn.
    """
    stagger = Stagger(window, start)
    return [stagger.next() for _ in range(count)]


class StaggerTests(SynchronousTestCase):
    """
    L{Stagger}.
    """

    def test_noWindow(self) -> None:
        """
        Without a window, all are told at once.
        """
        self.assertEqual(places(5, 0.0), [0.0] * 5)
        self.assertEqual([Stagger().next()], [0.0])

    def test_firstAtOnce(self) -> None:
        """
        The first one need not wait, unless it is given another place.
        """
        self.assertEqual(places(1, 10.0), [0.0])
        self.assertEqual(places(1, 10.0, 0.25), [2.5])
        self.assertEqual(places(1, 10.0, 1.0), [0.0])

    def test_neighbours(self) -> None:
        """
        Neighbours by age are far from each other in time.
        """
        found = places(1000, 10.0)
        for one, next_ in pairwise(found):
            self.assertGreater(abs(one - next_), 3.0)

    def test_windowChanges(self) -> None:
        """
        Who comes after the window was changed has a place in the new one, and nobody's is
        given twice.
        """
        stagger = Stagger(10.0)
        first = [stagger.next() for _ in range(100)]
        stagger.window = 1.0
        second = [stagger.next() for _ in range(100)]
        self.assertLess(max(second), 1.0)
        whole = sorted([place / 10 for place in first] + second)
        self.assertEqual(len(set(whole)), 200)

    @given(st.integers(1, 2000), st.floats(0.001, 1000), st.floats(0, 1))
    @example(1, 1.0, 0.0)
    @example(2000, 30.0, 0.999)
    def test_even(self, count: int, window: float, start: float) -> None:
        """
        However many there are, all have their turn within the window, and no second of it
        is much fuller or emptier than another: the longest pause is at most twice what it
        would be if their number had been known, the shortest two fifths of it.
        """
        found = sorted(place / window for place in places(count, window, start))
        self.assertGreaterEqual(found[0], 0.0)
        self.assertLess(found[-1], 1.0)
        pauses = [after - before for before, after in pairwise(found)]
        # The window as a circle: it goes on where it began.
        pauses.append(found[0] + 1 - found[-1])
        self.assertLess(max(pauses), 2.0 / count)
        self.assertGreater(min(pauses), 0.4 / count)

    @given(st.integers(10, 2000), st.integers(2, 10))
    @example(2000, 10)
    def test_noCrowd(self, count: int, parts: int) -> None:
        """
        Cut into parts of the same length, the window has nearly as many in each.
        """
        numbers = [0] * parts
        for place in places(count):
            numbers[int(place * parts)] += 1
        self.assertLessEqual(max(numbers) - count / parts, 3.001)
        self.assertLessEqual(count / parts - min(numbers), 3.001)
