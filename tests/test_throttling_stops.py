"""
Stops, and moves to other processes, that meet connections which are held.
"""

from __future__ import annotations

import socket
from functools import partial

from zope.interface import implementer

from terminable.handover.holding import Hold
from terminable.handover.movable import IMovable, NotNow
from terminable.handover.parcels import checkAlive
from terminable.policy.ledger import State
from terminable.terminator import Terminator
from tests import passages
from tests.passages import CountingFactory, PassageTestCase
from tests.throttles import Hearing, Lines, ThrottleTestCase, numbers


class StopTests(ThrottleTestCase):
    """
    A stop begins while connections are held.
    """

    def test_bytes(self) -> None:
        """
        Who is held is busy, and goes on being served; when all of it was read, the connection
        is lost.
        """
        server = self.serve(Hearing, "received=1000/s:burst=100", gracePeriod=10, idleGrace=0.1)
        wire = server.connect()
        wire.peer.send(b"x" * 1000)
        server.pump()
        [connection] = server.terminator.connections()
        self.assertIs(connection.state(), State.BUSY)
        server.stop()
        server.go(0.8)
        self.assertEqual((wire.protocol.ended, server.reports), (0, []))
        server.go(0.5)
        self.assertEqual((len(wire.protocol.heard), wire.protocol.ended), (1000, 1))
        wire.peer.socket.close()
        server.go(0.1)
        [report] = server.reports
        self.assertTrue(report.graceful)

    def test_messages(self) -> None:
        """
        So it is with messages, of one connection or of all.
        """
        for per in ("connection", "all"):
            server = self.serve(
                Lines, f"messages=10/s:burst=1:per={per}", gracePeriod=10, idleGrace=0.1
            )
            wire = server.connect()
            wire.peer.send(numbers(6))
            server.pump()
            server.stop()
            server.go(0.3)
            self.assertEqual(wire.protocol.ended, 0)
            server.go(0.6)
            self.assertEqual((len(wire.protocol.lines), wire.protocol.ended), (6, 1))
            [report] = server.reports
            self.assertTrue(report.graceful)

    def test_deadline(self) -> None:
        """
        Who does not come to an end is named and aborted.
        """
        for limit in ("received=1000/s:burst=100", "messages=10/s:burst=1:per=all"):
            server = self.serve(Lines, limit, gracePeriod=1.0, idleGrace=0.1)
            wire = server.connect()
            wire.peer.send(numbers(2000))
            server.go(0.1)
            server.stop()
            server.go(0.9)
            self.assertEqual(wire.protocol.ended, 0)
            server.go(0.3)
            [report] = server.reports
            self.assertFalse(report.graceful)
            self.assertEqual(len(report.entries), 1)
            self.assertEqual(server.clock.getDelayedCalls(), [])

    def test_slowAnswer(self) -> None:
        """
        An answer that leaves slowly arrives.
        """
        server = self.serve(Hearing, "sent=10000/s:burst=100", gracePeriod=10, idleGrace=0.1)
        wire = server.connect()
        wire.peer.send(b"question")
        server.pump()
        wire.protocol.transport.write(b"x" * 5000)
        server.stop()
        server.go(0.4)
        self.assertEqual(wire.protocol.ended, 0)
        server.go(0.3)
        wire.peer.socket.close()
        server.pump()
        self.assertEqual((len(wire.peer.received), wire.protocol.ended), (5000, 1))

    def test_goodbye(self) -> None:
        """
        What a connection has sent that was lost is thrown away as fast as it comes, so that
        the last words arrive.
        """
        for tls in (False, True):
            server = self.serve(Hearing, "received=2000/s:burst=2000:per=all", gracePeriod=10)
            wire = server.connect(tls=tls)
            source = server.throttle.sourceOf(server.throttle.limits[0], "")[0]
            server.go(1.0)
            server.stop()
            server.pump()
            wire.peer.send(b"x" * 10000)
            server.pump()
            wire.peer.send(b"x" * 10000)
            wire.protocol.transport.write(b"last words")
            wire.protocol.transport.loseConnection()
            server.pump()
            self.assertEqual(wire.peer.received, b"last words")
            if tls:
                wire.peer.sayGoodbye()
            else:
                wire.peer.socket.shutdown(socket.SHUT_WR)
            server.go(0.1)
            self.assertEqual((wire.peer.over, wire.protocol.ended), ("FIN", 1))
            self.assertGreaterEqual(source.fill(server.clock.seconds()), 0.0)
            self.assertEqual(source.held, 0.0)

    def test_goodbyeBeforeItWaits(self) -> None:
        """
        Also if it did not wait before.
        """
        server = self.serve(Hearing, "received=1000/s:burst=100", gracePeriod=10)
        wire = server.connect()
        server.stop()
        wire.peer.send(b"x" * 100)
        server.pump()
        wire.protocol.transport.write(b"x" * 10)
        wire.protocol.transport.loseConnection()
        wire.peer.send(b"x" * 50000)
        wire.peer.socket.shutdown(socket.SHUT_WR)
        server.pump()
        self.assertEqual((wire.peer.over, wire.protocol.ended), ("FIN", 1))
        self.assertEqual(len(wire.protocol.heard), 100)


@implementer(IMovable)
class Moving(Lines):
    """
    Can go on in another process.
    """

    def save(self) -> bytes:
        """
        Nothing has to be known.
        """
        return b""

    def restore(self, state: bytes) -> None:
        """
        Nor was anything.
        """


class HeldTests(ThrottleTestCase):
    """
    A connection that is held does not move.
    """

    def test_notNow(self) -> None:
        """
        Neither while messages wait, nor while bytes do; the application's own pause is not in
        the way.
        """
        for limit in ("messages=10/s:burst=1:over=delay", "received=100/s:burst=2"):
            server = self.serve(Moving, limit)
            wire = server.connect()
            checkAlive(wire.transport)
            wire.transport.pauseProducing()
            checkAlive(wire.transport)
            wire.transport.resumeProducing()
            wire.peer.send(numbers(3))
            server.pump()
            error = self.assertRaises(NotNow, checkAlive, wire.transport)
            self.assertIn("held back", str(error))
            server.go(1.0)
            checkAlive(wire.transport)

    def test_repeated(self) -> None:
        """
        What is repeated here because it was said in another process is charged to nobody.
        """
        server = self.serve(Lines, "messages=10/s:burst=1:over=quota")
        wire = server.connect()
        hold = Hold(wire.transport)
        wire.protocol.dataReceived(numbers(5))
        self.assertEqual(len(wire.protocol.lines), 5)
        hold.release()
        wire.protocol.dataReceived(numbers(5))
        self.assertEqual(len(wire.protocol.lines), 6)

    def test_sendingMeanwhile(self) -> None:
        """
        What may be sent while the connection is between two processes is sent if it stays.
        """
        server = self.serve(Hearing, "sent=1000/s:burst=10")
        wire = server.connect()
        wire.transport.write(b"x" * 50)
        server.pump()
        hold = Hold(wire.transport)
        server.go(0.1)
        self.assertEqual(len(wire.peer.received), 10)
        hold.release()
        server.go(0.1)
        self.assertEqual(len(wire.peer.received), 50)


class PassageTests(PassageTestCase):
    """
    Two servers with limits.
    """

    def serve(self, *limits: str) -> socket.socket:
        """
        A connection of the first.
        """
        self.patch(passages, "Terminator", partial(Terminator, limits=limits))
        self.begin(CountingFactory("here "), CountingFactory("there "))
        return self.client()

    def test_moves(self) -> None:
        """
        A connection that is metered moves, and is metered there.
        """
        client = self.serve("received=20/s:burst=10", "sent=100/s:burst=30")
        self.assertIn(b"1 one", self.ask(client, b"one\n"))
        self.pass_()
        self.assertHere(0, 1)
        client.sendall(b"two\n" * 5)
        self.turns(30)
        [there] = self.there.connections()
        self.assertEqual(there.protocol.count, 3)
        self.until(lambda: there.protocol.count == 6, 0.01)
        self.assertEqual((self.here.throttle.counts.held, len(self.here.connections())), (0, 0))
        self.assertIn(b"6 two", self.heard(client))

    def test_staysWhileHeld(self) -> None:
        """
        One that is held stays, and moves when it is not any more; nothing gets lost.
        """
        client = self.serve("received=20/s:burst=10")
        client.sendall(b"12345\n" * 4)
        self.turns(10)
        self.assertIn("held back", self.refused(NotNow))
        [here] = self.here.connections()
        self.until(lambda: here.protocol.count == 4, 0.01)
        self.turns(50, 0.01)
        self.pass_()
        self.assertIn(b"5 more", self.ask(client, b"more\n"))
