"""
The HTTP/1.1 drainer: hint, idleness, goodbye, last words, and what it says of itself.
"""

from __future__ import annotations

import socket

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers
from twisted.web.server import Site

from terminable.drainers.http11 import HTTP11Drainer
from terminable.interfaces import IDrainer, IHintingDrainer
from tests.answers import Served, Shop, readAnswers, request
from tests.wire import Wire


class HintTests(SynchronousTestCase):
    """
    L{HTTP11Drainer.hint}.
    """

    def setUp(self) -> None:
        self.served = Served()

    def test_synchronousAnswerIsTheLast(self) -> None:
        """
        An application that answers at once says close, and the connection is lost.
        """
        self.served.hint()
        self.served.send(request("/a"))
        [answer] = self.served.answers()
        self.assertEqual((answer.status, answer.body, answer.closes), (200, b"/a ", True))
        self.assertTrue(self.served.transport.disconnecting)

    def test_withoutHintNothingIsSaid(self) -> None:
        """
        Before the drain begins, answers say nothing of the kind.
        """
        self.served.send(request("/a"))
        [answer] = self.served.answers()
        self.assertNotIn(b"connection", answer.headers)
        self.assertFalse(self.served.transport.disconnecting)

    def test_asynchronousAnswerIsTheLast(self) -> None:
        """
        A request that was with the application already is answered with close.
        """
        self.served.send(request("/later"))
        self.served.hint()
        self.assertFalse(self.served.transport.disconnecting)
        self.served.resource.finish()
        [answer] = self.served.answers()
        self.assertTrue(answer.closes)
        self.assertTrue(self.served.transport.disconnecting)
        self.assertEqual(self.served.idled, 0)

    def test_laterAsynchronousAnswerIsTheLast(self) -> None:
        """
        A request that comes after the hint and is answered later is the last too.
        """
        self.served.hint()
        self.served.send(request("/later"))
        self.served.resource.finish()
        self.assertTrue(self.served.answers()[0].closes)
        self.assertTrue(self.served.transport.disconnecting)

    def test_halfARequestIsAwaited(self) -> None:
        """
        A request received in part when the drain begins is answered as the last.
        """
        whole = request("/a", "POST", b"0123456789")
        self.served.send(whole[:-5])
        self.served.hint()
        self.served.drainer.drain()
        self.assertFalse(self.served.transport.disconnecting)
        self.served.send(whole[-5:])
        [answer] = self.served.answers()
        self.assertEqual((answer.body, answer.closes), (b"/a 0123456789", True))

    def test_pipelinedAreAllAnswered(self) -> None:
        """
        Of three requests received together, each is answered; the last says close.
        """
        self.served.hint()
        self.served.send(request("/a") + request("/b") + request("/c"))
        answers = self.served.answers()
        self.assertEqual([answer.body for answer in answers], [b"/a ", b"/b ", b"/c "])
        self.assertEqual([answer.closes for answer in answers], [False, False, True])

    def test_pipelinedBehindOneThatWaits(self) -> None:
        """
        The same if the first is with the application when the drain begins.
        """
        self.served.send(request("/later/1"))
        self.served.send(request("/b") + request("/later/2"))
        self.served.hint()
        self.served.resource.finish()
        self.served.resource.finish()
        answers = self.served.answers()
        self.assertEqual([a.body for a in answers], [b"/later/1 ", b"/b ", b"/later/2 "])
        self.assertEqual([a.closes for a in answers], [False, False, True])
        self.assertTrue(self.served.transport.disconnecting)

    def test_partOfAPipelinedRequestCounts(self) -> None:
        """
        An answer is not the last if a part of another request was received behind it.
        """
        second = request("/b")
        self.served.hint()
        self.served.send(request("/a") + second[:9])
        self.assertFalse(self.served.answers()[0].closes)
        self.served.send(second[9:])
        self.assertTrue(self.served.answers()[1].closes)

    def test_hintIsGivenOnce(self) -> None:
        """
        A second hint changes nothing.
        """
        self.served.hint()
        installed = self.served.channel.writeHeaders
        self.served.hint()
        self.assertIs(self.served.channel.writeHeaders, installed)

    def test_begunAnswerGoesOn(self) -> None:
        """
        An answer that has begun is left as it is; when it is complete and nobody was
        told to go, the connection says that it has become idle.
        """
        self.served.send(request("/later"))
        self.served.resource.waiting[0].write(b"one ")
        self.served.hint()
        self.served.resource.finish()
        [answer] = self.served.answers()
        self.assertEqual(answer.body, b"one /later ")
        self.assertFalse(answer.closes)
        self.assertEqual(self.served.idled, 1)
        self.assertFalse(self.served.transport.disconnecting)

    def test_answerAfterABegunOneIsTheLast(self) -> None:
        """
        The next request after such an answer is answered with close, and the
        connection is idle only once.
        """
        self.served.send(request("/later"))
        self.served.resource.waiting[0].write(b"one ")
        self.served.hint()
        self.served.resource.finish()
        self.served.send(request("/b"))
        self.assertEqual([answer.closes for answer in self.served.answers()], [False, True])
        self.assertEqual(self.served.idled, 1)
        self.assertTrue(self.served.transport.disconnecting)

    def test_begunAnswerWithAnotherBehindIsNotIdle(self) -> None:
        """
        A begun answer with another request behind it leads to that, not to idleness.
        """
        self.served.send(request("/later/1"))
        self.served.resource.waiting[0].write(b"one ")
        self.served.send(request("/later/2"))
        self.served.hint()
        self.served.resource.finish()
        self.assertEqual(self.served.idled, 0)
        self.served.resource.finish()
        self.assertEqual([answer.closes for answer in self.served.answers()], [False, True])
        self.assertEqual(self.served.idled, 0)

    def test_begunAnswerThatClosesAnyway(self) -> None:
        """
        A begun answer that already said close is not watched: it ends by itself.
        """
        self.served.send(request("/later", "GET", b"", "Connection: close"))
        self.served.resource.waiting[0].write(b"one ")
        self.served.hint()
        self.assertNotIn("requestDone", vars(self.served.channel))
        self.served.resource.finish()
        self.assertTrue(self.served.transport.disconnecting)
        self.assertEqual(self.served.idled, 0)

    def test_interimAnswersAreLeftAlone(self) -> None:
        """
        The headers of a 1xx answer go out as the application made them.
        """
        self.served.send(request("/later"))
        self.served.hint()
        waiting = self.served.resource.waiting[0]
        upgrade = Headers({b"Connection": [b"Upgrade"], b"Upgrade": [b"other"]})
        self.served.channel.writeHeaders(b"HTTP/1.1", b"101", b"Switching", upgrade)
        [answer] = self.served.answers()
        self.assertEqual((answer.status, answer.headers[b"connection"]), (101, b"Upgrade"))
        self.assertTrue(self.served.channel.persistent)
        self.assertFalse(waiting.startedWriting)

    def test_theApplicationsConnectionHeaderIsReplaced(self) -> None:
        """
        Whatever the application says of the connection, the last answer says close,
        once.
        """
        self.served.send(request("/later"))
        self.served.hint()
        headers = self.served.resource.waiting[0].responseHeaders
        headers.setRawHeaders(b"connection", [b"keep-alive", b"x"])
        self.served.resource.finish()
        self.assertTrue(self.served.answers()[0].closes)

    def test_headersMayBePairs(self) -> None:
        """
        C{writeHeaders} also takes pairs of bytes, repeated names included.
        """
        self.served.send(request("/later"))
        self.served.hint()
        pairs = [(b"Set-Cookie", b"a=1"), (b"Set-Cookie", b"b=2"), (b"Content-Length", b"0")]
        self.served.channel.writeHeaders(b"HTTP/1.1", b"200", b"OK", pairs)
        lines = self.served.transport.value().split(b"\r\n")
        self.assertEqual(lines.count(b"Set-Cookie: a=1"), 1)
        self.assertEqual(lines.count(b"Set-Cookie: b=2"), 1)
        self.assertEqual(lines.count(b"Connection: close"), 1)


class KernelTests(SynchronousTestCase):
    """
    Requests that have been received, but not by us yet.
    """

    def wire(self, **options: object) -> Wire:
        """
        A shop on a real socket.
        """
        self.shop = Shop()
        wire = Wire(Site(self.shop), **options)  # type: ignore[arg-type]
        self.addCleanup(wire.close)
        return wire

    def theRestIsAnswered(self, wire: Wire) -> None:
        """
        With C{/later} at the application and more in the kernel, the drain begins:
        everybody is answered, and the last one told to go.
        """
        idled: list[None] = []
        IDrainer(wire.protocol).hint(lambda: idled.append(None))
        self.shop.finish()
        self.assertEqual(self.shop.served, [b"/later"])
        wire.pumpUntil(lambda: wire.peer.over or getattr(wire.peer, "notified", False))
        answers = readAnswers(wire.peer.received)
        self.assertEqual([answer.body for answer in answers], [b"/later ", b"/b ", b"/c "])
        self.assertEqual([answer.closes for answer in answers], [False, False, True])

    def test_inTheKernel(self) -> None:
        """
        What only the kernel has read is answered before anybody is told to go.
        """
        wire = self.wire()
        wire.peer.send(request("/later"))
        wire.pumpUntil(lambda: self.shop.waiting)
        wire.peer.send(request("/b") + request("/c"))
        wire.waitForInput()
        self.theRestIsAnswered(wire)

    def test_inTheKernelOfAUNIXSocket(self) -> None:
        """
        The same on a UNIX socket.
        """
        wire = self.wire(family=socket.AF_UNIX)
        wire.peer.send(request("/later"))
        wire.pumpUntil(lambda: self.shop.waiting)
        wire.peer.send(request("/b") + request("/c"))
        self.theRestIsAnswered(wire)

    def test_inTheKernelEncrypted(self) -> None:
        """
        The same through TLS.
        """
        wire = self.wire(tls=True)
        wire.peer.send(request("/later"))
        wire.pumpUntil(lambda: self.shop.waiting)
        wire.peer.send(request("/b"))
        wire.peer.send(request("/c"))
        wire.waitForInput()
        self.theRestIsAnswered(wire)

    def test_inSeparateTLSRecords(self) -> None:
        """
        Requests in TLS records that we have read but not decrypted are answered too.
        """
        wire = self.wire(tls=True)
        IDrainer(wire.protocol).hint(lambda: None)
        paths = ["/a", "/b", "/c"]
        records = b"".join(wire.peer.encrypt(request(path)) for path in paths)
        wire.peer.socket.sendall(records)
        wire.pumpUntil(lambda: wire.peer.notified)
        answers = readAnswers(wire.peer.received)
        self.assertEqual([answer.body for answer in answers], [b"/a ", b"/b ", b"/c "])
        self.assertEqual([answer.closes for answer in answers], [False, False, True])

    def test_idleIsToldWhenTheKernelHadNoRequest(self) -> None:
        """
        If what the kernel held was no request (an empty line, say), the connection
        still says that it has become idle.
        """
        wire = self.wire()
        idled: list[None] = []
        IDrainer(wire.protocol).hint(lambda: idled.append(None))
        wire.peer.send(request("/later"))
        wire.pumpUntil(lambda: self.shop.waiting)
        wire.peer.send(b"\r\n")
        wire.waitForInput()
        self.shop.finish()
        wire.pumpUntil(lambda: wire.peer.received)
        self.assertFalse(readAnswers(wire.peer.received)[0].closes)
        self.assertEqual(len(idled), 1)

    def test_drainLeavesWhatIsInTheKernel(self) -> None:
        """
        An idle connection whose next request is in the kernel is not lost.
        """
        wire = self.wire()
        drainer = IDrainer(wire.protocol)
        wire.peer.send(request("/a"))
        wire.waitForInput()
        self.assertFalse(drainer.isBusy())
        drainer.drain()
        self.assertFalse(wire.transport.disconnecting)
        wire.pumpUntil(lambda: wire.peer.received)
        drainer.drain()
        wire.pumpUntil(lambda: wire.peer.over)
        self.assertEqual(wire.peer.over, "FIN")


class IdleTests(SynchronousTestCase):
    """
    L{HTTP11Drainer.isBusy} and L{HTTP11Drainer.drain}.
    """

    def setUp(self) -> None:
        self.served = Served()

    def test_theInterface(self) -> None:
        """
        It is a hinting drainer, and an idle connection has nothing to say.
        """
        drainer = HTTP11Drainer(self.served.channel)
        self.assertTrue(IHintingDrainer.providedBy(drainer))
        self.assertTrue(drainer.silent)
        self.assertFalse(drainer.upgraded)

    def test_eachStage(self) -> None:
        """
        A connection is busy from the first byte of a request to the last of its answer.
        """
        drainer = self.served.drainer
        whole = request("/later", "POST", b"abc")
        self.assertFalse(drainer.isBusy())
        for byte in range(len(whole)):
            self.served.send(whole[byte : byte + 1])
            self.assertTrue(drainer.isBusy(), byte)
        self.served.resource.finish()
        self.assertFalse(drainer.isBusy())

    def test_drainLosesAnIdleConnection(self) -> None:
        """
        An idle connection is lost, and its channel is no producer any more: over TLS
        it would stay.
        """
        self.assertIsNotNone(self.served.transport.producer)
        self.served.drainer.drain()
        self.assertTrue(self.served.transport.disconnecting)
        self.assertIsNone(self.served.transport.producer)

    def test_drainLeavesABusyConnection(self) -> None:
        """
        A busy connection is not touched.
        """
        self.served.send(request("/later"))
        self.served.drainer.drain()
        self.assertFalse(self.served.transport.disconnecting)
