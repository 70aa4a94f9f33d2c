"""
What peers send is held to rates, on real transports.
"""

from __future__ import annotations

import array
import os
import socket

from twisted.internet.interfaces import IFileDescriptorReceiver, IHalfCloseableProtocol
from zope.interface import implementer

from terminable.policy.limits import Limit
from terminable.throttling.flows import RECEIVING
from terminable.tracking import pausing
from tests.throttles import Hearing, ThrottleTestCase, within


@implementer(IFileDescriptorReceiver)
class Taking(Hearing):
    """
    Takes descriptors too.
    """

    def __init__(self) -> None:
        super().__init__()
        self.descriptors: list[int] = []

    def fileDescriptorReceived(self, descriptor: int) -> None:
        """
        There is one.
        """
        self.descriptors.append(descriptor)


@implementer(IHalfCloseableProtocol)
class Half(Hearing):
    """
    Lives on when one side has ended.
    """

    halves = 0

    def readConnectionLost(self) -> None:
        """
        The peer says no more.
        """
        self.halves += 1

    def writeConnectionLost(self) -> None:
        """
        We say no more.
        """
        self.halves += 1


class ReceivingTests(ThrottleTestCase):
    """
    What peers send.
    """

    def test_rate(self) -> None:
        """
        The burst is read at once, the rest as the rate allows, below TLS and on UNIX sockets
        as well; what is not read stays in the kernel.
        """
        for options in ({}, {"tls": True}, {"family": socket.AF_UNIX}):
            server = self.serve(Hearing, "received=20000/s:burst=5000")
            wire = server.connect(**options)
            wire.peer.send(b"x" * 15000)
            server.pump()
            heard = []
            for _ in range(6):
                heard.append(len(wire.protocol.heard))
                server.go(0.1)
            wished = [5000, 7000, 9000, 11000, 13000, 15000]
            # TLS has its handshake, and reads whole records.
            slack = 5500 if "tls" in options else 500
            if "tls" not in options:
                for size, wish in zip(heard, wished, strict=True):
                    self.assertLess(abs(size - wish), slack)
            server.go(1.0)
            self.assertEqual(wire.protocol.heard, b"x" * 15000)
            self.assertEqual(pausing.pausedBy(wire.transport), frozenset())
            self.assertEqual(server.clock.getDelayedCalls(), [])

    def test_pauses(self) -> None:
        """
        Who has to wait is not read from, and is asked nothing.
        """
        server = self.serve(Hearing, "received=1000/s:burst=100")
        wire = server.connect()
        wire.peer.send(b"x" * 200)
        server.pump()
        self.assertEqual(len(wire.protocol.heard), 100)
        self.assertEqual(pausing.pausedBy(wire.transport), {RECEIVING})
        self.assertNotIn(wire.transport, server.clock.readers)
        self.assertEqual(server.throttle.counts.held, 1)

    def test_quiet(self) -> None:
        """
        Who was quiet for long may send no more at once than the burst.
        """
        server = self.serve(Hearing, "received=1000/s:burst=100")
        wire = server.connect()
        wire.peer.send(b"x")
        server.pump()
        server.go(60.0)
        wire.peer.send(b"x" * 2000)
        server.pump()
        self.assertEqual(len(wire.protocol.heard), 101)

    def test_shared(self) -> None:
        """
        All who share a rate get the same, and together no more than there is.
        """
        server = self.serve(Hearing, "received=10000/s:burst=1000:per=all")
        wires = [server.connect() for _ in range(10)]
        for wire in wires:
            wire.peer.send(b"x" * 20000)
        times: list[tuple[float, float]] = []
        before = 0
        for _ in range(100):
            server.go(0.02, 0.01)
            heard = sum(len(wire.protocol.heard) for wire in wires)
            times.append((server.clock.seconds(), heard - before))
            before = heard
        self.assertLessEqual(within(times, 1000.0 + 0.02 * 10000, 10000.0), 1e-6)
        self.assertGreater(before, 0.98 * (1000 + 2.0 * 10000))
        sizes = [len(wire.protocol.heard) for wire in wires]
        self.assertLess(max(sizes[1:]) - min(sizes[1:]), 600)

    def test_many(self) -> None:
        """
        If very many share a rate, each waits for less, and has its turn soon.
        """
        server = self.serve(Hearing, "received=1MB/s:burst=50kB:per=all")
        wires = [server.connect() for _ in range(60)]
        for wire in wires:
            wire.peer.send(b"x" * 50_000)
        server.go(0.5)
        sizes = sorted(len(wire.protocol.heard) for wire in wires)
        self.assertLess(abs(sum(sizes) - 550_000), 30_000)
        self.assertTrue(sizes[0] > 4 * 1460, sizes)
        self.assertLess(sizes[-2] - sizes[0], 30_000)

    def test_littleOfMuch(self) -> None:
        """
        Those who wait for much and have little to say do not slow the others down.
        """
        server = self.serve(Hearing, "received=100000/s:burst=2000:per=all")
        wires = [server.connect() for _ in range(20)]
        server.throttle.sourceOf(server.throttle.limits[0], "")[0].spend(2000.0)
        for wire in wires:
            wire.peer.send(b"x" * 10)
        server.go(0.25)
        self.assertEqual([len(wire.protocol.heard) for wire in wires], [10] * 20)

    def test_perPeer(self) -> None:
        """
        The connections of one peer share a rate.
        """
        server = self.serve(Hearing, Limit(received=1000, burst=100, per="peer"))
        wires = [server.connect() for _ in range(2)]
        for wire in wires:
            wire.peer.send(b"x" * 1000)
        server.go(0.5)
        self.assertLess(abs(sum(len(wire.protocol.heard) for wire in wires) - 600), 30)

    def test_application(self) -> None:
        """
        The application's pause holds, however long; what was kept for the connection is for
        the others meanwhile.
        """
        server = self.serve(Hearing, "received=1000/s:burst=100:per=all")
        wire, other = server.connect(), server.connect()
        wire.peer.send(b"x" * 200)
        server.pump()
        wire.transport.pauseProducing()
        other.peer.send(b"x" * 400)
        server.go(0.5)
        self.assertEqual(len(wire.protocol.heard), 100)
        self.assertEqual(len(other.protocol.heard), 400)
        wire.transport.resumeProducing()
        server.go(0.2)
        self.assertEqual(len(wire.protocol.heard), 200)

    def test_lost(self) -> None:
        """
        So is what was kept for a connection that was lost, and whose output takes its time.
        """
        server = self.serve(Hearing, "received=1000/s:burst=100:per=all")
        wire, other = server.connect(sendBuffer=4096), server.connect()
        wire.transport.write(b"x" * 1_000_000)
        wire.peer.send(b"x" * 200)
        server.pump(0)
        wire.transport.loseConnection()
        other.peer.send(b"x" * 400)
        server.go(0.45, limit=0)
        self.assertEqual(len(other.protocol.heard), 400)
        source, _ = server.throttle.sourceOf(server.throttle.limits[0], "")
        self.assertEqual((wire.protocol.ended, source.held), (0, 0.0))

    def test_tried(self) -> None:
        """
        Somebody who reads all the same gets nothing.
        """
        server = self.serve(Hearing, "received=1000/s:burst=100")
        wire = server.connect()
        wire.peer.send(b"x" * 200)
        server.pump()
        wire.transport.startReading()
        server.pump()
        self.assertEqual(len(wire.protocol.heard), 100)
        self.assertNotIn(wire.transport, server.clock.readers)
        server.go(0.2)
        self.assertEqual(len(wire.protocol.heard), 200)

    def test_gone(self) -> None:
        """
        Who goes while it waits leaves no call and nothing set aside.
        """
        for how in ("abortConnection", "loseConnection"):
            server = self.serve(Hearing, "received=1000/s:burst=100:per=all")
            wire, other = server.connect(), server.connect()
            for each in (wire, other):
                each.peer.send(b"x" * 300)
            server.pump()
            getattr(wire.transport, how)()
            server.go(0.32)
            self.assertEqual(wire.protocol.ended, 1)
            self.assertEqual(len(other.protocol.heard), 300)
            server.go(0.1)
            self.assertEqual(server.clock.getDelayedCalls(), [])

    def test_halfEnd(self) -> None:
        """
        The end of what a peer says is heard when all of it was read, and only once; we may
        go on.
        """
        server = self.serve(Half, "received=1000/s:burst=100")
        wire = server.connect()
        wire.peer.send(b"x" * 250)
        wire.peer.socket.shutdown(socket.SHUT_WR)
        server.go(0.1)
        self.assertEqual(wire.protocol.halves, 0)
        server.go(0.2)
        self.assertEqual((wire.protocol.halves, len(wire.protocol.heard)), (1, 250))
        wire.protocol.transport.write(b"bye")
        server.go(0.1)
        self.assertEqual(wire.peer.received, b"bye")
        wire.protocol.transport.loseWriteConnection()
        server.go(0.1)
        self.assertEqual((wire.peer.over, wire.protocol.halves), ("FIN", 2))

    def test_descriptors(self) -> None:
        """
        Descriptors that come along arrive.
        """
        server = self.serve(Taking, "received=1000/s:burst=2", "sent=1000/s:burst=2")
        wire = server.connect(family=socket.AF_UNIX)
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        self.addCleanup(os.close, write)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [read]))]
        for _ in range(4):
            wire.peer.socket.sendmsg([b"x"], rights)
            wire.transport.sendFileDescriptor(read)
            wire.transport.write(b"y")
        for _ in range(50):
            server.clock.advance(0.01)
            server.clock.advance(0)
            wire.read()
            wire.write()
        self.assertEqual(wire.protocol.heard, b"x" * 4)
        self.assertEqual(len(wire.protocol.descriptors), 4)
        for descriptor in wire.protocol.descriptors:
            os.close(descriptor)
        found = b""
        for _ in range(4):
            data, more, _, _ = wire.peer.socket.recvmsg(1, 64)
            found += data
            os.close(array.array("i", more[0][2])[0])
        self.assertEqual(found, b"y" * 4)

    def test_disconnect(self) -> None:
        """
        Who has been over the rate for too long is cut off.
        """
        server = self.serve(
            Hearing, "received=1000/s:burst=100:over=backpressure,disconnect@0.5:warning=0.2"
        )
        wire = server.connect()
        wire.peer.send(b"x" * 2000)
        server.go(0.4)
        self.assertEqual(server.throttle.counts.disconnected, 0)
        server.go(0.2)
        self.assertEqual(server.throttle.counts.disconnected, 1)
        self.assertEqual(wire.protocol.ended, 0)
        server.go(0.2)
        self.assertEqual(wire.protocol.ended, 1)
        self.assertEqual(server.throttle.counts.disconnected, 1)
