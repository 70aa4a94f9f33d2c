"""
Sockets that move no more than somebody allows.
"""

from __future__ import annotations

import array
import errno
import os
import socket
from typing import Any

from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase

from terminable.throttling.metered import MeteredSocket, metered
from tests.wire import Wire, connectedPair


class Allowing:
    """
    Allows so much each time, and writes down what was used.
    """

    def __init__(self, *sizes: int) -> None:
        self.sizes = list(sizes)
        self.asked: list[int] = []
        self.moved: list[int] = []

    def allowance(self, size: int) -> int:
        """
        How much may be moved now.
        """
        self.asked.append(size)
        return min(size, self.sizes.pop(0)) if self.sizes else 0

    def used(self, size: int) -> None:
        """
        So much was.
        """
        self.moved.append(size)


class MeteredSocketTests(SynchronousTestCase):
    """
    L{MeteredSocket}.
    """

    def pair(self, family: int = socket.AF_INET) -> tuple[socket.socket, MeteredSocket]:
        """
        A client, and its server's socket.
        """
        client, plain = connectedPair(family)
        own = MeteredSocket(plain.family, plain.type, plain.proto, fileno=plain.detach())
        self.addCleanup(client.close)
        self.addCleanup(own.close)
        client.settimeout(2)
        own.setblocking(False)
        return client, own

    def assertNotNow(self, work: Any, *args: Any) -> None:
        """
        What a transport takes for a socket that is not ready.
        """
        error = self.assertRaises(BlockingIOError, work, *args)
        self.assertEqual(error.args[0], errno.EWOULDBLOCK)

    def test_unlimited(self) -> None:
        """
        Without limits it is like any other.
        """
        client, own = self.pair(socket.AF_UNIX)
        client.sendall(b"12345678")
        self.assertEqual(own.recv(2), b"12")
        self.assertEqual(own.recvmsg(2)[0], b"34")
        self.assertEqual(own.recv(2, socket.MSG_PEEK), b"56")
        self.assertEqual(own.send(b"ab"), 2)
        self.assertEqual(own.send(b"cd", 0), 2)
        self.assertEqual(own.sendmsg([b"e", b"f"]), 2)
        self.assertEqual(client.recv(100), b"abcdef")

    def test_reads(self) -> None:
        """
        No more is read than is allowed, and it is told how much that was.
        """
        client, own = self.pair(socket.AF_UNIX)
        own.reads = allowing = Allowing(3, 10, 2, 10)
        client.sendall(b"1234567")
        self.assertEqual(own.recv(100), b"123")
        self.assertEqual(own.recv(2), b"45")
        self.assertEqual(own.recvmsg(100, 64, 0)[0], b"67")
        self.assertNotNow(own.recv, 100)
        self.assertNotNow(own.recv, 100)
        self.assertEqual(allowing.asked, [100, 2, 100, 100, 100])
        self.assertEqual(allowing.moved, [3, 2, 2, 0])
        self.assertNotNow(own.recvmsg, 100)

    def test_looking(self) -> None:
        """
        Who only looks is not counted.
        """
        client, own = self.pair(socket.AF_UNIX)
        own.reads = allowing = Allowing(3)
        client.sendall(b"1234567")
        self.assertEqual(own.recv(7, socket.MSG_PEEK), b"1234567")
        self.assertEqual(own.recvmsg(7, 0, socket.MSG_PEEK)[0], b"1234567")
        self.assertEqual(allowing.asked, [])

    def test_ends(self) -> None:
        """
        The peer's end, and a reset, are what they are; nothing was used.
        """
        client, own = self.pair()
        own.reads = allowing = Allowing(5)
        client.shutdown(socket.SHUT_WR)
        own.setblocking(True)
        self.assertEqual(own.recv(10), b"")
        self.assertEqual(allowing.moved, [0])
        client, own = self.pair()
        own.reads = own.writes = allowing = Allowing(5, 5)
        own.setblocking(True)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
        self.assertRaises(OSError, own.recv, 10)
        self.assertRaises(OSError, own.send, b"x")
        self.assertEqual(allowing.moved, [0, 0])

    def test_writes(self) -> None:
        """
        No more is written than is allowed, nor than the kernel takes.
        """
        client, own = self.pair()
        own.writes = allowing = Allowing(3, 2**30, 1000)
        self.assertEqual(own.send(b"12345"), 3)
        self.assertEqual(client.recv(10), b"123")
        data = memoryview(b"x" * 30_000_000)
        sent = own.send(data)
        self.assertTrue(0 < sent < len(data))
        self.assertRaises(BlockingIOError, own.send, data)
        self.assertNotNow(own.send, b"y")
        self.assertEqual(own.send(b""), 0)
        self.assertEqual(allowing.moved, [3, sent, 0])

    def test_descriptors(self) -> None:
        """
        Descriptors go and come with the bytes that belong to them.
        """
        client, own = self.pair(socket.AF_UNIX)
        own.reads, own.writes = Allowing(1), Allowing(1, 1)
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        self.addCleanup(os.close, write)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [read]))]
        self.assertEqual(own.sendmsg([b"ab"], rights, 0), 1)
        data, found, _, _ = client.recvmsg(10, 64)
        self.assertEqual((data, len(found)), (b"a", 1))
        os.close(array.array("i", found[0][2])[0])
        self.assertEqual(own.sendmsg([b"c"]), 1)
        self.assertNotNow(own.sendmsg, [b"d"], rights)
        client.sendmsg([b"xy"], rights)
        data, found, _, _ = own.recvmsg(100, 64)
        self.assertEqual((data, len(found)), (b"x", 1))
        os.close(array.array("i", found[0][2])[0])

    def test_copy(self) -> None:
        """
        A copy of the descriptor has no limits.
        """
        client, own = self.pair()
        own.reads = own.writes = Allowing()
        copy = own.dup()
        self.addCleanup(copy.close)
        client.sendall(b"x")
        copy.setblocking(True)
        self.assertEqual(copy.recv(1), b"x")
        self.assertEqual(copy.send(b"y"), 1)


class ExchangeTests(SynchronousTestCase):
    """
    L{metered}.
    """

    def test_same(self) -> None:
        """
        The transport has the same descriptor and the same connection as before, and closes it
        at its end.
        """
        wire = Wire(Factory.forProtocol(Protocol))
        self.addCleanup(wire.close)
        transport = wire.transport
        before = transport.fileno(), transport.getPeer(), transport.socket
        own = metered(transport)
        self.assertIs(transport.getHandle(), own)
        self.assertEqual((transport.fileno(), transport.getPeer()), before[:2])
        self.assertEqual(before[2].fileno(), -1)
        self.assertEqual((own.reads, own.writes, own.gettimeout()), (None, None, 0.0))
        transport.write(b"x")
        wire.pumpUntil(lambda: wire.peer.received)
        transport.loseConnection()
        wire.pumpUntil(lambda: wire.peer.over)
        self.assertEqual((wire.peer.over, own.fileno()), ("FIN", -1))
