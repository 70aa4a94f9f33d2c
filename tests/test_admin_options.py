"""
The options of C{twistd terminable} for the admin door.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from terminable import tap
from terminable.admin import AdminDoor
from terminable.admin.above import WorkersDoor, answering
from terminable.admin.above.answering import Answering
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

    def test_spool(self) -> None:
        """
        The door tells of a spool, if there is one.
        """
        service = self.make("--admin", self.free(), "--spool", self.mktemp())
        door: Any = next(iter(service))
        [spool] = door.watched.spools
        self.assertIn(spool, list(service))

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
        Options that need each other.
        """
        self.assertIn("needs --admin", self.problem("--admin-token-file", "x"))

    def test_workers(self) -> None:
        """
        Above workers there is one door, in the process that supervises them.
        """
        self.patch(tap, "supervise", lambda *what, **how: None)
        service = self.make("--workers", "2", "--admin", self.free())
        door, workers = service
        self.assertIsInstance(door, WorkersDoor)
        self.assertIs(door.watched.workers, workers)
        self.assertEqual(door.watched.leave.__name__, "stop")
        line = self.refused("--workers", "2", "--port", self.free(), "--admin", "tcp:0")
        self.assertIn("terminable: --admin: 'tcp:0' given, expected a loopback", line)

    def test_worker(self) -> None:
        """
        A worker has no door: it answers on the channel.
        """
        locators: list[Any] = []
        channel = SimpleNamespace(locators=locators)
        takeover = SimpleNamespace(worker=True, channel=channel, hurried=[])
        self.patch(tap, "takeoverOf", lambda reactor: takeover)
        self.patch(answering, "takeoverOf", lambda reactor: takeover)
        service = self.make("--workers", "2", "--admin", "unix:/no/such/folder/door")
        self.assertIsInstance(next(iter(service), None), type(None))
        self.assertIsInstance(locators[0], Answering)
        self.assertEqual(len(takeover.hurried), 1)
