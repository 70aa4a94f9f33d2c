"""
Classes that are known by their names.
"""

from __future__ import annotations

import sys
from types import ModuleType

from twisted.trial.unittest import SynchronousTestCase

from terminable.tracking.known import HTTP_CHANNEL, Known


class KnownTests(SynchronousTestCase):
    """
    One of them.
    """

    def module(self) -> ModuleType:
        """
        A library that was imported.
        """
        module = sys.modules["no_such_library"] = ModuleType("no_such_library")
        self.addCleanup(sys.modules.pop, "no_such_library")
        return module

    def test_notImported(self) -> None:
        """
        Nothing is an instance before the library was imported, nor while it is being.
        """
        known = Known("no_such_library", "Spoken")
        self.assertFalse(known.made(self))
        self.module()
        self.assertFalse(known.made(self))

    def test_imported(self) -> None:
        """
        Instances are told from others once it was.
        """
        known = Known("no_such_library", "Spoken")
        self.assertFalse(known.made(self))
        self.module().Spoken = KnownTests  # type: ignore[attr-defined]
        self.assertTrue(known.made(self))
        self.assertFalse(known.made(known))
        self.assertTrue(known.made(self))

    def test_load(self) -> None:
        """
        It may be imported by its name, and says which.
        """
        from twisted.web.http import HTTPChannel

        self.assertIs(HTTP_CHANNEL.load(), HTTPChannel)
        self.assertTrue(HTTP_CHANNEL.made(HTTPChannel()))
        self.assertEqual(repr(HTTP_CHANNEL), "<twisted.web.http.HTTPChannel>")
