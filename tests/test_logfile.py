"""
Tests for L{terminable.handover.logfile}.
"""

from __future__ import annotations

from pathlib import Path

from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from terminable.handover.logfile import Sharing, share


class LogfileTests(SynchronousTestCase):
    """
    Two who write to one file.
    """

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.other = self.path.open("wb", buffering=0)
        self.addCleanup(self.other.close)
        self.other.write(b"one\n")

    def open(self) -> None:
        """
        Open the file as Twisted does, at its end.
        """
        self.file = self.path.open("rb+", buffering=0)
        self.addCleanup(self.file.close)
        self.file.seek(0, 2)

    def test_shared(self) -> None:
        """
        What is written after others have written comes after theirs.
        """
        self.open()
        self.assertTrue(share(str(self.path)))
        self.other.write(b"two\n")
        self.file.write(b"three\n")
        self.other.write(b"four\n")
        self.assertEqual(self.path.read_text(), "one\ntwo\nthree\nfour\n")

    def test_overwritten(self) -> None:
        """
        Without that, it would not.
        """
        self.open()
        self.other.write(b"two\n")
        self.file.write(b"THREE\n")
        self.assertEqual(self.path.read_text(), "one\nTHREE\n")

    def test_nothing(self) -> None:
        """
        A file that is not there, or that this process has not opened, is passed over.
        """
        self.assertFalse(share(str(self.path / "nowhere")))
        path = Path(self.mktemp())
        path.write_bytes(b"")
        self.assertFalse(share(str(path)))

    def test_early(self) -> None:
        """
        The first line that is written to a file comes after what others write between its
        opening and that line; none of it is missed by those who observe the log.
        """
        path = Path(self.mktemp())
        sharing = Sharing(str(path))
        self.addCleanup(lambda: globalLogPublisher.removeObserver(sharing))
        sharing({})
        path.write_bytes(b"one\n")
        self.path = path
        self.open()
        sharing({})
        with path.open("ab", buffering=0) as other:
            other.write(b"two\n")
        sharing({})
        sharing.stop()
        self.file.write(b"three\n")
        self.assertEqual(path.read_text(), "one\ntwo\nthree\n")
