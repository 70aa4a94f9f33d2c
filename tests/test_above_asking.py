"""
How workers are asked, and answer.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.protocols import amp
from twisted.test.iosim import connectedServerAndClient
from twisted.trial.unittest import SynchronousTestCase

from terminable.admin.above import answerAbove
from terminable.admin.above.answering import KEPT, PATIENCE, PIECE, Answering
from terminable.admin.above.asking import LIMIT, Asking
from terminable.admin.watched import Watched
from terminable.handover import channel
from terminable.handover.worker import Worker
from terminable.terminator import Terminator
from tests.aboveworkers import AboveTestCase
from tests.doubles import Hinting, World
from tests.test_takeover_worker import WorkerTestCase


class AnsweringTests(SynchronousTestCase):
    """
    What a worker answers.
    """

    def setUp(self) -> None:
        self.world = World(Hinting)
        watched = Watched(self.world.clock, self.world.terminator)
        watched.work._worked = lambda: 0.0
        self.addCleanup(watched.stop)
        self.answering = Answering(watched)

    def ask(self, target: bytes, method: bytes = b"GET", body: bytes = b"") -> Any:
        return self.successResultOf(self.answering.ask(method, target, body))

    def test_answers(self) -> None:
        """
        It answers as a door does, what is wrong included.
        """
        answer = self.ask(b"/status")
        self.assertEqual((answer["code"], answer["size"]), (200, len(answer["piece"])))
        self.assertEqual(json.loads(answer["piece"])["busy"], 0)
        self.assertEqual(self.ask(b"/connections?limit=x")["code"], 400)
        self.assertEqual(self.ask(b"/nothing")["code"], 404)
        self.assertEqual(self.ask(b"/drain", b"POST", b'{"percent": 5}')["code"], 202)

    def test_broken(self) -> None:
        """
        What goes wrong here is logged here, and ends nothing.
        """
        self.assertEqual(self.ask(b"/events")["code"], 500)
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_pieces(self) -> None:
        """
        A long answer comes in pieces, and is not kept for ever.
        """
        for port in range(200):
            self.world.connect(port=port + 1)
        first = self.ask(b"/connections")
        self.assertEqual(len(first["piece"]), PIECE)
        found = first["piece"]
        while more := self.answering.more(first["number"], len(found))["piece"]:
            found += more
        self.assertEqual(len(json.loads(found)["connections"]), 200)
        self.world.clock.advance(PATIENCE)
        self.assertEqual(self.answering.more(first["number"], 0), {"piece": b""})

    def test_many(self) -> None:
        """
        Of several, the oldest is forgotten.
        """
        for port in range(200):
            self.world.connect(port=port + 1)
        numbers = [self.ask(b"/connections")["number"] for _ in range(KEPT + 1)]
        kept = [bool(self.answering.more(number, 0)["piece"]) for number in numbers]
        self.assertEqual(kept, [False] + [True] * KEPT)

    def test_spoken(self) -> None:
        """
        It can be said by AMP.
        """
        _, above, pump = connectedServerAndClient(
            amp.AMP, lambda: channel.Channel(lambda reason: None, [self.answering])
        )
        told = {"method": b"GET", "target": b"/status", "body": b""}
        asking = above.callRemote(channel.Ask, **told)
        pump.flush()
        answer = self.successResultOf(asking)
        more = above.callRemote(channel.More, number=answer["number"], offset=0)
        pump.flush()
        self.assertEqual((answer["code"], self.successResultOf(more)), (200, {"piece": b""}))


class AnswerAboveTests(WorkerTestCase):
    """
    How a worker comes to answer.
    """

    def setUp(self) -> None:
        super().setUp()
        self.terminator = Terminator(self.reactor)
        above: Any = self.above
        above.locators = self.locators = []

    def test_worker(self) -> None:
        """
        It answers on the channel, and hurries when it is told to.
        """
        watched = answerAbove(self.reactor, self.terminator)
        self.assertIs(watched.terminator, self.terminator)
        self.assertIsInstance(self.locators[0], Answering)
        ended: list[Any] = []
        self.patch(self.terminator, "terminate", lambda **given: ended.append(given))
        self.takeover.leaveNow(gracePeriod=2.5)
        self.reactor.advance(0)
        self.assertEqual((ended, self.reactor.stopped), ([{"gracePeriod": 2.5}], 1))

    def test_nobodyAbove(self) -> None:
        """
        Without a process above it there is nobody to answer.
        """
        self.takeover.channel = None
        answerAbove(self.reactor, self.terminator)
        self.assertEqual(self.takeover.hurried, [])


class AskingTests(AboveTestCase):
    """
    How they are asked.
    """

    def asking(self, count: int = 1) -> Asking:
        self.talking = self.served(count)
        return Asking(self.reactor, self.workers)

    def heard(self, asking: Asking, target: str = "/status") -> Any:
        return self.successResultOf(asking.everybody(target))

    def test_answered(self) -> None:
        """
        There is an answer of each.
        """
        heard = self.heard(self.asking(2))
        self.assertEqual([said.worker.pid for said in heard.said], self.pids())
        self.assertEqual(([said.code for said in heard.said], heard.missing), ([200, 200], []))

    def test_pieces(self) -> None:
        """
        Long answers are put together.
        """
        asking = self.asking()
        for _ in range(200):
            self.talking[0].connect()
        (said,) = self.heard(asking, "/connections").said
        self.assertEqual(len(said.value["connections"]), 200)

    def test_piecesForgotten(self) -> None:
        """
        An answer that is forgotten before its end is none.
        """
        asking = self.asking()
        for _ in range(200):
            self.talking[0].connect()
        self.talking[0].answering.more = lambda number, offset: {"piece": b""}  # type: ignore
        heard = self.heard(asking, "/connections")
        self.assertEqual(heard, ([], self.pids()))

    def test_piecesTooLate(self) -> None:
        """
        Nobody goes on to take an answer that is too late.
        """
        asking = self.asking()
        (talking,) = self.talking
        for _ in range(200):
            talking.connect()
        talking.deaf = True
        asked = asking.everybody("/connections")
        self.reactor.advance(LIMIT)
        self.assertEqual(self.successResultOf(asked).missing, self.pids())
        talking.deaf = False
        begin = self.successResultOf(talking.answering.ask(b"GET", b"/connections", b""))
        talking.waiting[0].callback(begin)
        self.assertEqual(len(talking.asked), 1)
        self.assertEqual(len(self.heard(asking).said), 1)

    def test_refused(self) -> None:
        """
        Where an answer must be good, a refusal is none.
        """
        self.assertEqual(self.heard(self.asking(), "/nothing").missing, self.pids())

    def test_nonsense(self) -> None:
        """
        What cannot be read is no answer.
        """
        asking = self.asking()
        heard = self.successResultOf(asking.everybody("/status", parse=lambda body: int(body)))
        self.assertEqual(heard.missing, self.pids())

    def test_ended(self) -> None:
        """
        Who ends over the question is not missing: he is gone.
        """
        asking = self.asking()
        (talking,) = self.talking
        talking.deaf = True
        asked: Deferred[Any] = asking.everybody("/status")
        self.made[0].exit("badly")
        talking.waiting[0].errback(ConnectionError("gone"))
        self.assertEqual(self.successResultOf(asked), ([], []))

    def test_notReady(self) -> None:
        """
        Who was never ready is not asked.
        """
        self.above(1)
        self.assertEqual(self.whole.asking.whom(), [])
        (worker,) = self.workers.living()
        self.assertIsInstance(worker, Worker)
