"""
C{terminable.testing} loads what is asked for, and nothing else.
"""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

from twisted.trial.unittest import SynchronousTestCase

from terminable import testing
from terminable.testing import selfsigned
from tests.live.processes import environment


class ExportTests(SynchronousTestCase):
    """
    The public names.
    """

    def test_names(self) -> None:
        """
        Each is the very object that its own module defines.
        """
        self.assertEqual(sorted(testing._HOMES), sorted(testing.__all__))
        for name, home in testing._HOMES.items():
            found = testing.__getattr__(name)
            self.assertIs(found, getattr(import_module(f"terminable.testing.{home}"), name))

    def test_noName(self) -> None:
        """
        Any other name gives the usual error.
        """
        wrong = self.assertRaises(AttributeError, getattr, testing, "nonsense")
        self.assertEqual(str(wrong), "module 'terminable.testing' has no attribute 'nonsense'")

    def test_dir(self) -> None:
        """
        Whoever lists what is there sees every public name.
        """
        self.assertLessEqual({*testing.__all__}, {*dir(testing)})

    def test_pair(self) -> None:
        """
        A certificate and its key come one by one, or together.
        """
        certificate, key = selfsigned.pair("here")
        self.assertIn(b"CERTIFICATE", certificate)
        self.assertIn(b"PRIVATE KEY", key)
        both = selfsigned.selfSigned()
        self.assertLess(both.index(b"END CERTIFICATE"), both.index(b"BEGIN PRIVATE KEY"))


class LoadedTests(SynchronousTestCase):
    """
    What a process has loaded.
    """

    def loaded(self, program: str) -> set[str]:
        """
        The modules that a program has imported at its end.
        """
        done = subprocess.run(
            [sys.executable, "-c", f"{program}\nimport sys\nprint(*sys.modules)"],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return {*done.stdout.split()}

    def test_package(self) -> None:
        """
        C{terminable} does not load this package, which loads neither Twisted nor pytest.
        """
        self.assertNotIn("terminable.testing", self.loaded("from terminable import Terminator"))
        there = self.loaded("import terminable.testing")
        self.assertEqual(there & {"twisted", "zope.interface", "pytest"}, set())

    def test_plugin(self) -> None:
        """
        Nor does the plugin, but for pytest.
        """
        there = self.loaded("import terminable.testing.pytestplugin")
        self.assertEqual(there & {"twisted", "zope.interface"}, set())
        ours = {name for name in there if name.startswith("terminable")}
        expected = {"terminable", "terminable.testing", "terminable.testing.pytestplugin"}
        self.assertEqual(ours, expected)

    def test_noReactor(self) -> None:
        """
        Nothing here chooses the reactor.
        """
        program = "from terminable.testing import *\nimport terminable.testing.fixtures"
        self.assertNotIn("twisted.internet.reactor", self.loaded(program))
