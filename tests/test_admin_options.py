"""
The options of C{twistd terminable} for the admin door.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from terminable.admin import AdminDoor
from terminable.handover import upgrading
from terminable.tap import Options, makeService
from tests.adminasking import TOKEN
from tests.test_tap import TapTestCase


class AdminOptionTests(TapTestCase):
    """
    C{--admin} and C{--admin-token-file}.
    """

    def setUp(self) -> None:
        super().setUp()
        self.patch(upgrading, "_upgrades", upgrading.WeakKeyDictionary())

    def make(self, *words: str) -> Any:
        return makeService(self.parse("--port", self.free(), *words))

    def problem(self, *words: str) -> str:
        with self.assertRaises(SystemExit) as caught:
            Options().parseOptions(words)
        return str(caught.exception.code)

    def test_none(self) -> None:
        """
        There is no door if none was asked for.
        """
        self.assertEqual([each for each in self.make() if isinstance(each, AdminDoor)], [])

    def test_door(self) -> None:
        """
        It is the first to start, and so the last to end; and ends the process when it is asked
        to.
        """
        service = self.make("--admin", self.free())
        door = next(iter(service))
        self.assertIsInstance(door, AdminDoor)
        self.assertIs(door.watched.terminator, service.terminator)
        self.assertEqual(door.watched.leave.__name__, "stop")

    def test_plugin(self) -> None:
        """
        Also before another plugin.
        """
        service = makeService(self.parse("--admin", self.free(), "--", "web", "--path", "."))
        self.assertIsInstance(next(iter(service)), AdminDoor)

    def test_token(self) -> None:
        """
        With a token it may be anywhere.
        """
        path = Path(self.mktemp())
        path.touch(mode=0o600)
        path.write_bytes(TOKEN + b"\n")
        self.make("--admin", "tcp:0", "--admin-token-file", str(path))
        path.chmod(0o644)
        words = ("--port", self.free(), "--admin", "tcp:0", "--admin-token-file", str(path))
        self.assertIn("--admin-token-file: ", self.refused(*words))

    def test_refused(self) -> None:
        """
        What cannot be meant is told as it was typed, before anything listens.
        """
        for place, expected in (
            ("tcp:0", "expected a loopback address"),
            ("nonsense", "expected an endpoint description such as unix:/run/site/admin.sock"),
            ("unix:/no/such/folder/door", "expected a port that can be listened on"),
        ):
            line = self.refused("--port", self.free(), "--admin", place)
            self.assertTrue(line.startswith(f"terminable: --admin: {place!r} given, "), line)
            self.assertIn(expected, line)

    def test_together(self) -> None:
        """
        Options that need, or exclude, each other.
        """
        self.assertIn("needs --admin", self.problem("--admin-token-file", "x"))
        line = self.problem("--admin", "unix:x", "--workers", "2")
        self.assertIn("--admin cannot be given with --workers", line)
