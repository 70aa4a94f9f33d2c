"""
Lingering on plain connections during a drain: what extends it, and what ends it.
"""

from __future__ import annotations

import socket
import struct

from twisted.trial.unittest import SynchronousTestCase

from terminable.policy.schedule import Schedule
from terminable.tracking import lingering
from tests.losing import LINGER, SIZE, EveryMixin


class PlainTests(EveryMixin, SynchronousTestCase):
    """
    Without TLS, during a drain.
    """

    def test_withoutItTheAnswerIsLost(self) -> None:
        """
        Left to itself, the kernel throws an answer away that has not arrived.
        """
        wire = self.wire()
        del wire.transport.loseConnection
        wire.peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.peer.send(b"unread")
        wire.waitForInput()
        wire.protocol.transport.write(b"x" * 150_000)
        wire.protocol.lose()
        wire.pumpUntil(lambda: not wire.transport.connected, 0)
        wire.pumpUntil(lambda: wire.peer.over)
        self.assertEqual(wire.peer.over, "RST")
        self.assertLess(len(wire.peer.received), 150_000)

    def test_silenceEndsIt(self) -> None:
        """
        A peer that takes nothing for so long is left; one that has everything too.
        """
        for size in (100, SIZE):
            wire = self.wire()
            wire.peer.send(b"unread")
            wire.waitForInput()
            wire.protocol.transport.write(b"x" * size)
            wire.protocol.lose()
            self.flush(wire)
            wire.reactor.advance(LINGER * 0.99)
            self.assertTrue(wire.transport.connected)
            wire.pump(0)
            for _ in range(3):
                wire.reactor.advance(LINGER)
            self.assertFalse(wire.transport.connected)
            self.assertEqual(len(wire.protocol.lost), 1)

    def test_progressExtendsIt(self) -> None:
        """
        As long as the peer takes some of it within each period, it is waited for.
        """
        wire = self.wire()
        wire.peer.send(b"unread")
        wire.waitForInput()
        wire.protocol.transport.write(b"x" * SIZE)
        wire.protocol.lose()
        self.flush(wire)
        began = wire.reactor.seconds()
        self.readSlowly(wire, 300_000)
        self.assertGreater(wire.reactor.seconds() - began, LINGER * 3)
        self.assertEqual(len(wire.peer.received), SIZE)

    def test_byTheBytes(self) -> None:
        """
        Once too much was discarded, everything is still written, and then it is over.
        """
        wire = self.wire(Schedule(linger=LINGER, lingerBytes=1000), sendBuffer=65536)
        wire.protocol.transport.write(b"x" * SIZE)
        wire.protocol.lose()
        wire.peer.send(b"y" * 1000)
        wire.waitForInput()
        wire.pump(0)
        self.assertIn(wire.transport, wire.reactor.readers)
        wire.peer.send(b"y")
        wire.waitForInput()
        wire.pump(0)
        self.assertNotIn(wire.transport, wire.reactor.readers)
        self.assertTrue(wire.transport.connected)
        self.readSlowly(wire)
        self.assertEqual(len(wire.peer.received), SIZE)
        self.check(wire)

    def test_byTheBytesAfterTheAnswer(self) -> None:
        """
        If everything was written already, it is over then, but not from within.
        """
        wire = self.wire(Schedule(linger=LINGER, lingerBytes=1000))
        wire.peer.send(b"y")
        wire.waitForInput()
        wire.protocol.transport.write(b"answer")
        wire.protocol.lose()
        wire.pumpUntil(lambda: wire.reactor.getDelayedCalls())
        wire.peer.send(b"y" * 1000)
        wire.waitForInput()
        wire.read()
        self.assertTrue(wire.transport.connected)
        self.check(wire)

    def test_overBeforeTheLimitTellsIt(self) -> None:
        """
        If the connection ends by itself just then, that is all.
        """
        wire = self.wire(Schedule(linger=LINGER, lingerBytes=0))
        wire.peer.send(b"unread")
        wire.waitForInput()
        wire.protocol.lose()
        wire.write()
        wire.read()
        self.assertTrue(wire.transport.connected)
        wire.close()
        wire.reactor.advance(0)
        self.assertEqual(len(wire.protocol.lost), 1)

    def test_theLimitInOnePiece(self) -> None:
        """
        What comes after the limit was reached changes nothing.
        """
        wire = self.wire(Schedule(linger=LINGER, lingerBytes=0))
        wire.peer.send(b"unread")
        wire.waitForInput()
        wire.protocol.lose()
        wire.write()
        standIn = wire.transport.protocol
        standIn.dataReceived(b"y")
        standIn.dataReceived(b"y")
        self.assertTrue(wire.transport.connected)
        self.check(wire)

    def test_thePeerEndsIt(self) -> None:
        """
        When the peer has closed its side after the answer, it is over at once.
        """
        wire = self.wire()
        wire.peer.send(b"unread")
        wire.waitForInput()
        wire.protocol.transport.write(b"answer")
        wire.protocol.lose()
        wire.pumpUntil(lambda: wire.peer.over)
        self.assertEqual((wire.peer.received, wire.peer.over), (b"answer", "FIN"))
        self.assertTrue(wire.transport.connected)
        wire.peer.socket.close()
        wire.pumpUntil(lambda: not wire.transport.connected, 0)
        self.assertEqual(len(wire.protocol.lost), 1)
        self.assertEqual(wire.protocol.halves, 0)

    def test_thePeerWritesNoMore(self) -> None:
        """
        A peer that has closed its side before it read the answer still gets all of it.
        """
        wire = self.wire(sendBuffer=65536)
        wire.protocol.transport.write(b"x" * SIZE)
        wire.protocol.lose()
        wire.peer.socket.shutdown(socket.SHUT_WR)
        wire.pumpUntil(lambda: wire.transport not in wire.reactor.readers, 0)
        self.assertTrue(wire.transport.connected)
        self.readSlowly(wire)
        self.check(wire)
        self.assertEqual((len(wire.peer.received), wire.peer.over), (SIZE, "FIN"))

    def test_lateWritesAreDropped(self) -> None:
        """
        What the application writes after everything had been written is dropped; the
        answer before it still arrives.
        """
        wire = self.wire()
        wire.peer.send(b"unread")
        wire.waitForInput()
        wire.protocol.transport.write(b"x" * SIZE)
        wire.protocol.lose()
        self.flush(wire)
        wire.protocol.transport.write(b"tick")
        wire.pump(0)
        self.assertTrue(wire.transport.connected)
        self.readSlowly(wire)
        self.assertEqual(wire.peer.received, b"x" * SIZE)

    def test_reset(self) -> None:
        """
        A connection that the peer has reset is over, without waiting.
        """
        wire = self.wire()
        wire.protocol.transport.write(b"x" * SIZE)
        wire.pump(0)
        wire.peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wire.peer.socket.close()
        wire.protocol.lose()
        wire.pumpUntil(lambda: not wire.transport.connected, 0)
        self.assertEqual(len(wire.protocol.lost), 1)

    def test_resetWhileItLingers(self) -> None:
        """
        The same if the kernel says so only when it is told to write no more.
        """
        wire = self.wire()
        wire.peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wire.peer.socket.close()
        wire.waitForInput()
        self.patch(lingering.sockets, "unread", lambda sock: 1)
        schedule = Schedule(linger=LINGER)
        decided = lingering.flushed(wire.transport, wire.reactor, schedule)
        self.assertIs(decided, lingering.CONNECTION_DONE)
        self.assertEqual(wire.reactor.getDelayedCalls(), [])

    def test_aborted(self) -> None:
        """
        Aborting it while it lingers ends it now.
        """
        wire = self.wire()
        wire.peer.send(b"unread")
        wire.waitForInput()
        wire.protocol.lose()
        wire.pump(0)
        self.assertTrue(wire.transport.connected)
        wire.transport.abortConnection()
        self.check(wire)

    def test_halfClosedByItself(self) -> None:
        """
        A protocol that has closed its writing side loses the rest as Twisted does it.
        """
        wire = self.wire()
        wire.transport.loseWriteConnection()
        wire.pump()
        self.assertEqual((wire.protocol.halves, wire.peer.over), (1, "FIN"))
        wire.transport.loseConnection()
        self.assertEqual(len(wire.protocol.lost), 1)

    def test_installedTwice(self) -> None:
        """
        Installing it again changes nothing.
        """
        wire = self.wire()
        first = wire.transport.loseConnection
        lingering.install(wire.transport, wire.reactor, Schedule(linger=1.0))
        self.assertIs(wire.transport.loseConnection, first)
        wire.protocol.lose()
        self.assertNotIn("loseConnection", vars(wire.transport))
