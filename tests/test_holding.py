"""
A transport keeps still while its connection is between two processes.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from terminable.handover.holding import Hold
from terminable.handover.movable import ConnectionMoved
from terminable.policy.schedule import Schedule
from terminable.tracking import lingering
from tests.passages import CountingFactory, PassageTestCase


class HoldTests(PassageTestCase):
    """
    One transport.
    """

    def setUp(self) -> None:
        self.first = CountingFactory()
        self.begin(self.first, CountingFactory())
        self.socket = self.client()
        self.heard(self.socket)
        [self.protocol] = self.first.made
        self.transport: Any = self.protocol.transport

    def hold(self) -> Hold:
        """
        Have it keep still.
        """
        return Hold(self.transport)

    def test_still(self) -> None:
        """
        It reads nothing and sends nothing, and does both afterwards; nothing remains on it.
        """
        before = set(vars(self.transport))
        hold = self.hold()
        self.transport.write(b"later\n")
        self.assertEqual(self.ask(self.socket, b"x\n"), b"")
        self.assertEqual(self.protocol.count, 0)
        hold.release()
        self.assertEqual(self.heard(self.socket), b"later\n1 x\n")
        self.assertEqual(set(vars(self.transport)), before)

    def test_ends(self) -> None:
        """
        Whatever ends it is done afterwards.
        """
        cases = (
            ("loseConnection", (), b"FIN"),
            ("abortConnection", (), b"RST"),
            ("connectionLost", (Failure(ConnectionDone()),), b"FIN"),
        )
        for name, arguments, expected in cases:
            self.setUp()
            hold = self.hold()
            self.assertFalse(hold.ending)
            getattr(self.transport, name)(*arguments)
            self.assertTrue(hold.ending)
            self.assertEqual(self.heard(self.socket), b"")
            self.assertTrue(self.transport.connected)
            hold.release()
            self.assertEqual(self.heard(self.socket), expected)
            self.assertEqual(len(self.protocol.lost), 1)

    def test_halfEnd(self) -> None:
        """
        So is the end of writing; it goes on reading.
        """
        hold = self.hold()
        self.transport.loseWriteConnection()
        hold.release()
        self.assertEqual(self.heard(self.socket), b"FIN")
        self.socket.sendall(b"x\n")
        self.until(lambda: self.protocol.count)

    def test_stronger(self) -> None:
        """
        If several ends are asked for, the strongest counts.
        """
        hold = self.hold()
        for name in ("loseConnection", "abortConnection", "loseConnection"):
            getattr(self.transport, name)()
        hold.release()
        self.assertEqual(self.heard(self.socket), b"RST")

    def test_wishes(self) -> None:
        """
        To read or not to read is done as it was asked for last.
        """
        hold = self.hold()
        self.transport.pauseProducing()
        hold.release()
        self.assertEqual(self.ask(self.socket, b"x\n"), b"")
        hold = self.hold()
        self.assertFalse(hold.reading)
        self.transport.resumeProducing()
        hold.release()
        self.assertEqual(self.heard(self.socket), b"1 x\n")

    def test_mute(self) -> None:
        """
        What is written while it is mute is thrown away.
        """
        hold = self.hold()
        hold.mute()
        self.transport.write(b"a")
        self.transport.writeSequence([b"b"])
        hold.unmute()
        self.transport.write(b"c")
        hold.release()
        self.assertEqual(self.heard(self.socket), b"c")

    def test_forget(self) -> None:
        """
        Its end is not felt by another copy of the descriptor.
        """
        copy = self.transport.socket.dup()
        self.addCleanup(copy.close)
        hold = self.hold()
        self.transport.write(b"never")
        self.transport.abortConnection()
        hold.forget(ConnectionMoved())
        copy.send(b"goes on")
        self.assertEqual(self.heard(self.socket), b"goes on")
        self.assertEqual(len(self.protocol.lost), 1)
        copy.close()
        self.assertEqual(self.heard(self.socket), b"FIN")

    def test_flush(self) -> None:
        """
        What was written before may leave, unless its end was asked for.
        """
        self.transport.write(b"before")
        hold = self.hold()
        hold.flush()
        self.assertEqual(self.heard(self.socket), b"before")
        self.transport.write(b"more")
        self.transport.loseConnection()
        hold.flush()
        self.assertEqual(self.heard(self.socket), b"")
        hold.release()
        self.assertEqual(self.heard(self.socket), b"moreFIN")

    def test_lingering(self) -> None:
        """
        A drain that begins meanwhile has its way: what it puts onto the transport stays, and
        does what it should afterwards.
        """
        schedule = Schedule()
        hold = self.hold()
        lingering.install(self.transport, self.reactor, schedule)
        self.transport.loseConnection()
        self.assertTrue(hold.ending)
        self.assertEqual(self.heard(self.socket), b"")
        hold.release()
        self.assertEqual(self.heard(self.socket), b"FIN")
        self.socket.close()
        self.until(lambda: self.protocol.lost)

    def test_hooksOfOthers(self) -> None:
        """
        What others have put there before comes back; what they put there meanwhile stays, and
        what stood there passes everything on.
        """
        said = []
        real = self.transport.loseConnection
        before = self.transport.loseConnection = lambda: said.append("before") or real()
        hold = self.hold()
        start, abort = self.transport.startReading, self.transport.abortConnection
        self.transport.startReading = lambda: said.append("reading") or start()
        self.transport.abortConnection = lambda: said.append("abort") or abort()
        hold.release()
        self.assertIs(self.transport.loseConnection, before)
        self.assertEqual(self.ask(self.socket, b"x\n"), b"1 x\n")
        self.transport.abortConnection()
        self.assertEqual(self.heard(self.socket), b"RST")
        self.assertEqual(said, ["reading", "abort"])
