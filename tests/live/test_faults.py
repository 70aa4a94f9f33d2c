"""
Faulty clients and a real server: it does what their documentation says that a good one does.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from terminable.testing import faults
from terminable.testing.httpanswers import writeRequest
from tests.live.clients import Address
from tests.live.processes import PATIENCE, LiveTestCase, environment, freePort

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"

GRACE = 1.0
IDLE = 0.2

#: More than the kernels hold.
BIG = writeRequest("/big?bytes=8000000")


class FaultTests(LiveTestCase):
    """
    One server with a plain port and one with TLS.
    """

    def setUp(self) -> None:
        """
        Start it.
        """
        pem = self.certificate()
        secure = Address(port=freePort(), tls=True)
        plain = Address(port=freePort())
        self.plain, self.secure = (plain.host, plain.port), (secure.host, secure.port)
        self.server = self.start(
            *("terminable", "--class", "tests.live.resources.Root"),
            *("--grace", str(GRACE), "--idle-grace", str(IDLE), "--port", plain.description),
            *("--port", f"{secure.description}:certKey={pem}:privateKey={pem}"),
        )

    def kept(self, fault: Any, *arguments: Any, address: Any = None, **options: Any) -> Any:
        """
        A faulty client.
        """
        made = fault(address or self.plain, *arguments, limit=PATIENCE, **options)
        self.addCleanup(made.close)
        return made

    def test_whoHasGone(self) -> None:
        """
        Those who go harm nobody, and are counted; then everybody is told and named who stays.
        """
        faults.reset(self.plain, b"GET")
        faults.reset(self.secure)
        faults.leaver(self.plain, writeRequest("/later?seconds=60"))
        self.assertEqual(len(faults.resetMidAnswer(self.plain, BIG, 10)), 10)
        closer = self.kept(faults.halfCloser, writeRequest("/sync"))
        closer.end()

        told = [
            self.kept(faults.halfHeader),
            self.kept(faults.halfBody, 100),
            self.kept(faults.halfBody, 100, address=self.secure, tls=True),
            self.kept(faults.slowloris, 0.05),
            self.kept(faults.slowWriter, writeRequest("/x" * 1000), 50),
        ]
        silent = [
            self.kept(faults.silentPeer),
            self.kept(faults.silentTLS, address=self.secure),
            self.kept(faults.silentTLS, 20, address=self.secure),
        ]
        stuck = self.kept(faults.stuckReader, BIG)
        slow = self.kept(faults.slowReader, writeRequest("/big?bytes=20000"), 100_000, None)
        flood = self.kept(faults.flood, 50, b"")
        self.server.terminate()
        self.assertBetween(GRACE, self.server.gone(), GRACE + 0.5, self.server.log())

        report = self.server.report()
        for peer in told:
            peer.rest()
            self.assertEqual([each.status for each in peer.answers()], [408], peer)
            self.assertIn(peer.name, report)
        for peer in [*silent, *flood.peers]:
            self.assertEqual((peer.end(), peer.received), ("closed", b""))
        self.assertEqual(stuck.end(), "reset")
        self.assertRegex(report, rf"{stuck.name}, \d\.\d s, \d+ bytes unsent")
        self.assertNotIn(slow.name, report)
        slow.rest()
        self.assertEqual([len(each.body) for each in slow.answers()], [20_000])


class ExampleTests(LiveTestCase):
    """
    The examples of both pages.
    """

    def test_byTrial(self) -> None:
        """
        They pass, by trial as by pytest.
        """
        folder = self.directory()
        names = ("test_shop.py", "test_rude.py")
        for name in names:
            shutil.copy(EXAMPLES / name, folder)
        for module, said in (
            (("twisted.trial", "--reporter=text"), "PASSED (successes=6)"),
            (("pytest", "-q", "-p", "no:cacheprovider"), "6 passed"),
        ):
            ran = subprocess.run(
                [sys.executable, "-m", *module, *(f"./{name}" for name in names)],
                cwd=folder,
                env=environment(),
                capture_output=True,
                text=True,
                timeout=120,
            )
            self.assertIn(said, ran.stdout, ran.stdout + ran.stderr)
