"""
C{twistd terminable --workers --admin}: one door for all of them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import Any

from benchmarks.restartprocesses import Family
from tests.live.admindoors import Watcher, ask, status
from tests.live.clients import Address
from tests.live.processes import PATIENCE, Server, environment, eventually
from tests.live.test_ctl import CTL
from tests.live.working import WorkersTestCase


class WorkersAdminTests(WorkersTestCase):
    """
    What an operator sees and does.
    """

    def doored(self, count: int = 2, *options: str) -> tuple[Server, Family, Address, Address]:
        """
        Workers below a door, which all serve.
        """
        door = Address(path=str(self.directory() / "admin.sock"))
        server, family, site = self.work(count, "--admin", door.description, *options)
        self.assertTrue(eventually(lambda: ask(door, "/ready").status == 200))
        return server, family, site, door

    def busy(self, site: Address, seconds: float) -> Any:
        """
        Somebody who waits for an answer.
        """
        peer = site.connect()
        self.addCleanup(peer.close)
        peer.ask(f"/later?seconds={seconds}")
        return peer

    def ctl(self, door: Address, *words: str) -> Any:
        """
        What the control command prints.
        """
        told = subprocess.run(
            [*CTL, str(door.path), *words, "--json"],
            env=environment(),
            capture_output=True,
            timeout=PATIENCE,
            check=True,
        )
        return json.loads(told.stdout.splitlines()[-1])

    def test_seen(self) -> None:
        """
        Connections of all workers are seen, and drained; a worker that is stuck holds nobody up,
        and a stop by the door is polite, in the time that it is given, and seen to its end.
        """
        server, family, site, door = self.doored(2, "--grace", "60")
        workers = self.workers(server, family)
        idle = site.connect()
        self.addCleanup(idle.close)
        idle.get("/pid")
        self.busy(site, 30)
        self.assertTrue(eventually(lambda: status(door)["busy"] == 1))
        told = self.ctl(door, "connections")
        self.assertEqual((told["total"], told["missing"]), (2, []))
        self.assertLessEqual({row["pid"] for row in told["connections"]}, workers)
        (wanted,) = (row["id"] for row in told["connections"] if row["state"] == "idle")
        self.assertEqual(self.ctl(door, "drain", "--id", wanted)["phase"], "serving")
        self.assertEqual(idle.rest(), b"")
        (owner,) = (row["pid"] for row in told["connections"] if row["state"] == "busy")
        (other,) = workers - {owner}
        family.send(other, signal.SIGSTOP)
        self.assertTrue(eventually(lambda: status(door)["missing"] == [other]))
        self.assertEqual(ask(door, "/ready").status, 200)
        self.assertEqual(ask(door, "/connections?state=busy").status, 200)
        family.send(other, signal.SIGCONT)
        self.assertTrue(eventually(lambda: status(door)["missing"] == []))
        self.assertEqual(ask(door, "/suspend", "POST").status, 409)
        watcher = Watcher(door)
        answer = ask(door, "/terminate", "POST", {"gracePeriod": 1})
        self.assertEqual((answer.status, json.loads(answer.body)["phase"]), (202, "draining"))
        self.assertEqual(ask(door, "/ready").status, 503)
        server.send(0)
        self.assertBetween(0.5, server.gone(), 4.0)
        self.assertRegex(server.report(), "^0 idle, 0 finished, 1 aborted after")
        events = watcher.join()
        self.assertEqual(events[-1][0], "end")
        self.assertEqual(events[-2][1]["report"]["aborted"], 1)
        self.assertFalse(os.path.exists(str(door.path)))
        self.assertAllGone(server, family, site)

    def test_replaced(self) -> None:
        """
        A restart by the door replaces all; no counter falls, not even when a worker crashes.
        """
        server, family, site, door = self.doored(2)
        former = self.workers(server, family)
        for _ in range(5):
            peer = site.connect()
            peer.get("/pid")
            peer.close()
        self.assertEqual(self.opened(door), 5.0)
        self.assertEqual(ask(door, "/restart", "POST").status, 202)
        self.assertTrue(eventually(lambda: status(door)["restart"] == "done"))
        self.assertTrue(eventually(lambda: not self.workers(server, family) & former))
        self.assertEqual(self.opened(door), 5.0)
        peer = site.connect()
        peer.get("/pid")
        peer.close()
        self.assertTrue(eventually(lambda: self.opened(door) == 6.0))
        family.send(min(self.workers(server, family)), signal.SIGKILL)
        self.assertTrue(eventually(lambda: status(door)["restarts"] == 1))
        self.assertEqual(self.opened(door), 6.0)
        self.assertTrue(eventually(lambda: ask(door, "/ready").status == 200))
        self.assertTrue(eventually(lambda: ask(door, "/upgrade", "POST").status == 202))
        # Whoever comes is known as ours only while who has started him lives.
        self.assertTrue(eventually(lambda: family.living() and server.status is not None))
        told = status(door)
        self.assertNotEqual(told["pid"], server.process.pid)
        self.assertEqual((told["phase"], len(told["workers"])), ("serving", 2))
        self.assertEqual(ask(door, "/abort", "POST").status, 202)
        self.assertAllGone(server, family, site)

    def opened(self, door: Address) -> float:
        """
        How many connections all workers have had.
        """
        lines = ask(door, "/metrics").body.decode().splitlines()
        (line,) = (line for line in lines if line.startswith("terminable_opened_total "))
        return float(line.split()[1])
