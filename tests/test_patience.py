"""
For how much longer systemd is asked to wait.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from terminable.policy.patience import MOST, SPARE, Patience


class PatienceTests(SynchronousTestCase):
    """
    L{Patience}.
    """

    def setUp(self) -> None:
        self.patience = Patience()

    def ask(self, now: float, left: float | None, live: int = 1) -> float | None:
        """
        Ask, and be granted it.
        """
        seconds = self.patience.wanted(now, left, live)
        if seconds is not None:
            self.patience.granted(now, seconds)
        return seconds

    def test_nearDeadline(self) -> None:
        """
        A deadline that is near is asked for once, with something to spare.
        """
        self.assertEqual(self.ask(100.0, 10.0), 10.0 + SPARE)
        for now in (101.0, 108.0, 109.9):
            self.assertIsNone(self.ask(now, 110.0 - now))
        self.assertIsNone(self.ask(112.0, 0.0))

    def test_farDeadline(self) -> None:
        """
        A deadline that is far is asked for bit by bit, each when half of the last one is over.
        """
        self.assertEqual(self.ask(0.0, 60.0), MOST)
        self.assertIsNone(self.ask(14.9, 45.1))
        self.assertEqual(self.ask(15.0, 45.0), MOST)
        self.assertEqual(self.ask(30.0, 30.0), MOST)
        self.assertEqual(self.ask(45.0, 15.0), 15.0 + SPARE)
        self.assertIsNone(self.ask(59.0, 1.0))

    def test_notGranted(self) -> None:
        """
        What could not be asked for is wanted still.
        """
        self.assertEqual(self.patience.wanted(0.0, 10.0, 1), 15.0)
        self.assertEqual(self.ask(1.0, 9.0), 14.0)

    def test_atOnce(self) -> None:
        """
        An end without a grace period has some time to happen.
        """
        self.assertEqual(self.ask(100.0, 0.0), SPARE)
        self.assertIsNone(self.ask(103.0, 0.0))
        self.assertIsNone(self.ask(104.0, 0.0))

    def test_shortened(self) -> None:
        """
        A deadline that was brought forward leaves nothing to ask for.
        """
        self.ask(0.0, 60.0)
        self.assertIsNone(self.ask(20.0, 4.0))

    def test_noDeadline(self) -> None:
        """
        Without a deadline there has to be progress: connections that end.
        """
        self.assertEqual(self.ask(0.0, None, 5), MOST)
        self.assertIsNone(self.ask(10.0, None, 4))
        self.assertEqual(self.ask(15.0, None, 4), MOST)
        self.assertEqual(self.ask(35.0, None, 4), MOST)
        self.assertIsNone(self.ask(50.0, None, 4))
        self.assertIsNone(self.ask(80.0, None, 4))
        self.assertEqual(self.ask(81.0, None, 3), MOST)

    def test_newcomersAreNoProgress(self) -> None:
        """
        More connections are no reason to wait for longer.
        """
        self.ask(0.0, None, 1)
        self.ask(15.0, None, 2)
        self.assertIsNone(self.ask(30.0, None, 3))

    @given(st.floats(0, 1000), st.lists(st.floats(0.01, 30), max_size=50))
    def test_neverBeyond(self, grace: float, steps: list[float]) -> None:
        """
        Whenever it is asked, it is never for longer than the deadline and what is to spare,
        nor for more than L{MOST} at once, and until the deadline there is no gap as long as
        somebody asks in time.
        """
        patience, now, covered = Patience(), 0.0, 0.0
        for step in [0.0, *steps]:
            now += min(step, 0.9)
            seconds = patience.wanted(now, max(0.0, grace - now), 1)
            if seconds is not None:
                self.assertLessEqual(seconds, MOST + 1e-6)
                self.assertLessEqual(now + seconds, grace + SPARE + 1e-6)
                patience.granted(now, seconds)
                covered = now + seconds
            if now <= grace:
                self.assertGreater(covered, now)
