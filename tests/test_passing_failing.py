"""
When something goes wrong while a connection is passed, exactly one process has it.
"""

from __future__ import annotations

import socket
import struct
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.testing import StringTransport
from twisted.protocols import amp
from twisted.python.failure import Failure

from terminable.handover import passage
from terminable.handover.movable import CannotMove
from terminable.handover.passing import passConnection
from terminable.handover.taking import Taking
from tests.passages import CountingFactory, PassageTestCase


class Failing:
    """
    A transport whose socket tells of some errors before it is read.
    """

    def __init__(self, sock: socket.socket, errors: int) -> None:
        self.socket = sock
        self.heard = b""
        self._errors = errors

    def doRead(self) -> Any:
        if self._errors:
            self._errors -= 1
            return ConnectionLost()
        data = self.socket.recv(100)
        self.heard += data
        return None if data else ConnectionDone()


class FailingTests(PassageTestCase):
    """
    When something goes wrong in between, exactly one has the connection.
    """

    def setUp(self) -> None:
        self.first, self.second = CountingFactory("a"), CountingFactory("b")

    def connect(self, **options: Any) -> None:
        self.begin(self.first, self.second, **options)
        self.socket = self.client()
        self.heard(self.socket)

    def works(self, answer: bytes = b"a1 x\n") -> None:
        self.assertEqual(self.ask(self.socket, b"x\n"), answer)

    def test_channelLostBefore(self) -> None:
        """
        If the channel is lost before, it stays.
        """
        self.connect()
        self.near.transport.loseConnection()
        self.turns()
        self.assertTrue(self.sender.lost)
        self.assertFalse(self.sender.free)
        self.assertIn("channel to the other process is lost", self.refused(CannotMove))
        self.works()

    def test_channelLostUnconfirmed(self) -> None:
        """
        If the receiver goes without having confirmed, it works on here.
        """
        self.connect()
        passing = self.start()
        self.until(lambda: self.second.made)
        self.far.transport.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(len(self.there.connections()), 0)
        self.until(lambda: passing.called)
        self.assertIn("is lost", str(self.failureResultOf(passing, CannotMove).value))
        self.works()

    def confirmed(self) -> Any:
        """
        The confirmation has left, and neither has done anything since.
        """
        self.connect()
        passing = self.start()
        self.until(lambda: self.second.made and self.far.transport in self.reactor.writers)
        self.far.transport.doWrite()
        return passing

    def test_confirmedAndGone(self) -> None:
        """
        A confirmation that has left is heard, although the channel has broken meanwhile: the
        other one may have read.
        """
        passing = self.confirmed()
        self.assertHere(1, 1)
        # Before anything is read: what has failed is to write, say.
        self.near.transport.connectionLost(Failure(ConnectionDone()))
        self.successResultOf(passing)
        self.assertHere(0, 1)
        self.works(b"b1 x\n")

    def test_goneContent(self) -> None:
        """
        Who takes keeps what it has confirmed, also if the other one has gone, content, before
        it looks.
        """
        passing = self.confirmed()
        self.far.transport.connectionLost(Failure(ConnectionDone()))
        self.assertHere(1, 1)
        self.until(lambda: passing.called)
        self.successResultOf(passing)
        self.assertHere(0, 1)
        self.works(b"b1 x\n")

    def test_someConfirmed(self) -> None:
        """
        Of several confirmations only the first has left when the channel breaks: that one is
        kept by who takes, and is heard by who passes.
        """
        self.connect()
        other = self.client()
        self.heard(other)
        passings = [passConnection(it, self.sender) for it in self.here.connections()]
        far = self.far.transport
        self.until(lambda: len(self.second.made) == 2 and far in self.reactor.writers)
        outflow = self.taking._outflow
        write, first = outflow._write, self.taking._confirmed[0][0]
        outflow._write = lambda data: write(data[:first])
        far.doWrite()
        far.connectionLost(Failure(ConnectionDone()))
        self.until(lambda: all(it.called for it in passings))
        self.successResultOf(passings[0])
        self.failureResultOf(passings[1], CannotMove)
        self.assertHere(1, 1)
        self.works(b"b1 x\n")
        self.assertEqual(self.ask(other, b"x\n"), b"a1 x\n")

    def test_cannotConfirm(self) -> None:
        """
        Who cannot say anything any more confirms nothing.
        """
        self.connect()

        def endHalf(_: Any) -> None:
            self.far.transport.loseWriteConnection()
            self.far.transport.doWrite()

        self.second.prepare = endHalf
        passing = self.start()
        self.until(lambda: passing.called)
        self.failureResultOf(passing, CannotMove)
        self.assertHere()
        self.works()

    def test_saidLater(self) -> None:
        """
        If somebody has answers written later than they are there, nothing is taken: when they
        had left could not be told.
        """
        later: Any = Deferred()

        class Later(Taking):
            def locateResponder(self, name: bytes) -> Any:
                responder: Any = super().locateResponder(name)
                return responder and (lambda box: responder(box).addCallback(self.wait))

            def wait(self, answer: Any) -> Any:
                return later.addCallback(lambda _: answer)

        reactor: Any = SimpleNamespace(callLater=lambda *call: self.reactor.callLater(*call))
        taking = Later(reactor, lambda host: self.other)
        self.begin(self.first, self.second, taking=taking)
        reactor.seconds = self.reactor.seconds
        taking.serve(self.far)
        self.socket = self.client()
        self.heard(self.socket)
        self.reactor.callLater(0.5, later.callback, None)
        self.assertIn("channel", self.refused(CannotMove))
        self.turns(10, 0.1)
        self.assertHere()
        self.works()

    def test_failsToGoOn(self) -> None:
        """
        If the application of one fails when it is taken, the next one is taken all the same.
        """
        self.connect()
        other = self.client()
        self.heard(other)

        def lose(made: Any) -> None:
            # Its end is remembered until it is taken.
            made.connectionLost = lambda reason: 1 // 0
            made.transport.connectionLost(Failure(ConnectionDone()))

        passings = [passConnection(it, self.sender) for it in self.here.connections()]
        self.until(lambda: len(self.taking._confirmed) == 2)
        lose(self.second.made[0])
        self.until(lambda: all(it.called for it in passings))
        self.turns()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.ask(other, b"x\n"), b"b1 x\n")

    def test_goneUnheard(self) -> None:
        """
        What could not be said is not confirmed, for either.
        """
        self.connect()
        passing = self.start()
        self.until(lambda: self.second.made and self.far.transport in self.reactor.writers)
        passage.hearLastWords(self.near.transport)
        self.far.transport.doWrite()
        self.far.transport.connectionLost(Failure(ConnectionDone()))
        self.assertHere(1, 0)
        self.near.transport.connectionLost(Failure(ConnectionDone()))
        self.failureResultOf(passing, CannotMove)
        self.works()

    def test_notBeforeItHasLeft(self) -> None:
        """
        Not a byte is read, and none is written, before the confirmation has left.
        """
        self.connect()
        self.second.prepare = lambda made: setattr(
            made, "onRestore", lambda: made.transport.write(b"back\n")
        )
        far = self.far.transport
        far.startWriting = lambda: None
        passing = self.start()
        self.socket.sendall(b"x\n")
        self.until(lambda: self.second.made)
        self.turns(100)
        self.assertNoResult(passing)
        [protocol] = self.second.made
        self.assertNotIn(protocol.transport, self.reactor.readers)
        self.assertEqual(protocol.count, 0)
        self.assertEqual(self.heard(self.socket), b"")
        del far.startWriting
        far.startWriting()
        self.until(lambda: protocol.count)
        self.assertEqual(self.heard(self.socket), b"back\nb1 x\n")
        self.successResultOf(passing)

    def test_impatient(self) -> None:
        """
        Whoever does not answer loses the channel, and has no connection of ours.
        """
        self.connect(taking=amp.CommandLocator(), patience=1.0)
        self.far.transport.stopReading()
        passing = self.start()
        self.turns(50, 0.1)
        self.failureResultOf(passing, CannotMove)
        self.assertTrue(self.sender.lost)
        self.works()

    def test_tooLate(self) -> None:
        """
        If it wakes up then, it builds everything, finds that it cannot confirm, and lets go.
        """
        self.connect(patience=1.0)
        self.far.transport.stopReading()
        passing = self.start()
        self.turns(50, 0.1)
        self.failureResultOf(passing, CannotMove)
        self.works()
        self.far.transport.startReading()
        self.until(lambda: self.far.transport is None)
        [protocol] = self.second.made or [None]
        self.assertTrue(protocol is None or protocol.lost)
        self.assertHere()
        self.works(b"a2 x\n")

    def test_impatientOfOneWhoIsGone(self) -> None:
        """
        It does not matter if the channel was lost by itself meanwhile.
        """
        self.connect()
        self.near.transport.loseConnection()
        self.turns()
        self.sender._impatient()

    def test_unknown(self) -> None:
        """
        Another process that knows nothing of it does not get it.
        """
        self.connect(taking=amp.CommandLocator())
        self.assertIn("does not know how", self.refused(CannotMove))
        self.works()

    def test_nonsense(self) -> None:
        """
        One that answers what is no AMP loses the channel.
        """
        self.connect(taking=amp.CommandLocator())
        passing = self.start()
        self.far.transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        self.until(lambda: passing.called)
        self.failureResultOf(passing, CannotMove)
        self.flushLoggedErrors()
        self.works()

    def test_nonsenseAtLast(self) -> None:
        """
        Nor does it matter if that is the last that it says.
        """
        self.connect(taking=amp.CommandLocator())
        passing = self.start()
        self.far.transport.socket.send(b"\x00\x01a\x00\x01b\x00\x00")
        self.near.transport.connectionLost(Failure(ConnectionDone()))
        self.failureResultOf(passing, CannotMove)
        self.assertEqual(len(self.flushLoggedErrors(amp.NoEmptyBoxes)), 1)
        self.works()

    def test_oddCount(self) -> None:
        """
        An answer is a confirmation, whatever it says; only numbers are counted.
        """
        self.connect()
        for count, heard in ((b"7", 7), (b"many", 7), (None, 7), (b"9" * 99, 999999999)):
            self.sender._heard(count)
            self.assertEqual(self.sender.count, heard)

    def test_peerGone(self) -> None:
        """
        A peer that goes just then is noticed by whoever has the connection.
        """
        self.connect()
        passing = self.start()
        self.socket.close()
        self.until(lambda: passing.called and not self.there.connections())
        self.assertHere(0, 0)

    def test_peerReset(self) -> None:
        """
        So is one that resets it: what is over cannot be taken.
        """
        self.connect()
        passing = self.start()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()
        self.until(lambda: passing.called and not self.here.connections())
        self.assertIn("it is over", str(self.failureResultOf(passing, CannotMove).value))
        self.assertHere(0, 0)

    def test_ledgerWants(self) -> None:
        """
        If a stop, or the application, wants its end just then, it has it if it has stayed, and
        the other process notices nothing if it has not.
        """
        for method in ("loseConnection", "abortConnection", "loseWriteConnection"):
            self.setUp()
            self.connect()
            passing = self.start()
            [connection] = self.here.connections()
            getattr(connection.transport, method)()
            self.until(lambda passing=passing: passing.called)
            self.works(b"b1 x\n")

    def test_failsToEnd(self) -> None:
        """
        If its protocol fails to be told, that is logged.
        """
        self.connect()
        [protocol] = self.first.made
        protocol.lost = None
        self.pass_()
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)
        self.works(b"b1 x\n")

    def test_within(self) -> None:
        """
        One may be passed while another is packed.
        """
        self.connect()
        [protocol] = self.first.made
        passing = []

        def save() -> bytes:
            passing.append(self.start())
            return b"0 "

        protocol.onSave = save
        self.pass_()
        self.assertIn("on its way", str(self.failureResultOf(passing[0], CannotMove).value))

    def test_lastWords(self) -> None:
        """
        What has no socket any more, or one that cannot be shut down, has no last words.
        """
        passage.hearLastWords(StringTransport())
        with socket.socket() as sock:
            transport: Any = StringTransport()
            transport.socket = sock
            passage.hearLastWords(transport)

    def test_nothingAfterLastWords(self) -> None:
        """
        After its last words are heard, the other end cannot say anything more.
        """
        one, other = socket.socketpair()
        self.addCleanup(one.close)
        self.addCleanup(other.close)
        heard: list[bytes] = []

        class Transport:
            socket = one

            def doRead(self) -> Any:
                heard.append(one.recv(3))
                return None if heard[-1] else ConnectionDone()

        other.send(b"firstlast")
        passage.hearLastWords(Transport())
        self.assertEqual(heard, [b"fir", b"stl", b"ast", b""])
        self.assertRaises(BrokenPipeError, other.send, b"more")

    def test_errorsInLastWords(self) -> None:
        """
        What was said is heard although the kernel tells of an error first; but one that does
        not end is not asked for ever.
        """
        for errors, heard in ((0, b"word"), (2, b"word"), (9, b"")):
            one, other = socket.socketpair()
            transport = Failing(one, errors)
            other.send(b"word")
            passage.hearLastWords(transport)
            self.assertEqual(transport.heard, heard)
            one.close()
            other.close()

    def test_badMover(self) -> None:
        """
        If it cannot even be found out what it is, it stays.
        """
        self.connect()
        [connection] = self.here.connections()
        passing = self.sender.passConnection(connection.transport, lambda _: 1 // 0)  # type: ignore[arg-type,return-value]
        self.assertIn("cannot be packed", str(self.failureResultOf(passing, CannotMove).value))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.works()
