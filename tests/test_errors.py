"""
What may be raised.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from terminable.errors import CannotAttach, InvalidOption, NotServing, TerminableError


class ErrorTests(SynchronousTestCase):
    """
    The errors of this package.
    """

    def test_oneBase(self) -> None:
        """
        Whoever catches the base catches them all.
        """
        for kind in (InvalidOption, NotServing, CannotAttach):
            self.assertTrue(issubclass(kind, TerminableError), kind)

    def test_invalidOption(self) -> None:
        """
        It knows and says, in one line, the option, the value, and what was expected.
        """
        problem = InvalidOption("--grace", "so\nlong", "a number of seconds, 0 or more")
        self.assertEqual(problem.option, "--grace")
        self.assertEqual(problem.value, "so\nlong")
        self.assertEqual(problem.expected, "a number of seconds, 0 or more")
        self.assertEqual(
            str(problem), "--grace: 'so\\nlong' given, expected a number of seconds, 0 or more"
        )

    def test_isAValueError(self) -> None:
        """
        A value that cannot be meant is what Python calls a C{ValueError}.
        """
        self.assertIsInstance(InvalidOption("a", 1, "b"), ValueError)
