"""
Listening ports whose sockets are given to somebody else.

The sockets are real; no reactor runs.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import Any

from terminable.handover.offered import offeredTo
from terminable.ports import Ports
from terminable.slices import BUDGET
from tests.doubles import MemoryFactory, MemoryPort, Plain, PortTestCase


class HandingTests(PortTestCase):
    """
    Sockets that somebody else is to listen on.
    """

    def setUp(self) -> None:
        super().setUp()
        self.ports = Ports(self.reactor)
        self.listener = self.open()
        self.ports.add(self.port)

    def test_listeners(self) -> None:
        """
        They are those of Twisted's own ports that are open.
        """
        foreign = MemoryPort(MemoryFactory(), self.reactor)
        self.ports.add(foreign)
        [listener] = self.ports.listeners
        self.assertIs(listener.handle, self.port.socket)
        self.ports.closeNow()
        self.assertEqual(self.ports.listeners, [])

    def test_keep(self) -> None:
        """
        What is kept is the same socket, which stays open when the port is closed.
        """
        [offer] = self.ports.keep()
        with offer.socket as kept:
            self.ports.closeNow()
            self.client()
            self.assertTrue(offer.own)
            kept.accept()[0].close()
        self.assertRaises(OSError, self.client)
        self.ports.release()
        self.assertEqual(self.factory.numPorts, 0)

    def test_handOver(self) -> None:
        """
        Handed over, the port is closed, and nothing happens to who waits.
        """
        with self.port.socket.dup() as theirs:
            self.client()
            self.ports.handOver()
            self.assertFalse(self.port.connected)
            self.client()
            for _ in range(2):
                theirs.accept()[0].close()
        self.assertEqual(self.factory.protocols, [])

    def test_name(self) -> None:
        """
        A socket is called what it was called by whoever gave it; of our own we say whether
        their number was asked for.
        """
        self.assertEqual((self.listener.name, self.listener.place), ("any", sys.maxsize))
        self.port.port = 8080
        self.assertEqual(self.listener.name, "terminable")
        offered = offeredTo(self.reactor)
        offered.remember(1, "first")
        offered.remember(os.fstat(self.port.socket.fileno()).st_ino, "web")
        self.assertEqual((self.listener.name, self.listener.place), ("web", 1))

    def test_pause(self) -> None:
        """
        For a while nobody is accepted, and nobody refused.
        """
        self.listener.pause()
        self.client()
        self.reactor.turn()
        self.assertEqual(self.factory.protocols, [])
        self.listener.unpause()
        self.reactor.turn()
        self.assertEqual(len(self.factory.protocols), 1)
        self.listener.close()
        self.listener.pause()
        self.listener.unpause()
        self.assertNotIn(self.port, self.reactor.readers)

    def test_pausedTwice(self) -> None:
        """
        One that is suspended in its place stays so.
        """
        listener = self.adopted()
        listener.suspend()
        listener.pause()
        listener.unpause()
        self.assertNotIn(self.port, self.reactor.readers)
        listener.resume()
        self.assertIn(self.port, self.reactor.readers)

    def test_shared(self) -> None:
        """
        A port that is shared takes nobody out of the queue when it closes, also if it is
        said twice, or too late.
        """
        with self.port.socket.dup() as theirs:
            self.client()
            self.listener.share()
            self.listener.share()
            self.assertTrue(self.listener.acceptAndClose())
            self.listener.share()
            theirs.accept()[0].close()
        self.assertEqual(self.factory.protocols, [])

    def test_early(self) -> None:
        """
        Nor does one on whose socket somebody else still accepts.
        """
        offered = offeredTo(self.reactor)
        offered.remember(os.fstat(self.port.socket.fileno()).st_ino, "web")
        offered.early = True
        with self.port.socket.dup() as theirs:
            self.client()
            self.assertTrue(self.listener.acceptAndClose())
            theirs.accept()[0].close()
        self.assertEqual(self.factory.protocols, [])

    def test_pathStays(self) -> None:
        """
        The path of a UNIX socket stays if it is shared, or lent by who goes on listening.
        """
        for lent in (False, True):
            listener = self.open(self.path())
            if lent:
                offered = offeredTo(self.reactor)
                offered.remember(os.fstat(self.port.socket.fileno()).st_ino, "web")
                offered.lent = True
            else:
                listener.share()
            self.assertIsNotNone(listener.handle)
            listener.close()
            self.assertTrue(os.path.exists(self.address))

    def test_withoutAPath(self) -> None:
        """
        One that has lost its path already, and still accepts its queue, cannot be handed
        to anybody.
        """
        listener = self.open(self.path())
        self.client(socket.AF_UNIX)

        def connectionMade(protocol: Any) -> None:
            self.reactor.rightNow += BUDGET

        self.patch(Plain, "connectionMade", connectionMade)
        for _ in range(15):
            self.client(socket.AF_UNIX)
        self.assertFalse(listener.acceptAndClose())
        self.assertEqual((listener.open, listener.handle), (True, None))

    def path(self) -> str:
        """
        A short one.
        """
        path = os.path.relpath(self.mktemp())[-100:]
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        return path
