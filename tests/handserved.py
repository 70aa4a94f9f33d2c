"""
Connections that a test serves by hand.
"""

from __future__ import annotations

import socket
import struct
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

#: How long anything here may take at most, in seconds.
LIMIT = 10.0

ASK = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


class FaultTestCase(SynchronousTestCase):
    """
    A listening socket, whose connections are in the hands of the test.
    """

    def setUp(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.addCleanup(self.listening.close)
        self.listening.settimeout(LIMIT)
        self.address: tuple[str, int] = self.listening.getsockname()

    def accept(self) -> socket.socket:
        """
        The next connection.
        """
        served, _ = self.listening.accept()
        self.addCleanup(served.close)
        served.settimeout(LIMIT)
        return served

    def made(self, fault: Any, *arguments: Any, **options: Any) -> tuple[Any, socket.socket]:
        """
        A faulty client, and what serves it.
        """
        options.setdefault("limit", LIMIT)
        peer = fault(self.address, *arguments, **options)
        self.addCleanup(peer.close)
        return peer, self.accept()

    def heard(self, served: socket.socket, count: int) -> bytes:
        """
        So many bytes.
        """
        data = b""
        while len(data) < count:
            more = served.recv(count - len(data))
            assert more, f"over after {data!r}"
            data += more
        return data

    def assertQuiet(self, served: socket.socket) -> None:
        """
        Nothing more has come.
        """
        served.setblocking(False)
        self.assertRaises(BlockingIOError, served.recv, 1)
        served.settimeout(LIMIT)

    def abort(self, served: socket.socket) -> None:
        """
        Reset a connection.
        """
        served.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        served.close()
