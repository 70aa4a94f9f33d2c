"""
The drainer of AMP connections: the deadline, other protocols, and other ways to watch.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.protocols import amp
from twisted.python.failure import Failure
from zope.interface import implementer

from terminable.drainers.amp import TERMINATED, TERMINATING, AMPDrainer, callsOf, watch
from terminable.drainers.raw import RawDrainer
from terminable.interfaces import IDrainer
from tests.remotecalls import AMPTestCase, Become, Inner, Now, Server, Untouched, ask


class AMPDrainerEndsTests(AMPTestCase):
    """
    L{AMPDrainer}.
    """

    def test_lastWord(self) -> None:
        """
        At the deadline every caller who waits is told, and what the application answers
        after that is swallowed without complaint.
        """
        self.send(ask(b"Later") + ask(b"Later", b"2") + ask(b"Event", None))
        self.hint()
        self.drainer.drain()
        self.assertEqual(self.drainer.lastWord(5), "error")
        boxes = self.boxes()
        self.assertEqual([box[amp.ERROR] for box in boxes], [b"1", b"2"])
        self.assertEqual({box[amp.ERROR_CODE] for box in boxes}, {TERMINATED})
        self.assertTrue(self.transport.disconnecting)
        self.answer()
        self.protocol.waiting.pop(0).errback(ValueError("swallowed too"))
        self.answer({})
        self.send(ask(b"Now", b"4"))
        self.assertEqual(self.boxes(), [])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_callsAfterTheLastWord(self) -> None:
        """
        No call is performed after the last word.
        """
        self.hint()
        self.send(ask(b"Later"))
        self.assertEqual(self.drainer.lastWord(5), "error")
        self.send(ask(b"Now", b"2"))
        self.assertEqual(self.protocol.seen, ["later"])

    def test_failingAfterTheLastWord(self) -> None:
        """
        What fails after the last word and the end of the connection is logged once, as it
        would be without us.
        """
        self.send(ask(b"Later"))
        self.assertEqual(self.drainer.lastWord(5), "error")
        self.protocol.connectionLost(Failure(ConnectionLost()))
        self.protocol.waiting.pop().errback(ZeroDivisionError())
        [logged] = self.flushLoggedErrors()
        self.assertTrue(logged.check(ZeroDivisionError))

    def test_ownCallsAfterTheLastWord(self) -> None:
        """
        The application's own calls go where they would go without us.
        """
        self.send(ask(b"Later"))
        self.drainer.lastWord(5)
        self.boxes()
        answer = self.protocol.callRemote(Now)
        self.assertEqual([box[amp.COMMAND] for box in self.boxes()], [b"Now"])
        self.protocol.connectionLost(Failure(ConnectionLost()))
        self.failureResultOf(answer, ConnectionLost)

    def test_noLastWord(self) -> None:
        """
        If nobody waits for an answer of ours, nobody is told.
        """
        self.send(ask(b"Event", None))
        self.assertEqual(self.drainer.lastWord(5), "")
        self.assertFalse(self.transport.disconnecting)
        self.answer({})

    def test_noLastWordWhileSwitching(self) -> None:
        """
        Nor if we have asked to exchange the protocol: nothing may be written then.
        """
        self.send(ask(b"Later"))
        answer = self.protocol.callRemote(Become, Factory.forProtocol(Inner))
        self.boxes()
        self.hint()
        self.drainer.drain()
        self.send(ask(b"Now", b"2"))
        self.assertEqual((self.drainer.lastWord(5), self.boxes()), ("", []))
        self.assertFalse(self.transport.disconnecting)
        answer.addErrback(lambda _: None)

    def test_switched(self) -> None:
        """
        After a switch the connection ends as the new protocol has it.
        """
        self.protocol.innerProtocol = inner = Inner()
        self.assertIs(IDrainer(self.protocol), inner)
        self.protocol.innerProtocol = Protocol()
        self.assertIsInstance(IDrainer(self.protocol), RawDrainer)
        self.protocol.innerProtocol = object()
        self.assertIsInstance(IDrainer(self.protocol), RawDrainer)

    def test_switchedMeanwhile(self) -> None:
        """
        The same if a switch is asked for before the drain begins, and answered later.
        """
        self.send(ask(b"Become"))
        self.hint()
        inner = Inner()
        self.answer(inner)
        self.assertEqual(len(self.boxes()), 1)
        self.assertIs(self.protocol.innerProtocol, inner)
        self.assertIs(inner.told, self.idle)
        self.assertTrue(self.drainer.isBusy())
        self.assertEqual(self.drainer.describe(), "inner")
        self.send(b"hello")
        self.assertEqual(inner.data, b"hello")
        self.drainer.drain()
        self.assertEqual((inner.drained, self.transport.disconnecting), (1, False))
        self.assertEqual(self.drainer.lastWord(7), "inner 7")
        self.assertEqual((self.idled, self.idle.work), (0, []))

    def test_switchedAfterTheHint(self) -> None:
        """
        The same if a switch is asked for and answered after the drain has begun.
        """
        self.hint()
        self.send(ask(b"Become"))
        inner = Inner()
        self.answer(inner)
        self.drainer.drain()
        self.assertEqual((inner.told, inner.drained), (self.idle, 1))

    def test_switchedAfterItWasDrained(self) -> None:
        """
        A switch that is answered after its connection was drained is the last answer; the
        new protocol is drained then, not within its own code.
        """
        self.send(ask(b"Become"))
        self.hint()
        self.drainer.drain()
        inner = Inner()
        self.answer(inner)
        self.assertEqual((inner.told, inner.drained, self.idled), (self.idle, 0, 0))
        self.send(b"hello")
        [work] = self.idle.work
        work()
        self.assertEqual(inner.drained, 1)

    def test_switchedWithoutAHint(self) -> None:
        """
        A drainer that was not told of a drain tells nobody.
        """
        self.protocol.innerProtocol = inner = Inner()
        drainer = AMPDrainer(self.protocol)
        drainer.drain()
        self.assertEqual((inner.told, inner.drained), (None, 1))

    def test_startTLS(self) -> None:
        """
        The answer that begins TLS is written before TLS, and is the last of the call.
        """
        events: list[str] = []
        write = self.transport.write
        self.transport.write = lambda data: events.append("answer") or write(data)
        self.transport.startTLS = lambda options: events.append("TLS")
        self.send(ask(b"StartTLS"))
        self.assertEqual(events, ["answer", "TLS"])
        self.assertFalse(self.drainer.isBusy())

    def test_notWatchedFromTheBeginning(self) -> None:
        """
        On a connection that nobody has watched, what is in flight is not known; what
        comes after the hint is.
        """
        self.connect(Server(), watched=False)
        self.send(ask(b"Later"))
        self.assertFalse(self.drainer.isBusy())
        self.assertEqual(AMPDrainer(self.protocol).lastWord(5), "")
        self.hint()
        self.send(ask(b"Later", b"2"))
        self.assertTrue(self.drainer.isBusy())
        self.answer()
        self.assertTrue(self.drainer.isBusy())
        self.answer()
        self.assertFalse(self.drainer.isBusy())

    def test_watchedOnce(self) -> None:
        """
        Being watched twice is being watched once.
        """
        calls = callsOf(self.protocol)
        watch(self.protocol)
        self.assertIs(callsOf(self.protocol), calls)

    def test_withoutAConstructor(self) -> None:
        """
        A protocol whose constructor is called by Twisted, late, is watched all the same.
        """
        fresh = Untouched()
        self.assertFalse(AMPDrainer(fresh).isBusy())
        watch(fresh)
        fresh.makeConnection(StringTransport())
        calls: Any = callsOf(fresh)
        fresh.locateResponder = lambda name: lambda box: Deferred()
        fresh.dataReceived(ask(b"Anything"))
        self.assertEqual(len(calls.pending()), 1)

    def test_ofAnotherDispatcher(self) -> None:
        """
        Where boxes go to another object than the protocol, that one is watched.
        """
        server = Server()
        dispatcher = amp.BoxDispatcher(server)
        self.connect(amp.BinaryBoxProtocol(dispatcher))
        self.protocol.waiting = server.waiting
        self.send(ask(b"Later"))
        self.assertEqual(self.drainer.describe(), "call Later")
        self.hint()
        self.drainer.drain()
        self.send(ask(b"Now", b"2"))
        [box] = self.boxes()
        self.assertEqual(box[amp.ERROR_CODE], TERMINATING)
        self.assertEqual(self.drainer.lastWord(5), "error")
        self.boxes()
        self.answer()
        self.assertEqual(self.boxes(), [])

    def test_ofAnApplicationsOwn(self) -> None:
        """
        If an application takes boxes in its own way, nothing is known of its calls.
        """

        @implementer(amp.IBoxReceiver)
        class Own:
            def startReceivingBoxes(self, sender: Any) -> None:
                pass

        self.connect(amp.BinaryBoxProtocol(Own()))
        self.assertIsInstance(self.drainer, RawDrainer)

    def test_over(self) -> None:
        """
        After the end nothing is busy but what the application still works on, and its
        answer harms nobody.
        """
        self.send(ask(b"Later"))
        self.hint()
        self.drainer.drain()
        self.protocol.connectionLost(Failure(ConnectionLost()))
        self.assertTrue(self.drainer.isBusy())
        self.answer()
        self.assertFalse(self.drainer.isBusy())
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_answersThatFailAtOnce(self) -> None:
        """
        A call that fails at once is not kept.
        """
        self.protocol.locator = self
        self.locateResponder = lambda name: lambda box: fail(amp.RemoteAmpError(b"X", "x"))
        self.send(ask(b"Anything"))
        self.assertFalse(self.drainer.isBusy())
