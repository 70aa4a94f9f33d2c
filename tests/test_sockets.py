"""
What the kernel says of sockets, asked of real ones.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from terminable.tracking import sockets
from tests.wire import PATIENCE, connectedPair

FAMILIES = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)


def within(what: Callable[[], object]) -> bool:
    """
    Whether C{what} becomes true; the kernel may take its time.
    """
    until = time.monotonic() + PATIENCE
    while not what():
        if time.monotonic() > until:
            return False
        select.select([], [], [], 0.002)
    return True


class SocketTests(SynchronousTestCase):
    """
    Connected sockets.
    """

    def pair(self, family: int = socket.AF_INET) -> tuple[socket.socket, socket.socket]:
        """
        A client's socket and ours.
        """
        client, ours = connectedPair(family)
        self.addCleanup(client.close)
        self.addCleanup(ours.close)
        return client, ours

    def closed(self) -> socket.socket:
        """
        A socket that is closed.
        """
        _, ours = self.pair()
        ours.close()
        return ours

    def test_unread(self) -> None:
        """
        Bytes are counted from when they arrive until they are read.
        """
        for family in FAMILIES:
            client, ours = self.pair(family)
            self.assertEqual(sockets.unread(ours), 0)
            client.sendall(b"12345")
            self.assertTrue(within(lambda ours=ours: sockets.unread(ours) == 5))
            ours.recv(2)
            self.assertEqual(sockets.unread(ours), 3)

    def test_unacknowledged(self) -> None:
        """
        What we have sent counts until the peer has confirmed it.
        """
        for family in FAMILIES:
            client, ours = self.pair(family)
            ours.setblocking(False)
            self.assertEqual(sockets.unacknowledged(ours), 0)
            sent = 0
            try:
                while True:
                    sent += ours.send(b"x" * 65536)
            except BlockingIOError:
                pass
            self.assertGreater(sockets.unacknowledged(ours), 0)
            client.settimeout(PATIENCE)
            while sent:
                sent -= len(client.recv(2**20))
            self.assertTrue(within(lambda ours=ours: sockets.unacknowledged(ours) == 0))

    def test_notSent(self) -> None:
        """
        Only what the kernel itself still holds back counts; nothing does that has
        left, and UNIX sockets hold nothing back.
        """
        for family in (socket.AF_INET, socket.AF_INET6):
            client, ours = self.pair(family)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            ours.setblocking(False)
            ours.send(b"x")
            self.assertTrue(within(lambda ours=ours: sockets.notSent(ours) == 0))
            try:
                while True:
                    ours.send(b"x" * 65536)
            except BlockingIOError:
                pass
            self.assertGreater(sockets.notSent(ours), 0)
        _, ours = self.pair(socket.AF_UNIX)
        ours.send(b"x")
        self.assertEqual(sockets.notSent(ours), 0)

    def test_closedSocketsHoldNothing(self) -> None:
        """
        A closed socket is answered for, too.
        """
        ours = self.closed()
        self.assertEqual(sockets.unread(ours), 0)
        self.assertEqual(sockets.unacknowledged(ours), 0)
        self.assertEqual(sockets.notSent(ours), 0)
        self.assertEqual(sockets.roundTrip(ours), 0.0)
        self.assertTrue(sockets.hasSpoken(ours))
        self.assertFalse(sockets.readable(ours))

    def test_hasSpoken(self) -> None:
        """
        A TCP peer has spoken from its first byte on, read or not.
        """
        for family in (socket.AF_INET, socket.AF_INET6):
            client, ours = self.pair(family)
            self.assertFalse(sockets.hasSpoken(ours))
            client.sendall(b"x")
            self.assertTrue(within(lambda ours=ours: sockets.hasSpoken(ours)))
            ours.recv(1)
            self.assertTrue(sockets.hasSpoken(ours))

    def test_hasSpokenWhereItCannotBeTold(self) -> None:
        """
        On UNIX sockets, and where the kernel knows less, everybody has.
        """
        _, ours = self.pair(socket.AF_UNIX)
        self.assertTrue(sockets.hasSpoken(ours))
        _, ours = self.pair()
        self.patch(sockets, "_LINUX", False)
        self.assertTrue(sockets.hasSpoken(ours))
        self.assertEqual(sockets.notSent(ours), 0)
        self.assertEqual(sockets.roundTrip(ours), 0.0)

    def test_olderKernels(self) -> None:
        """
        A kernel that tells less of a connection than we want to know is left alone.
        """

        class Old:
            family = socket.AF_INET

            def getsockopt(self, level: int, name: int, size: int) -> bytes:
                return b"\0" * 104

        old: Any = Old()
        self.assertTrue(sockets.hasSpoken(old))
        self.assertEqual(sockets.roundTrip(old), 0.0)

    def test_roundTrip(self) -> None:
        """
        A peer on this machine is near, but not here.
        """
        client, ours = self.pair()
        ours.sendall(b"x")
        client.recv(1)
        self.assertTrue(within(lambda: 0.0 < sockets.roundTrip(ours) < 1.0))
        _, unix = self.pair(socket.AF_UNIX)
        self.assertEqual(sockets.roundTrip(unix), 0.0)

    def test_readable(self) -> None:
        """
        A socket is readable if there are bytes, the end, or somebody to accept.
        """
        client, ours = self.pair()
        self.assertFalse(sockets.readable(ours))
        client.sendall(b"x")
        self.assertTrue(within(lambda: sockets.readable(ours)))
        ours.recv(1)
        self.assertFalse(sockets.readable(ours))
        client.close()
        self.assertTrue(within(lambda: sockets.readable(ours)))


class RefusingTests(SynchronousTestCase):
    """
    L{sockets.refuseNew}.
    """

    def listening(self, family: int = socket.AF_INET) -> socket.socket:
        """
        A listening socket.
        """
        sock = socket.socket(family)
        self.addCleanup(sock.close)
        sock.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
        sock.listen(10)
        return sock

    def connecting(self, listening: socket.socket) -> socket.socket:
        """
        A client that has begun to connect.
        """
        client = socket.socket(listening.family)
        self.addCleanup(client.close)
        client.setblocking(False)
        client.connect_ex(listening.getsockname())
        return client

    def test_newConnectionsAreIgnored(self) -> None:
        """
        Who connects now is not answered; who is in the queue can be accepted, and who
        is connected can speak.  Where the kernel does not agree, nothing changes.
        """
        for family in (socket.AF_INET, socket.AF_INET6):
            listening = self.listening(family)
            before = self.connecting(listening)
            self.assertTrue(within(lambda listening=listening: sockets.readable(listening)))
            agreed = sockets.refuseNew(listening)
            accepted, _ = listening.accept()
            self.addCleanup(accepted.close)
            before.setblocking(True)
            before.sendall(b"x")
            self.assertEqual(accepted.recv(1), b"x")
            self.connecting(listening)
            self.assertEqual(bool(select.select([listening], [], [], 0.05)[0]), not agreed)

    def test_notEverywhere(self) -> None:
        """
        UNIX sockets, other systems and closed sockets are told that it cannot be done.
        """
        ours, other = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(other.close)
        self.assertFalse(sockets.refuseNew(ours))
        listening = self.listening()
        listening.close()
        self.assertFalse(sockets.refuseNew(listening))
        elsewhere = self.listening()
        self.patch(sockets, "_LINUX", False)
        self.assertFalse(sockets.refuseNew(elsewhere))
