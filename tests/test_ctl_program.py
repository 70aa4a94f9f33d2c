"""
The control command as a program: from the command line to the exit status.
"""

from __future__ import annotations

import ast
import errno
import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from terminable import __main__, ctl
from terminable.ctl import outcomes, program, running
from terminable.ctl.options import Options
from terminable.ctl.outcomes import Refused
from terminable.errors import InvalidOption, Unreachable
from tests.ctldoor import resultOf

ROOMS = Path(program.__file__).parent


class RunTests(SynchronousTestCase):
    """
    A command line at work.
    """

    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.out, self.err = io.StringIO(), io.StringIO()

    def begin(self, *words: str) -> list[Any]:
        options = Options()
        options.parseOptions(words)
        return resultOf(running.run(self.reactor, options, self.out, self.err))

    def stop(self) -> None:
        """
        The reactor stops.
        """
        for trigger, arguments, settings in self.reactor.triggers["before"]["shutdown"]:
            trigger(*arguments, **settings)

    def assertExit(self, over: list[Any], code: int, said: str = "") -> None:
        [failure] = over
        self.assertIsInstance(failure.value, SystemExit)
        self.assertEqual((failure.value.code, self.err.getvalue()), (code, said))
        # Nothing more happens when the reactor stops after it.
        self.stop()
        self.assertEqual(self.err.getvalue(), said)

    def test_unreachable(self) -> None:
        """
        If there is nobody, that is said in one line.
        """
        over = self.begin("/run/site.sock", "status")
        [(path, factory, timeout, _)] = self.reactor.unixClients
        self.assertEqual((path, timeout, over), ("/run/site.sock", 10.0, []))
        factory.clientConnectionFailed(
            None, Failure(ConnectionRefusedError(errno.ECONNREFUSED, "x"))
        )
        line = "python -m terminable ctl: /run/site.sock: Connection refused\n"
        self.assertExit(over, 3, line)

    def test_late(self) -> None:
        """
        The time that an answer may take is the command line's.
        """
        over = self.begin("/run/site.sock", "status", "--timeout", "2.5")
        self.reactor.advance(2.5)
        line = "python -m terminable ctl: /run/site.sock: no answer in 2.5 s\n"
        self.assertExit(over, 3, line)

    def test_interrupted(self) -> None:
        """
        A signal ends it without a word.
        """
        over = self.begin("/run/site.sock", "watch")
        self.assertEqual(over, [])
        self.stop()
        self.assertExit(over, 130)


class OutcomeTests(SynchronousTestCase):
    """
    Exit statuses.
    """

    def test_outcomes(self) -> None:
        """
        Each has its number, and its line if there is something to say.
        """
        for result, expected in (
            (4, (4, "")),
            (Failure(Refused("no", 409)), (1, "no (409)")),
            (Failure(Unreachable("lost")), (3, "lost")),
            (Failure(InvalidOption("x", 1, "y")), (2, "x: 1 given, expected y")),
            (Failure(BrokenPipeError()), (141, "")),
            (Failure(CancelledError()), (130, "")),
        ):
            self.assertEqual(running.outcomeOf(result), expected)

    def test_defect(self) -> None:
        """
        What should not be is not hidden.
        """
        self.assertRaises(KeyError, running.outcomeOf, Failure(KeyError("x")))

    def test_values(self) -> None:
        """
        Scripts rely on them.
        """
        values = [
            *(outcomes.DONE, outcomes.REFUSED, outcomes.USAGE),
            *(outcomes.UNREACHABLE, outcomes.STRAGGLERS),
        ]
        self.assertEqual(values, [0, 1, 2, 3, 4])


class MainTests(SynchronousTestCase):
    """
    The program.
    """

    def setUp(self) -> None:
        self.runs: list[Any] = []
        self.patch(running, "react", lambda *arguments: self.runs.append(arguments))

    def test_wrong(self) -> None:
        """
        A command line that cannot be meant is one line and 2; nothing is run.
        """
        for words in ([], ["s", "\x1b"], ["s", "status", "--nonsense"]):
            err = io.StringIO()
            self.patch(sys, "stderr", err)
            problem = self.assertRaises(SystemExit, program.main, words)
            self.assertEqual(problem.code, 2)
            self.assertEqual(err.getvalue().count("\n"), 1)
            self.assertTrue(err.getvalue().startswith("python -m terminable ctl: "))
            self.assertNotIn("\x1b", err.getvalue())
        self.assertEqual(self.runs, [])

    def test_run(self) -> None:
        """
        Otherwise it is, on the standard output, on which nothing is unprintable.
        """
        out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
        self.patch(sys, "stdout", out)
        self.patch(sys, "stderr", io.StringIO())
        program.main(["s", "status"])
        [(function, (options, used, _))] = self.runs
        self.assertEqual((function, options.address.path, used), (running.run, "s", out))
        out.write("\xe9")
        out.flush()
        self.assertEqual(out.buffer.getvalue(), b"\\xe9")  # type: ignore[attr-defined]

    def test_unreadHelp(self) -> None:
        """
        Nobody has to read the help to its end.
        """

        class Broken(io.StringIO):
            def write(self, text: str) -> int:
                raise BrokenPipeError

        self.patch(sys, "stdout", Broken())
        problem = self.assertRaises(SystemExit, program.main, ["--help"])
        self.assertEqual(problem.code, 141)

    def test_unread(self) -> None:
        """
        If nobody reads the rest, Python has nothing to complain about afterwards.
        """
        reading, writing = os.pipe()
        os.close(reading)
        with open(writing, "w", encoding="utf-8") as out:
            out.write("x")
            program._flushed(out)
            out.write("y")

    def test_door(self) -> None:
        """
        C{python -m terminable ctl} is it, and C{terminable.ctl.main}, too.
        """
        told: list[Any] = []
        self.patch(program, "main", told.append)
        __main__.main(["ctl", "s", "status"])
        self.assertEqual(told, [["s", "status"]])
        self.assertEqual(ctl.__all__, ["main"])


class RoomTests(SynchronousTestCase):
    """
    What the control command is made of.
    """

    def test_noServer(self) -> None:
        """
        It imports nothing of the server.
        """
        seen = 0
        for path in sorted(ROOMS.glob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom) and str(node.module).startswith("terminable"):
                    allowed = ("terminable.ctl", "terminable.errors")
                    self.assertTrue(str(node.module).startswith(allowed), f"{path}: {node.module}")
                    seen += 1
                elif isinstance(node, ast.Import):
                    for alias in node.names:
                        self.assertFalse(alias.name.startswith("terminable"), path)
        self.assertGreater(seen, 10)


class StartTests(SynchronousTestCase):
    """
    How much is loaded.
    """

    def loaded(self, *words: str) -> set[str]:
        """
        @return: the modules that are loaded when a command has ended.
        """
        program = (
            "import sys\n"
            "from terminable.__main__ import main\n"
            "try:\n"
            "    main(sys.argv[1:])\n"
            "except SystemExit:\n"
            "    print(*sys.modules, file=sys.stderr)\n"
        )
        command = [sys.executable, "-c", program, "ctl", *words]
        return set(subprocess.run(command, capture_output=True, text=True).stderr.split())

    def test_help(self) -> None:
        """
        For the help, nothing that speaks with servers is.
        """
        loaded = self.loaded("--help")
        self.assertIn("terminable.ctl.program", loaded)
        self.assertEqual(
            loaded & {"twisted.internet.reactor", "twisted.web", "treq", "OpenSSL"}, set()
        )

    def test_status(self) -> None:
        """
        For a command, nothing of the server is.
        """
        loaded = self.loaded(os.path.join(self.mktemp(), "no.sock"), "status")
        self.assertIn("treq.client", loaded)
        ours = {name for name in loaded if name.startswith("terminable.")}
        server = {name for name in ours if not name.startswith(("terminable.ctl", "terminable.__"))}
        self.assertEqual(server, {"terminable.errors"})
        self.assertEqual(loaded & {"twisted.web.server", "rich", "prometheus_client"}, set())


class FileTests(SynchronousTestCase):
    """
    Where there is no file descriptor at all.
    """

    def test_flushed(self) -> None:
        """
        What can be flushed is.
        """
        with tempfile.TemporaryFile("w") as out:
            out.write("x")
            program._flushed(out)
            self.assertEqual(os.fstat(out.fileno()).st_size, 1)
