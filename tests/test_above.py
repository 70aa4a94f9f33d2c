"""
What is seen at the admin door above workers.
"""

from __future__ import annotations

import json
import os
import sys
from types import ModuleType
from typing import Any
from unittest import mock

from terminable.admin.above import Whole, WorkersDoor
from terminable.admin.above.whole import FRESH, Pool
from terminable.policy.phases import Phase
from tests.aboveworkers import AboveTestCase
from tests.adminasking import Talk, question
from tests.doubles import Diary


class HealthTests(AboveTestCase):
    """
    Whether all of it is well.
    """

    def codes(self) -> tuple[int, int, int]:
        live, startup, ready = (self.get(f"/{each}").code for each in ("live", "startup", "ready"))
        return live, startup, ready

    def test_starting(self) -> None:
        """
        It has started when as many workers have been ready as there are to be.
        """
        self.above(2)
        self.assertEqual(self.codes(), (200, 503, 503))
        self.assertEqual(self.get("/status").json["phase"], "starting")
        self.answer(0)
        self.assertEqual(self.codes(), (200, 503, 503))
        self.answer(1)
        self.assertEqual(self.codes(), (200, 200, 200))

    def test_nobody(self) -> None:
        """
        It is not ready while no worker accepts; but it has started.
        """
        self.served(1)
        self.made[0].exit("badly")
        self.assertEqual(self.codes(), (200, 200, 503))
        self.assertEqual(self.get("/ready").json["status"], "starting")
        self.reactor.advance(0.1)
        self.answer(1)
        self.assertEqual(self.codes(), (200, 200, 200))

    def test_oneIsEnough(self) -> None:
        """
        One worker that is ready is enough; why others are not is said.
        """
        first, second = self.served()
        first.health.addCheck("database", lambda: False)
        answer = self.get("/ready")
        one, other = (f"worker {pid}" for pid in self.pids())
        self.assertEqual(answer.code, 200)
        checks = answer.json["checks"]
        self.assertEqual(checks[one], {"ok": False, "detail": "database: it says no"})
        self.assertEqual(checks[other], {"ok": True, "detail": ""})
        second.world.terminator.terminate()
        answer = self.get("/ready")
        self.assertEqual((answer.code, answer.json["status"]), (503, "failing"))
        self.assertEqual(answer.json["checks"][other]["detail"], "terminated")

    def test_stuck(self) -> None:
        """
        A worker that does not answer is not ready, and is waited for once.
        """
        (talking,) = self.served(1)
        talking.deaf = True
        talk = Talk(self.site)
        talk.say(question("/ready"))
        self.reactor.advance(1.0)
        self.assertIn(b"no answer within 1 s", talk.heard())
        self.assertEqual(self.get("/ready").code, 503)

    def test_stop(self) -> None:
        """
        From the first moment of a stop it is not ready, also if it was when it was asked.
        """
        (talking,) = self.served(1)
        talking.deaf = True
        talk = Talk(self.site)
        talk.say(question("/ready"))
        self.workers.terminate()
        talking.waiting[0].errback(ConnectionError())
        self.assertIn(b'"draining"', talk.heard())
        self.assertEqual(self.codes(), (200, 200, 503))


class StatusTests(AboveTestCase):
    """
    How they stand.
    """

    def test_sums(self) -> None:
        """
        The status of all is the sum of what they say.
        """
        first, second = self.served()
        self.reactor.advance(1.0)
        for talking, busy in ((first, 2), (second, 1)):
            for number in range(3):
                talking.connect(number < busy)
        second.world.clock.advance(5.0)
        status = self.get("/status").json
        expected = {
            "pid": os.getpid(),
            "name": "here",
            "phase": "serving",
            "busy": 3,
            "idle": 3,
            "waiting": 0,
            "left": None,
            "generations": [],
            "throttle": {"held": 0, "refused": 0, "disconnected": 0},
            "longestTurn": 0.0,
            "restarts": 0,
            "restart": None,
            "wanted": 2,
            "missing": [],
        }
        self.assertEqual({name: status[name] for name in expected}, expected)
        one, other = self.pids()
        told = {"state": "serving", "age": 1.0, "idle": 1, "waiting": 0, "busy": 2}
        self.assertEqual(status["workers"][0], {**told, "pid": one})
        self.assertEqual((status["oldest"]["pid"], status["oldest"]["age"]), (other, 5.0))
        self.assertTrue(status["oldest"]["id"].startswith(f"{other}-"))
        self.assertRegex(status["ports"][0], r"^tcp 127\.0\.0\.1:\d+$")

    def test_missing(self) -> None:
        """
        A worker that does not answer is named, and does not hold up those who ask: neither
        once, for long, nor again.
        """
        first, second = self.served()
        first.connect(True)
        second.deaf = True
        talks = [Talk(self.site), Talk(self.site)]
        for talk in talks:
            talk.say(question("/status"))
        self.assertEqual(talks[0].heard(), b"")
        self.reactor.advance(1.0)
        one, other = self.pids()
        for talk in talks:
            status = json.loads(talk.heard().partition(b"\r\n\r\n")[2])
            self.assertEqual((status["missing"], status["busy"]), ([other], 1))
            busy = {each["pid"]: each["busy"] for each in status["workers"]}
            self.assertEqual(busy, {one: 1, other: None})
        self.assertEqual(len(second.asked), 1)
        self.reactor.advance(FRESH)
        self.assertEqual(self.get("/status").json["missing"], [other])
        self.assertEqual(len(second.asked), 1)
        second.deaf = False
        second.waiting[0].errback(ConnectionError())
        self.reactor.advance(FRESH)
        self.assertEqual(self.get("/status").json["missing"], [])

    def test_lastKnown(self) -> None:
        """
        Of a worker that does not answer any more, there is what it said last, until it ends.
        """
        first, second = self.served()
        second.connect(True)
        self.assertEqual(self.get("/status").json["busy"], 1)
        second.broken = True
        self.reactor.advance(FRESH)
        status = self.get("/status").json
        self.assertEqual((status["busy"], status["missing"]), (1, self.pids()[1:]))
        self.made[1].exit("badly")
        self.assertEqual(self.get("/status").json["busy"], 0)
        first.answering.ask = self.nonsense  # type: ignore[method-assign]
        self.reactor.advance(FRESH)
        self.assertEqual(self.get("/status").json["missing"], self.pids()[:1])

    def nonsense(self, **details: Any) -> dict[str, Any]:
        return {"code": 200, "number": 1, "size": 2, "piece": b"{}"}

    def test_states(self) -> None:
        """
        It is seen where each of them stands, and how often one has ended by itself.
        """
        self.served(1)
        self.reactor.advance(1.0)
        self.made[0].exit("badly")
        self.reactor.advance(0.1)
        status = self.get("/status").json
        self.assertEqual([each["state"] for each in status["workers"]], ["starting"])
        self.assertEqual((status["restarts"], self.workers.started), (1, 2))
        self.made[1].ready()
        self.assertEqual(self.get("/status").json["workers"][0]["state"], "starting")
        self.made[1].serves()
        self.workers.living()[0].leave()
        status = self.get("/status").json
        self.assertEqual([each["state"] for each in status["workers"]], ["draining"])

    def test_counting(self) -> None:
        """
        While a worker still counts who is busy, so does the whole.
        """
        self.served(1)
        self.assertFalse(self.whole.counting)
        self.get("/status")
        self.assertFalse(self.whole.counting)

    def test_fresh(self) -> None:
        """
        They are not asked again at once.
        """
        (talking,) = self.served(1)
        self.get("/status")
        self.get("/status")
        self.assertEqual(len(talking.asked), 1)

    def test_connections(self) -> None:
        """
        There are the connections of all, in one order, by ids that are nobody else's.
        """
        first, second = self.served()
        for talking, seconds in ((first, 1.0), (second, 2.0), (first, 0.5)):
            talking.connect(True)
            talking.world.clock.advance(seconds)
        told = self.get("/connections").json
        one, other = self.pids()
        self.assertEqual((told["total"], told["busy"], told["missing"]), (3, 3, []))
        self.assertEqual((told["idle"], told["waiting"]), (0, 0))
        self.assertEqual(told["pid"], os.getpid())
        rows = [(row["pid"], row["age"]) for row in told["connections"]]
        self.assertEqual(rows, [(other, 2.0), (one, 1.5), (one, 0.5)])
        self.assertEqual(len({row["id"] for row in told["connections"]}), 3)
        page = self.get("/connections?offset=1&limit=1").json["connections"]
        self.assertEqual([row["age"] for row in page], [1.5])
        for sort in ("idle", "peer"):
            rows = self.get(f"/connections?sort={sort}&state=busy").json["connections"]
            self.assertEqual(len(rows), 3)

    def test_connectionsRefused(self) -> None:
        """
        What cannot be meant, or had of several processes, is said.
        """
        self.served(1)
        self.assertEqual(self.get("/connections?sort=no").code, 400)
        answer = self.get("/connections?offset=9500&limit=600")
        expected = "offset: 9500 given, expected at most 10000 together with the limit"
        self.assertIn(expected, answer.json["error"])

    def test_silence(self) -> None:
        """
        Whoever was silent for longest comes first, if that is asked for.
        """
        from terminable.admin.above.rows import _silence

        told = {"lastReceived": 3.0, "lastSent": None, "age": 5.0}
        self.assertEqual((_silence(told), _silence({**told, "lastReceived": None})), (-3.0, -5.0))

    def test_events(self) -> None:
        """
        Whoever watches is told of each worker.
        """
        self.served(1)
        talk = Talk(self.site)
        talk.say(question("/events"))
        talk.heard()
        self.made[0].exit("badly")
        self.assertIn(b'"workers": []', talk.heard())
        self.reactor.advance(0.1)
        self.assertIn(b'"restarts": 1', talk.heard())

    def test_openapi(self) -> None:
        """
        What is answered is what the description says.
        """
        self.served()
        found = self.get("/openapi.json").json
        schemas = found["components"]["schemas"]
        for path, name in (("/status", "Status"), ("/connections", "Connections")):
            told = self.get(path).json
            self.assertEqual(set(told), set(schemas[name]["properties"]))
            self.assertEqual(set(told), set(schemas[name]["required"]))
        worker = self.get("/status").json["workers"][0]
        self.assertEqual(set(worker), set(schemas["Worker"]["properties"]))
        self.assertIn("/restart", found["paths"])

    def test_noMetrics(self) -> None:
        """
        Without what metrics need, it is said what that is.
        """
        self.served(1)
        empty = ModuleType("empty")
        with mock.patch.dict(sys.modules, {"terminable.admin.above.metrics": empty}):
            answer = self.get("/metrics")
        self.assertEqual(answer.code, 501)


class WholeTests(AboveTestCase):
    """
    What is watched.
    """

    def test_stop(self) -> None:
        """
        It can be watched no more.
        """
        self.served(1)
        self.whole.stop()
        self.assertEqual(self.workers.watchers, [])
        self.made[0].exit()

    def test_door(self) -> None:
        """
        There is a door for it.
        """
        door = WorkersDoor(self.reactor, "tcp:0:interface=127.0.0.1", self.above())
        self.assertIsInstance(door.watched, Whole)

    def test_pool(self) -> None:
        """
        A door knows workers as it knows a terminator.
        """
        pool = Pool(self.start(1))
        diary = Diary()
        pool.addObserver(diary)
        self.bring(0)
        pool.removeObserver(diary)
        self.assertEqual((pool.phase, diary.phases), (Phase.SERVING, [Phase.SERVING]))
        self.assertIs(pool.schedule, self.workers.schedule)
        done = pool.terminate()
        self.assertEqual(pool.progress().left, 25.0)
        self.made[0].exit()
        self.successResultOf(done)
        self.assertEqual(diary.phases, [Phase.SERVING])
        unused: Any = pool.waiting, pool.longestTurn, list(pool.generations)
        self.assertEqual(unused, (0, 0.0, []))
