"""
Protocols of one's own go on in another process, and connections pass one after the other.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.protocols import amp

from terminable.errors import InvalidOption
from terminable.handover.movable import CannotMove, ConnectionMoved, NotNow
from terminable.handover.passing import Sender, passConnection
from tests.doubles import Boom
from tests.passages import CountingFactory, PassageTestCase


class RawTests(PassageTestCase):
    """
    Protocols that provide L{IMovable}.
    """

    def setUp(self) -> None:
        self.first, self.second = CountingFactory("a"), CountingFactory("b")
        self.begin(self.first, self.second)
        self.socket = self.client()
        self.assertEqual(self.ask(self.socket, b"one\ntw"), b"hello\na1 one\n")
        [self.protocol] = self.first.made

    def test_moves(self) -> None:
        """
        The state goes with it, what was received in part too, and the greeting is not said
        again.
        """
        self.pass_()
        self.assertEqual(self.ask(self.socket, b"o\n"), b"b2 two\n")

    def test_lost(self) -> None:
        """
        Where it was, it ends as if it had ended in an orderly way, by a reason of its own.
        """
        self.pass_()
        [reason] = self.protocol.lost
        self.assertTrue(reason.check(ConnectionMoved) and reason.check(ConnectionDone))
        self.assertIn("moved to another process", str(reason.value))

    def test_restoreWrites(self) -> None:
        """
        What is written while it goes on arrives; so does what follows.
        """
        self.second.prepare = lambda made: setattr(
            made, "onRestore", lambda: made.transport.write(b"back\n")
        )
        self.pass_()
        self.assertEqual(self.heard(self.socket), b"back\n")
        self.assertEqual(self.ask(self.socket, b"o\n"), b"b2 two\n")

    def test_stays(self) -> None:
        """
        Whatever goes wrong in C{save}, it works on where it is.
        """

        def writing() -> bytes:
            self.protocol.transport.write(b"!")
            return b""

        def failing() -> bytes:
            raise Boom()

        cases: list[tuple[Any, type[Exception], str, bytes]] = [
            (lambda: None, NotNow, "its application says so", b""),
            (lambda: "text", CannotMove, "has returned str", b""),
            (failing, CannotMove, "save() has failed", b""),
            (writing, NotNow, "output has not left", b"!"),
            (lambda: b"x" * 70000, CannotMove, "its state is 70000 bytes", b""),
        ]
        for save, kind, reason, heard in cases:
            self.protocol.onSave = save
            self.assertIn(reason, self.refused(kind))
            self.assertEqual(self.heard(self.socket), heard)
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)
        self.assertEqual(self.ask(self.socket, b"o\n"), b"a2 two\n")
        self.assertEqual(self.sender.inFlight, 0)

    def test_largest(self) -> None:
        """
        As much as an AMP value holds is passed.
        """
        self.protocol.rest = b"x" * 65533
        self.pass_()
        [protocol] = self.second.made
        self.assertEqual(protocol.rest, self.protocol.rest)

    def test_saveLoses(self) -> None:
        """
        If C{save} loses the connection, it is lost.
        """
        self.protocol.onSave = lambda: self.protocol.transport.loseConnection() or b""
        self.assertIn("save() loses it", self.refused(CannotMove))
        self.assertEqual(self.heard(self.socket), b"FIN")

    def test_saveAborts(self) -> None:
        """
        If it aborts, it is reset.
        """
        self.protocol.onSave = lambda: self.protocol.transport.abortConnection() or b""
        self.assertIn("save() loses it", self.refused(CannotMove))
        self.assertEqual(self.heard(self.socket), b"RST")

    def test_producer(self) -> None:
        """
        While somebody produces output, it does not move.
        """
        self.protocol.transport.registerProducer(StringTransport(), True)
        self.assertIn("producing", self.refused(NotNow))

    def test_paused(self) -> None:
        """
        One that does not read does not when it has stayed.
        """
        self.protocol.transport.pauseProducing()
        self.protocol.onSave = lambda: None
        self.refused(NotNow)
        self.assertEqual(self.ask(self.socket, b"o\n"), b"")
        self.protocol.transport.resumeProducing()
        self.assertEqual(self.heard(self.socket), b"a2 two\n")

    def test_ledger(self) -> None:
        """
        A stop of the first does not wait for it, and one of the other does.
        """
        self.pass_()
        here, there = self.here.terminate(0), self.there.terminate()
        self.until(lambda: here.called, 0.1)
        self.assertNoResult(there)
        self.assertEqual(self.ask(self.socket, b"o\n"), b"b2 two\n")


class SenderTests(PassageTestCase):
    """
    One after the other.
    """

    def setUp(self) -> None:
        self.first, self.second = CountingFactory("a"), CountingFactory("b")

    def test_atOnce(self) -> None:
        """
        So many at once; the others are served as ever, and have their turn.
        """
        self.begin(self.first, self.second, atOnce=2)
        clients = [self.client() for _ in range(5)]
        far = self.far.transport
        far.stopReading()
        all_ = [passConnection(each, self.sender) for each in self.here.connections()]
        self.assertEqual((self.sender.inFlight, self.sender.waiting), (2, 3))
        self.assertFalse(self.sender.free)
        self.assertEqual([self.ask(each, b"x\n") for each in clients[2:]], [b"hello\na1 x\n"] * 3)
        far.startReading()
        self.until(lambda: all(each.called for each in all_))
        self.assertTrue(self.sender.free)
        self.assertHere(0, 5)
        self.assertEqual(self.sender.count, 5)
        self.assertEqual([self.ask(each, b"y\n") for each in clients[2:]], [b"b2 y\n"] * 3)

    def test_cancelled(self) -> None:
        """
        Cancelled while it waits, it stays; later, only the waiting is cancelled.
        """
        self.begin(self.first, self.second, atOnce=1)
        clients = [self.client() for _ in range(3)]
        one, two, three = (passConnection(each, self.sender) for each in self.here.connections())
        for each in (one, two):
            each.cancel()
            self.failureResultOf(each)
        self.until(lambda: three.called)
        self.assertHere(1, 2)
        self.assertEqual(self.ask(clients[1], b"x\n"), b"hello\na1 x\n")

    def test_whenLost(self) -> None:
        """
        Whoever asks is told that the channel is lost, also afterwards.
        """
        self.begin(self.first, self.second)
        before = self.sender.whenLost()
        self.assertNoResult(before)
        self.far.transport.loseConnection()
        self.turns()
        self.successResultOf(before)
        self.successResultOf(self.sender.whenLost())

    def test_wrongChannel(self) -> None:
        """
        Without a UNIX socket there is nothing to pass by.
        """
        channel = amp.AMP()
        error = self.assertRaises(InvalidOption, Sender, object(), channel)
        self.assertIn("UNIX socket", str(error))

    def test_answersLate(self) -> None:
        """
        What goes wrong when an answer has come is logged, and harms no others.
        """
        self.begin(self.first, self.second)
        self.client()
        self.sender._heard = lambda count: 1 // 0  # type: ignore[method-assign,assignment]
        passing = self.start()
        self.until(lambda: passing.called)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.here.connections(), [])
