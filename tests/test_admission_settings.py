"""
How many, and what becomes of the others: the settings.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from terminable.errors import InvalidOption
from terminable.policy.admission import Admission


class SettingsTests(SynchronousTestCase):
    """
    L{Admission}.
    """

    def assertInvalid(self, expected: str, **given: Any) -> None:
        """
        It says what was given, and what was expected.
        """
        error = self.assertRaises(InvalidOption, Admission, **given)
        ((name, value),) = given.items()
        self.assertEqual(str(error), f"{name}: {value!r} given, expected {expected}")

    def test_defaults(self) -> None:
        """
        Nothing is limited but the queue.
        """
        found = Admission()
        self.assertEqual((found.capacity, found.perPeer, found.queue), (None, None, 256))
        self.assertEqual((found.full, found.atStop, found.retryAfter), ("hold", "admit", 5))

    def test_counts(self) -> None:
        """
        Counts are whole numbers within their bounds.
        """
        for name in ("capacity", "perPeer"):
            for value in (0, -1, 1.5, "3", True):
                self.assertInvalid("a whole number, 1 or more, or None", **{name: value})
        for name in ("queue", "refusals", "retryAfter"):
            for value in (-1, None, 1.0, False):
                self.assertInvalid("a whole number, 0 or more", **{name: value})
        self.assertInvalid("a whole number, 0 or more, or None", perPeerQueue=-1)

    def test_times(self) -> None:
        """
        Times are numbers of seconds above zero.
        """
        for name in ("wait", "stay"):
            self.assertInvalid("a number of seconds above 0, or None", **{name: 0})
            for value in (-1, "soon", float("nan"), float("inf"), [], True):
                self.assertInvalid("a number of seconds, 0 or more", **{name: value})
        self.assertEqual(Admission(wait="1.5", stay=2).wait, 1.5)  # type: ignore[arg-type]

    def test_words(self) -> None:
        """
        Words are those that there are.
        """
        self.assertInvalid("one of hold, refuse, reset", full="close")
        self.assertInvalid("one of admit, refuse", atStop=None)
        self.assertInvalid("True or False", makeRoom="yes")

    def test_prefixes(self) -> None:
        """
        Prefix lengths are read as everywhere.
        """
        self.assertEqual(Admission(prefixes="24,56").prefixes, (24, 56))  # type: ignore[arg-type]
        self.assertRaises(InvalidOption, Admission, prefixes=(33, 64))
