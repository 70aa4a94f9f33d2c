"""
Messages to systemd, read from real sockets.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from typing import Any
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from terminable.errors import InvalidOption
from terminable.notifier import (
    LONGEST,
    PROMPT,
    Notifier,
    environmentOfSuccessor,
    environmentOfWorker,
    watchdogInterval,
)
from tests.supervising import LoggingTestCase, Systemd


class NotifierTests(LoggingTestCase):
    """
    UNIX sockets.
    """

    def notifier(self, place: str) -> Notifier:
        """
        One for a place that can be meant.
        """
        found = Notifier.fromEnvironment({"NOTIFY_SOCKET": place})
        assert found is not None
        return found

    def test_path(self) -> None:
        """
        A message is one datagram, with a line for each assignment, to a path.
        """
        systemd = Systemd(self)
        self.assertTrue(self.notifier(systemd.place).notify(READY=1, STATUS="serving"))
        self.assertEqual(systemd.heard(), ["READY=1\nSTATUS=serving"])

    def test_abstract(self) -> None:
        """
        A place with @ is a name in the abstract namespace.
        """
        systemd = Systemd(self, abstract=True)
        self.notifier(systemd.place).notify(WATCHDOG=1)
        self.assertEqual(systemd.heard(), ["WATCHDOG=1"])

    if not sys.platform.startswith("linux"):
        test_abstract.skip = "only Linux has it"  # type: ignore[attr-defined]

    def test_notSet(self) -> None:
        """
        Without the variable, or with an empty one, there is nobody to tell, and nothing to log.
        """
        self.assertIsNone(Notifier.fromEnvironment({}))
        self.assertIsNone(Notifier.fromEnvironment({"NOTIFY_SOCKET": ""}))
        self.assertEqual(self.logged, [])

    def test_invalid(self) -> None:
        """
        What names no place is logged, and nobody is told.
        """
        for place in (
            "run/notify",
            "/",
            "@",
            "/" + "x" * 107,
            "vsock:2",
            "vsock::1",
            "vsock:4294967295:1",
            "vsock:2:4294967296",
            "vsock-raw:2:1",
            "vsock:-1:1",
        ):
            self.logged.clear()
            self.assertIsNone(Notifier.fromEnvironment({"NOTIFY_SOCKET": place}), place)
            self.assertEqual(
                self.logged,
                [
                    f"systemd is told nothing: NOTIFY_SOCKET: {place!r} given, "
                    "expected /path, @name or vsock:CID:PORT"
                ],
            )

    def test_longestPath(self) -> None:
        """
        The longest path that a socket can have is taken.
        """
        self.assertIsNotNone(Notifier.fromEnvironment({"NOTIFY_SOCKET": "/" + "x" * 106}))

    def test_nobodyThere(self) -> None:
        """
        If nobody listens it is logged once, and nothing is raised.
        """
        notifier = self.notifier("/nowhere/at/all")
        self.assertTrue(notifier.notify(READY=1))
        self.assertTrue(notifier.notify(READY=1))
        self.assertEqual(len(self.logged), 1)
        self.assertIn("systemd cannot be told: ", self.logged[0])

    def test_noRoom(self) -> None:
        """
        If systemd has not read enough, the message is not sent, which is told, and not waited.
        """
        systemd = Systemd(self)
        notifier = self.notifier(systemd.place)
        systemd.fill()
        self.assertFalse(notifier.notify(READY=1))
        self.assertEqual(set(systemd.heard()), {"X_FULL=1"})
        self.assertTrue(notifier.notify(READY=1))
        self.assertEqual(systemd.heard(), ["READY=1"])
        self.assertEqual(self.logged, [])

    def test_silent(self) -> None:
        """
        A silent one sends nothing.
        """
        systemd = Systemd(self)
        notifier = self.notifier(systemd.place)
        notifier.silent = True
        self.assertTrue(notifier.notify(READY=1))
        self.assertEqual(systemd.heard(), [])

    def test_leavesNothingOpen(self) -> None:
        """
        No descriptor stays open.
        """
        systemd = Systemd(self)
        notifier = self.notifier(systemd.place)
        before = os.listdir("/proc/self/fd")
        for _ in range(3):
            notifier.notify(WATCHDOG=1)
        self.assertEqual(len(os.listdir("/proc/self/fd")), len(before))

    if not os.path.isdir("/proc/self/fd"):
        test_leavesNothingOpen.skip = "no /proc"  # type: ignore[attr-defined]

    def test_injection(self) -> None:
        """
        A value stays one line without control characters, whoever has made it.
        """
        systemd = Systemd(self)
        self.notifier(systemd.place).notify(STATUS="GET /\nMAINPID=1\x1b[31m\0\x85\ud800é")
        self.assertEqual(systemd.heard(), ["STATUS=GET / MAINPID=1 [31m   é"])

    def test_longValue(self) -> None:
        """
        A long value is cut between two characters, so that systemd takes the message.
        """
        systemd = Systemd(self)
        self.notifier(systemd.place).notify(STATUS="x" + "é" * 5000)
        (message,) = systemd.heard()
        self.assertEqual(len(message.encode()), len("STATUS=") + LONGEST - 1)
        self.assertTrue(message.endswith("éé"))

    def test_anyValue(self) -> None:
        """
        Every text can be sent, as a single assignment that systemd can read.
        """
        systemd = Systemd(self)
        notifier = self.notifier(systemd.place)

        @given(st.text())
        def tell(text: str) -> None:
            notifier.notify(STATUS=text)
            (message,) = systemd.heard()
            self.assertTrue(message.startswith("STATUS="))
            self.assertNotIn("\n", message)
            self.assertLessEqual(len(message.encode()), len("STATUS=") + LONGEST)

        tell()


class HandSocket:
    """
    A socket of a family that this machine may not have.
    """

    def __init__(self, kind: int, did: list[Any]) -> None:
        self.type = kind
        self.did = did

    def __enter__(self) -> HandSocket:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: self.did.append((name, *arguments))


class VsockTests(LoggingTestCase):
    """
    The host of a virtual machine, stood in for by hand.
    """

    def setUp(self) -> None:
        super().setUp()
        self.did: list[Any] = []
        self.opened: list[int] = []
        self.refused: set[int] = set()

    def open(self, family: int, kind: int) -> HandSocket:
        """
        In place of C{socket.socket}.
        """
        self.assertEqual(family, 40)
        self.opened.append(kind)
        if kind in self.refused:
            raise OSError(errno.ENODEV, "No such device")
        return HandSocket(kind, self.did)

    def told(self, place: str) -> None:
        """
        Send one message to C{place}.
        """
        with (
            mock.patch.object(socket, "AF_VSOCK", 40, create=True),
            mock.patch.object(socket, "socket", self.open),
        ):
            notifier = Notifier.fromEnvironment({"NOTIFY_SOCKET": place})
            assert notifier is not None
            notifier.notify(READY=1)
            notifier.notify(STATUS="serving")

    def test_datagrams(self) -> None:
        """
        Datagrams are tried first, and do not wait.
        """
        self.told("vsock:2:1234")
        self.assertEqual(self.opened, [socket.SOCK_DGRAM] * 2)
        self.assertEqual(
            self.did[:3],
            [("setblocking", False), ("sendto", b"READY=1", (2, 1234)), ("close",)],
        )

    def test_packets(self) -> None:
        """
        Where there are no datagrams, a message is a connection that ends with it, and is
        kept until the next one.
        """
        self.refused = {socket.SOCK_DGRAM}
        self.told("vsock:2:1234")
        self.assertEqual(self.opened[:2], [socket.SOCK_DGRAM, socket.SOCK_SEQPACKET])
        self.assertEqual(
            self.did[:6],
            [
                ("settimeout", PROMPT),
                ("connect", (2, 1234)),
                ("sendall", b"READY=1"),
                ("shutdown", socket.SHUT_WR),
                ("close",),
                ("settimeout", PROMPT),
            ],
        )

    def test_stream(self) -> None:
        """
        A prefix says which kind it is to be, and no other is tried.
        """
        self.told("vsock-stream:2:1234")
        self.assertEqual(self.opened, [socket.SOCK_STREAM] * 2)
        self.assertEqual(self.logged, [])

    def test_none(self) -> None:
        """
        Where there is no kind that works, that is logged once.
        """
        self.refused = {socket.SOCK_DGRAM, socket.SOCK_SEQPACKET, socket.SOCK_STREAM}
        self.told("vsock:2:1234")
        self.assertEqual(len(self.opened), 6)
        self.assertEqual(len(self.logged), 1)
        self.assertIn("No such device", self.logged[0])

    def test_unknownFamily(self) -> None:
        """
        A platform without the family says so, and nobody is told.
        """
        with mock.patch("terminable.notifier.socket", spec=["AF_UNIX"]):
            self.assertIsNone(Notifier.fromEnvironment({"NOTIFY_SOCKET": "vsock:2:1234"}))
        self.assertIn("expected a platform that has AF_VSOCK", self.logged[0])


class WatchdogIntervalTests(SynchronousTestCase):
    """
    L{watchdogInterval}.
    """

    def test_seconds(self) -> None:
        """
        Microseconds become seconds.
        """
        self.assertEqual(watchdogInterval({"WATCHDOG_USEC": "1500000"}, 7), 1.5)
        self.assertEqual(
            watchdogInterval({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 7), 30.0
        )

    def test_none(self) -> None:
        """
        Nobody watches, or another process is watched, whatever the time says.
        """
        self.assertIsNone(watchdogInterval({"WATCHDOG_PID": "7"}, 7))
        self.assertIsNone(watchdogInterval({"WATCHDOG_USEC": "x", "WATCHDOG_PID": "8"}, 7))

    def test_invalid(self) -> None:
        """
        What is no time is refused.
        """
        for value in ("", "0", "-1", "1.5", "soon", "٣", str(2**64 - 1), "9" * 21):
            problem = self.assertRaises(
                InvalidOption, watchdogInterval, {"WATCHDOG_USEC": value}, 7
            )
            self.assertEqual(
                str(problem),
                f"WATCHDOG_USEC: {value!r} given, "
                "expected a whole number of microseconds, 1 or more",
            )


class EnvironmentTests(SynchronousTestCase):
    """
    Environments for other processes.
    """

    ENVIRON = {  # noqa: RUF012 - nobody changes it
        "PATH": "/bin",
        "NOTIFY_SOCKET": "/run/n",
        "WATCHDOG_PID": "7",
        "WATCHDOG_USEC": "1",
    }

    def test_successor(self) -> None:
        """
        A successor finds the socket, and is watched though its number is another.
        """
        environ = environmentOfSuccessor(self.ENVIRON)
        self.assertEqual(environ, {"PATH": "/bin", "NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "1"})
        self.assertEqual(watchdogInterval(environ, 8), 1e-6)

    def test_worker(self) -> None:
        """
        A worker finds nothing.
        """
        self.assertEqual(environmentOfWorker(self.ENVIRON), {"PATH": "/bin"})
