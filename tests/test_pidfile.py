"""
Tests for L{terminable.handover.pidfile}.
"""

from __future__ import annotations

import os
from pathlib import Path

from terminable.handover import pidfile
from tests.handingover import CoreReactor, HandoverTestCase


class PidfileTests(HandoverTestCase):
    """
    A file that says who serves.
    """

    def setUp(self) -> None:
        super().setUp()
        self.path = Path(self.mktemp())
        self.patch(os, "kill", self.kill)

    def kill(self, pid: int, number: int) -> None:
        """
        Number 7 is nobody, 8 is somebody else's.
        """
        if pid == 7:
            raise ProcessLookupError
        if pid == 8:
            raise PermissionError

    def test_written(self) -> None:
        """
        The number of a process replaces what was there, and nothing else is left.
        """
        self.path.write_text("1")
        pidfile.write(str(self.path), 1234)
        self.assertEqual(self.path.read_text(), "1234")
        self.assertEqual(os.listdir(self.path.parent).count(self.path.name), 1)
        self.assertFalse(Path(f"{self.path}.{os.getpid()}").exists())

    def test_ended(self) -> None:
        """
        Nobody is sent to a process that has ended; whose it is, is another matter.
        """
        pidfile.write(str(self.path), 7)
        self.assertFalse(self.path.exists())
        pidfile.write(str(self.path), 8)
        self.assertEqual(self.path.read_text(), "8")

    def test_unwritable(self) -> None:
        """
        A place where nothing can be written is logged, and harms nobody.
        """
        pidfile.write(str(self.path / "nowhere"), 1234)
        self.assertFalse(self.path.exists())

    def test_removed(self) -> None:
        """
        A file that speaks of this process is taken away.
        """
        self.path.write_text(f"{os.getpid()}\n")
        pidfile.remove(str(self.path))
        self.assertFalse(self.path.exists())

    def test_others(self) -> None:
        """
        A file of somebody else stays, and one that is not there is no error.
        """
        self.path.write_text("1")
        pidfile.remove(str(self.path))
        self.assertEqual(self.path.read_text(), "1")
        pidfile.remove(str(self.path / "nowhere"))

    def test_followed(self) -> None:
        """
        It says that it is this process until the reactor has stopped.
        """
        reactor = CoreReactor()
        pidfile.follow(str(self.path), reactor)
        self.assertEqual(int(self.path.read_text()), os.getpid())
        reactor.trigger("before")
        self.assertTrue(self.path.exists())
        reactor.trigger("after")
        self.assertFalse(self.path.exists())
