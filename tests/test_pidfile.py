"""
Tests for L{terminable.handover.pidfile}.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

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


class LeaveTests(SynchronousTestCase):
    """
    A file that C{twistd} takes away as its last deed, though it speaks of somebody else.
    """

    def setUp(self) -> None:
        self.path = Path(self.mktemp()).absolute()
        self.living = {os.getpid()}
        self.patch(pidfile, "lives", self.living.__contains__)
        self.last: list[Callable[[], object]] = []
        self.patch(atexit, "register", self.last.append)
        self.reactor = CoreReactor()
        self.serving = 8
        pidfile.leave(str(self.path), self.reactor, lambda: self.serving)

    def ends(self) -> None:
        """
        The reactor has stopped; C{twistd} finds a file, takes it away, and the process ends.
        """
        self.reactor.trigger("after")
        self.path.unlink()
        for deed in self.last:
            deed()

    def test_successor(self) -> None:
        """
        It speaks of the successor again.
        """
        self.living.add(8)
        self.path.write_text("8")
        self.ends()
        self.assertEqual(self.path.read_text(), "8")

    def test_serving(self) -> None:
        """
        Or of the successor of that, by then.
        """
        self.living |= {8, 9}
        self.path.write_text("8")
        self.serving = 9
        self.ends()
        self.assertEqual(self.path.read_text(), "9")

    def test_gone(self) -> None:
        """
        If the successor has ended and has taken it away, there is one for C{twistd}, and none
        afterwards.
        """
        self.ends()
        self.assertFalse(self.path.exists())

    def test_ours(self) -> None:
        """
        So it is if nobody has written another.
        """
        self.path.write_text(str(os.getpid()))
        self.ends()
        self.assertFalse(self.path.exists())

    def test_anew(self) -> None:
        """
        If the successor has ended, and somebody else has begun since, it is theirs.
        """
        self.living.add(77)
        self.path.write_text("77")
        self.ends()
        self.assertEqual(self.path.read_text(), "77")

    def test_unreadable(self) -> None:
        """
        What is no number is passed over.
        """
        self.path.write_text("what?")
        self.ends()
        self.assertFalse(self.path.exists())
