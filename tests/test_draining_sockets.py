"""
A terminator on real ports; no reactor runs.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol

from terminable.draining import LOOK_AGAIN, LOOKS
from terminable.policy.ledger import Outcome, State
from terminable.policy.schedule import GIVE_UP, LAST_WORD
from terminable.terminator import Terminator
from terminable.tracking import sockets
from tests.attacks.guests import Guest
from tests.doubles import Hinting, Plain, PortTestCase
from tests.wire import certificate


class SocketTestCase(PortTestCase):
    """
    A terminator with one port, which is attached to when it listens already.
    """

    protocol: Any = Plain

    def setUp(self) -> None:
        super().setUp()
        self.factory.protocol = self.protocol

    def serve(self, settles: bool = False, **times: Any) -> Terminator:
        self.patch(sockets, "refuseNew", lambda sock: settles)
        self.open()
        self.terminator = Terminator(self.reactor, **times)
        self.terminator.attach(self.port)
        return self.terminator

    def connected(self) -> tuple[socket.socket, Any]:
        """
        A client, and the protocol that serves it.
        """
        client = self.client()
        before = len(self.factory.protocols)
        while len(self.factory.protocols) == before:
            self.reactor.turn()
        return client, self.factory.protocols[-1]

    def spoken(self) -> tuple[socket.socket, Any]:
        """
        A client that has said something.
        """
        client, protocol = self.connected()
        heard: list[bytes] = []
        protocol.dataReceived = heard.append
        client.sendall(b"hello")
        while not heard:
            self.reactor.turn()
        return client, protocol

    def go(self, seconds: float) -> None:
        for _ in range(round(seconds * 100)):
            self.reactor.turn(0.01)


class IdleTests(SocketTestCase):
    """
    Connections with nothing in flight.
    """

    def test_spoken(self) -> None:
        """
        Who has spoken before is lost in an orderly way, and not named.
        """
        terminator = self.serve()
        client, _ = self.spoken()
        result = terminator.terminate()
        self.go(1.1)
        report = self.successResultOf(result)
        self.assertEqual((report.idle, report.entries), (1, ()))
        self.assertEqual(client.recv(1), b"")

    def test_neverSpoken(self) -> None:
        """
        Who never said anything is lost and named, whether at the end of the idle grace
        or by an abort.
        """
        for stop in ("terminate", "abort"):
            terminator = self.serve()
            self.connected()
            result = getattr(terminator, stop)()
            self.go(1.1)
            [entry] = self.successResultOf(result).entries
            self.assertIs(entry.outcome, Outcome.IDLE)
            if sockets.hasSpoken(socket.socket()):
                continue  # The kernel cannot tell.
            self.assertIs(entry.state, State.NEW)

    def test_something(self) -> None:
        """
        If something has just arrived that the application has not seen, it is seen
        before anybody is lost.
        """
        terminator = self.serve()
        client, protocol = self.spoken()
        heard: list[bytes] = []
        protocol.dataReceived = heard.append
        result = terminator.terminate()
        self.reactor.advance(0.99)
        client.sendall(b"one more")
        self.reactor.advance(0.02)
        self.assertNoResult(result)
        self.go(LOOK_AGAIN + 0.02)
        self.assertEqual(b"".join(heard), b"one more")
        self.successResultOf(result)

    def test_nobodyReadsIt(self) -> None:
        """
        If nobody reads what has arrived, it is not waited for for ever.
        """
        terminator = self.serve()
        client, protocol = self.spoken()
        protocol.transport.pauseProducing()
        client.sendall(b"hello?")
        result = terminator.terminate()
        self.go(1.0 + LOOK_AGAIN)
        self.assertFalse(protocol.transport.disconnecting)
        self.go(LOOK_AGAIN * LOOKS + 2.2)
        self.assertEqual(self.successResultOf(result).finished, 1)

    def test_goneMeanwhile(self) -> None:
        """
        Who goes before he is looked at again is gone.
        """
        terminator = self.serve()
        client, protocol = self.spoken()
        self.connected()
        protocol.transport.pauseProducing()
        client.sendall(b"hello?")
        result = terminator.terminate()
        self.reactor.advance(1.0)
        protocol.transport.abortConnection()
        self.go(0.5)
        self.assertEqual(self.successResultOf(result).opened, 2)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_stillTaking(self) -> None:
        """
        A peer that is still taking an answer that has left this process has time for as
        long as he takes some of it.
        """
        terminator = self.serve()
        client, protocol = self.spoken()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        protocol.transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**20)
        protocol.transport.write(b"x" * 300_000)
        self.go(0.1)
        if not sockets.unacknowledged(protocol.transport.socket):
            self.skipTest("the kernel has taken all of it, or cannot tell")
        result = terminator.terminate()
        self.go(1.0)
        for _ in range(3):
            self.assertNoResult(result)
            client.recv(100_000)
            client.recv(100_000)
            self.go(0.06)
        client.close()
        self.go(1)
        self.assertEqual(self.successResultOf(result).idle, 1)


class ServingTests(SocketTestCase):
    """
    Connections that end before any stop.
    """

    def test_lostWithUnreadInput(self) -> None:
        """
        What was written arrives although the peer goes on sending.
        """
        terminator = self.serve()
        client, protocol = self.spoken()
        client.sendall(b"x" * 1000)
        protocol.transport.write(b"bye")
        protocol.transport.loseConnection()
        self.go(0.1)
        self.assertEqual(client.recv(10), b"bye")
        self.assertEqual(client.recv(10), b"")
        client.close()
        self.go(0.1)
        self.assertEqual(terminator.connections(), [])


class LateTests(SocketTestCase):
    """
    Connections that are accepted although the end has begun.
    """

    protocol = Hinting

    def test_hintedBeforeTheFirstByte(self) -> None:
        """
        Its drain begins before its first byte is read, in time for the first answer.
        """
        terminator = self.serve(quiesce=1)
        terminator.terminate()
        client, protocol = self.connected()
        order: list[str] = []
        protocol.hint = lambda idle: order.append("hint")
        protocol.dataReceived = lambda data: order.append("data")
        client.sendall(b"hello")
        self.go(0.1)
        self.assertEqual(order, ["hint", "data"])

    def test_anIdleGraceOfItsOwn(self) -> None:
        """
        It has as much time to say something as the others had.
        """
        terminator = self.serve(settles=True)
        result = terminator.terminate()
        self.go(0.1)
        self.client()
        self.go(0.2)
        [protocol] = self.factory.protocols
        self.go(0.75)
        self.assertEqual(protocol.drained, 0)
        self.go(0.3)
        self.assertEqual(protocol.drained, 1)
        self.assertEqual(self.successResultOf(result).idle, 1)

    def test_afterTheIdleGrace(self) -> None:
        """
        So it has if it came when that of the others was over; it does not stay until the
        deadline.
        """
        terminator = self.serve(settles=True, idleGrace=0.1)
        result = terminator.terminate()
        self.client()
        self.reactor.advance(0.1)
        self.assertEqual(len(self.factory.protocols), 1)
        self.go(0.5)
        self.assertEqual(self.successResultOf(result).idle, 1)


#: What the kernel has room for.
SIZE = 50_000


class DeadlineTests(SocketTestCase):
    """
    The last word.
    """

    protocol = Hinting

    def busy(self) -> tuple[socket.socket, Any, Any]:
        terminator = self.serve(gracePeriod=1)
        client, protocol = self.spoken()
        protocol.busy = True
        protocol.lastWord = lambda after: protocol.transport.write(b"503") or "503"
        return client, protocol, terminator.terminate()

    def test_arrives(self) -> None:
        """
        The last word arrives, and then the connection is closed in an orderly way.
        """
        client, _, result = self.busy()
        self.go(1 + LAST_WORD + 0.05)
        self.assertEqual(client.recv(10), b"503")
        self.assertEqual(client.recv(10), b"")
        [entry] = self.successResultOf(result).stragglers
        self.assertEqual(entry.told, "503")

    def test_doesNotLeave(self) -> None:
        """
        If it cannot even leave, the connection is aborted.
        """
        client, protocol, result = self.busy()
        protocol.transport.write(b"x" * 30_000_000)
        self.go(1 + LAST_WORD + 0.05)
        self.assertEqual(self.successResultOf(result).aborted, 1)
        with self.assertRaises(ConnectionResetError):
            while client.recv(2**20):
                pass

    def taking(self) -> tuple[socket.socket, Any]:
        """
        Somebody is idle, and has not taken all of an answer, when everything ends at once.  It
        is a UNIX socket, whose kernel has no delays.
        """
        self.open(f"\0taking-{os.getpid()}")
        terminator = Terminator(self.reactor, gracePeriod=0, idleGrace=0)
        terminator.attach(self.port)
        client = self.client(socket.AF_UNIX)
        client.sendall(b"hello")
        self.go(0.1)
        [protocol] = self.factory.protocols
        protocol.transport.write(b"x" * SIZE)
        self.go(0.1)
        if not sockets.unacknowledged(protocol.transport.socket):
            self.skipTest("the kernel cannot tell")
        return client, terminator.terminate()

    def test_goneAtOnce(self) -> None:
        """
        Nobody is waited for when all who were chosen are gone at their deadline.
        """
        terminator = self.serve(idleGrace=0)
        self.factory.protocol = Plain
        self.spoken()
        result = terminator.drain(gracePeriod=0)
        self.go(0.05)
        self.assertEqual(self.successResultOf(result).idle, 1)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_taken(self) -> None:
        """
        Who takes the rest of an answer then is waited for until he has, and no longer.
        """
        client, result = self.taking()
        self.go(0.1)
        self.assertNoResult(result)
        taken = 0
        while taken < SIZE:
            taken += len(client.recv(100_000))
        self.go(LAST_WORD + 0.05)
        report = self.successResultOf(result)
        self.assertEqual((report.idle, report.aborted), (1, 0))

    def test_notTaken(self) -> None:
        """
        Who does not is left to the kernel, which goes on delivering, before anybody is given
        up.
        """
        client, result = self.taking()
        self.go(GIVE_UP + LAST_WORD / 2)
        report = self.successResultOf(result)
        self.assertEqual((report.idle, report.aborted), (1, 0))
        taken = b""
        while len(taken) < SIZE:
            taken += client.recv(100_000)
        self.assertEqual(client.recv(1), b"")


class HandshakeTests(SocketTestCase):
    """
    TLS connections whose handshake is not over.
    """

    def open(self, path: str | None = None) -> Any:
        plain = self.factory
        tls: Any = TLSMemoryBIOFactory(certificate().options(), False, plain)
        self.factory = tls
        try:
            return super().open(path)
        finally:
            self.factory = plain

    def test_noRoomForGoodbye(self) -> None:
        """
        Who is taking an answer after the deadline is not reset because there is no room yet for
        the close_notify behind it.
        """
        terminator = self.serve(gracePeriod=0, idleGrace=0)
        guest = Guest(self.client(), tls=True)
        while not self.factory.protocols or not self.factory.protocols[0].transport.connected:
            self.reactor.turn()
        [protocol] = self.factory.protocols
        heard: list[bytes] = []
        protocol.dataReceived = heard.append
        while not heard:
            guest.send(b"hello")
            self.reactor.turn()
            guest.read(2**16)
        [connection] = terminator.connections()
        bottom: Any = connection.transport
        guest.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        bottom.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**20)
        # Not by a buffer that waits for the other reactor.
        TLSMemoryBIOProtocol.write(protocol.transport, b"x" * 300_000)
        self.go(0.1)
        if not sockets.unacknowledged(bottom.socket):
            self.skipTest("the kernel has taken all of it, or cannot tell")
        bottom.startWriting = lambda: None
        result = terminator.terminate()
        self.go(0.5)
        self.assertNoResult(result)
        del bottom.startWriting
        bottom.startWriting()
        self.go(GIVE_UP)
        self.assertEqual(self.successResultOf(result).idle, 1)

    def test_lost(self) -> None:
        """
        Who has not said hello when the idle grace is over is lost and named, and so he
        is by an abort.
        """
        for stop in ("terminate", "abort"):
            terminator = self.serve()
            client = self.client()
            while not terminator.connections():
                self.reactor.turn()
            result = getattr(terminator, stop)()
            self.go(1.1)
            report = self.successResultOf(result)
            [entry] = report.entries
            self.assertEqual((entry.state, entry.outcome), (State.OPENING, Outcome.IDLE))
            self.assertEqual((report.idle, client.recv(1)), (1, b""))
