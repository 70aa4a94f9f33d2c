"""
C{python -m terminable}.
"""

from __future__ import annotations

import runpy
import sys

from twisted.scripts import twistd
from twisted.trial.unittest import SynchronousTestCase

from terminable import __main__


class MainTests(SynchronousTestCase):
    """
    The shortest command.
    """

    def setUp(self) -> None:
        self.runs: list[list[str]] = []
        self.patch(sys, "argv", ["terminable", "--port", "0"])
        self.patch(twistd, "run", lambda: self.runs.append(list(sys.argv)))

    def test_main(self) -> None:
        """
        It is C{twistd} in the foreground, without a file for the process id.
        """
        __main__.main(["--port", "8080", "--grace", "5"])
        [arguments] = self.runs
        self.assertEqual(
            arguments[1:],
            ["--nodaemon", "--pidfile=", "terminable", "--port", "8080", "--grace", "5"],
        )

    def test_asAModule(self) -> None:
        """
        Run as a module it takes what stands on the command line.
        """
        runpy.run_path(str(__main__.__file__), run_name="__main__")
        [arguments] = self.runs
        self.assertEqual(arguments[-3:], ["terminable", "--port", "0"])
