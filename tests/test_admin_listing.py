"""
The live connections, as the admin door tells them.
"""

from __future__ import annotations

import os

from terminable.admin import work
from terminable.admin.api import Api
from terminable.admin.guard import Guard
from terminable.admin.site import AdminSite
from terminable.admin.watched import Watched
from terminable.policy.admission import Admission
from terminable.terminator import Terminator
from tests.adminasking import AdminTestCase
from tests.doubles import MemoryFactory, Polite, connectTo


class ListingTests(AdminTestCase):
    """
    Which, and in which order.
    """

    def setUp(self) -> None:
        super().setUp()
        self.listen()
        for number in range(1, 7):
            self.connect(1000 * (7 - number), busy=number % 2 == 0, delay=None)
            self.clock.advance(1.0)

    def peers(self, query: str = "") -> list[str]:
        answer = self.get(f"/connections{query}")
        self.assertEqual(answer.code, 200, answer.body)
        return [each["peer"].partition(":")[2] for each in answer.json["connections"]]

    def test_all(self) -> None:
        """
        Without conditions all are told, oldest first, with the sums.
        """
        answer = self.get("/connections").json
        self.assertEqual((answer["total"], answer["busy"], answer["idle"]), (6, 3, 3))
        first = answer["connections"][0]
        self.assertEqual(
            first,
            {
                "id": first["id"],
                "pid": os.getpid(),
                "peer": "127.0.0.1:6000",
                "local": "127.0.0.1:80",
                "protocol": "Hinting",
                "state": "idle",
                "doing": "",
                "age": 6.0,
                "lastReceived": None,
                "lastSent": None,
                "received": None,
                "sent": None,
                "unsent": 0,
                "told": False,
            },
        )
        self.assertEqual(self.peers(), ["6000", "5000", "4000", "3000", "2000", "1000"])

    def test_names(self) -> None:
        """
        A connection keeps its name, and no other one has it.
        """
        names = [each["id"] for each in self.get("/connections").json["connections"]]
        again = [each["id"] for each in self.get("/connections").json["connections"]]
        self.assertEqual((names, len(set(names))), (again, 6))

    def test_state(self) -> None:
        """
        Those that do something, or do not.
        """
        self.assertEqual(self.peers("?state=busy"), ["5000", "3000", "1000"])
        self.assertEqual(self.peers("?state=idle"), ["6000", "4000", "2000"])
        self.assertEqual(self.peers("?state=upgraded"), [])

    def test_page(self) -> None:
        """
        One page of them; the sum is that of all that were asked for.
        """
        self.assertEqual(self.peers("?limit=2&offset=1"), ["5000", "4000"])
        answer = self.get("/connections?state=busy&limit=1&offset=2").json
        self.assertEqual(answer["total"], 3)
        self.assertEqual(answer["connections"][0]["peer"], "127.0.0.1:1000")
        self.assertEqual(self.peers("?limit=0"), [])
        self.assertEqual(self.peers("?offset=6"), [])

    def test_sort(self) -> None:
        """
        By peer, by age, and by silence, where that is known; else by age too.
        """
        self.assertEqual(self.peers("?sort=peer&limit=2"), ["1000", "2000"])
        self.assertEqual(self.peers("?sort=age&limit=2"), ["6000", "5000"])
        self.assertEqual(self.peers("?sort=idle&limit=2"), ["6000", "5000"])

    def test_peer(self) -> None:
        """
        By the network that they come from.
        """
        self.assertEqual(len(self.peers("?peer=127.0.0.0/8")), 6)
        self.assertEqual(self.peers("?peer=10.0.0.1"), [])

    def test_protocol(self) -> None:
        """
        By protocol.
        """
        self.assertEqual(len(self.peers("?protocol=Hinting")), 6)
        self.assertEqual(self.peers("?protocol=Plain"), [])

    def test_bad(self) -> None:
        """
        What cannot be meant is refused in one line.
        """
        for query in (
            "state=sleepy",
            "sort=beauty",
            "limit=-1",
            "limit=1.5",
            "limit=10001",
            "limit=99999999999999999999",
            "limit=",
            "limit=%D9%A1",
            "offset=x",
            "peer=somebody",
            "peer=",
            "colour=red",
            "state=busy&state=idle",
            "state=%ff",
            "%ff=1",
        ):
            answer = self.get(f"/connections?{query}")
            self.assertEqual(answer.code, 400, query)
            self.assertEqual(len(answer.json["error"].splitlines()), 1)

    def test_stop(self) -> None:
        """
        During a stop it is known who is busy, and who was told.
        """
        self.terminator.terminate()
        self.clock.advance(0.1)
        self.assertEqual(self.peers("?state=busy"), ["5000", "3000", "1000"])
        self.assertEqual(self.peers("?state=busy&sort=peer"), ["1000", "3000", "5000"])
        self.assertEqual(len(self.peers("?state=idle")), 3)
        self.world.factory.protocols[1].busy = False
        self.assertEqual(self.peers("?state=busy"), ["3000", "1000"])

    def test_generations(self) -> None:
        """
        Those of older generations are among them.
        """
        self.terminator.release()
        self.clock.advance(0.1)
        self.assertEqual(len(self.peers("?state=busy")), 3)

    def test_goneMeanwhile(self) -> None:
        """
        Who goes while others are looked at is not told.
        """
        self.patch(work, "SLICE", 0.0)
        self.patch(work, "_AT_ONCE", 1)
        talk = self.talk()
        talk.say(b"GET /connections?sort=peer HTTP/1.1\r\nHost: localhost\r\n\r\n")
        gone = list(self.terminator.gate.ledger)[-1]
        gone.end()
        for _ in range(40):
            self.clock.advance(work.REST)
        self.assertIn(b'"total": 5', talk.heard())

    def test_goneBeforeLookedAt(self) -> None:
        """
        Nor who goes while it is counted who is busy.
        """
        self.watched.census._until = 1e9
        gate, transport = self.watched.census.live()[-1]
        self.watched.census.live = lambda: [(gate, transport)]  # type: ignore[method-assign]
        transport.end()
        self.assertEqual(self.peers("?sort=peer"), [])

    def test_goneBeforeTold(self) -> None:
        """
        Nor who goes when all have been looked at.
        """
        self.patch(work, "SLICE", 0.0)
        self.patch(work, "_AT_ONCE", 1)
        self.watched.census._until = 1e9
        talk = self.talk()
        talk.say(b"GET /connections HTTP/1.1\r\nHost: localhost\r\n\r\n")
        list(self.terminator.gate.ledger)[-1].end()
        for _ in range(40):
            self.clock.advance(work.REST)
        self.assertEqual(talk.heard().count(b'"peer"'), 5)


class WaitingTests(AdminTestCase):
    """
    Those who wait to be admitted.
    """

    def test_waiting(self) -> None:
        """
        They are neither busy nor idle.
        """
        terminator = Terminator(self.clock, admission=Admission(capacity=1))
        self.watched = Watched(self.clock, terminator)
        self.api = Api(self.watched, Guard())
        self.site = AdminSite(self.clock, self.api.serve)
        factory = MemoryFactory(Polite)
        wrapped = terminator.wrap(factory)
        for port in (1, 2, 3):
            connectTo(wrapped, self.clock, None, port)
        status = self.get("/status").json
        self.assertEqual((status["busy"], status["idle"], status["waiting"]), (0, 1, 2))
        self.assertFalse(status["counting"])
        told = self.get("/connections?state=waiting").json
        self.assertEqual(
            [each["doing"] for each in told["connections"]], ["waiting to be admitted"] * 2
        )
        self.assertEqual((told["idle"], told["waiting"]), (1, 2))
        self.assertEqual(self.watched.census.waiting, 2)
        factory.protocols[0].busy = True
        terminator.terminate()
        status = self.get("/status").json
        self.assertEqual((status["busy"], status["idle"], status["waiting"]), (1, 0, 2))
        self.assertEqual(status["oldest"]["peer"], "127.0.0.1:1")
        progress = str(terminator.progress())
        self.assertTrue(progress.startswith("draining: 1 busy, 0 idle, 2 waiting, "), progress)
        told = self.get("/connections?state=busy").json
        self.assertEqual((told["total"], len(told["connections"])), (1, 1))
