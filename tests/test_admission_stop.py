"""
Admission when the queue is full, and when a stop begins.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.mail.smtp import SMTP

from tests.admitting import RoomTestCase
from tests.doubles import (
    Boom,
    Hinting,
    Keeping,
    MemoryEndpoint,
    MemoryTransport,
)


class Mail(SMTP):
    """
    A mail server that has nothing to do.
    """

    def connectionMade(self) -> None:
        """
        Say nothing.
        """

    def connectionLost(self, reason: Any = None) -> None:
        """
        Nor then.
        """


class FullTests(RoomTestCase):
    """
    No place in the queue.
    """

    def test_lost(self) -> None:
        """
        A protocol without words for it is lost.
        """
        self.open(capacity=1, queue=1, full="refuse")
        _, second, third = self.come(3)
        self.assertTrue(third.disconnecting)
        self.assertFalse(third.aborted or second.disconnecting)
        self.clock.advance(1)
        self.assertEqual((third.written, third.over), (b"", True))
        self.assertEqual((len(self.factory.protocols), self.terminator.waiting), (1, 1))

    def refused(self) -> dict[str, int]:
        """
        @return: how many were refused, by the reasons that there were.
        """
        room = self.terminator.room
        assert room is not None
        return {reason: count for reason, count in room.refused.items() if count}

    def test_counted(self) -> None:
        """
        It is counted who is refused, and why.
        """
        self.open(capacity=1, queue=2, full="refuse", perPeerQueue=1, wait=2.0)
        self.come(3, delay=None)
        self.assertEqual(self.refused(), {"peer": 1})
        for number in (5, 6):
            other = MemoryTransport(self.clock)
            other._peer = IPv4Address("TCP", f"10.0.0.{number}", 1)
            other.protocol = self.world.wrapped.buildProtocol(other.getPeer())
            other.protocol.makeConnection(other)
        self.assertEqual(self.refused(), {"peer": 1, "full": 1})
        self.clock.advance(2.0)
        self.assertEqual(self.refused(), {"peer": 1, "full": 1, "late": 2})

    def test_countedAtStop(self) -> None:
        """
        So are those whom the stop refuses.
        """
        self.open(capacity=1, atStop="refuse")
        self.come(3, delay=None)
        self.terminator.terminate()
        self.assertEqual(self.refused(), {"stop": 2})

    def test_reset(self) -> None:
        """
        Or reset.
        """
        self.open(capacity=1, queue=1, full="reset")
        _, _, third = self.come(3)
        self.assertTrue(third.aborted)

    def test_notTooManyRefusals(self) -> None:
        """
        Those who are refused are not more than so many, and not there for long.
        """
        self.open(capacity=1, queue=0, full="refuse", refusals=2)
        transports = self.come(4, delay=None)
        self.assertEqual([each.disconnecting for each in transports], [False, True, True, True])
        self.world.pass_(5.1)
        self.assertEqual([each.aborted for each in transports], [False, True, True, False])
        transports[1].end()
        self.assertEqual(len(self.terminator.connections()), 3)

    def test_theYoungestGivesWay(self) -> None:
        """
        In a full queue, another peer gets the place of the youngest of those who have more.
        """
        self.open(capacity=1, queue=2, full="refuse")
        _, _, third = self.come(3)
        other = MemoryTransport(self.clock)
        other._peer = type(other._peer)("TCP", "127.0.0.9", 1)
        other.protocol = self.world.wrapped.buildProtocol(other.getPeer())
        other.protocol.makeConnection(other)
        self.assertTrue(third.disconnecting)
        self.assertFalse(other.disconnecting)

    def test_words(self) -> None:
        """
        Who is refused is told so in the words of the protocol, if it has any.
        """
        self.open(Mail, capacity=1, queue=0, full="refuse")
        _, second = self.come(2)
        self.assertEqual(second.written[:10], b"421 4.3.2 ")
        self.assertTrue(second.disconnecting)

    def test_refusalFails(self) -> None:
        """
        A refusal that cannot be connected is logged, and its connection aborted.
        """
        self.open(capacity=1, queue=0, full="refuse")
        self.come(1)
        transport = MemoryTransport(self.clock)

        def fail() -> None:
            del transport.loseConnection
            raise Boom

        transport.loseConnection = fail  # type: ignore[method-assign]
        transport.protocol = self.world.wrapped.buildProtocol(transport.getPeer())
        transport.protocol.makeConnection(transport)
        self.assertTrue(transport.aborted)
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)


class StopTests(RoomTestCase):
    """
    A stop begins while somebody waits.
    """

    def test_admitted(self) -> None:
        """
        They are admitted in turn, and begin to drain at once.
        """
        self.open(capacity=1)
        first, second, third = self.come(3)
        report = self.terminator.terminate()
        self.world.pass_(0.5)
        self.assertFalse(second.disconnecting)
        first.end()
        self.clock.advance(0)
        self.assertEqual(self.inside(), [2])
        second.end()
        self.clock.advance(0)
        third.end()
        found = self.successResultOf(report)
        self.assertEqual((found.opened, found.finished, found.idle, found.aborted), (3, 2, 1, 0))

    def test_idleOnesMakeRoom(self) -> None:
        """
        Each has an idle grace of its own from when it was admitted.
        """
        self.open(capacity=1)
        self.come(3)
        report = self.terminator.terminate()
        self.world.pass_(2.5)
        self.assertNoResult(report)
        self.world.pass_(1.5)
        self.assertEqual(self.successResultOf(report).finished, 2)

    def test_busyOnesAreTold(self) -> None:
        """
        Who waited beyond the idle grace, and is busy when he is admitted, is told like any other.
        """
        self.open(Hinting, capacity=1, gracePeriod=9)
        first, second = self.come(2)
        self.factory.protocols[0].busy = True
        self.terminator.terminate()
        self.world.pass_(1.5)
        self.factory.protocol = type("Busy", (Hinting,), {"busy": True})
        self.factory.protocols[0].finish()
        self.world.pass_(0.1)
        self.assertEqual((first.over, self.inside()), (True, [2]))
        self.assertIsNotNone(self.factory.protocols[1].told)
        self.world.pass_(1.1)
        self.assertEqual(self.factory.protocols[1].drained, 1)
        self.factory.protocols[1].finish()
        self.world.pass_(0.1)
        self.assertTrue(second.over)

    def test_refused(self) -> None:
        """
        Or refused, if that is wanted; also who comes later.
        """
        self.open(Keeping, capacity=1, atStop="refuse", gracePeriod=5, idleGrace=1)
        first, second = self.come(2)
        report = self.terminator.terminate()
        self.world.pass_(0.1)
        self.assertEqual((first.disconnecting, second.over), (False, True))
        late = self.come(1)[0]
        self.world.pass_(0.1)
        self.assertEqual((late.over, self.terminator.waiting), (True, 0))
        first.end()
        self.assertEqual(self.successResultOf(report).opened, 3)

    def test_resetAtStop(self) -> None:
        """
        They are reset where that is how somebody is turned away.
        """
        self.open(Keeping, capacity=1, atStop="refuse", full="reset", gracePeriod=5)
        first, second = self.come(2)
        self.terminator.terminate()
        self.world.pass_(0.1)
        self.assertEqual((first.over, second.over), (False, True))
        self.assertEqual(self.inside(), [1])

    def test_refusedBeyondTheBound(self) -> None:
        """
        Without a word, if there are too many.
        """
        self.open(capacity=1, atStop="refuse", refusals=0)
        _, second = self.come(2)
        self.terminator.terminate()
        self.world.pass_(0.1)
        self.assertTrue(second.over)

    def test_deadline(self) -> None:
        """
        At the deadline who waits is told, aborted and named.
        """
        self.open(Keeping, capacity=1, gracePeriod=2)
        self.come(2, delay=0.05)
        report = self.terminator.terminate()
        self.world.pass_(2.5)
        found = self.successResultOf(report)
        self.assertEqual(found.aborted, 2)
        entry = next(each for each in found.entries if each.doing)
        self.assertEqual((entry.doing, entry.told), ("waiting to be admitted", "refused"))

    def test_deadlineWithoutWords(self) -> None:
        """
        Nobody is told where the others are reset.
        """
        self.open(Keeping, capacity=1, gracePeriod=2, full="reset")
        _, second = self.come(2)
        report = self.terminator.terminate()
        self.world.pass_(2.5)
        self.assertTrue(second.aborted)
        self.assertEqual({each.told for each in self.successResultOf(report).entries}, {""})

    def test_abort(self) -> None:
        """
        An abort aborts who waits.
        """
        self.open(capacity=1)
        _, second = self.come(2)
        report = self.terminator.abort()
        self.world.pass_(0.5)
        self.assertTrue(second.aborted)
        self.assertEqual(self.successResultOf(report).aborted, 1)

    def test_notAdmittedAfterTheDeadline(self) -> None:
        """
        When everybody is being aborted nobody is admitted.
        """
        self.open(capacity=1)
        first, _ = self.come(2, delay=None)
        self.terminator.abort()
        first.end()
        self.world.pass_(0.1)
        self.assertEqual(len(self.factory.protocols), 1)
        self.assertEqual(self.terminator.waiting, 0)

    def test_drainByChoice(self) -> None:
        """
        Who is chosen while he waits drains from when he is admitted.
        """
        self.open(capacity=1)
        first, second = self.come(2)
        report = self.terminator.drain(lambda each: each.transport is second)
        self.world.pass_(1.5)
        self.assertFalse(second.disconnecting)
        first.end()
        self.clock.advance(0)
        self.assertEqual(self.inside(), [2])
        self.assertFalse(second.disconnecting)
        self.world.pass_(1.1)
        self.assertTrue(second.over)
        self.assertEqual(self.successResultOf(report).finished, 1)
        self.assertEqual(self.terminator.phase.value, "serving")

    def test_anotherGeneration(self) -> None:
        """
        Who waits when the ports are released is admitted for the generation that it came
        to; all share the places.
        """
        self.open(capacity=1)
        endpoint = MemoryEndpoint(self.clock)
        self.successResultOf(self.terminator.listen(endpoint, self.factory))
        first = endpoint.ports[-1].connect(port=1)
        second = endpoint.ports[-1].connect(port=2)
        self.terminator.release()
        self.clock.advance(0)
        self.successResultOf(self.terminator.listen(endpoint, self.factory))
        third = endpoint.ports[-1].connect(port=3)
        self.assertEqual((self.inside(), self.terminator.waiting), ([1], 2))
        self.assertEqual(len(self.terminator.connections()), 1)
        first.end()
        self.clock.advance(0)
        self.assertEqual(self.inside(), [2])
        second.end()
        self.clock.advance(0)
        self.assertEqual(self.inside(), [3])
        self.assertFalse(third.disconnecting)
