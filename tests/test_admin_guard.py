"""
Who may come to the admin door.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from terminable.admin.answers import Refused
from terminable.admin.guard import Guard, isLoopback
from terminable.admin.secrets import tokenIn, tokenOf
from terminable.errors import InvalidOption
from tests.adminasking import TOKEN


class Question:
    """
    As much of a request as a guard looks at.
    """

    def __init__(self, path: bytes, method: bytes, **headers: str) -> None:
        self.path = path
        self.method = method
        self.requestHeaders = Headers()
        for name, value in headers.items():
            self.requestHeaders.addRawHeader(name.replace("_", "-"), value)


class GuardTestCase(SynchronousTestCase):
    """
    A guard, asked.
    """

    def code(
        self, guard: Guard, path: bytes = b"/status", method: bytes = b"GET", **headers: str
    ) -> int | None:
        """
        @return: with which status a request is refused; C{None} if it is not.
        """
        asked: Any = Question(path, method, **headers)
        try:
            guard.check(asked)
        except Refused as problem:
            self.assertNotIn("\n", problem.reason)
            return problem.code
        return None


class LocalTests(GuardTestCase):
    """
    A TCP port that everybody on this machine can reach.
    """

    guard = Guard(local=True)

    def test_hosts(self) -> None:
        """
        Only names that always mean this machine are taken: another one may have been made to
        mean it (DNS rebinding).
        """
        for host in ("localhost", "localhost:9000", "127.0.0.1:9000", "127.0.0.2", "[::1]:9000"):
            self.assertIsNone(self.code(self.guard, host=host), host)
        for host in (
            "evil.example",
            "evil.example:9000",
            "evil.example@localhost",
            "localhost#evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.1.2.3",
            "0.0.0.0",
            "[::]",
            "",
            "localhost@evil.example",
            "[::1",
            "user@",
        ):
            self.assertEqual(self.code(self.guard, host=host), 421, host)

    def test_upperCase(self) -> None:
        """
        Names are the same in any case.
        """
        self.assertIsNone(self.code(self.guard, host="LOCALHOST:80"))

    def test_noHost(self) -> None:
        """
        HTTP/1.0, which no browser speaks, has none.
        """
        self.assertIsNone(self.code(self.guard))

    def test_twoHosts(self) -> None:
        """
        Two of them are one too many.
        """
        asked: Any = Question(b"/status", b"GET", host="localhost")
        asked.requestHeaders.addRawHeader("host", "evil.example")
        self.assertEqual(self.assertRaises(Refused, self.guard.check, asked).code, 400)

    def test_post(self) -> None:
        """
        What changes something needs a header that no form of a browser can send.
        """
        self.assertEqual(self.code(self.guard, b"/abort", b"POST", host="localhost"), 403)
        for value in ("0", "", "yes"):
            self.assertEqual(
                self.code(self.guard, b"/abort", b"POST", host="localhost", x_terminable=value), 403
            )
        self.assertIsNone(
            self.code(self.guard, b"/abort", b"POST", host="localhost", x_terminable="1")
        )

    def test_site(self) -> None:
        """
        A request that a browser makes for another site's page is refused, whatever else it
        carries; a link to the status page is none.
        """
        for site in ("cross-site", "same-site", "anything"):
            for method in (b"GET", b"POST"):
                headers = {"host": "localhost", "x_terminable": "1", "sec_fetch_site": site}
                self.assertEqual(self.code(self.guard, b"/events", method, **headers), 403)
            self.assertIsNone(self.code(self.guard, b"/", host="localhost", sec_fetch_site=site))
            self.assertEqual(
                self.code(self.guard, b"/", b"POST", host="localhost", sec_fetch_site=site), 403
            )
        for site in ("same-origin", "none"):
            self.assertIsNone(self.code(self.guard, host="localhost", sec_fetch_site=site))

    def test_origin(self) -> None:
        """
        A page of another origin is refused, also by browsers that do not say what site it is of.
        """
        host = "localhost:9000"
        for origin in (
            "http://evil.example",
            "http://localhost",
            "http://localhost:9001",
            "null",
            "",
            "http://[",
            "localhost:9000",
        ):
            self.assertEqual(self.code(self.guard, host=host, origin=origin), 403, origin)
        self.assertIsNone(self.code(self.guard, host=host, origin="http://localhost:9000"))
        self.assertEqual(self.code(self.guard, origin="http://localhost:9000"), 403)


class TokenTests(GuardTestCase):
    """
    A door with a token.
    """

    guard = Guard(TOKEN)

    def test_anyHost(self) -> None:
        """
        It may have any name: who knows the token is no page of somebody else.
        """
        right = "Bearer " + TOKEN.decode()
        self.assertIsNone(self.code(self.guard, host="site.example", authorization=right))
        self.assertIsNone(self.code(self.guard, b"/abort", b"POST", authorization=right))

    def test_case(self) -> None:
        """
        The name of the scheme is the same in any case (RFC 9110, section 11.1); the token is
        not.
        """
        self.assertIsNone(self.code(self.guard, authorization="bearer   " + TOKEN.decode()))
        self.assertEqual(
            self.code(self.guard, authorization="Bearer " + TOKEN.decode().upper()), 401
        )

    def test_notASCII(self) -> None:
        """
        Anything may be sent as a token.
        """
        self.assertEqual(self.code(self.guard, authorization="Bearer \xe9\xff"), 401)

    def test_open(self) -> None:
        """
        Probes come without.
        """
        for path in (
            b"/live",
            b"/ready",
            b"/startup",
            b"/",
            b"/page.css",
            b"/page.js",
            b"/words.js",
        ):
            self.assertIsNone(self.code(self.guard, path))


class LoopbackTests(SynchronousTestCase):
    """
    What addresses mean this machine.
    """

    def test_addresses(self) -> None:
        """
        The whole of 127.0.0.0/8, ::1, and the former in the clothes of IPv6.
        """
        for host in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "localhost"):
            self.assertTrue(isLoopback(host), host)
        for host in ("", "0.0.0.0", "::", "10.0.0.1", "::ffff:10.0.0.1", "example.com"):
            self.assertFalse(isLoopback(host), host)


class SecretTests(SynchronousTestCase):
    """
    Where a token comes from.
    """

    def setUp(self) -> None:
        self.path = Path(self.mktemp())

    def write(self, content: bytes, mode: int = 0o600) -> str:
        self.path.touch(mode=0o600)
        self.path.write_bytes(content)
        self.path.chmod(mode)
        return str(self.path)

    def test_given(self) -> None:
        """
        A token is visible ASCII, and long enough not to be guessed.
        """
        self.assertIsNone(tokenOf(None))
        self.assertEqual(tokenOf(TOKEN.decode()), TOKEN)
        self.assertEqual(tokenOf(TOKEN), TOKEN)
        bad: Any
        for bad in (
            "",
            "short",
            "with a space inside",
            "\xe9" * 16,
            "\udcff" * 16,
            "x" * 4097,
            1234,
        ):
            problem = self.assertRaises(InvalidOption, tokenOf, bad)
            # A secret is not for the log, right or wrong.
            self.assertEqual(problem.value, "a token")

    def test_file(self) -> None:
        """
        One line end does not belong to it.
        """
        for end in (b"", b"\n", b"\r\n"):
            self.assertEqual(tokenIn(self.write(TOKEN + end)), TOKEN)
        for end in (b"\n\n", b" \n"):
            self.assertRaises(InvalidOption, tokenIn, self.write(TOKEN + end))
        longest = b"x" * 4096
        self.assertEqual(tokenIn(self.write(longest + b"\r\n")), longest)

    def test_readable(self) -> None:
        """
        A file that others may read, or write, is refused.
        """
        for mode in (0o644, 0o640, 0o620, 0o602, 0o611):
            problem = self.assertRaises(InvalidOption, tokenIn, self.write(TOKEN, mode), "--file")
            self.assertEqual(problem.option, "--file")
            self.assertIn("chmod 600", problem.expected)

    def test_none(self) -> None:
        """
        So is what is not there, and what is no file.
        """
        problem = self.assertRaises(InvalidOption, tokenIn, str(self.path))
        self.assertIn("No such file", problem.expected)
        self.path.mkdir(mode=0o700)
        self.assertRaises(InvalidOption, tokenIn, str(self.path))
        pipe = str(self.path / "pipe")
        os.mkfifo(pipe, 0o600)
        self.assertEqual(self.assertRaises(InvalidOption, tokenIn, pipe).expected, "a file")

    def test_content(self) -> None:
        """
        What stands in a file that is no token is not shown.
        """
        problem = self.assertRaises(InvalidOption, tokenIn, self.write(b"hush"))
        self.assertNotIn("hush", str(problem))
