"""
The HTTP/1.1 drainer: what it says of a connection, and its last words.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Site

from terminable.interfaces import IDrainer
from tests.answers import Served, Shop, readAnswers, request
from tests.wire import Wire


class DescribeTests(SynchronousTestCase):
    """
    C{describe}.
    """

    def setUp(self) -> None:
        self.served = Served()

    def test_idle(self) -> None:
        """
        Nothing is in flight on an idle connection.
        """
        self.assertEqual(self.served.drainer.describe(), "")

    def test_withTheApplication(self) -> None:
        """
        Method and target, with its query, of the request that is being answered.
        """
        self.served.send(request("/later?a=b", "PUT", b"x"))
        self.assertEqual(self.served.drainer.describe(), "PUT /later?a=b")

    def test_theFirstOfSeveral(self) -> None:
        """
        Of pipelined requests it is the one that is being answered.
        """
        self.served.send(request("/later/1") + request("/later/2"))
        self.assertEqual(self.served.drainer.describe(), "GET /later/1")

    def test_beingReceived(self) -> None:
        """
        The same while headers or body are being received.
        """
        whole = request("/upload", "POST", b"12345")
        self.served.send(whole[:40])
        self.assertEqual(self.served.drainer.describe(), "POST /upload")
        self.served.send(whole[40:-1])
        self.assertEqual(self.served.drainer.describe(), "POST /upload")

    def test_halfALine(self) -> None:
        """
        Of half a request line nothing can be said.
        """
        self.served.send(b"GET /x")
        self.assertEqual(self.served.drainer.describe(), "")
        self.assertTrue(self.served.drainer.isBusy())

    def test_longTargetsAreCut(self) -> None:
        """
        Two hundred bytes of a request line are enough.
        """
        self.served.send(request("/later" + "x" * 1000))
        self.assertEqual(self.served.drainer.describe(), "GET /later" + "x" * 190)

    def test_malformedRequest(self) -> None:
        """
        A first line that is none of HTTP's does no harm.
        """
        self.served.send(b"nonsense\r\n")
        self.assertEqual(self.served.drainer.describe(), "")


class LastWordTests(SynchronousTestCase):
    """
    C{lastWord}.
    """

    def setUp(self) -> None:
        self.served = Served()

    def test_unavailable(self) -> None:
        """
        A request whose answer has not begun is told 503 and when to come again.
        """
        self.served.send(request("/later"))
        self.assertEqual(self.served.drainer.lastWord(30), "503")
        [answer] = self.served.answers()
        self.assertEqual(answer.status, 503)
        self.assertTrue(answer.closes)
        self.assertEqual(answer.headers[b"retry-after"], b"30")
        self.assertEqual(answer.body, b"")
        self.assertTrue(self.served.transport.disconnecting)

    def test_whatComesTooLateIsSwallowed(self) -> None:
        """
        What the application answers after that reaches nobody, and does no harm.
        """
        self.served.hint()
        self.served.send(request("/later"))
        self.served.drainer.lastWord(1)
        before = self.served.transport.value()
        waiting = self.served.resource.waiting[0]
        waiting.write(b"late")
        self.served.channel.writeSequence([b"later"])
        waiting.finish()
        self.assertEqual(self.served.transport.value(), before)

    def test_pipelinedRequestsAreNotServedAfterIt(self) -> None:
        """
        When the application finishes late, the request behind is not begun.
        """
        self.served.send(request("/later") + request("/b"))
        self.served.drainer.lastWord(1)
        self.served.resource.finish()
        self.assertEqual(self.served.resource.served, [b"/later"])

    def test_timeout(self) -> None:
        """
        Part of a request, in its first line, its headers or its body, is told 408.
        """
        whole = request("/", "POST", b"12345")
        for length in (1, 10, 30, len(whole) - 1):
            served = Served()
            served.send(whole[:length])
            self.assertEqual(served.drainer.lastWord(5), "408", length)
            [answer] = served.answers()
            self.assertEqual(answer.status, 408)
            self.assertTrue(answer.closes)
            self.assertTrue(served.transport.disconnecting)

    def test_theRestOfTheRequestIsNotServed(self) -> None:
        """
        No application runs for a request that was told 408, whatever still comes.
        """
        whole = request("/", "POST", b"12345")
        self.served.send(whole[:-1])
        self.served.drainer.lastWord(5)
        before = self.served.transport.value()
        self.served.protocol.dataReceived(whole[-1:])
        self.assertEqual(self.served.transport.value(), before)
        self.assertEqual(self.served.resource.served, [])

    def test_idle(self) -> None:
        """
        An idle connection is told nothing.
        """
        self.assertEqual(self.served.drainer.lastWord(5), "")
        self.assertEqual(self.served.transport.value(), b"")
        self.assertFalse(self.served.transport.disconnecting)

    def test_begunAnswer(self) -> None:
        """
        Nothing is put into the middle of an answer.
        """
        self.served.send(request("/later"))
        self.served.resource.waiting[0].write(b"one")
        before = self.served.transport.value()
        self.assertEqual(self.served.drainer.lastWord(5), "")
        self.assertEqual(self.served.transport.value(), before)

    def test_unsentAnswerBefore(self) -> None:
        """
        Nothing is said behind an earlier answer that the peer does not read.
        """
        wire = Wire(Site(Shop()))
        self.addCleanup(wire.close)
        wire.peer.send(request("/a") + request("/later"))
        wire.waitForInput()
        while wire.read():
            pass
        drainer = IDrainer(wire.protocol)
        self.assertEqual(drainer.describe(), "GET /later")
        self.assertEqual(drainer.lastWord(5), "")
        wire.pumpUntil(lambda: wire.peer.received)
        self.assertEqual(len(readAnswers(wire.peer.received)), 1)
        self.assertEqual(drainer.lastWord(5), "503")
        wire.pumpUntil(lambda: wire.peer.over)
        self.assertEqual([a.status for a in readAnswers(wire.peer.received)], [200, 503])

    def test_encrypted(self) -> None:
        """
        It arrives through TLS, although the channel was a producer there.
        """
        shop = Shop()
        wire = Wire(Site(shop), tls=True)
        self.addCleanup(wire.close)
        wire.peer.send(request("/later"))
        wire.pumpUntil(lambda: shop.waiting)
        self.assertEqual(IDrainer(wire.protocol).lastWord(7), "503")
        wire.pumpUntil(lambda: wire.peer.notified)
        [answer] = readAnswers(wire.peer.received)
        self.assertEqual((answer.status, answer.headers[b"retry-after"]), (503, b"7"))
