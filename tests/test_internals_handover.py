"""
The canary for handing over: the private names that we touch still exist, and mean what we take
them to mean.
"""

from __future__ import annotations

import socket
from typing import Any

from terminable.tracking import internals
from terminable.tracking.lingering import DONE
from tests.handingover import HandoverTestCase


class ShareTests(HandoverTestCase):
    """
    What is closed here and lives on elsewhere.
    """

    def port(self) -> tuple[Any, socket.socket]:
        """
        A port, and a socket that somebody else has of it.
        """
        port = self.reactor.listenTCP(0, self.factory, interface="127.0.0.1")
        other = port.socket.dup()
        self.addCleanup(other.close)
        return port, other

    def accepts(self, sock: socket.socket) -> bool:
        """
        Whether somebody can still connect.
        """
        with socket.socket() as client:
            return client.connect_ex(sock.getsockname()) == 0

    def test_port(self) -> None:
        """
        A shared port does not shut the socket; one that is ours again does.
        """
        port, other = self.port()
        self.assertFalse(internals.adopted(port))
        internals.share(port)
        self.assertTrue(internals.adopted(port))
        port.connectionLost(None)
        self.assertTrue(self.accepts(other))
        port, other = self.port()
        internals.share(port)
        internals.share(port, False)
        port.connectionLost(None)
        self.assertFalse(self.accepts(other))

    def test_transport(self) -> None:
        """
        A shared transport ends without the other end's noticing, as long as somebody else
        has it.
        """
        for shared in (True, False):
            ours, theirs = socket.socketpair()
            self.addCleanup(ours.close)
            self.addCleanup(theirs.close)
            theirs.setblocking(False)
            transport = self.reactor.adoptStreamConnection(
                ours.fileno(), socket.AF_UNIX, self.factory
            )
            internals.share(transport, shared)
            transport.connectionLost(DONE)
            if shared:
                self.assertRaises(BlockingIOError, theirs.recv, 1)
            else:
                self.assertEqual(theirs.recv(1), b"")
