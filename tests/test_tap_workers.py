"""
C{twistd terminable --workers}: what may be typed, and what comes of it.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.trial.unittest import SynchronousTestCase

from terminable import tap
from terminable.errors import InvalidOption
from terminable.handover.workers import Workers
from terminable.service import TerminableService
from terminable.tap import Options, makeService

reactor: Any = _reactor


class WorkersTests(SynchronousTestCase):
    """
    The option.
    """

    def setUp(self) -> None:
        self.supervised: list[Any] = []
        self.watched: list[Any] = []
        self.worker = False
        self.patch(tap, "takeoverOf", lambda reactor: SimpleNamespace(worker=self.worker))
        self.patch(tap, "supervise", lambda *what, **how: self.supervised.append((what, how)))
        self.patch(tap, "watch", lambda *what: self.watched.append(what))
        self.patch(tap, "progressOn", lambda out: ("show", "hide"))

    def parse(self, *words: str) -> Options:
        """
        Parse a command line.
        """
        options = Options()
        options.parseOptions(words)
        return options

    def test_bad(self) -> None:
        """
        What is no number of workers is refused in one line, before anything is made.
        """
        for bad in ("0", "1025", "-1", "+1", " 1", "x", "", "1.5", "\u0661"):
            problem = self.assertRaises(SystemExit, self.parse, "--workers", bad)
            self.assertIn("terminable: --workers: ", str(problem))
            self.assertIn(" given, expected a whole number from 1 to 1024", str(problem))

    def test_plugin(self) -> None:
        """
        Another plugin cannot be served by workers: nobody knows where it would listen.
        """
        problem = self.assertRaises(SystemExit, self.parse, "--workers", "2", "--", "web")
        self.assertEqual(str(problem), "terminable: --workers cannot be given with a plugin")

    def test_made(self) -> None:
        """
        With it, this process only supervises.
        """
        words = ("--workers", "3", "--port", "tcp:0:interface=127.0.0.1", "--grace", "7")
        service = makeService(self.parse(*words, "--class", "nothing.There"))
        assert isinstance(service, Workers)
        self.assertEqual((service.count, service.schedule.gracePeriod), (3, 7.0))
        expected = ((reactor, service, "show", "hide"), {"failOnStraggler": False})
        self.assertEqual((self.supervised, self.watched), ([expected], []))

    def test_failOnStraggler(self) -> None:
        """
        The exit status speaks of all workers.
        """
        words = ("--workers", "1", "--port", "tcp:0", "--fail-on-straggler")
        makeService(self.parse(*words))
        self.assertEqual(self.supervised[0][1], {"failOnStraggler": True})

    def test_worker(self) -> None:
        """
        A worker, which has the same command line, serves, and leaves the terminal alone.
        """
        self.worker = True
        service = makeService(self.parse("--workers", "3", "--port", "tcp:0"))
        assert isinstance(service, TerminableService)
        self.assertEqual(self.watched, [(reactor, service.terminator)])
        self.assertEqual(self.supervised, [])

    def test_badPort(self) -> None:
        """
        A port that cannot be meant is said in one line here already.
        """
        config = self.parse("--workers", "2", "--port", "nothing")
        problem = self.assertRaises(SystemExit, makeService, config)
        self.assertIn("terminable: --port: 'nothing' given", str(problem))

    def test_error(self) -> None:
        """
        So is what the environment says.
        """

        def refuse(reactor: Any) -> None:
            raise InvalidOption("LISTEN_FDS", "x", "a number")

        self.patch(tap, "takeoverOf", refuse)
        problem = self.assertRaises(SystemExit, makeService, self.parse("--workers", "2"))
        self.assertEqual(str(problem), "terminable: LISTEN_FDS: 'x' given, expected a number")
