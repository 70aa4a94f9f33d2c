"""
What peers are sent is held to rates, on real transports.
"""

from __future__ import annotations

import select
import socket
from functools import partial
from typing import Any

from twisted.internet import _producer_helpers
from twisted.internet.task import Cooperator

from tests.throttles import Hearing, Server, ThrottleTestCase
from tests.wire import Wire


class Producing:
    """
    Produces so many bytes.
    """

    def __init__(self, transport: Any, size: int, pushes: bool) -> None:
        self.transport = transport
        self.size = size
        self.pushes = pushes
        self.paused = 0
        self.stopped = False

    def pauseProducing(self) -> None:
        """
        Enough.
        """
        self.paused += 1
        self.running = False

    def resumeProducing(self) -> None:
        """
        More.
        """
        self.running = True
        while self.running and self.size:
            self.size -= 10000
            self.transport.write(b"x" * 10000)
            if not self.pushes:
                break
        if not self.size:
            self.transport.unregisterProducer()

    def stopProducing(self) -> None:
        """
        No more.
        """
        self.stopped = True


class SendingTests(ThrottleTestCase):
    """
    What peers are sent.
    """

    def sending(self, *limits: Any, **options: Any) -> tuple[Server, Wire]:
        """
        Somebody who is sent something.
        """
        server = self.serve(Hearing, *(limits or ("sent=20000/s:burst=5000",)))
        return server, server.connect(**options)

    def test_rate(self) -> None:
        """
        The burst is sent at once, the rest as the rate allows.
        """
        for family in (socket.AF_INET, socket.AF_UNIX):
            server, wire = self.sending(family=family)
            wire.transport.write(b"x" * 15000)
            for wished in (5000, 7000, 9000, 11000, 13000, 15000):
                server.pump()
                self.assertLess(abs(len(wire.peer.received) - wished), 500)
                server.go(0.1)
            self.assertEqual(wire.peer.received, b"x" * 15000)
            self.assertEqual(server.clock.getDelayedCalls(), [])
            self.assertNotIn(wire.transport, server.clock.writers)

    def test_tls(self) -> None:
        """
        Below TLS, too, the whole answer and the goodbye arrive.
        """
        server, wire = self.sending(tls=True)
        wire.protocol.transport.write(b"x" * 15000)
        wire.protocol.transport.loseConnection()
        server.go(0.2)
        self.assertLess(len(wire.peer.received), 15000)
        server.go(1.5)
        self.assertEqual(wire.peer.received, b"x" * 15000)
        self.assertTrue(wire.peer.notified)
        wire.peer.sayGoodbye()
        server.go(0.1)
        self.assertEqual(wire.protocol.ended, 1)

    def test_writesMeanwhile(self) -> None:
        """
        What is written while it waits does not make it any faster.
        """
        server, wire = self.sending()
        for _ in range(100):
            wire.transport.write(b"x" * 150)
            server.go(0.005, 0.005)
        self.assertLess(abs(len(wire.peer.received) - 15000), 500)
        self.assertLess(server.throttle.counts.held, 60)

    def test_lost(self) -> None:
        """
        A connection that is lost is so when everything was sent.
        """
        server, wire = self.sending()
        wire.transport.write(b"x" * 15000)
        wire.transport.loseConnection()
        server.go(0.3)
        self.assertEqual(wire.protocol.ended, 0)
        server.go(0.4)
        self.assertEqual((len(wire.peer.received), wire.peer.over), (15000, "FIN"))
        self.assertEqual(wire.protocol.ended, 1)

    def test_halfEnd(self) -> None:
        """
        So is its half.
        """
        server, wire = self.sending()
        wire.transport.write(b"x" * 6000)
        wire.transport.loseWriteConnection()
        server.go(0.02)
        self.assertIsNone(wire.peer.over)
        server.go(0.2)
        self.assertEqual((len(wire.peer.received), wire.peer.over), (6000, "FIN"))

    def test_aborted(self) -> None:
        """
        One that is aborted ends at once, and leaves no call.
        """
        server, wire = self.sending()
        wire.transport.write(b"x" * 15000)
        server.pump()
        wire.transport.abortConnection()
        server.pump()
        self.assertEqual((wire.protocol.ended, server.clock.getDelayedCalls()), (1, []))
        self.assertNotIn(wire.transport, server.clock.writers)

    def test_producers(self) -> None:
        """
        Producers are paused instead of filling memory, and produce everything.
        """
        for pushes in (True, False):
            server, wire = self.sending("sent=1MB/s:burst=100kB")
            cooperator = Cooperator(scheduler=partial(server.clock.callLater, 0))
            self.patch(_producer_helpers, "cooperate", cooperator.cooperate)
            producer = Producing(wire.transport, 600_000, pushes)
            wire.transport.registerProducer(producer, pushes)
            if pushes:
                producer.resumeProducing()
            wire.transport.loseConnection()
            for _ in range(60):
                server.go(0.01)
                self.assertLess(len(wire.transport.dataBuffer), 200_000)
            self.assertEqual((len(wire.peer.received), wire.peer.over), (600_000, "FIN"))
            self.assertEqual(bool(producer.paused), pushes)

    def test_slowReader(self) -> None:
        """
        Whose peer does not read has nothing set aside, so that others are not slowed down.
        """
        server = self.serve(Hearing, "sent=1MB/s:burst=10kB:per=all")
        slow, fast = server.connect(sendBuffer=4096), server.connect()
        slow.transport.write(b"x" * 1_000_000)
        fast.transport.write(b"x" * 500_000)
        for _ in range(120):
            server.clock.advance(0.01)
            # As a reactor does it: only if the kernel takes something.
            if select.select([], [slow.transport.socket], [], 0)[1]:
                slow.write()
            fast.pump()
        self.assertEqual(len(fast.peer.received), 500_000)
        source = server.throttle.sourceOf(server.throttle.limits[0], "")[0]
        self.assertEqual(source.held, 0.0)

    def test_bothWays(self) -> None:
        """
        Each direction has its own rate.
        """
        server, wire = self.sending("sent=1000/s:burst=100", "received=2000/s:burst=100")
        wire.transport.write(b"x" * 1000)
        wire.peer.send(b"x" * 1000)
        server.go(0.3)
        self.assertLess(abs(len(wire.peer.received) - 400), 30)
        self.assertLess(abs(len(wire.protocol.heard) - 700), 50)

    def test_twoRates(self) -> None:
        """
        Of several rates the slowest counts, and none is exceeded.
        """
        server, wire = self.sending("sent=2000/s:burst=500", "sent=1000/s:burst=100:per=all")
        other = server.connect()
        for each in (wire, other):
            each.transport.write(b"x" * 5000)
        server.go(1.0)
        total = len(wire.peer.received) + len(other.peer.received)
        self.assertTrue(1060 <= total <= 1100, total)
        self.assertLess(abs(len(wire.peer.received) - len(other.peer.received)), 150)
