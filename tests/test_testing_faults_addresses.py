"""
Where faulty clients connect, and what they refuse to do.
"""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

from twisted.internet.address import IPv4Address, UNIXAddress

from terminable import InvalidOption
from terminable.testing import faults
from terminable.testing.faulty import Faulty
from terminable.testing.peers import trusting
from tests.handserved import ASK, LIMIT, FaultTestCase


class AddressTests(FaultTestCase):
    """
    Where to connect, and how.
    """

    def test_addresses(self) -> None:
        """
        A pair, or an address of Twisted's.
        """
        for address in (self.address, list(self.address), IPv4Address("TCP", *self.address)):
            with faults.connect(address) as peer:
                self.assertEqual(peer.sock.getpeername(), self.address)

    def test_six(self) -> None:
        """
        IPv6 is spoken, too.
        """
        listening = socket.create_server(("::1", 0), family=socket.AF_INET6)
        with listening, faults.silentPeer(listening.getsockname()[:2]) as peer:
            self.assertTrue(peer.name.startswith("[::1]:"))

    def test_paths(self) -> None:
        """
        A path, or an address of Twisted's with one.
        """
        path = Path(self.mktemp())
        path.parent.mkdir(parents=True, exist_ok=True)
        short = os.path.relpath(path)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(short)
            listening.listen(5)
            for address in (short, short.encode(), Path(short), UNIXAddress(short)):
                with faults.silentPeer(address) as peer:
                    self.assertEqual(peer.name, "unix socket")

    def test_refused(self) -> None:
        """
        Where nobody listens, it is refused.
        """
        self.listening.close()
        for fault in (faults.silentPeer, faults.halfHeader, faults.slowloris):
            self.assertRaises(ConnectionRefusedError, fault, self.address)

    def test_gone(self) -> None:
        """
        Who cannot even say what it is to say is gone.
        """
        self.assertRaises(TypeError, faults.halfHeader, self.address, "no bytes")
        self.assertEqual(self.accept().recv(1), b"")

    def test_tls(self) -> None:
        """
        A handshake that fails is told; what to speak TLS with may be given.
        """
        self.listening.close()
        for tls in (True, trusting()):
            with socket.create_server(("127.0.0.1", 0)) as listening:
                address = listening.getsockname()

                def refuse(listening: socket.socket = listening) -> None:
                    listening.accept()[0].close()

                thread = threading.Thread(target=refuse)
                thread.start()
                self.assertRaises(OSError, faults.connect, address, tls=tls)
                thread.join(LIMIT)

    def test_bad(self) -> None:
        """
        What cannot be meant is refused in one line.
        """
        here = self.address
        for fault, arguments, options in (
            (faults.connect, ("localhost:80", 1, 2), {}),
            (faults.connect, (None,), {}),
            (faults.connect, ((80, "localhost"),), {}),
            (faults.connect, (("localhost", "80"),), {}),
            (faults.connect, (("localhost",),), {}),
            (faults.connect, (here,), {"limit": 0}),
            (faults.connect, (here,), {"limit": float("inf")}),
            (faults.connect, (here,), {"limit": float("nan")}),
            (faults.connect, (here,), {"limit": None}),
            (faults.connect, (here,), {"window": 0}),
            (faults.connect, (here,), {"window": True}),
            (faults.silentTLS, (here, -1), {}),
            (faults.halfBody, (here, 0), {}),
            (faults.halfBody, (here, 10, 1.5), {}),
            (faults.slowloris, (here, 0), {}),
            (faults.slowWriter, (here, ASK, 0), {}),
            (faults.slowReader, (here, ASK, "fast"), {}),
            (faults.resetMidAnswer, (here, ASK, 0), {}),
            (faults.flood, (here, 0), {}),
        ):
            if fault is faults.connect and len(arguments) > 1:
                arguments = (arguments,)
            self.assertRaises(InvalidOption, fault, *arguments, **options)

    def test_threadOfAClosedOne(self) -> None:
        """
        A client whose socket is closed under its thread ends in peace.
        """
        here, there = socket.socketpair()
        self.addCleanup(there.close)
        peer = Faulty(here, LIMIT)
        peer.everySo(0.001, lambda: peer.send(b"x"))
        here.close()
        peer.close()
        self.assertEqual(peer.name, "unix socket")
