"""
The waits before something is started again.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from terminable.policy.backoff import FIRST, GOOD_LIFE, LONGEST, Backoff


class BackoffTests(SynchronousTestCase):
    """
    One thing that ends again and again.
    """

    #: How long it lived each time, and the wait after that.
    TABLE = (
        (0.0, 0.1),
        (5.0, 0.2),
        (29.9, 0.4),
        (0.0, 0.8),
        (0.0, 1.6),
        (0.0, 3.2),
        (0.0, 6.4),
        (0.0, 10.0),
        (29.9, 10.0),
        (30.0, 0.1),
        (0.0, 0.2),
        (3600.0, 0.1),
    )

    def test_waits(self) -> None:
        """
        A wait is twice as long as the one before, up to a limit; a good life begins anew.
        """
        backoff = Backoff()
        for life, expected in self.TABLE:
            self.assertAlmostEqual(backoff.after(life), expected)
        self.assertEqual((FIRST, LONGEST, GOOD_LIFE), (0.1, 10.0, 30.0))
