"""
The spool on the web: GET; and its door.
"""

from __future__ import annotations

import json
import os
from typing import Any

from twisted.internet.defer import Deferred

from terminable.errors import InvalidOption
from terminable.spool import Item, Spool, SpoolResource, SQLiteStore, spooled
from terminable.spool.doors import storeOf
from tests.answers import Served
from tests.doubles import Boom
from tests.spooldoubles import HandStore
from tests.spoolserving import ResourceTestCase


class GetTests(ResourceTestCase):
    """
    GET.
    """

    def place(self, served: Served, body: bytes = b"x", *headers: str) -> str:
        """
        @return: where to ask for a body that was posted.
        """
        return self.post(served, body, *headers).headers[b"location"].decode()

    def test_unknown(self) -> None:
        """
        What is not there is not found.
        """
        served = self.serve()
        place = self.place(served)
        for path in (
            "/",
            "/%00",
            "/nothing",
            "/nothing/result",
            f"{place}/else",
            f"{place}/result/x",
        ):
            self.assertEqual(self.ask(served, path).status, 404, path)

    def test_waiting(self) -> None:
        """
        Who waits is told its place, and to ask again when it may have begun.
        """
        served = self.serve(rate=0.25)
        for place in (1, 2):
            answer = self.ask(served, self.place(served))
            self.assertEqual(json.loads(answer.body)["place"], place)
            self.assertEqual(answer.headers[b"retry-after"], str(4 * place).encode())

    def test_notTooLate(self) -> None:
        """
        Nobody is told to wait for more than a minute.
        """
        served = self.serve(rate="1/h")
        self.assertEqual(self.ask(served, self.place(served)).headers[b"retry-after"], b"60")

    def test_noRate(self) -> None:
        """
        Without a rate, a second.
        """
        served = self.serve()
        self.assertEqual(self.ask(served, self.place(served)).headers[b"retry-after"], b"1")

    def test_working(self) -> None:
        """
        What is in hand is said to be.
        """
        served = self.serve(lambda item: self.spool.look("nothing").addCallback(self.never))
        place = self.place(served)
        answer = self.ask(served, place)
        told = json.loads(answer.body)
        self.assertEqual((told["state"], told["attempts"]), ("working", 1))
        self.assertNotIn("place", told)
        self.assertEqual(answer.headers[b"retry-after"], b"1")
        self.spool._cut()

    def never(self, result: object) -> Any:
        """
        Work that does not end by itself.
        """
        return Deferred()

    def test_done(self) -> None:
        """
        What is done has a result: text is shown, other things are counted.
        """
        served = self.serve(lambda item: item.payload)
        place = self.place(served, "ö".encode())
        told = self.told(served, place)
        self.assertEqual((told["state"], told["result"]), ("done", "ö"))
        answer = self.ask(served, f"{place}/result")
        self.assertEqual((answer.status, answer.body), (200, "ö".encode()))
        self.assertEqual(answer.headers[b"x-content-type-options"], b"nosniff")
        for body in (b"\xff", b"x" * 70000):
            told = self.told(served, self.place(served, body))
            self.assertEqual(told["bytes"], len(body))
            self.assertNotIn("result", told)

    def test_noResult(self) -> None:
        """
        What has no result is empty.
        """
        served = self.serve(lambda item: None)
        place = self.place(served)
        self.assertNotIn("result", self.told(served, place))
        self.assertEqual(self.ask(served, f"{place}/result").body, b"")

    def test_noResultYet(self) -> None:
        """
        What is not done has none.
        """
        served = self.serve()
        self.assertEqual(self.ask(served, f"{self.place(served)}/result").status, 404)

    def test_dead(self) -> None:
        """
        What was given up is said to be, and why.
        """

        def boom(item: Item) -> None:
            raise Boom("no")

        served = self.serve(boom)
        answer = self.ask(served, self.place(served))
        told = json.loads(answer.body)
        self.assertEqual((told["state"], told["error"]), ("dead", "Boom: no"))
        self.assertNotIn(b"retry-after", answer.headers)

    def test_due(self) -> None:
        """
        What is tried again later says when.
        """

        def boom(item: Item) -> None:
            raise Boom("no")

        served = self.serve(boom)
        self.spool.terms.attempts = 2
        answer = self.ask(served, self.place(served))
        self.assertEqual(json.loads(answer.body)["due"], 1.0)

    def test_head(self) -> None:
        """
        HEAD says as much, without a body.
        """
        served = self.serve()
        answer = self.ask(served, self.place(served), "HEAD")
        self.assertEqual((answer.status, answer.body), (200, b""))


class DoorTests(ResourceTestCase):
    """
    L{spooled}.
    """

    def test_both(self) -> None:
        """
        Settings find what they are for.
        """
        spool, resource = spooled(self.reactor, self.mktemp(), str, rate="2/s", mostBytes=7)
        self.assertEqual(spool.terms.rate, 2.0)
        self.assertEqual(self.post(Served(resource), b"12345678").status, 413)

    def test_file(self) -> None:
        """
        A path is a file's.
        """
        self.assertIsInstance(storeOf(self.reactor, "a/postgresql"), SQLiteStore)

    def test_refused(self) -> None:
        """
        What cannot be meant is named, and nothing is made.
        """
        path = self.mktemp()
        for name, value in [
            ("rate", 0),
            ("mostBytes", 0),
            ("retryAfter", 1.5),
            ("keyOf", 3),
            ("work", "work"),
        ]:
            settings: dict[str, Any] = {"work": None, name: value}
            problem = self.assertRaises(InvalidOption, spooled, self.reactor, path, **settings)
            self.assertEqual((problem.option, problem.value), (name, value))
        self.assertFalse(os.path.exists(path))

    def test_unreachable(self) -> None:
        """
        Nor is a database that cannot be used.
        """
        path = os.path.join(self.mktemp(), "nowhere")
        problem = self.assertRaises(InvalidOption, spooled, self.reactor, path, str)
        self.assertEqual(problem.option, "spool")

    def test_unknown(self) -> None:
        """
        A setting that there is not is a mistake in the program.
        """
        self.assertRaises(TypeError, spooled, self.reactor, self.mktemp(), str, speed=3)

    def test_anyStore(self) -> None:
        """
        A store of somebody's own will do.
        """
        store = HandStore()
        SpoolResource(Spool(self.reactor, store, None))
        self.assertEqual(store.calls, [])
