"""
Limits at work, on connections as they come and go.
"""

from __future__ import annotations

import gc
import socket
import weakref
from typing import Any

from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.protocols.basic import LineReceiver
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from terminable.errors import InvalidOption
from terminable.interfaces import ICounted
from terminable.policy.limits import Limit, limit
from terminable.terminator import Terminator
from terminable.throttling.charges import Refusal
from terminable.throttling.throttle import Counts, Throttle
from terminable.throttling.throttled import LEAVING
from tests.doubles import Boom, MemoryTransport, connectTo
from tests.throttles import Hearing, Lines, ThrottleTestCase, numbers


@implementer(ICounted)
class Own(Hearing):
    """
    Tells of its messages itself; each byte is one.
    """

    def eachMessage(self, message: Any) -> None:
        """
        See L{ICounted.eachMessage}.
        """
        self.message = message

    def dataReceived(self, data: bytes) -> None:
        """
        There is something.
        """
        for byte in data:
            self.message(self.hear, bytes([byte]))

    def hear(self, byte: bytes) -> None:
        """
        One of them.
        """
        self.heard += byte


@implementer(ICounted)
class Broken(Hearing):
    """
    Fails to tell.
    """

    def eachMessage(self, message: Any) -> None:
        """
        See L{ICounted.eachMessage}.
        """
        raise Boom


class ThrottleTests(SynchronousTestCase):
    """
    L{Throttle} by itself.
    """

    def test_limits(self) -> None:
        """
        Limits are given as such, or as texts, one or several.
        """
        one = Limit(messages=1)
        for given, count in ((one, 1), ("messages=1", 1), ([one, "sent=5:per=all"], 2), ((), 0)):
            made = Throttle(Clock(), given)
            self.assertEqual([type(each) for each in made.limits], [Limit] * count)
        self.assertEqual(made.counts, Counts(0, 0, 0))

    def test_nonsense(self) -> None:
        """
        What cannot be meant is refused before anybody listens.
        """
        one = Limit(messages=1)
        for given in (5, None, [5], [one, None], [one, one], {"messages": 1}, [b"messages=1"]):
            error = self.assertRaises(InvalidOption, Throttle, Clock(), given)
            self.assertIn(error.option, ("limits", "limit"))
        self.assertRaises(InvalidOption, Throttle, Clock(), ["messages=1:burst=0.5"])
        self.assertRaises(InvalidOption, Limit, messages=1, prefixes=(33, 64))
        self.assertRaises(InvalidOption, Terminator, Clock(), limits=["messages=0"])

    def test_peers(self) -> None:
        """
        Who counts as one peer may be said.
        """
        made = limit("messages=1:prefixes=24,64")
        self.assertEqual(made.peer("192.0.2.7"), "192.0.2.0/24")
        self.assertEqual(made.peer(None), "local")

    def test_sources(self) -> None:
        """
        Each connection, each peer, and all together have their buckets.
        """
        single, peer, all_ = limits = [
            Limit(messages=1, per=per) for per in ("connection", "peer", "all")
        ]
        made = Throttle(Clock(), limits)
        self.assertIsNot(made.sourceOf(single, "a")[0], made.sourceOf(single, "a")[0])
        ours, leave = made.sourceOf(peer, "a")
        self.assertIs(made.sourceOf(peer, "a")[0], ours)
        self.assertIsNot(made.sourceOf(peer, "b")[0], ours)
        self.assertIs(made.sourceOf(all_, "a")[0], made.sourceOf(all_, "b")[0])
        leave()
        leave()
        self.assertIsNot(made.sourceOf(peer, "a")[0], ours)

    def test_strangers(self) -> None:
        """
        Of connections that it does not know nothing is done.
        """
        made = Throttle(Clock(), "messages=1")
        made.end(object())
        made.meet(object())


class ConnectionTests(ThrottleTestCase):
    """
    One connection after the other.
    """

    def test_unlimited(self) -> None:
        """
        Without limits, or with others, a transport is as it would be.
        """
        for limits in ((), ("messages=5",)):
            server = self.serve(Hearing, *limits)
            wire = server.connect()
            self.assertIs(type(wire.transport.socket), socket.socket)
            wire.peer.send(numbers(100))
            server.pump()
            self.assertEqual(wire.protocol.heard, numbers(100))

    def test_own(self) -> None:
        """
        A protocol may tell of its messages itself.
        """
        server = self.serve(Own, "messages=10/s:burst=2:over=delay")
        wire = server.connect()
        wire.peer.send(b"abcdef")
        server.pump()
        self.assertEqual(wire.protocol.heard, b"ab")
        server.go(0.21)
        self.assertEqual(wire.protocol.heard, b"abcd")

    def test_broken(self) -> None:
        """
        One that fails to do so is served without limits.
        """
        server = self.serve(Broken, "messages=10/s:burst=2:over=delay")
        wire = server.connect()
        wire.peer.send(b"abcdef")
        server.pump()
        self.assertEqual(wire.protocol.heard, b"abcdef")
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)

    def test_perPeer(self) -> None:
        """
        Connections of a peer share its rate also one after the other; nobody is remembered
        for longer than that matters.
        """
        server = self.serve(Lines, "messages=10/s:burst=5:per=peer")
        [limit] = server.throttle.limits
        first = server.connect()
        first.peer.send(numbers(5))
        server.pump()
        server.leave(first)
        second = server.connect()
        second.peer.send(numbers(3))
        server.go(0.15)
        self.assertEqual(second.protocol.lines, [b"0"])
        server.go(0.2)
        self.assertEqual(len(second.protocol.lines), 3)
        source, leave = server.throttle.sourceOf(limit, "127.0.0.1")
        self.assertLess(source.level, 1.0)
        leave()
        server.go(1.0)
        server.leave(second)
        again, _ = server.throttle.sourceOf(limit, "127.0.0.1")
        self.assertIsNot(again, source)

    def test_all(self) -> None:
        """
        One message of each of many connections is held to the rate of all, as are many of
        one.
        """
        server = self.serve(Lines, "messages=100/s:burst=10:per=all")
        wires = [server.connect() for _ in range(50)]
        for wire in wires:
            wire.peer.send(numbers(1))
        server.pump()
        done = []
        for _ in range(5):
            done.append(sum(len(wire.protocol.lines) for wire in wires))
            server.go(0.1)
        self.assertEqual(done[0], 10)
        self.assertTrue(all(29 <= count <= 30 for count in done[2:3]), done)
        self.assertEqual(sum(len(wire.protocol.lines) for wire in wires), 50)

    def test_goneWhileWaiting(self) -> None:
        """
        Those who go before it is their turn leave nothing to be waited for.
        """
        server = self.serve(Lines, "messages=10/s:burst=1:per=all")
        wires = [server.connect() for _ in range(20)]
        for wire in wires:
            wire.peer.send(numbers(5))
        server.pump()
        for wire in wires[:-1]:
            wire.transport.abortConnection()
        server.go(0.11)
        self.assertEqual(wires[-1].protocol.lines, [b"0"])
        server.go(0.5)
        self.assertEqual(len(wires[-1].protocol.lines), 5)

    def test_disconnect(self) -> None:
        """
        Who has to go is lost after the warning; if he does not let go, he is cut off.
        """
        server = self.serve(Lines, "messages=10/s:burst=1:over=disconnect:warning=0.5")
        wire = server.connect(sendBuffer=4096)
        wire.peer.send(numbers(3))
        wire.transport.write(b"x" * 5_000_000)
        server.go(0.4, limit=0)
        self.assertEqual((wire.protocol.ended, wire.transport.disconnecting), (0, 0))
        server.go(0.2, limit=0)
        self.assertTrue(wire.transport.disconnecting)
        self.assertEqual(wire.protocol.ended, 0)
        server.go(LEAVING, limit=0)
        self.assertEqual(wire.protocol.ended, 1)
        counts = server.throttle.counts
        self.assertEqual((counts.refused, counts.disconnected), (1, 1))
        self.assertEqual(server.clock.getDelayedCalls(), [])

    def test_cutOff(self) -> None:
        """
        Who sends too many bytes is lost in the words of his protocol, if messages are
        counted; once.
        """
        server = self.serve(
            Lines,
            "messages=1000/s",
            "received=1000/s:burst=100:over=disconnect:warning=0.1",
        )
        wire = server.connect()
        wire.peer.send(numbers(500))
        server.go(0.3)
        self.assertEqual(wire.peer.over, "FIN")
        wire.peer.socket.shutdown(socket.SHUT_WR)
        server.go(0.1)
        self.assertEqual(wire.protocol.ended, 1)
        self.assertEqual(server.throttle.counts.disconnected, 1)

    def test_oldMeter(self) -> None:
        """
        What is refused later, by whatever counts, changes nothing.
        """
        server = self.serve(Lines, "messages=1:over=disconnect", "received=1:over=disconnect")
        wire = server.connect()
        owner = server.throttle._live[wire.transport]
        limit = server.throttle.limits[0]
        owner.refused(Refusal(limit, 1.0, last=True))
        owner.refused(Refusal(limit, 1.0, last=True))
        owner.cut(limit)
        self.assertEqual(server.throttle.counts, Counts(0, 2, 1))

    def test_exchanged(self) -> None:
        """
        A protocol that takes another's place is counted too, and its messages to the same
        rate; none is hooked twice.
        """
        server = self.serve(Lines, "messages=10/s:burst=3")
        wire = server.connect()
        wire.peer.send(numbers(2))
        server.pump()
        server.throttle.meet(wire.transport)
        other = wire.transport.protocol = Lines()
        other.makeConnection(wire.transport)
        server.throttle.meet(wire.transport)
        wire.peer.send(numbers(5))
        server.pump()
        self.assertEqual(len(other.lines), 2)
        server.go(0.31)
        self.assertEqual(len(other.lines), 5)

    def test_twice(self) -> None:
        """
        A connection begins once.
        """
        server = self.serve(Lines, "received=10")
        wire = server.connect()
        sock = wire.transport.socket
        server.throttle.begin(wire.transport, lambda transport: None)
        self.assertIs(wire.transport.socket, sock)

    def test_collected(self) -> None:
        """
        Who has had a connection needs no garbage collector to go, whatever was counted.
        """
        for limits in (["messages=1000"], ["received=100", "sent=5:per=all", "messages=5:per=all"]):
            for says in (b"", numbers(20)):
                server = self.serve(Lines, *limits)
                wire = server.connect()
                if says:
                    wire.peer.send(says)
                server.go(0.1)
                protocol = weakref.ref(wire.protocol)
                gc.collect()
                gc.disable()
                self.addCleanup(gc.enable)
                wire.transport.abortConnection()
                server.go(0.01)
                del wire.protocol
                self.assertIsNone(protocol())
                gc.enable()


class MemoryTests(SynchronousTestCase):
    """
    Transports without a socket.
    """

    def connect(self, *limits: str) -> MemoryTransport:
        """
        Somebody connects.
        """
        self.clock = Clock()
        self.terminator = Terminator(self.clock, limits=limits)
        return connectTo(self.terminator.wrap(Factory.forProtocol(LineReceiver)), self.clock)

    def test_bytes(self) -> None:
        """
        Their bytes are not counted.
        """
        transport = self.connect("received=1", "sent=1")
        transport.protocol.dataReceived(b"x" * 100)
        transport.protocol.wrappedProtocol.transport.write(b"y" * 100)
        self.assertEqual(transport.written, b"y" * 100)

    def test_messages(self) -> None:
        """
        Their messages are, and who has to go is aborted, or at least lost.
        """
        for aborts in (True, False):
            transport: Any = self.connect("messages=1:over=disconnect:warning=0")
            if not aborts:
                transport.abortConnection = None
            transport.delay = None
            lines: list[bytes] = []
            transport.protocol.wrappedProtocol.lineReceived = lines.append
            self.terminator.throttle.end(transport)
            self.terminator.throttle.begin(transport, lambda transport: None)
            transport.protocol.dataReceived(b"1\r\n2\r\n3\r\n")
            self.assertEqual(lines, [b"1"])
            self.clock.pump([0.01] * 300)
            self.assertEqual((transport.disconnecting, transport.aborted), (True, aborts))
            transport.end()
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nobody(self) -> None:
        """
        A transport that has no protocol any more is left alone.
        """
        transport = self.connect("messages=1")
        transport.protocol = None
        self.terminator.throttle.meet(transport)
