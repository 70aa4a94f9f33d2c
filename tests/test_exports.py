"""
There is one way to import each public name.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from types import ModuleType

from twisted.trial.unittest import SynchronousTestCase

import terminable

NAMES = {
    "Admission",
    "CannotAttach",
    "Connection",
    "Generation",
    "HandoverFailed",
    "ICounted",
    "IDrainWatch",
    "IDrainer",
    "IHintingDrainer",
    "ILastingDrainer",
    "IRefusal",
    "ITerminationObserver",
    "InvalidOption",
    "Limit",
    "NotServing",
    "Outcome",
    "Phase",
    "QueueFull",
    "Report",
    "Schedule",
    "State",
    "TerminableError",
    "TerminableFactory",
    "TerminableProtocol",
    "TerminableService",
    "Terminator",
    "Unreachable",
    "UpgradeRefused",
    "watch",
    "whenDraining",
}


class ExportTests(SynchronousTestCase):
    """
    What C{terminable} exports.
    """

    def test_names(self) -> None:
        """
        The public names are these and no others, each said once.
        """
        self.assertEqual(sorted(terminable.__all__), sorted(NAMES))

    def test_nothingElseIsThere(self) -> None:
        """
        The package's namespace holds nothing else but its own modules.
        """
        there = {
            name
            for name, value in vars(terminable).items()
            if not name.startswith("_") and not isinstance(value, ModuleType)
        }
        self.assertEqual(there - {"annotations"}, NAMES)

    def test_sameObject(self) -> None:
        """
        Each public name is the very object that its own module defines.
        """
        for name in terminable.__all__:
            exported = getattr(terminable, name)
            self.assertTrue(exported.__module__.startswith("terminable."), name)
            self.assertIs(getattr(sys.modules[exported.__module__], name), exported)

    def test_version(self) -> None:
        """
        The package and the distribution agree on their version.
        """
        self.assertEqual(terminable.__version__, version("txterminable"))
