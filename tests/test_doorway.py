"""
A UNIX socket by which processes of one user pass connections to each other.
"""

from __future__ import annotations

import os
import shutil
import socket
import stat
import tempfile
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.error import ConnectError
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase

from terminable.errors import InvalidOption
from terminable.handover import doorway
from terminable.handover.doorway import checkPath, connectTo, listenForConnections, peerUser
from terminable.handover.movable import CannotMove
from terminable.handover.passing import passConnection
from terminable.terminator import Terminator
from tests.passages import get, sites

reactor: Any = _reactor


class PathTests(SynchronousTestCase):
    """
    Where it may be.
    """

    def folder(self) -> str:
        """
        A directory of ours.
        """
        path = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, path)
        return path

    def test_good(self) -> None:
        """
        In a directory that this user alone can write to.
        """
        self.assertIsNone(checkPath(f"{self.folder()}/s"))

    def test_bad(self) -> None:
        """
        Nowhere else.
        """
        open_ = self.folder()
        os.chmod(open_, 0o777)
        for path in (f"{open_}/s", "/nowhere/s", "", "\0abstract", "x" * 200):
            error = self.assertRaises(InvalidOption, checkPath, path)
            self.assertEqual(error.option, "path")

    def test_another(self) -> None:
        """
        Not in another user's.
        """
        path = f"{self.folder()}/s"
        self.patch(os, "geteuid", lambda: 12345)
        self.assertIn("this user alone", str(self.assertRaises(InvalidOption, checkPath, path)))

    def test_noCredentials(self) -> None:
        """
        Not where the kernel does not say who the other end is.
        """
        self.patch(doorway, "socket", object())
        error = self.assertRaises(InvalidOption, checkPath, f"{self.folder()}/s")
        self.assertIn("SO_PEERCRED", str(error))
        sock: Any = None
        self.assertIsNone(peerUser(sock))


class UserTests(SynchronousTestCase):
    """
    Who is at the other end.
    """

    def test_us(self) -> None:
        """
        The kernel knows.
        """
        one, other = socket.socketpair()
        self.addCleanup(one.close)
        self.addCleanup(other.close)
        self.assertEqual(peerUser(one), os.geteuid())

    def test_notUNIX(self) -> None:
        """
        Nobody whom we know.
        """
        with socket.socket() as sock:
            self.assertNotEqual(peerUser(sock), os.geteuid())
        self.assertIsNone(peerUser(sock))


class DoorTests(TestCase):
    """
    By real sockets.
    """

    timeout = 60

    def setUp(self) -> None:
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = f"{self.folder}/s"
        here, there, *_ = sites()
        self.port = self.listenTCP(here)
        other = self.listenTCP(there)
        self.here, self.there = Terminator(reactor), Terminator(reactor)
        self.here.attach(self.port)
        self.there.attach(other)
        self.addCleanup(self.there.abort)
        self.addCleanup(self.here.abort)
        self.door: Any = listenForConnections(reactor, self.path, lambda host: other)
        self.addCleanup(self.door.stopListening)

    def listenTCP(self, factory: Any) -> Any:
        """
        A port.
        """
        return reactor.listenTCP(0, factory, interface="127.0.0.1")

    async def until(self, true: Any) -> None:
        """
        Wait.
        """
        while not true():
            await deferLater(reactor, 0.005)

    def test_mode(self) -> None:
        """
        The socket is this user's alone.
        """
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)

    async def test_passes(self) -> None:
        """
        A connection moves by it.
        """
        sender = await connectTo(reactor, self.path)
        client = socket.create_connection(self.port.socket.getsockname())
        self.addCleanup(client.close)
        await self.until(self.here.connections)
        [connection] = self.here.connections()
        await passConnection(connection, sender)
        client.sendall(get("/"))
        client.setblocking(False)
        await self.until(lambda: self.readable(client))
        self.assertIn(b"there /", client.recv(9999))
        await sender.close()

    def readable(self, sock: socket.socket) -> bool:
        """
        Whether something was sent.
        """
        try:
            return bool(sock.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return False

    async def test_nobody(self) -> None:
        """
        Where nobody listens, one cannot connect.
        """
        with self.assertRaises(ConnectError):
            await connectTo(reactor, self.path + "2")

    async def test_anotherUsers(self) -> None:
        """
        Neither end has to do with another user.
        """
        real = os.geteuid()
        self.patch(doorway.os, "geteuid", lambda: real + 1)
        with self.assertRaises(CannotMove):
            await connectTo(reactor, self.path)
        await self.until(lambda: not self.opened())

    async def test_refuses(self) -> None:
        """
        Who listens refuses, too.
        """
        real = os.geteuid()
        self.patch(doorway.os, "geteuid", lambda: real + 1)
        with socket.socket(socket.AF_UNIX) as client:
            client.setblocking(False)
            client.connect(self.path)
            await self.until(lambda: self.isOver(client))
        self.assertFalse(self.opened())

    def isOver(self, client: socket.socket) -> bool:
        """
        Whether the other end has gone.
        """
        try:
            return not client.recv(1)
        except BlockingIOError:
            return False
        except ConnectionError:
            return True

    def opened(self) -> Any:
        """
        Who is connected.
        """
        return self.door.factory._opened

    async def test_many(self) -> None:
        """
        No more than so many at the same time.
        """
        self.patch(doorway, "MOST", 1)
        first = await connectTo(reactor, self.path)
        second = await connectTo(reactor, self.path)
        await second.whenLost()
        self.assertFalse(first.lost)
        self.assertEqual(len(self.opened()), 1)
        await first.close()
        await self.until(lambda: not self.opened())

    def test_twice(self) -> None:
        """
        Nobody can listen where somebody does; who was ended badly is no hindrance.
        """
        from twisted.internet.error import CannotListenError

        self.assertRaises(
            CannotListenError, listenForConnections, reactor, self.path, lambda host: None
        )
