"""
Looking at very many connections, and what is told of one.
"""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from terminable.admin import words, work
from terminable.admin.work import Work
from terminable.tracking import sockets
from tests.adminasking import AdminTestCase


class WorkTests(SynchronousTestCase):
    """
    Looking at very many.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.worked = 0.0
        self.work = Work(self.clock, lambda: self.worked)
        self.seen: list[int] = []

    def see(self, item: int) -> None:
        self.worked += 0.0005
        self.seen.append(item)

    def test_slices(self) -> None:
        """
        A few in each turn, then a rest.
        """
        done = self.work.each(range(20), self.see)
        self.assertEqual(len(self.seen), 8)
        self.clock.advance(work.REST)
        self.assertEqual(len(self.seen), 16)
        self.assertNoResult(done)
        self.clock.advance(work.REST)
        self.assertAlmostEqual(self.successResultOf(done), 0.01)
        self.assertEqual(self.seen, list(range(20)))

    def test_oneAfterTheOther(self) -> None:
        """
        A second job waits for the first.
        """
        first = self.work.each(range(20), self.see)
        second = self.work.each(range(100, 102), self.see)
        self.clock.advance(work.REST)
        self.assertNoResult(second)
        self.clock.advance(work.REST)
        self.successResultOf(first)
        self.successResultOf(second)
        self.assertEqual(self.seen[-2:], [100, 101])

    def test_share(self) -> None:
        """
        Who has had a second of work waits until that was a fiftieth of the time.
        """

        def much(item: int) -> None:
            self.worked += 1.5

        self.successResultOf(self.work.each([1], much))
        again = self.work.each([1], much)
        self.clock.advance(24.9)
        self.assertNoResult(again)
        self.clock.advance(0.2)
        self.successResultOf(again)

    def test_failing(self) -> None:
        """
        What fails costs its item alone.
        """
        done = self.work.each([1, 0, 2], lambda item: self.seen.append(4 // item))
        self.successResultOf(done)
        self.assertEqual(self.seen, [4, 2])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class CensusTests(AdminTestCase):
    """
    Counting.
    """

    def test_cached(self) -> None:
        """
        What was just found is used again, for everybody.
        """
        self.listen()
        self.connect(busy=True)
        census = self.watched.census
        self.successResultOf(census.fresh())
        self.connect(busy=True)
        self.successResultOf(census.fresh())
        self.assertEqual(census.busy, 1)
        self.clock.advance(0.2)
        self.successResultOf(census.fresh())
        self.assertEqual(census.busy, 2)

    def test_together(self) -> None:
        """
        Who asks while it is being counted waits for the same count.
        """
        self.patch(work, "SLICE", 0.0)
        self.patch(work, "_AT_ONCE", 1)
        self.listen()
        self.connect(1)
        self.connect(2)
        first, second = self.watched.census.fresh(), self.watched.census.fresh()
        list(self.terminator.gate.ledger)[-1].end()
        self.clock.pump([work.REST] * 4)
        self.successResultOf(first)
        self.successResultOf(second)
        self.assertEqual(self.watched.census.counts, {"idle": 1})

    def test_forgotten(self) -> None:
        """
        Connections are not held for long.
        """
        self.listen()
        self.connect(busy=True)
        self.successResultOf(self.watched.census.fresh())
        self.clock.advance(5.0)
        self.assertEqual((self.watched.census.states, self.watched.census.oldest), ({}, None))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_oldestGone(self) -> None:
        """
        Who was the oldest may have gone since.
        """
        self.listen()
        client = self.connect(busy=True)
        self.assertEqual(self.get("/status").json["oldest"]["state"], "busy")
        client.end()
        self.assertIsNone(self.watched.status()["oldest"])

    def test_oldestOfStop(self) -> None:
        """
        Of a stop, it is looked for now and then, and whenever it has gone.
        """
        self.listen()
        first = self.connect(1, busy=True, delay=None)
        self.clock.advance(1.0)
        self.connect(2, busy=True, delay=None)
        self.terminator.terminate()
        self.assertEqual(self.watched.status()["oldest"]["peer"], "127.0.0.1:1")
        self.assertEqual(self.watched.status()["oldest"]["peer"], "127.0.0.1:1")
        first.end()
        self.assertEqual(self.watched.status()["oldest"]["peer"], "127.0.0.1:2")


class WordTests(SynchronousTestCase):
    """
    What is told of a connection that has a socket, and streams.
    """

    def connection(self, **more: Any) -> Any:
        details = {
            "transport": SimpleNamespace(socket=None),
            "hostAddress": IPv4Address("TCP", "127.0.0.1", 80),
            "peer": "127.0.0.1:4",
            "protocolName": "X",
            "protocol": None,
            "describe": lambda: "a" * 1000,
            "openedAt": 1.0,
            "told": False,
        }
        return SimpleNamespace(**{**details, **more})

    def test_traffic(self) -> None:
        """
        The kernel knows how much has passed, and when.
        """
        ours, theirs = self.pair()
        theirs.sendall(b"question")
        self.assertEqual(ours.recv(100), b"question")
        ours.sendall(b"answer!")
        theirs.recv(100)
        transport = SimpleNamespace(socket=ours)
        told = words.connectionWords("1", self.connection(transport=transport), 3.0, "idle")
        if sockets.traffic(ours) is None:
            self.skipTest("this kernel does not say")
        self.assertEqual((told["received"], told["sent"]), (8, 7))
        self.assertLess(told["lastReceived"], 5.0)
        self.assertLess(told["lastSent"], 5.0)
        self.assertEqual(len(told["doing"]), words.LONGEST)

    def pair(self) -> tuple[socket.socket, socket.socket]:
        with socket.create_server(("127.0.0.1", 0)) as server:
            theirs = socket.create_connection(server.getsockname())
            ours, _ = server.accept()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        return ours, theirs

    def test_nothingYet(self) -> None:
        """
        Before the first byte there is no last one.
        """
        ours, _ = self.pair()
        found = sockets.traffic(ours)
        if found is not None:
            self.assertEqual(tuple(found), (0, 0, None, None))

    def test_noTraffic(self) -> None:
        """
        UNIX sockets do not know.
        """
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        self.assertIsNone(sockets.traffic(ours))

    def test_noAddress(self) -> None:
        """
        Our own end may be unknown.
        """
        told = words.connectionWords("1", self.connection(hostAddress=None), 3.0, "idle")
        self.assertEqual((told["local"], told["age"]), ("", 2.0))

    def test_streams(self) -> None:
        """
        HTTP/2 has streams, of which a bounded number is told.
        """
        streams = {
            number: SimpleNamespace(command=b"GET", path=b"/%d" % number)
            for number in range(1, 300, 2)
        }
        streams[1] = SimpleNamespace(command=None, path=None)
        channel = type("H2Connection", (), {"__module__": "twisted.web._http2"})()
        channel.streams = streams
        told = words.connectionWords("1", self.connection(protocol=channel), 3.0, "busy")
        self.assertEqual(len(told["streams"]), words.STREAMS)
        self.assertEqual(
            told["streams"][:2], [{"id": 1, "doing": ""}, {"id": 3, "doing": "GET /3"}]
        )

    def test_ports(self) -> None:
        """
        Where a port listens.
        """
        self.assertEqual(words.portWords(IPv4Address("TCP", "1.2.3.4", 80)), "tcp 1.2.3.4:80")
        self.assertEqual(words.portWords(UNIXAddress(b"/a b")), "unix /a b")
