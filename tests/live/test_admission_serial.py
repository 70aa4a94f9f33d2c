"""
One after the other, and what becomes of those who wait when a server stops, or is followed by
another.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from pathlib import Path
from typing import Any

from tests.live.admitting import AdmissionTestCase
from tests.live.clients import Peer
from tests.live.processes import SLACK, Server
from tests.live.upgrading import UpgradeTestCase

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


class StopTests(AdmissionTestCase):
    """
    A stop begins while somebody waits.
    """

    def begin(self, then: str = "/", **settings: Any) -> tuple[Server, list[Peer]]:
        """
        One is inside until the stop has begun, and three wait.

        @param then: what those ask for.
        """
        server = self.admit("http", capacity=1, queue=3, full="refuse", **settings)
        peers = [self.reach() for _ in range(4)]
        peers[0].ask("/", "POST", "Content-Length: 1\r\n")
        for each in peers[1:]:
            each.ask(then)
        # There is no room any more: they do wait.
        self.assertEqual(self.reach().get("/").status, 503)
        server.send()
        server.awaitLog("shutting down 3 waiting")
        peers[0].send(b"x")
        return server, peers

    def test_admitted(self) -> None:
        """
        They are served in turn.
        """
        server, peers = self.begin()
        self.assertEqual([each.answer().status for each in peers], [200] * 4)
        server.gone()
        self.assertIn("4 finished, 0 aborted", server.log())
        self.assertIn("most 1 ever 4", server.log())

    def test_refused(self) -> None:
        """
        They are refused at once, if that is wanted; whoever is inside is answered.
        """
        server, peers = self.begin(atStop="refuse")
        self.assertEqual([each.answer().status for each in peers], [200, 503, 503, 503])
        self.assertLess(server.gone(), 2 + SLACK)
        self.assertIn("0 aborted", server.log())

    def test_deadline(self) -> None:
        """
        At the deadline they are told, and named.
        """
        server, peers = self.begin("/?seconds=60", grace=1.5)
        self.assertEqual([each.answer().status for each in peers], [200, 503, 503, 503])
        server.gone()
        self.assertIn("waiting to be admitted from 127.0.0.1:", server.log())
        self.assertIn("told refused", server.log())


class UpgradeTests(UpgradeTestCase):
    """
    A successor takes over while somebody waits.
    """

    def test_everybodyIsServed(self) -> None:
        """
        Those whom the old process has accepted are admitted there in turn, those in the
        kernel's queue by the successor.
        """
        server, address = self.found(None, "--capacity", "1", "--queue", "2")
        family = self.follow(server)
        peers = []
        for number in range(6):
            peers.append(address.connect())
            peers[-1].ask(f"/echo?n={number}&seconds=0.3", headers="Connection: close\r\n")
        successor = self.upgrade(family, server)
        bodies = [peer.answer().body for peer in peers]
        self.assertEqual(bodies, [b"%d\n" % number for number in range(6)])
        server.gone()
        self.assertIn("0 aborted", server.report())
        self.ends(family, successor)


class Ledger(threading.Thread):
    """
    The other server of the example: numbers what it is sent, one line for each connection.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.entries: list[str] = []
        self.now = self.most = 0

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.socket.accept()
                with client, client.makefile("rw") as lines:
                    self.entries.append(lines.readline().strip())
                    lines.write(f"{len(self.entries)}\n")


class SerialTests(AdmissionTestCase):
    """
    The example that books one order after the other.
    """

    def start_(self) -> Server:
        """
        Start it, and the other server.
        """
        self.ledger = Ledger()
        self.addCleanup(self.ledger.socket.close)
        self.ledger.start()
        env = {
            "SERIAL_LISTEN": "tcp:0:interface=127.0.0.1:backlog=500",
            "LEDGER": f"tcp:127.0.0.1:{self.ledger.socket.getsockname()[1]}",
        }
        server = self.start("--python", str(EXAMPLES / "serial.tac"), env=env)
        found = re.search(r"starting on (\d+)", server.awaitLog("starting on "))
        assert found is not None
        self.port = int(found[1])
        return server

    def book(self, count: int) -> list[Peer]:
        """
        Connect one after the other, then order.
        """
        peers = [self.reach() for _ in range(count)]
        for number, each in enumerate(peers):
            each.send(b"order %d\n" % number)
        return peers

    def pairs(self, server: Server) -> list[tuple[str, int]]:
        """
        What the log says.
        """
        found = re.findall(r"(begin|end) (\d+)$", server.log(), re.MULTILINE)
        return [(word, int(port)) for word, port in found]

    def test_pairs(self) -> None:
        """
        A hundred at once are booked strictly one after the other, first come, first served.
        """
        server = self.start_()
        peers = self.book(100)
        numbers = [int(each.until(b"\n").split()[-1]) for each in peers]
        self.assertEqual(numbers, list(range(1, 101)))
        self.assertEqual(self.ledger.entries, [f"order {number}" for number in range(100)])
        ports = [each.sock.getsockname()[1] for each in peers]
        expected = [(word, port) for port in ports for word in ("begin", "end")]
        self.assertEqual(self.pairs(server), expected)

    def test_hanging(self) -> None:
        """
        Three that say nothing cost two seconds each, and nobody else anything but that.
        """
        server = self.start_()
        began = time.monotonic()
        hanging = [self.reach() for _ in range(3)]
        last = self.book(2)[-1]
        last.sock.settimeout(20)
        self.assertEqual(last.until(b"\n"), b"booked as 2")
        self.assertBetween(6, time.monotonic() - began, 7, server.log())
        self.assertTrue(all(each.wasReset() for each in hanging))
        self.assertEqual(server.log().count("was inside for 2.0 s"), 3)
