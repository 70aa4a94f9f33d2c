"""
How a worker is started.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from terminable.errors import InvalidOption
from terminable.handover import command, launcher
from terminable.handover.launcher import Launcher


class LauncherTests(SynchronousTestCase):
    """
    What it is given.
    """

    def setUp(self) -> None:
        self.made: list[Any] = []
        self.patch(launcher, "Successor", lambda *what, **how: self.made.append((what, how)))
        self.reactor = object()

    def test_given(self) -> None:
        """
        It knows that it is a worker, and nothing of systemd and of a pidfile.
        """
        environ = {"A": "b", "TERMINABLE_PIDFILE": "x", "NOTIFY_SOCKET": "/x", "WATCHDOG_PID": "1"}
        before = dict(environ)
        sockets: Any = [("any", object())]
        Launcher(self.reactor, ("true", "x"), environ, "/", 7.0).make(sockets, locators=[1])
        ((what, how),) = self.made
        self.assertEqual(what, (self.reactor, ["true", "x"], sockets))
        self.assertEqual(how.pop("environ"), {"A": "b", "TERMINABLE_WORKER": "1"})
        self.assertEqual(how, {"path": "/", "timeout": 7.0, "locators": [1]})
        self.assertEqual(environ, before)

    def test_default(self) -> None:
        """
        Without more it is this process's command line, place and environment.
        """
        Launcher(self.reactor, None, None, None, 1.0).make([])
        ((what, how),) = self.made
        own = command.own()
        self.assertEqual((what[1], how["path"]), (own.words, own.directory))
        self.assertEqual(how["environ"]["PATH"], os.environ["PATH"])

    def test_bad(self) -> None:
        """
        A program that is not there is said at once.
        """
        arguments = (self.reactor, ["/not/there"], None, None, 1.0)
        self.assertRaises(InvalidOption, Launcher, *arguments)
