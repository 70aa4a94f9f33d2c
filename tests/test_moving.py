"""
All connections move that can, each as soon as nothing is in flight.
"""

from __future__ import annotations

from collections import Counter

from terminable.handover.moving import Moved
from terminable.tracking import internals
from tests.movingall import SitesTestCase
from tests.passages import PassageTestCase, get


class MovedTests(PassageTestCase):
    """
    What came of it.
    """

    setUp = tearDown = lambda self: None

    def test_text(self) -> None:
        """
        It is told in a line.
        """
        self.assertEqual(str(Moved(2, 1)), "2 moved, 1 ended, 0 left")
        some = Moved(2, 0, Counter({"TLS": 3}))
        self.assertEqual(str(some), "2 moved, 0 ended, 3 left (3: TLS)")


class HTTPTests(SitesTestCase):
    """
    HTTP/1.1.
    """

    def test_none(self) -> None:
        """
        Where there is none, it is over at once.
        """
        self.assertEqual(self.successResultOf(self.move()), Moved())

    def test_idle(self) -> None:
        """
        Idle ones move at once, all of them.
        """
        clients = [self.client() for _ in range(5)]
        self.assertEqual(self.moved(), Moved(5))
        for client in clients:
            self.assertEqual(self.body(client), b"there /")

    def test_atOnceOnly(self) -> None:
        """
        Without any time, idle ones still do, and busy ones are left.
        """
        self.client()
        self.later()
        moved = self.moved(0)
        self.assertEqual(moved.moved, 1)
        self.assertEqual(moved.left, {"a request is in flight": 1})

    def test_busy(self) -> None:
        """
        A busy one moves when its answer is complete, without being told to go.
        """
        client = self.later()
        moving = self.move()
        self.turns(100, 0.01)
        self.assertNoResult(moving)
        self.page.answer()
        self.until(lambda: moving.called, 0.0)
        self.assertEqual(self.successResultOf(moving), Moved(1))
        answer = self.heard(client)
        self.assertIn(b"here late", answer)
        self.assertNotIn(b"close", answer.lower())
        self.assertEqual(self.body(client), b"there /")

    def test_withoutAPause(self) -> None:
        """
        So does that of a client which sends the next request as soon as it has its answer.
        """
        client = self.later()
        moving = self.move()
        self.page.answer()
        self.reactor.turn()
        client.sendall(get("/next"))
        self.until(lambda: moving.called, 0.0)
        self.assertEqual(self.successResultOf(moving), Moved(1))
        answer = self.heard(client)
        self.assertLess(answer.index(b"here late"), answer.index(b"there /next"))

    def test_unflushed(self) -> None:
        """
        An answer that would only leave in this turn of the reactor is no hindrance.
        """
        client = self.client()
        [connection] = self.here.connections()
        client.sendall(get("/now"))
        self.settle()
        connection.transport.doRead()
        self.assertGreater(internals.unsentBytes(connection.transport), 0)
        moving = self.move()
        self.until(lambda: moving.called, 0.0)
        self.assertEqual(self.successResultOf(moving), Moved(1))
        self.assertIn(b"here /now", self.heard(client))

    def test_pipelined(self) -> None:
        """
        Requests that were read are answered here, all of them.
        """
        client = self.client()
        client.sendall(get("/later") + get("/second"))
        self.until(lambda: self.page.waiting)
        moving = self.move()
        self.page.answer()
        self.until(lambda: moving.called, 0.01)
        answer = self.heard(client)
        self.assertLess(answer.index(b"here late"), answer.index(b"here /second"))
        self.assertEqual(self.body(client), b"there /")

    def test_pipelinedLate(self) -> None:
        """
        Also if another one begins as soon as the first is answered.
        """
        client = self.client()
        client.sendall(get("/later") * 2)
        self.until(lambda: self.page.waiting)
        moving = self.move()
        self.page.answer()
        self.turns(100, 0.01)
        self.assertNoResult(moving)
        self.page.answer()
        self.until(lambda: moving.called, 0.01)
        self.assertEqual(self.heard(client).count(b"here late"), 2)
        self.assertEqual(self.successResultOf(moving), Moved(1))

    def test_slowReader(self) -> None:
        """
        While an answer does not leave, it does not move; when it has left, it does.
        """
        client = self.later()
        moving = self.move(100.0)
        [request] = self.page.waiting
        request.write(b"x" * 30_000_000)
        self.page.answer()
        self.turns(100, 0.01)
        self.assertNoResult(moving)
        found = b""

        def moved() -> bool:
            nonlocal found
            found += self.heard(client)
            return moving.called and len(found) > 30_000_000

        self.until(moved, 0.01)
        self.assertEqual(self.successResultOf(moving), Moved(1))
        self.assertTrue(found.endswith(b"here late\r\n0\r\n\r\n"))
        self.assertEqual(self.body(client)[-7:], b"there /")

    def test_halfRequest(self) -> None:
        """
        Half a request is waited for; nothing tells when it is complete.
        """
        client = self.client()
        client.sendall(b"GET /half HT")
        self.turns()
        moving = self.move()
        self.turns(100, 0.01)
        self.assertNoResult(moving)
        client.sendall(b"TP/1.1\r\nHost: here\r\n\r\n")
        self.until(lambda: moving.called, 0.01)
        self.assertIn(b"here /half", self.heard(client))
        self.assertEqual(self.body(client), b"there /")
