"""
Tests for L{terminable.handover.takeover}: its ports.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.endpoints import UNIXServerEndpoint

from terminable.handover.offered import OfferedSocket
from terminable.listener import Listener
from tests.takingover import TakeoverTestCase


class EarlyTests(TakeoverTestCase):
    """
    A process that ends before it serves.
    """

    def test_tcp(self) -> None:
        """
        Those who wait in the queue are left to whoever serves.
        """
        port = self.listen()
        client = socket.create_connection(self.place)
        self.addCleanup(client.close)
        listener = Listener(port, self.reactor)
        self.assertTrue(listener.acceptAndClose())
        self.assertFalse(port.connected)
        self.assertEqual(self.factory.protocols, [])

    def test_unix(self) -> None:
        """
        The path of a UNIX socket stays.
        """
        path = os.path.relpath(self.mktemp())
        self.offered.add([OfferedSocket("x", self.listener(socket.AF_UNIX, path))])
        endpoint = UNIXServerEndpoint(self.reactor, path)
        port: Any = self.successResultOf(self.offered.through(endpoint).listen(self.factory))
        self.assertTrue(Listener(port, self.reactor).acceptAndClose())
        self.assertTrue(os.path.exists(path))


class PortForTests(TakeoverTestCase):
    """
    By which port a connection would have come.
    """

    def test_tcp(self) -> None:
        """
        It is one with its number, at its address or everywhere.
        """
        port = self.listen()
        number = self.place[1]
        self.assertIs(self.takeover.portFor(IPv4Address("TCP", "127.0.0.1", number)), port)
        self.assertIsNone(self.takeover.portFor(IPv4Address("TCP", "127.0.0.2", number)))
        self.assertIsNone(self.takeover.portFor(IPv4Address("TCP", "127.0.0.1", number + 1)))
        self.assertIsNone(self.takeover.portFor(UNIXAddress("/x")))
        port.connectionLost(None)
        self.assertIsNone(self.takeover.portFor(IPv4Address("TCP", "127.0.0.1", number)))

    def test_everywhere(self) -> None:
        """
        One that listens everywhere does so at each address.
        """
        port = self.reactor.listenTCP(0, self.factory)
        self.takeover.pause(port)
        number = port.getHost().port
        self.assertIs(self.takeover.portFor(IPv4Address("TCP", "127.0.0.3", number)), port)

    def test_unix(self) -> None:
        """
        Of UNIX sockets it is the one with the path.
        """
        path = os.path.relpath(self.mktemp())
        port = self.reactor.listenUNIX(path, self.factory)
        self.takeover.pause(port)
        self.assertIs(self.takeover.portFor(UNIXAddress(path)), port)
        self.assertIsNone(self.takeover.portFor(UNIXAddress("/x")))
