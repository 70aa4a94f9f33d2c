"""
Admission in motion, on connections in memory: one after the other.
"""

from __future__ import annotations

from typing import Any

from twisted.protocols.policies import WrappingFactory
from twisted.trial.unittest import SynchronousTestCase

from terminable.admission.room import Room
from terminable.errors import InvalidOption
from terminable.policy.admission import Admission
from terminable.terminator import Terminator
from tests.admitting import RoomTestCase
from tests.doubles import (
    Boom,
    Clock,
    MemoryEndpoint,
    Plain,
    World,
    connectTo,
)


class TurnTests(RoomTestCase):
    """
    One after the other.
    """

    def test_waits(self) -> None:
        """
        The next protocol is not even built before the one before it is over.
        """
        self.open(capacity=1)
        first, second, third = self.come(3)
        self.assertEqual((self.inside(), self.terminator.waiting), ([1], 2))
        self.assertEqual(len(self.terminator.connections()), 3)
        first.end()
        self.assertEqual(self.inside(), [])
        self.clock.advance(0)
        self.assertEqual(self.inside(), [2])
        second.end()
        self.clock.advance(0)
        third.end()
        self.clock.advance(0)
        self.assertEqual((self.inside(), self.terminator.waiting), ([], 0))
        self.assertEqual(len(self.factory.ended), 3)
        self.assertEqual(self.terminator.connections(), [])

    def test_withoutAdmission(self) -> None:
        """
        Nobody waits where nobody has to.
        """
        world = World(Plain)
        world.connect()
        self.assertEqual(world.terminator.waiting, 0)

    def test_dataIsKept(self) -> None:
        """
        What comes on a transport that cannot be paused is kept.
        """
        self.open(capacity=1)
        heard: list[bytes] = []
        self.factory.protocol = type(
            "Hears", (Plain,), {"dataReceived": lambda _, it: heard.append(it)}
        )
        first, second = self.come(2)
        second.protocol.dataReceived(b"a")
        second.protocol.dataReceived(b"b")
        self.assertEqual(heard, [])
        first.end()
        self.clock.advance(0)
        second.protocol.dataReceived(b"c")
        self.assertEqual(heard, [b"a", b"b", b"c"])

    def test_goneWhileWaiting(self) -> None:
        """
        Who goes before his turn has had none, and no protocol.
        """
        self.open(capacity=1)
        first, second, third = self.come(3)
        second.end()
        first.end()
        self.clock.advance(0)
        self.assertEqual(self.inside(), [3])
        self.assertEqual(len(self.factory.protocols), 2)
        third.end()

    def test_losingWhileWaiting(self) -> None:
        """
        Who is being lost is not admitted.
        """
        self.open(capacity=1)
        first, second = self.come(2, delay=None)
        second.loseConnection()
        first.end()
        self.clock.advance(0)
        self.assertEqual((self.inside(), self.terminator.waiting), ([], 0))

    def test_noneBuilt(self) -> None:
        """
        A factory that builds nothing has its client lost, and the next one comes in.
        """
        self.open(capacity=1)
        build = self.factory.buildProtocol
        first, second, third = self.come(3)
        built = [None, build(None)]
        self.factory.buildProtocol = lambda addr: built.pop(0)  # type: ignore[method-assign]
        first.end()
        self.clock.advance(0)
        self.assertTrue(second.over)
        self.clock.advance(0)
        self.assertEqual(self.inside(), [3])
        third.end()

    def test_failing(self) -> None:
        """
        A protocol that cannot be built or connected costs its own connection alone.
        """
        self.open(capacity=1)
        first, second, third = self.come(3)

        def fail(protocol: Any) -> None:
            self.factory.protocol = Plain
            raise Boom

        self.factory.protocol = type("Fails", (Plain,), {"connectionMade": fail})
        first.end()
        self.clock.advance(0)
        self.assertTrue(second.aborted)
        self.assertEqual(self.inside(), [3])
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)
        third.end()

    def test_manyAtOnce(self) -> None:
        """
        Whoever goes as soon as he comes costs no more than a turn of the reactor, and no
        stack.
        """
        self.open(capacity=1, queue=3000)
        self.factory.protocol = type(
            "Brief", (Plain,), {"connectionMade": lambda it: it.transport.end()}
        )
        first = self.world.connect()
        self.assertTrue(first.over)
        self.factory.protocol = Plain
        holder = self.world.connect()
        others = self.come(2000)
        self.factory.protocol = type(
            "Brief", (Plain,), {"connectionMade": lambda it: it.transport.end()}
        )
        holder.end()
        while self.terminator.waiting:
            self.clock.advance(0)
        self.assertTrue(all(each.over for each in others))

    def test_many(self) -> None:
        """
        Many places that become free at once are taken in several turns.
        """
        self.open(capacity=120, queue=3000)
        first = self.come(120)
        self.come(120)
        for each in first:
            each.end()
        self.assertEqual(len(self.inside()), 0)
        self.clock.advance(0)
        self.assertEqual(len(self.inside()), 120)

    def test_askedTwice(self) -> None:
        """
        Who has to ask at two doors asks once.
        """
        self.open(capacity=1)
        outer = self.terminator.wrap(WrappingFactory(self.world.wrapped))
        first = connectTo(outer, self.clock)
        self.assertEqual((len(self.factory.protocols), self.terminator.waiting), (1, 0))
        second = connectTo(outer, self.clock)
        self.assertEqual((len(self.factory.protocols), self.terminator.waiting), (1, 1))
        first.end()
        self.clock.advance(0)
        self.assertEqual((len(self.factory.protocols), self.terminator.waiting), (2, 0))
        second.end()

    def test_ownKindsOfPorts(self) -> None:
        """
        Ports that nobody knows are served by the same room.
        """
        self.open(capacity=1)
        endpoint = MemoryEndpoint(self.clock)
        self.successResultOf(self.terminator.listen(endpoint, self.factory))
        endpoint.ports[-1].connect(port=1)
        endpoint.ports[-1].connect(port=2)
        self.come(1)
        self.assertEqual((self.inside(), self.terminator.waiting), ([1], 2))


class OptionTests(SynchronousTestCase):
    """
    What a terminator is given.
    """

    def test_noAdmission(self) -> None:
        """
        It must be an L{Admission}.
        """
        error = self.assertRaises(InvalidOption, Terminator, Clock(), admission=10)
        self.assertIn("admission: 10 given, expected an Admission", str(error))

    def test_until(self) -> None:
        """
        And something to call, which means nothing without it.
        """
        admission = Admission(capacity=1)
        self.assertRaises(
            InvalidOption, Terminator, Clock(), admission=admission, admittedUntil="never"
        )
        self.assertRaises(InvalidOption, Terminator, Clock(), admittedUntil=len)

    def test_numbers(self) -> None:
        """
        How many are there can be asked for.
        """
        room = Room(Clock(), Admission())
        self.assertEqual((room.inside, room.waiting), (0, 0))
