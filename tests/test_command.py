"""
Tests for L{terminable.handover.command}.
"""

from __future__ import annotations

import os
import sys

from twisted.scripts import twistd
from twisted.trial.unittest import SynchronousTestCase

from terminable.handover.command import DIRECTORY, Command, own, started

PROGRAM = [sys.executable, "/bin/twistd"]


def of(*arguments: str, program: tuple[str, ...] = ("python3", "/bin/twistd")) -> Command:
    """
    How C{twistd} would be started again.
    """
    return own([program[-1], *arguments], [*program, *arguments], "/here")


class TwistdTests(SynchronousTestCase):
    """
    C{twistd}, which is known as soon as its module is there.
    """

    def test_foreground(self) -> None:
        """
        In the foreground, only the pidfile is taken away, and remembered.
        """
        words = [*PROGRAM, "--nodaemon", "--pidfile=", "web", "--path", "."]
        found = of("--nodaemon", "web", "--path", ".")
        self.assertEqual(found, Command(words, "/here", "/here/twistd.pid", ""))

    def test_abbreviated(self) -> None:
        """
        Options in one word, and short ones, are understood; the last pidfile counts.
        """
        found = of("-noy", "x.tac", "--pidfile", "a", "--pidfile=/run/b", "-d", "run", "-l", "log")
        self.assertEqual(found.pidfile, "/run/b")
        self.assertEqual(found.logfile, "/here/run/log")
        self.assertEqual(found.words[2:4], ["-noy", "x.tac"])
        self.assertEqual(found.words[-1], "--pidfile=")

    def test_noPidfile(self) -> None:
        """
        Somebody who wants none gets none, and output is no file.
        """
        found = of("-n", "--pidfile=", "-l", "-", "web")
        self.assertEqual((found.pidfile, found.logfile), ("", ""))

    def test_generations(self) -> None:
        """
        The command line of a successor is that of its own successor.
        """
        found = of("--nodaemon", "web")
        for _ in range(3):
            again = of(*found.words[2:])
            self.assertEqual(again.words, found.words)

    def test_daemon(self) -> None:
        """
        A daemon's successor stays in the foreground, and logs to the same file.
        """
        words = [*PROGRAM, "--nodaemon", "--logfile=twistd.log", "--pidfile=", "web", "-n"]
        found = of("--", "web", "-n")
        self.assertEqual(found, Command(words, "/here", "/here/twistd.pid", "/here/./twistd.log"))

    def test_daemonLogs(self) -> None:
        """
        A daemon that says where it logs is believed.
        """
        self.assertEqual(of("--logfile=/log", "web").logfile, "/log")
        found = of("--syslog", "web")
        self.assertEqual(found.logfile, "")
        self.assertEqual(found.words[2:], ["--syslog", "--nodaemon", "--pidfile=", "web"])


class OtherTests(SynchronousTestCase):
    """
    Other programs.
    """

    def test_itself(self) -> None:
        """
        This process is one.
        """
        found = own()
        self.assertEqual(found.directory, DIRECTORY)
        self.assertTrue(found.words)

    def test_other(self) -> None:
        """
        A program of its own is started as it was, by the same interpreter.
        """
        self.patch(sys, "modules", {**sys.modules})
        del sys.modules["twisted.scripts.twistd"]
        found = own(["server.py", "-x"], ["python", "-O", "server.py", "-x"], "/here")
        self.assertEqual(found, Command([sys.executable, "-O", "server.py", "-x"], "/here"))

    def test_noInterpreter(self) -> None:
        """
        An interpreter that does not know where it is, is found as it was found.
        """
        self.patch(sys, "executable", "")
        self.patch(sys, "modules", {**sys.modules})
        del sys.modules["twisted.scripts.twistd"]
        self.assertEqual(own(["x"], ["python", "x"], "/here").words, ["python", "x"])

    def test_madeUp(self) -> None:
        """
        A program that has changed its arguments is started with those that it was given.
        """
        whole = ["python", "-m", "terminable", "--port", "1"]
        argv = ["x", "--nodaemon", "--pidfile=", "terminable", "--port", "1"]
        self.assertEqual(own(argv, whole, "/here"), Command([sys.executable, *whole[1:]], "/here"))

    def test_strange(self) -> None:
        """
        So is one that uses C{twistd} and has options of its own.
        """
        self.assertTrue(twistd)
        whole = ["python", "x", "--no-such-option"]
        self.assertEqual(
            own(["x", "--no-such-option"], whole, "/here"),
            Command([sys.executable, *whole[1:]], "/here"),
        )


class DirectoryTests(SynchronousTestCase):
    """
    Where a successor is started.
    """

    def setUp(self) -> None:
        self.here = os.path.realpath(os.getcwd())
        self.link = os.path.abspath(self.mktemp())
        os.symlink(self.here, self.link)

    def test_link(self) -> None:
        """
        By the name that a shell gave the place, so that a link may lead elsewhere by then.
        """
        self.assertEqual(started({"PWD": self.link}), self.link)

    def test_elsewhere(self) -> None:
        """
        A name for another place, for none, or one that depends on the place, is not believed.
        """
        for named in ("/", "/nowhere/at/all", ".", ""):
            self.assertEqual(os.path.realpath(started({"PWD": named})), self.here)
            self.assertTrue(os.path.isabs(started({"PWD": named})))
