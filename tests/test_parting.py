"""
How idle connections are ended, many at a time; no reactor runs.
"""

from __future__ import annotations

import socket
import struct
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import Site

from terminable.asking import whenDraining
from terminable.policy.ledger import Outcome
from tests.doubles import Boom, Plain, Polite
from tests.test_draining_sockets import SocketTestCase


class Told(Plain):
    """
    Says what happens when it is told of its end.
    """

    reason: Any = None
    lost = 0

    def whenLost(self) -> None:
        """
        Nothing.
        """

    def connectionLost(self, reason: Any = None) -> None:
        self.reason = reason
        self.lost += 1
        super().connectionLost(reason)
        self.whenLost()


def ended(client: socket.socket) -> bool:
    """
    Whether a client sees now that its connection is over.
    """
    client.setblocking(False)
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False


class PartingTestCase(SocketTestCase):
    """
    Two clients that have spoken, and whose stop is near the end of the idle grace.
    """

    protocol = Told

    def setUp(self) -> None:
        super().setUp()
        self.serve()
        (self.one, self.first), (self.two, self.second) = self.spoken(), self.spoken()

    def stop(self, **settings: Any) -> None:
        """
        Begin the stop; half of the idle grace goes by.
        """
        self.result = self.terminator.terminate(**settings)
        self.go(0.5)

    def hooked(self) -> list[bool]:
        """
        On which of the two transports something of ours is.
        """
        return ["doRead" in vars(each.transport) for each in (self.first, self.second)]


class IdleTests(PartingTestCase):
    """
    Nothing comes any more.
    """

    def test_allPeersFirst(self) -> None:
        """
        All peers know before the first protocol is told; each of these is told of an
        orderly end, and the report counts them.
        """
        seen: list[bool] = []
        self.first.whenLost = lambda: seen.append(ended(self.two))  # type: ignore[method-assign]
        self.stop()
        self.assertEqual(self.hooked(), [True, True])
        self.go(0.6)
        self.assertEqual(seen, [True])
        self.assertTrue(ended(self.one))
        for protocol in (self.first, self.second):
            self.assertTrue(protocol.reason.check(ConnectionDone))
            self.assertNotIn("doRead", vars(protocol.transport))
        report = self.successResultOf(self.result)
        self.assertEqual((report.idle, report.entries), (2, ()))

    def test_writesLate(self) -> None:
        """
        What a protocol writes when its peer knows, and it does not, goes nowhere, and breaks
        nothing.
        """
        self.first.whenLost = lambda: self.second.transport.write(b"late")  # type: ignore[method-assign]
        self.stop()
        self.go(0.6)
        self.assertTrue(self.second.reason.check(ConnectionDone))
        self.assertEqual(self.two.recv(10), b"")
        self.assertEqual(self.successResultOf(self.result).idle, 2)

    def test_overMeanwhile(self) -> None:
        """
        One that is over when its turn comes is told of that once.
        """
        gone = Failure(Boom())
        self.first.whenLost = lambda: self.second.transport.connectionLost(gone)  # type: ignore[method-assign]
        self.stop()
        self.go(0.6)
        self.assertIs(self.second.reason, gone)
        self.assertEqual(self.second.lost, 1)
        self.assertEqual(self.successResultOf(self.result).idle, 2)

    def test_reset(self) -> None:
        """
        A peer that resets its connection in that moment harms nobody.
        """
        self.stop()
        self.one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.one.close()
        self.reactor.removeReader(self.first.transport)
        self.go(0.6)
        self.assertEqual(self.successResultOf(self.result).idle, 2)
        self.assertTrue(ended(self.two))


class NotIdleTests(PartingTestCase):
    """
    Something has changed since the stop began.
    """

    def slowly(self, finished: int = 0) -> None:
        """
        The first is ended as one is of whom nothing is known, the second as before.
        """
        self.go(1.0)
        self.assertTrue(ended(self.one) and ended(self.two))
        report = self.successResultOf(self.result)
        self.assertEqual((report.idle, report.finished), (2 - finished, finished))

    def test_received(self) -> None:
        """
        Something came, and it is idle again: it was looked at again, and is remembered anew.
        """
        self.stop()
        seen = self.first.transport.doRead
        self.one.sendall(b"more")
        self.go(0.1)
        self.assertEqual(self.hooked(), [True, True])
        self.assertIsNot(self.first.transport.doRead, seen)
        self.slowly()

    def test_lostByItself(self) -> None:
        """
        Or the protocol has lost the connection because of what came.
        """
        self.first.dataReceived = lambda data: self.first.transport.loseConnection()
        self.stop()
        self.one.sendall(b"bye")
        self.go(0.2)
        self.assertTrue(ended(self.one))
        self.assertNotIn("doRead", vars(self.first.transport))

    def test_gone(self) -> None:
        """
        Or aborted it, and was told so at once.
        """
        transport = self.first.transport
        self.first.dataReceived = lambda data: transport.connectionLost(Failure(Boom()))
        self.stop()
        self.one.sendall(b"bye")
        self.go(0.1)
        self.assertNotIn("doRead", vars(transport))
        self.assertEqual(self.first.lost, 1)

    def test_unread(self) -> None:
        """
        Something has come that nobody has read: that is looked for to the last moment.
        """
        heard: list[bytes] = []
        self.first.dataReceived = heard.append
        self.stop()
        self.first.transport.stopReading()
        self.one.sendall(b"last")
        self.go(0.51)
        self.assertFalse(ended(self.one))
        self.first.transport.startReading()
        self.slowly()
        self.assertEqual(heard, [b"last"])

    def test_exchanged(self) -> None:
        """
        The protocol was exchanged for another one, and nothing was received.
        """
        self.stop()
        other = Told()
        other.factory = self.factory
        self.first.transport.protocol = other
        other.makeConnection(self.first.transport)
        self.slowly()
        self.assertEqual(other.lost, 1)

    def test_producer(self) -> None:
        """
        It sends something that it produces by and by: it is busy until that has ended.
        """
        self.stop()
        self.first.transport.registerProducer(self, True)
        self.go(0.6)
        self.assertFalse(ended(self.one))
        self.first.transport.unregisterProducer()
        self.slowly(finished=1)

    def stopProducing(self) -> None:
        """
        The connection is over.
        """

    def test_asked(self) -> None:
        """
        One whose application wants to be called is not ended before it has had its say.
        """
        asked = whenDraining(self.first)
        self.stop()
        self.assertTrue(asked.called)
        self.slowly(finished=1)

    def test_lostByPeer(self) -> None:
        """
        A peer that closes leaves nothing of ours on its transport.
        """
        self.stop()
        transport = self.first.transport
        self.one.close()
        self.go(0.1)
        self.assertNotIn("doRead", vars(transport))
        self.assertEqual(self.first.lost, 1)

    def test_aborted(self) -> None:
        """
        An abort before that ends them as ever.
        """
        self.stop()
        self.terminator.abort()
        self.go(0.1)
        report = self.successResultOf(self.result)
        self.assertEqual([entry.outcome for entry in report.entries], [])
        self.assertEqual((report.idle, self.hooked()), (2, [False, False]))

    def test_stuck(self) -> None:
        """
        The end of a stop leaves nothing on a connection that nobody could end.
        """
        self.stop(gracePeriod=0.6)
        transport = self.first.transport
        transport.connectionLost = lambda reason: None
        transport.abortConnection = lambda: None
        self.go(10)
        report = self.successResultOf(self.result)
        self.assertEqual([entry.outcome for entry in report.entries], [Outcome.ABORTED])
        self.assertNotIn("doRead", vars(transport))
        del transport.connectionLost, transport.abortConnection
        self.flushLoggedErrors()


class Answering(Polite):
    """
    Busy with whatever has come.
    """

    def dataReceived(self, data: bytes) -> None:
        self.busy = data == b"do"


class CountedTests(SocketTestCase):
    """
    Who becomes busy while the stop is under way.
    """

    protocol = Answering

    def test_busy(self) -> None:
        """
        It is counted as soon as it is so, whether the peer had spoken before or not, and also
        if its protocol says for itself whether it is.
        """
        self.serve()
        (one, first), (two, second) = self.connected(), self.spoken()
        del second.dataReceived
        self.terminator.terminate()
        self.go(0.1)
        self.assertEqual(self.counted(), (0, 2))
        for count, client in enumerate((one, two), 1):
            client.sendall(b"do")
            self.go(0.1)
            self.assertEqual(self.counted(), (count, 2 - count))
        first.busy = second.busy = False

    def counted(self) -> tuple[int, int]:
        """
        How many are busy, and how many idle, as it is told.
        """
        progress = self.terminator.progress()
        return progress.busy, progress.idle


class PageTests(SocketTestCase):
    """
    HTTP, whose channel has timers of its own.
    """

    def test_keptAlive(self) -> None:
        """
        A connection that has had its answer is ended as one that is idle, and its channel
        leaves no timer behind.
        """
        page = Resource()
        page.putChild(b"", page)
        page.render_GET = lambda request: b"hello\n"  # type: ignore[attr-defined]
        site = Site(page, reactor=self.reactor)
        self.factory = site  # type: ignore[assignment]
        self.serve()
        client = self.client()
        client.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        self.go(0.1)
        self.assertIn(b"hello\n", client.recv(4096))
        result = self.terminator.terminate()
        self.go(1.1)
        self.assertEqual(self.successResultOf(result).idle, 1)
        self.assertEqual(client.recv(1), b"")
        site.stopFactory()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
