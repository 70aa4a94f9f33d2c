"""
A server that is measured.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from tests.live.clients import HOST, Address, Peer
from tests.live.processes import PATIENCE, LiveTestCase, Server, eventually, freePort
from tests.live.programs import program
from tests.test_metrics import Samples

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def fetch(port: int) -> bytes:
    """
    What is told at C{/metrics}.
    """
    with urllib.request.urlopen(f"http://{HOST}:{port}/metrics", timeout=PATIENCE) as answer:
        kind = answer.headers["Content-Type"]
        assert kind.startswith("text/plain; version="), kind
        body: bytes = answer.read()
        return body


class DoorTests(LiveTestCase):
    """
    C{/metrics} of the admin door.
    """

    def measured(self, *options: str) -> tuple[Server, Address, int, Path]:
        """
        Start a server with an admin door.

        @return: also the door's port, and the file for the report.
        """
        port, path = freePort(), self.directory() / "report.json"
        words = ["--admin", f"tcp:{port}:interface={HOST}", "--report", str(path), *options]
        server, address = self.serve(*words)
        return server, address, port, path

    def visit(self, address: Address, kind: float) -> Peer | None:
        """
        Connect, and do this or that.

        @return: the connection, if it is still there.
        """
        peer = address.connect()
        if kind < 0.4:
            self.assertEqual(peer.get("/sync").status, 200)
        elif kind < 0.6:
            peer.send(b"GET /sync HTTP/1.1\r\nHo")
        elif kind < 0.7:
            peer.ask("/later?seconds=0.01")
        elif kind < 0.96:
            for _ in range(2):
                peer.get("/sync")
        else:
            # One of those that stay.
            self.assertEqual(peer.get("/sync").status, 200)
            return peer
        peer.close()
        return None

    def test_agrees(self) -> None:
        """
        After a thousand connections that did this and that, the counters are what the
        report says, and what happens during the stop is seen as it happens.
        """
        server, address, port, path = self.measured("--grace", "4.5", "--idle-grace", "0.5")
        chance = random.Random(1000)
        visits = [self.visit(address, chance.random()) for _ in range(1000)]
        stay = [peer for peer in visits if peer is not None]
        self.assertGreater(len(stay), 20)
        for number, peer in enumerate(stay[:10]):
            peer.ask("/later?seconds=60" if number < 4 else "/later?stopped=3")
        last = Samples(b"")

        def settled() -> bool:
            nonlocal last
            last = Samples(fetch(port))
            ended = last.values("ended_total").get("before", 0)
            busy = last.value("connections", state="busy", protocol="HTTPChannel")
            return ended == 1000 - len(stay) and busy == 10

        self.assertTrue(eventually(settled), server.log())
        before = last
        server.terminate()
        self.assertTrue(eventually(lambda: Samples(fetch(port)).values("ended_total").get("idle")))
        during = Samples(fetch(port))
        self.assertEqual(during.values("phase"), {"draining": 1.0})
        self.assertEqual(during.value("phase_connections", phase="draining"), 10.0)
        self.assertTrue(0 < (during.value("time_left_seconds") or 0.0) < 4.5)
        server.gone()
        report = json.loads(path.read_text())
        self.assertEqual(report["opened"], before.value("opened_total"))
        self.assertEqual(report["before"], before.values("ended_total")["before"])
        self.assertEqual(report["idle"], during.values("ended_total")["idle"])
        self.assertEqual((report["finished"], report["aborted"]), (6, 4), server.log())

    def test_checked(self) -> None:
        """
        Prometheus' own tool has nothing to say about it.
        """
        promtool = program("promtool", "prometheus")
        _, address, port, _ = self.measured("--limit", "messages=100/s")
        address.connect().get("/sync")
        done = subprocess.run(
            [promtool, "check", "metrics"], input=fetch(port), capture_output=True, timeout=60
        )
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, b""))


class ExampleTests(LiveTestCase):
    """
    What the page shows.
    """

    def check(self, *words: str) -> None:
        """
        Prometheus' own tool accepts a file.
        """
        promtool = program("promtool", "prometheus")
        done = subprocess.run([promtool, "check", *words], capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_configuration(self) -> None:
        """
        The configuration is one.
        """
        self.check("config", "--syntax-only", str(EXAMPLES / "prometheus.yml"))

    def test_alerts(self) -> None:
        """
        The rules are such, and are about metrics that there are.
        """
        path = EXAMPLES / "alerts.yml"
        self.check("rules", str(path))
        text = path.read_text()
        for name in ("ended_total", "throttled_total", "accept_queue"):
            self.assertIn(f"terminable_{name}", text)
        self.assertEqual(text.count("terminable_"), 3)

    def test_program(self) -> None:
        """
        A program has its own metrics and those of its server in one place, which is read in
        other threads.
        """
        port = freePort()
        address = Address(port=freePort())
        command = [str(EXAMPLES / "measured.py"), address.description, str(port)]
        server = self.start(*command, program=(sys.executable,))
        server.awaitLog("listening on")
        peers = [address.connect() for _ in range(3)]
        for peer in peers:
            self.assertEqual(peer.get("/").body, b"Hello.\n")
        found: Any = Samples(fetch(port))
        self.assertEqual(found.value("opened_total"), 3.0)
        self.assertEqual(found.value("connections", state="idle", protocol="HTTPChannel"), 3.0)
        [greetings] = [
            sample.value
            for sample in found.families["greetings"].samples
            if sample.name == "greetings_total"
        ]
        self.assertEqual(greetings, 3.0)
        server.send()
        server.gone()
        self.assertEqual(server.status, 0, server.log())
