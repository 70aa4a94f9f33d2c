"""
The first moments of a stop of very many connections.
"""

from __future__ import annotations

import json

from terminable.admin.stream import COUNTING
from tests.adminasking import AdminTestCase, question


class CountingTests(AdminTestCase):
    """
    A stop looks at one connection in each turn of the reactor.
    """

    def setUp(self) -> None:
        super().setUp()
        self.listen()
        for port in (1, 2, 3, 4):
            self.connect(port, busy=port > 1, delay=None)
        self.terminator.gate.drain._slices._budget = 0.0

    def counts(self) -> tuple[int, int, bool]:
        """
        @return: busy, idle, and whether that is preliminary.
        """
        status = self.get("/status").json
        return status["busy"], status["idle"], status["counting"]

    def turn(self) -> None:
        for _ in range(5):
            self.clock.advance(0)

    def test_preliminary(self) -> None:
        """
        Before it has looked at all, it says so; then the counts are right.
        """
        self.assertEqual(self.counts(), (3, 1, False))
        self.assertTrue(self.post("/terminate").json["counting"])
        self.assertEqual(self.counts(), (0, 4, True))
        line = "draining: 4 connections, still being counted, 10.0 s left"
        self.assertEqual(str(self.terminator.progress()), line)
        self.turn()
        self.assertEqual(self.counts(), (3, 1, False))

    def test_busy(self) -> None:
        """
        Whoever wants to see those who are busy is told of all of them, even then.
        """
        self.terminator.terminate()
        talk = self.talk()
        talk.say(question("/connections?state=busy"))
        told = json.loads(talk.heard().partition(b"\r\n\r\n")[2])
        self.assertEqual((told["total"], len(told["connections"])), (3, 3))
        self.turn()
        self.assertEqual(self.get("/connections?state=busy").json["total"], 3)

    def test_abort(self) -> None:
        """
        So it is if they are to end at once.
        """
        self.assertTrue(self.post("/abort").json["counting"])
        for _ in range(2):
            self.turn()
        self.assertFalse(self.get("/status").json["counting"])

    def test_events(self) -> None:
        """
        Whoever watches hears of it as soon as they are counted.
        """
        talk = self.talk()
        talk.say(question("/events"))
        self.terminator.terminate()
        self.assertIn(b'"counting": true', talk.heard())
        self.turn()
        self.clock.advance(COUNTING)
        heard = talk.heard()
        self.assertIn(b'"busy": 3, "idle": 1', heard)
        self.assertIn(b'"counting": false', heard)
        self.clock.advance(COUNTING)
        self.assertEqual(talk.heard(), b"")


class QuiesceTests(AdminTestCase):
    """
    A stop that goes on accepting for a while.
    """

    def test_hinted(self) -> None:
        """
        They are counted as it begins; who comes later was looked at.
        """
        self.terminator.schedule = self.terminator.schedule.changed(quiesce=5.0)
        self.terminator._now.schedule = self.terminator.schedule
        self.listen()
        self.connect(1, busy=True, delay=None)
        self.terminator.terminate()
        self.connect(2)
        status = self.get("/status").json
        self.assertEqual((status["phase"], status["busy"], status["idle"]), ("quiescing", 1, 1))
        self.assertFalse(status["counting"])
