"""
The command line of the control command.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.ssl import Certificate, PrivateCertificate
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from terminable import __version__
from terminable.ctl.options import Options
from terminable.ctl.orders import ANSWER, COMMANDS, UPGRADE, number, seconds, whole
from terminable.errors import InvalidOption
from tests.live.certificates import selfSigned


def parsed(*words: str) -> Options:
    """
    What a command line says.
    """
    options = Options()
    options.parseOptions(words)
    return options


def body(*words: str) -> dict[str, object]:
    """
    What is sent for a command.
    """
    return parsed("s", *words).command.body()


class CommandTests(SynchronousTestCase):
    """
    Commands and their options.
    """

    def test_commands(self) -> None:
        """
        Each command is known by its name.
        """
        for kind in COMMANDS:
            options = parsed("/run/s", kind.name)
            self.assertIs(type(options.command), kind)
            self.assertEqual(options.address.path, "/run/s")
            self.assertEqual(options.command.body(), {})

    def test_paths(self) -> None:
        """
        What only asks is sent nowhere; everything else goes where its name says.
        """
        for kind in COMMANDS:
            asks = kind.name in ("status", "connections", "watch")
            self.assertEqual(kind.path, None if asks else f"/{kind.name}")

    def test_drain(self) -> None:
        """
        Each condition is sent by the name that the door has for it.
        """
        words = ("--percent", "50", "--older-than=600", "--peer", "10.1.0.0/16", "--grace", "9.5")
        self.assertEqual(
            body("drain", *words, "--port", "8443", "--id", "3", "--id", "4"),
            {
                "percent": 50.0,
                "olderThan": 600.0,
                "peer": "10.1.0.0/16",
                "port": 8443,
                "ids": ["3", "4"],
                "gracePeriod": 9.5,
            },
        )
        self.assertEqual(body("drain", "--port", "/run/s"), {"port": "/run/s"})
        # Nobody's condition is anybody else's.
        self.assertEqual(body("drain"), {})

    def test_terminate(self) -> None:
        """
        A grace period is sent if one is given.
        """
        self.assertEqual(body("terminate", "--grace", "0"), {"gracePeriod": 0.0})
        self.assertTrue(parsed("s", "terminate", "--wait").command["wait"])
        self.assertTrue(parsed("s", "abort", "-w").command["wait"])

    def test_connections(self) -> None:
        """
        What was asked for stands behind the question mark.
        """
        words = ("--state", "busy", "--sort", "idle", "--limit", "5", "--offset", "10")
        command: Any = parsed("s", "connections", *words, "--peer", "::1").command
        expected = {"state": "busy", "sort": "idle", "limit": "5", "offset": "10", "peer": "::1"}
        self.assertEqual(command.parameters(), expected)

    def test_upgrade(self) -> None:
        """
        There is a limit to waiting.
        """
        self.assertEqual(parsed("s", "upgrade").command["within"], UPGRADE)
        self.assertEqual(parsed("s", "upgrade", "--within", "3").command["within"], 3.0)


class WrongTests(SynchronousTestCase):
    """
    Command lines that cannot be meant.
    """

    def test_nothing(self) -> None:
        """
        A socket and a command are needed.
        """
        for words in ((), ("s",)):
            problem = self.assertRaises(UsageError, parsed, *words)
            self.assertIn("SOCKET and COMMAND are needed", str(problem))

    def test_refused(self) -> None:
        """
        The line says which option, what was given, and what was expected.
        """
        for words, line in (
            (["stop"], "COMMAND: 'stop' given, expected one of status, connections, watch"),
            (["status", "now"], "status: 'now' given, expected options only"),
            (["drain", "--percent", "101"], "--percent: '101' given, expected a number from 0 to"),
            (["drain", "--older-than", "-1"], "--older-than: '-1' given, expected seconds"),
            (["drain", "--port", "\u0663"], "--port: '\u0663' given, expected a port number from"),
            (["drain", "--port", "65536"], "--port: '65536' given, expected a port number from 1"),
            (["drain", "--port", "0"], "--port: '0' given, expected a port number from 1 to 65535"),
            (["drain", "--port", ""], "--port: '' given, expected a port number from 1 to 65535,"),
            (["drain", "--port", "/" * 108], "or the path of a UNIX socket"),
            (["abort", "--pid", "x"], "--pid: 'x' given, expected a whole number from 0"),
            (["terminate", "--grace", "soon"], "--grace: 'soon' given, expected seconds"),
            (["connections", "--limit", "-1"], "--limit: '-1' given, expected a whole number"),
            (["upgrade", "--within", "nan"], "--within: 'nan' given, expected seconds"),
            (["status", "--timeout", "0"], "--timeout: '0' given, expected seconds, as a number"),
        ):
            problem = self.assertRaises(InvalidOption, parsed, "s", *words)
            self.assertIn(line, str(problem))

    def test_unknown(self) -> None:
        """
        So does Twisted's for an option that there is not.
        """
        problem = self.assertRaises(UsageError, parsed, "s", "status", "--percent", "5")
        self.assertIn("--percent", str(problem))

    def test_numbers(self) -> None:
        """
        Only plain numbers are numbers.
        """
        for text in ("", "1_0", "inf", "-inf", "nan", "\u0663", "1e10"):
            self.assertRaises(InvalidOption, seconds, "x", text)
        for text in ("", "1.0", "-1", "1" * 10, "\u0663"):
            self.assertRaises(InvalidOption, whole, "x", text)
        self.assertEqual((number("x", "1e2", "", 0, 100), whole("x", "07")), (100.0, 7))


class CommonTests(SynchronousTestCase):
    """
    What holds for every command.
    """

    def write(self, data: bytes) -> str:
        handle, path = tempfile.mkstemp()
        self.addCleanup(os.unlink, path)
        os.close(handle)
        Path(path).write_bytes(data)
        return path

    def test_defaults(self) -> None:
        """
        People read the output, an answer may take some seconds, and nothing is shown.
        """
        options = parsed("s", "status")
        self.assertEqual((options.json, options.timeout), (False, ANSWER))
        self.assertEqual(options.credentials.token, None)
        self.assertEqual(options.credentials.certificate, None)
        self.assertEqual(options.credentials.authority, None)

    def test_eitherSide(self) -> None:
        """
        They may stand before the command or after it; the last word counts.
        """
        for words in (["--json", "s", "status"], ["-j", "s", "status"], ["s", "status", "--json"]):
            self.assertTrue(parsed(*words).json)
        self.assertEqual(parsed("--timeout", "3", "s", "status").timeout, 3.0)
        self.assertEqual(parsed("--timeout", "3", "s", "status", "--timeout", "4").timeout, 4.0)

    def test_token(self) -> None:
        """
        A token is the one word in a file.
        """
        path = self.write(b" s3cret\n")
        options = parsed("--token-file", path, "s", "status")
        self.assertEqual(options.credentials.token, "s3cret")

    def test_noToken(self) -> None:
        """
        A file with anything else in it is refused, and what is in it not told.
        """
        for data in (b"", b"\n", b"two words", b"s\xc3\xa9cret", b"a\0b"):
            path = self.write(data)
            problem = self.assertRaises(InvalidOption, parsed, "--token-file", path, "s", "status")
            self.assertIn("a file with one word of printable ASCII", str(problem))
            self.assertNotIn("words'", str(problem))

    def test_certificates(self) -> None:
        """
        Certificates come out of PEM files.
        """
        path = self.write(selfSigned())
        credentials = parsed("s", "status", "--certificate", path, "--ca-file", path).credentials
        self.assertIsInstance(credentials.certificate, PrivateCertificate)
        self.assertIsInstance(credentials.authority, Certificate)

    def test_noCertificates(self) -> None:
        """
        A file that is missing, and one that is something else, are refused.
        """
        other = self.write(b"hello")
        for option in ("--certificate", "--ca-file"):
            problem = self.assertRaises(InvalidOption, parsed, option, other, "s", "status")
            self.assertIn(f"{option}: {other!r} given, expected a PEM file", str(problem))
        for option in ("--token-file", "--certificate", "--ca-file"):
            problem = self.assertRaises(InvalidOption, parsed, option, "/no/file", "s", "status")
            self.assertIn("can be read (No such file or directory)", str(problem))
            self.assertRaises(InvalidOption, parsed, option, "a\0b", "s", "status")


class HelpTests(SynchronousTestCase):
    """
    The help.
    """

    def printed(self, *words: str) -> str:
        out: list[str] = []

        class Out:
            def write(self, text: str) -> None:
                out.append(text)

            def flush(self) -> None:
                pass

        self.patch(sys, "stdout", Out())
        problem = self.assertRaises(SystemExit, parsed, *words)
        self.assertEqual(problem.code, 0)
        return "".join(out)

    def test_help(self) -> None:
        """
        It names every command, and the exit statuses.
        """
        text = self.printed("--help")
        self.assertIn("python -m terminable ctl [options] SOCKET COMMAND [options]", text)
        for kind in COMMANDS:
            self.assertIn(f"  {kind.name} ", text)
        self.assertIn("4 if it was waited for", " ".join(text.split()))

    def test_commandHelp(self) -> None:
        """
        Each command has its own.
        """
        for kind in COMMANDS:
            text = self.printed("s", kind.name, "--help")
            self.assertIn(f"python -m terminable ctl SOCKET {kind.name} [options]", text)
            self.assertIn("--json", text)

    def test_version(self) -> None:
        """
        The version is ours.
        """
        self.assertEqual(self.printed("--version"), f"terminable {__version__}\n")
