"""
What is done at the admin door above workers.
"""

from __future__ import annotations

import os

from terminable.handover import upgrading
from terminable.handover.upgrading import upgradeOf
from terminable.policy.ledger import Report
from terminable.policy.phases import Phase
from tests.aboveworkers import AboveTestCase


class DeedTests(AboveTestCase):
    """
    What is done.
    """

    def test_terminate(self) -> None:
        """
        All end politely, in the time that is given; the answer shows it.
        """
        (talking,) = self.served(1)
        answer = self.post("/terminate", {"gracePeriod": 3, "pid": os.getpid()})
        self.assertEqual((answer.code, answer.json["phase"]), (202, "draining"))
        self.assertEqual((answer.json["left"], self.left), (3.0, ["left"]))
        self.reactor.advance(0)
        self.assertTrue(self.made[0].left)
        self.assertEqual(talking.hurries, [None, 3.0])
        self.made[0].exit(report=Report(3, 1, 2, 0, 0, 0, 0.3, ()))
        status = self.get("/status").json
        self.assertEqual((status["phase"], status["workers"]), ("terminated", []))
        self.assertEqual(status["report"]["idle"], 2)

    def test_abort(self) -> None:
        """
        All end now.
        """
        self.served(1)
        answer = self.post("/abort")
        self.assertEqual((answer.code, answer.json["phase"]), (202, "aborting"))
        self.reactor.advance(1.0)
        self.assertEqual(self.made[0].signals, ["TERM"])
        self.made[0].exit()

    def test_bad(self) -> None:
        """
        What cannot be meant changes nothing.
        """
        self.served(1)
        self.assertEqual(self.post("/terminate", {"gracePeriod": -1}).code, 400)
        self.assertEqual(self.post("/terminate", {"pid": 1}).code, 409)
        self.assertEqual(self.post("/restart", {"what": 1}).code, 400)
        self.assertIs(self.workers.phase, Phase.SERVING)

    def test_suspend(self) -> None:
        """
        What workers cannot is said.
        """
        self.served(1)
        for path, reason in (("/suspend", "share the ports"), ("/resume", "not suspended")):
            answer = self.post(path)
            self.assertEqual(answer.code, 409)
            self.assertIn(reason, answer.json["error"])

    def test_drain(self) -> None:
        """
        All are told to drain.
        """
        for talking in self.served():
            talking.connect()
        answer = self.post("/drain", {"percent": 100})
        self.assertEqual(answer.code, 202)
        for made in self.made:
            talking = made.channel
            talking.world.clock.advance(5.0)
            self.assertEqual(list(talking.world.terminator.connections()), [])

    def test_drainSome(self) -> None:
        """
        Connections are drained by their names, or those of one worker.
        """
        first, second = self.served()
        for talking in (first, second):
            talking.connect()
        rows = self.get("/connections").json["connections"]
        one, other = self.pids()
        wanted = [row["id"] for row in rows if row["pid"] == other]
        self.assertEqual(self.post("/drain", {"ids": wanted}).code, 202)
        asked = [each for _, each in first.asked if each["target"] == b"/drain"]
        self.assertEqual(asked, [])
        second.world.clock.advance(5.0)
        self.assertEqual(list(second.world.terminator.connections()), [])
        self.assertEqual(self.post("/drain", {"ids": ["1-1"]}).code, 202)
        self.assertEqual(self.post("/drain", {"pid": one}).code, 202)
        first.world.clock.advance(5.0)
        self.assertEqual(list(first.world.terminator.connections()), [])

    def test_drainRefused(self) -> None:
        """
        What a worker refuses is refused; what cannot be sent, or reaches nobody, is not done.
        """
        (talking,) = self.served(1)
        answer = self.post("/drain", {"percent": 101})
        self.assertEqual((answer.code, answer.json["error"].split(":")[0]), (400, "percent"))
        self.assertEqual(self.post("/drain", {"ids": "x"}).code, 400)
        self.assertEqual(self.post("/drain", {"pid": 1}).code, 409)
        self.assertEqual(self.post("/drain", {"peer": "x" * 61_000}).code, 413)
        talking.broken = True
        answer = self.post("/drain")
        self.assertEqual(answer.json["error"], "no worker has answered within 1 s")
        self.assertEqual(answer.code, 503)
        self.workers.terminate()
        answer = self.post("/drain")
        self.assertEqual((answer.code, answer.json["error"]), (409, "cannot drain while draining"))

    def test_drainHalf(self) -> None:
        """
        If one of them can, it is done.
        """
        first, _ = self.served()
        first.world.terminator.terminate()
        self.assertEqual(self.post("/drain").code, 202)

    def test_restart(self) -> None:
        """
        The workers are replaced, and it is seen how that goes.
        """
        self.served(1)
        answer = self.post("/restart")
        self.assertEqual((answer.code, answer.json["restart"]), (202, "under way"))
        self.assertEqual(self.post("/restart").code, 409)
        self.assertEqual(self.get("/status").json["restart"], "under way")
        self.answer(1)
        self.assertEqual(self.get("/status").json["restart"], "done")
        self.assertEqual(self.get("/status").json["restarts"], 0)

    def test_restartFails(self) -> None:
        """
        Why a restart was given up is said.
        """
        self.served(1)
        self.post("/restart")
        self.made[1].exit("badly")
        self.assertEqual(self.get("/status").json["restart"], "failed: it ended badly")

    def test_upgrade(self) -> None:
        """
        A successor gets the ports once.
        """
        self.patch(upgrading, "_upgrades", upgrading.WeakKeyDictionary())
        self.served(1)
        self.assertIs(self.whole.followed, self.workers)
        upgrade = upgradeOf(self.reactor)
        upgrade.command = ["/no/such/program"]
        self.assertEqual(self.post("/upgrade").code, 409)
        self.assertEqual(list(upgrade._terminators), [self.workers])
