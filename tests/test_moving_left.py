"""
What is left when not all connections can move, or time is up.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport

from terminable.handover.moving import Moved, moveAll
from terminable.tracking import internals
from terminable.tracking.connection import Connection
from tests.doubles import Boom
from tests.movingall import MovingTestCase, SitesTestCase
from tests.passages import CountingFactory, get


class LeavingTests(SitesTestCase):
    """
    HTTP/1.1, and what gets in the way.
    """

    def test_timeIsUp(self) -> None:
        """
        When time is up, it is left, and nothing of the waiting remains on it.
        """
        client = self.later()
        [connection] = self.here.connections()
        channel = internals.httpChannel(connection.protocol)
        moving = self.move(1.0)
        self.turns(5, 0.01)
        self.assertIn("requestDone", vars(channel))
        self.until(lambda: moving.called, 0.1)
        self.assertEqual(self.successResultOf(moving).left, {"a request is in flight": 1})
        self.assertNotIn("requestDone", vars(channel))
        self.page.answer()
        self.assertIn(b"here late", self.heard(client))
        self.assertEqual(self.body(client), b"here /")

    def test_hooksOfOthers(self) -> None:
        """
        What others have put there before, or meanwhile, stays.
        """
        self.later()
        [connection] = self.here.connections()
        channel = internals.httpChannel(connection.protocol)
        theirs = channel.requestDone = lambda request: type(channel).requestDone(channel, request)
        self.assertEqual(self.moved(0.1).moved, 0)
        self.assertIs(channel.requestDone, theirs)
        moving = self.move(0.1)
        self.turns(5, 0.01)
        second = channel.requestDone = lambda request: None
        self.until(lambda: moving.called, 0.1)
        self.assertIs(channel.requestDone, second)

    def test_ended(self) -> None:
        """
        Those that end before it comes to that are counted.
        """
        client = self.later()
        moving = self.move()
        self.turns(5, 0.01)
        client.close()
        self.until(lambda: moving.called, 0.1)
        self.assertEqual(self.successResultOf(moving), Moved(0, 1))

    def test_endedBefore(self) -> None:
        """
        Also those that have ended when their turn comes.
        """
        client = self.client()
        connections = self.here.connections()
        client.close()
        self.until(lambda: not self.here.connections())
        moving = moveAll(self.reactor, connections, self.sender, 1.0)
        self.assertEqual(self.successResultOf(moving), Moved(0, 1))

    def test_lastAnswer(self) -> None:
        """
        One whose answer was the last ends.
        """
        client = self.client()
        client.sendall(get("/later", "Connection: close"))
        self.until(lambda: self.page.waiting)
        moving = self.move()
        self.page.answer()
        self.until(lambda: moving.called, 0.01)
        self.assertEqual(self.successResultOf(moving).moved, 0)
        self.assertTrue(self.heard(client).endswith(b"FIN"))

    def test_queued(self) -> None:
        """
        What waits for its turn when time is up is left.
        """
        clients = [self.client() for _ in range(3)]
        self.sender._atOnce = 1
        self.far.transport.stopReading()
        moving = self.move(0.1)
        self.turns(30, 0.1)
        self.assertNoResult(moving)
        self.far.transport.startReading()
        self.until(lambda: moving.called, 0.01)
        result = self.successResultOf(moving)
        self.assertEqual((result.moved, dict(result.left)), (1, {"time was up": 2}))
        self.assertEqual(len(clients), 3)

    def test_queuedAndEnded(self) -> None:
        """
        What has ended while it waited for its turn is not left when time is up.
        """
        clients = [self.client() for _ in range(3)]
        self.sender._atOnce = 1
        self.far.transport.stopReading()
        moving = self.move(0.1)
        clients[2].close()
        self.turns(30, 0.1)
        self.far.transport.startReading()
        self.until(lambda: moving.called, 0.01)
        self.assertEqual(self.successResultOf(moving), Moved(1, 1, Counter({"time was up": 1})))

    def test_noneFree(self) -> None:
        """
        If all places are taken when an answer is complete, it moves later.
        """
        self.later()
        moving = self.move()
        self.sender._atOnce = 0
        self.page.answer()
        self.turns(5, 0.01)
        self.assertNoResult(moving)
        self.sender._atOnce = 1
        self.sender._pump()
        self.until(lambda: moving.called, 0.01)
        self.assertEqual(self.successResultOf(moving), Moved(1))

    def test_channelLost(self) -> None:
        """
        If the channel is lost, all are left, and work on.
        """
        clients = [self.client(), self.later()]
        moving = self.move()
        self.far.transport.loseConnection()
        self.turns(5, 0.01)
        self.page.answer()
        self.until(lambda: moving.called, 0.01)
        left = self.successResultOf(moving).left
        self.assertEqual(left.total(), 2)
        self.assertIn("channel to the other process is lost", " ".join(left))
        self.heard(clients[1])
        self.assertEqual([self.body(each) for each in clients], [b"here /", b"here /"])

    def test_closed(self) -> None:
        """
        When the channel is closed, what is on its way arrives, and what waits for its turn is
        left.
        """
        clients = [self.client() for _ in range(3)]
        self.sender._atOnce = 1
        self.far.transport.stopReading()
        moving = self.move()
        closing = self.sender.close()
        self.assertFalse(self.sender.free)
        self.turns(5, 0.01)
        self.assertNoResult(closing)
        self.far.transport.startReading()
        self.until(lambda: moving.called and closing.called, 0.01)
        self.successResultOf(closing)
        result = self.successResultOf(moving)
        self.assertEqual(result.moved, 1)
        self.assertEqual(dict(result.left), {"the channel to the other process is closed": 2})
        bodies = sorted(self.body(each) for each in clients)
        self.assertEqual(bodies, [b"here /", b"here /", b"there /"])

    def test_closedInVain(self) -> None:
        """
        Nor is somebody waited for who does not read what other commands have written.
        """
        self.far.transport.stopReading()
        self.near.transport.write(bytes(2**21))
        closing = self.sender.close()
        again = self.sender.close()
        self.turns(90, 0.1)
        self.assertNoResult(closing)
        self.turns(20, 0.1)
        self.successResultOf(closing)
        self.successResultOf(again)
        self.successResultOf(self.sender.close())

    def test_onTheWay(self) -> None:
        """
        What is on the way when time is up is waited for.
        """
        self.client()
        self.far.transport.stopReading()
        moving = self.move(0.1)
        self.turns(30, 0.1)
        self.assertNoResult(moving)
        self.far.transport.startReading()
        self.until(lambda: moving.called, 0.01)
        self.assertEqual(self.successResultOf(moving), Moved(1))

    def test_endsOnTheWay(self) -> None:
        """
        One that stays only to end has ended.
        """
        self.client()
        self.far.transport.stopReading()
        moving = self.move(0.1)
        [connection] = self.here.connections()
        connection.transport.connectionLost(self.failureOf())
        self.far.transport.connectionLost(self.failureOf())
        self.until(lambda: moving.called, 0.01)
        self.turns()
        self.assertEqual(self.successResultOf(moving), Moved(0, 1))
        self.assertHere(0, 0)

    def test_twice(self) -> None:
        """
        Who is moved twice at the same time moves once.
        """
        client = self.client()
        first, second = self.move(), self.move()
        self.until(lambda: first.called and second.called, 0.01)
        self.assertEqual(self.successResultOf(first), Moved(1))
        self.assertEqual(self.successResultOf(second).left, {"it is on its way already": 1})
        self.assertHere(0, 1)
        self.assertEqual(self.body(client), b"there /")

    def test_manyAtOnce(self) -> None:
        """
        It is decided about each only once, however it is looked at.
        """
        for _ in range(3):
            self.client()
        moving = self.move()
        self.turns(1)
        self.until(lambda: moving.called, 0.0)
        [*sweeps] = [call for call in self.reactor.getDelayedCalls() if call.active()]
        self.turns(10, 0.1)
        self.assertEqual(self.successResultOf(moving), Moved(3))
        self.assertLess(len(sweeps), 3)

    def failureOf(self) -> Any:
        """
        Some failure.
        """
        from twisted.internet.error import ConnectionDone
        from twisted.python.failure import Failure

        return Failure(ConnectionDone())


class OthersTests(MovingTestCase):
    """
    Other protocols.
    """

    def test_never(self) -> None:
        """
        What can never move is left at once.
        """
        factory: Any = Factory.forProtocol(Protocol)
        self.begin(factory, factory)
        self.client()
        moved = self.successResultOf(self.move())
        self.assertEqual(moved.left, {"Protocol does not provide IMovable": 1})

    def test_noSocket(self) -> None:
        """
        So is what has no socket at all.
        """
        self.begin(CountingFactory(), CountingFactory())
        connection = Connection(StringTransport(), 0.0)
        moving = moveAll(self.reactor, [connection], self.sender, 1.0)
        self.assertIn("no socket", str(self.successResultOf(moving)))

    def test_looksAgain(self) -> None:
        """
        What cannot now is looked at again and again.
        """
        first = CountingFactory()
        self.begin(first, CountingFactory())
        self.client()
        [protocol] = first.made
        protocol.onSave = lambda: None
        moving = self.move()
        self.turns(20, 0.01)
        self.assertNoResult(moving)
        protocol.onSave = protocol.state
        self.until(lambda: moving.called, 0.01)
        self.assertEqual(self.successResultOf(moving), Moved(1))

    def test_failsToSave(self) -> None:
        """
        What fails is left.
        """
        first = CountingFactory()
        self.begin(first, CountingFactory())
        self.client()

        def fail() -> None:
            raise Boom()

        first.made[0].onSave = fail
        self.assertEqual(self.moved().left.total(), 1)
        self.flushLoggedErrors(Boom)
