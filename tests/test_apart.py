"""
Two options must not name the same port.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from terminable import apart
from terminable.apart import Spot, mustBeApart, spotOf

#: Pairs of descriptions that mean one port.
SAME = (
    ("8080", "tcp:8080"),
    ("tcp:8080", "tcp:8080:interface=127.0.0.1"),
    ("tcp:8080:127.0.0.1", "tcp:port=8080:interface=localhost"),
    ("tcp:8080:interface=127.0.0.1", r"tcp:8080:interface=\:\:ffff\:127.0.0.1"),
    (r"tcp:8080:interface=\:\:1", "tcp6:8080"),
    (r"tcp:8080:interface=\:\:1", r"tcp6:8080:interface=\:\:1"),
    ("8443", "ssl:8443:privateKey=a:certKey=b"),
    ("terminable:tcp:8080:grace=1", "haproxy:tcp:8080"),
    ("tcp:8080:interface=no.such.host.invalid", "tcp:8080:interface=no.such.host.invalid"),
    ("unix:site.sock", "unix:./site.sock"),
    ("unix:site.sock:mode=600", "unix:address=../here/site.sock"),
    ("unix:site.sock", "unix:link/site.sock"),
    ("unix:\0name", "unix:\0name"),
    ("systemd:domain=INET:index=0", "systemd:domain=INET:index=0"),
)

#: Pairs that do not, or of which one cannot be listened on, which others say.
APART = (
    ("8080", "8081"),
    ("0", "tcp:0"),
    ("tcp:8080:interface=127.0.0.1", "tcp:8080:interface=127.0.0.2"),
    ("tcp:8080", r"tcp:8080:interface=\:\:1"),
    ("unix:site.sock", "unix:other.sock"),
    ("unix:site.sock", "8080"),
    ("unix:", "unix:"),
    ("tcp:x", "tcp:x"),
    ("tcp:99999999", "tcp:99999999"),
    ("systemd:domain=INET:index=0", "systemd:domain=INET:index=1"),
)


class ApartTests(SynchronousTestCase):
    """
    What is the same, and what is not.
    """

    def setUp(self) -> None:
        here = os.path.join(os.path.realpath(self.mktemp()), "here")
        os.makedirs(here)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(here)
        os.symlink(here, "link")
        # What this machine is set to does not matter here.
        self.patch(apart, "_takesBoth", lambda: True)

    def test_same(self) -> None:
        """
        However it is spelled, in either order.
        """
        for pair in SAME:
            for first, second in (pair, pair[::-1]):
                with self.assertRaises(UsageError, msg=pair) as caught:
                    mustBeApart([("--port", first), ("--admin", second)])
                line = f"--admin: {second!r} is where another option listens: --port {first}"
                self.assertEqual(str(caught.exception), line)

    def test_apart(self) -> None:
        """
        Others may stand beside each other.
        """
        for first, second in APART:
            mustBeApart([("--port", first), ("--admin", second)])
            mustBeApart([("--port", second), ("--admin", first)])

    def test_bothKinds(self) -> None:
        """
        A port for all IPv6 addresses is in the way of one for IPv4 addresses only where the system
        has it take both.
        """
        mine, all6 = spotOf("8080"), spotOf("tcp6:8080")
        assert mine is not None and all6 is not None
        self.assertTrue(mine.meets(all6))
        self.patch(apart, "_takesBoth", lambda: False)
        self.assertFalse(mine.meets(all6))
        self.assertFalse(all6.meets(mine))
        self.assertFalse(Spot(0, path="a").meets(Spot(0, path="b")))


class SystemTests(SynchronousTestCase):
    """
    How the system is set.
    """

    def test_takesBoth(self) -> None:
        """
        It is asked; where there is no IPv6, nothing is in the way.
        """
        for error, only, expected in ((None, 0, True), (None, 1, False), (OSError(), 0, False)):
            self.patch(apart.socket, "socket", lambda *kind, it=(error, only): Socket(*it))
            self.assertEqual(apart._takesBoth(), expected)


class Socket:
    """
    One that says how the system is set, or cannot be had.
    """

    def __init__(self, error: Exception | None, only: int) -> None:
        if error is not None:
            raise error
        self.only = only

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *details: object) -> None:
        """
        Nothing is open.
        """

    def getsockopt(self, level: int, name: int) -> int:
        assert (level, name) == (socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
        return self.only
