"""
The drainer of AMP connections: what is busy, and how it ends.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.protocols import amp
from zope.interface.verify import verifyObject

from terminable.drainers import library
from terminable.drainers.amp import TERMINATING, AMPDrainer, callsOf
from terminable.interfaces import ILastingDrainer
from tests.remotecalls import AMPTestCase, Now, Server, ask


class AMPDrainerTests(AMPTestCase):
    """
    L{AMPDrainer}.
    """

    def test_isRegistered(self) -> None:
        """
        AMP has this drainer, which keeps connections that live long, and is watched.
        """
        self.assertIsInstance(self.drainer, AMPDrainer)
        self.assertTrue(verifyObject(ILastingDrainer, self.drainer))
        self.assertEqual(
            (self.drainer.silent, self.drainer.lasting, self.drainer.prompt), (False, True, False)
        )
        fresh = Server()
        library.begin(fresh)
        self.assertIsNotNone(callsOf(fresh))
        self.assertFalse(self.drainer.isBusy())
        self.assertEqual(self.drainer.describe(), "")

    def test_pendingIsBusy(self) -> None:
        """
        A call that was received and is not answered makes it busy.
        """
        self.send(ask(b"Later"))
        self.assertTrue(self.drainer.isBusy())
        self.assertEqual(self.drainer.describe(), "call Later")
        self.answer()
        self.assertFalse(self.drainer.isBusy())
        self.assertEqual(self.boxes(), [{b"_answer": b"1", b"text": b"done"}])

    def test_answeredAtOnce(self) -> None:
        """
        Of a call that is answered at once nothing is kept, whatever the answer.
        """
        self.send(ask(b"Now") + ask(b"Unknown", b"2"))
        self.assertFalse(self.drainer.isBusy())
        self.assertEqual([sorted(box)[0] for box in self.boxes()], [b"_answer", b"_error"])

    def test_failing(self) -> None:
        """
        A call that fails is over, and its caller is told why.
        """
        self.send(ask(b"Later"))
        self.protocol.waiting.pop().errback(ValueError("no"))
        self.assertFalse(self.drainer.isBusy())
        [box] = self.boxes()
        self.assertEqual(box[amp.ERROR_CODE], b"VALUE")

    def test_chained(self) -> None:
        """
        An answer that has been called and waits for another is none yet.
        """
        waiting: list[Any] = []

        def respond(box: Any) -> Any:
            waiting.append(Deferred())
            return succeed(None).addCallback(lambda _: waiting[-1])

        self.protocol.locator = self
        self.locateResponder = lambda name: respond
        self.send(ask(b"Anything") + ask(b"Anything", b"2"))
        self.assertEqual(self.drainer.describe(), "call Anything, call Anything")
        for chained in waiting:
            chained.callback(amp.AmpBox())
        self.assertFalse(self.drainer.isBusy())

    def test_whatIsOverIsForgotten(self) -> None:
        """
        Calls that are over are not kept for long, and those that are not, are.
        """
        calls: Any = callsOf(self.protocol)

        def callTwice() -> int:
            self.send(ask(b"Later") + ask(b"Later"))
            for _ in range(2):
                self.protocol.waiting.pop().callback({"text": ""})
            return len(calls._others)

        self.send(ask(b"Later") * 10)
        # Looked for now and then, not with each call.
        self.assertIn(max(callTwice() for _ in range(1000)), (20, 21, 22))
        self.assertEqual(len(calls.pending()), 10)
        for _ in range(9):
            self.answer()
        self.assertLessEqual(min(callTwice() for _ in range(20)), 2)
        self.assertLessEqual(max(callTwice() for _ in range(100)), 5)
        self.assertEqual(self.drainer.describe(), "call Later")

    def test_oneAfterTheOther(self) -> None:
        """
        Of those who make one call after the other at most one is kept.
        """
        calls: Any = callsOf(self.protocol)
        for _ in range(5):
            self.send(ask(b"Later"))
            self.answer()
            self.assertEqual(len(calls._others), 0)
        self.assertEqual(len(calls.pending()), 0)

    def test_withoutAnAnswer(self) -> None:
        """
        A call that is not answered is busy while it is being worked on.
        """
        self.send(ask(b"Event", None))
        self.assertEqual(self.drainer.describe(), "call Event")
        self.answer({})
        self.assertFalse(self.drainer.isBusy())
        self.assertEqual(self.boxes(), [])

    def test_ownCallsAreBusy(self) -> None:
        """
        A call of ours that the peer has not answered makes it busy.
        """
        answers = [self.protocol.callRemote(Now) for _ in range(2)]
        self.assertTrue(self.drainer.isBusy())
        self.assertEqual(self.drainer.describe(), "waiting for 2 answers")
        self.send(amp.AmpBox(_answer=b"1").serialize())
        self.assertEqual(self.drainer.describe(), "waiting for 1 answer")
        self.send(amp.AmpBox(_answer=b"2").serialize())
        self.assertFalse(self.drainer.isBusy())
        self.assertEqual([self.successResultOf(answer) for answer in answers], [{}, {}])

    def test_partIsBusy(self) -> None:
        """
        A box that was received in part makes it busy, from its first byte on.
        """
        data = ask(b"Now")
        for cut in range(1, len(data)):
            self.send(data[:cut])
            self.assertTrue(self.drainer.isBusy(), cut)
            self.assertEqual(self.drainer.describe(), "part of a message")
            self.send(data[cut:])
            self.assertFalse(self.drainer.isBusy(), cut)

    def test_manyCalls(self) -> None:
        """
        Of many calls the first ones are named, in characters that do no harm.
        """
        self.send(ask(b"Later"))
        names = [b"Two\nlines\x1b[2J", b"x" * 500, b"Later", b"Later"]
        self.protocol.locator = self
        self.locateResponder = lambda name: lambda box: Deferred()
        for tag, name in enumerate(names):
            self.send(ask(name, b"%x" % (tag + 2)))
        long = "x" * 100
        text = f"call Later, call Two\\x0alines\\x1b[2J, call {long} and 2 more"
        self.assertEqual(self.drainer.describe(), text)

    def test_servedUntilItIsDrained(self) -> None:
        """
        The hint alone changes nothing for anybody.
        """
        self.hint()
        self.send(ask(b"Later") + ask(b"Now", b"2"))
        self.answer()
        self.assertEqual([box[amp.ANSWER] for box in self.boxes()], [b"2", b"1"])
        self.assertEqual((self.idled, self.transport.disconnecting), (0, False))

    def test_answered(self) -> None:
        """
        Calls that are taken since the hint, and those that are answered, are told of.
        """
        self.send(ask(b"Later"))
        self.hint()
        self.assertFalse(self.drainer.answered)
        self.answer()
        self.assertTrue(self.drainer.answered)
        self.connect(Server())
        self.hint()
        self.send(amp.AmpBox(_command=b"x", _error=b"9").serialize()[:-2])
        self.assertFalse(self.drainer.answered)
        self.connect(Server())
        self.hint()
        self.send(ask(b"Now"))
        self.assertTrue(self.drainer.answered)

    def test_idleIsLost(self) -> None:
        """
        An idle connection is lost when it is drained, without a word.
        """
        self.hint()
        self.drainer.drain()
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual((self.boxes(), self.idled), ([], 0))
        self.drainer.drain()

    def test_busyIsLostAfterTheLastAnswer(self) -> None:
        """
        A busy one is lost after the last answer: the drainer tells that, once, and is
        asked again.
        """
        self.send(ask(b"Later") + ask(b"Later", b"2"))
        self.hint()
        self.drainer.drain()
        self.answer()
        self.assertEqual(self.idled, 0)
        self.answer()
        self.assertEqual((self.idled, self.transport.disconnecting), (1, False))
        self.assertEqual([box[amp.ANSWER] for box in self.boxes()], [b"1", b"2"])
        self.send(ask(b"Now", b"3"))
        self.assertEqual(self.idled, 1)
        self.drainer.drain()
        self.assertTrue(self.transport.disconnecting)

    def test_newCallsAreRefused(self) -> None:
        """
        A call that comes after the connection was drained is answered with an error that
        says so, and is not performed.
        """
        self.send(ask(b"Later"))
        self.hint()
        self.drainer.drain()
        self.send(ask(b"Now", b"2"))
        [box] = self.boxes()
        self.assertEqual((box[amp.ERROR], box[amp.ERROR_CODE]), (b"2", TERMINATING))
        self.assertIn(b"not begun", box[amp.ERROR_DESCRIPTION])
        self.assertEqual(self.protocol.seen, ["later"])
        self.answer()
        self.assertEqual(self.boxes(), [{b"_answer": b"1", b"text": b"done"}])

    def test_whoCannotBeRefusedIsServed(self) -> None:
        """
        A call that is not answered is performed, as nobody could be told otherwise; it is
        waited for only if it was there before.
        """
        self.hint()
        self.send(ask(b"Event", None))
        self.drainer.drain()
        self.send(ask(b"Event", None))
        self.assertEqual(self.protocol.seen, ["event", "event"])
        self.assertEqual(self.drainer.describe(), "call Event")
        self.answer({})
        self.assertEqual((self.drainer.isBusy(), self.idled), (False, 1))
        self.answer({})
        self.assertEqual(self.idled, 1)

    def test_partIsTaken(self) -> None:
        """
        A call of which a part was there before is taken, but none behind it.
        """
        data = ask(b"Now")
        self.hint()
        self.send(data[:20])
        self.drainer.drain()
        self.assertFalse(self.transport.disconnecting)
        self.drainer.drain()
        self.send(data[20:] + ask(b"Now", b"2"))
        self.assertEqual(self.protocol.seen, ["now"])
        first, second = self.boxes()
        self.assertEqual((first[amp.ANSWER], second[amp.ERROR]), (b"1", b"2"))
        self.assertEqual(self.idled, 1)

    def test_partIsWaitedFor(self) -> None:
        """
        Such a call is waited for; a second drain changes nothing for those behind it.
        """
        data = ask(b"Later")
        self.hint()
        self.send(data[:20])
        self.drainer.drain()
        self.send(data[20:])
        self.assertEqual(self.drainer.describe(), "call Later")
        data = ask(b"Now", b"2")
        self.send(data[:20])
        self.drainer.drain()
        self.send(data[20:])
        self.answer()
        refused, answered = self.boxes()
        self.assertEqual((refused[amp.ERROR], answered[amp.ANSWER]), (b"2", b"1"))
        self.assertEqual(self.idled, 1)

    def test_answersAreNoCalls(self) -> None:
        """
        What Twisted takes for an answer or an error is one, whatever else is in the box.
        """
        answer, error = [self.protocol.callRemote(Now) for _ in range(2)]
        failures: list[Any] = []
        error.addErrback(failures.append)
        self.hint()
        self.drainer.drain()
        self.boxes()
        box = amp.AmpBox(_command=b"Now", _ask=b"1")
        self.send(amp.AmpBox(box, _answer=b"1").serialize())
        failed = amp.AmpBox(box, _error=b"2", _error_code=b"X", _error_description=b"")
        self.send(failed.serialize())
        self.assertEqual((self.protocol.seen, self.boxes(), self.idled), ([], [], 1))
        self.assertFalse(self.drainer.answered)
        self.successResultOf(answer)
        self.assertEqual(len(failures), 1)

    def test_ownAnswerEndsIt(self) -> None:
        """
        The last answer to a call of ours ends the connection too.
        """
        answer = self.protocol.callRemote(Now)
        self.hint()
        self.drainer.drain()
        self.assertEqual((self.idled, self.transport.disconnecting), (0, False))
        self.send(amp.AmpBox(_answer=b"1").serialize())
        self.assertEqual(self.idled, 1)
        self.successResultOf(answer)

    def test_busyAgain(self) -> None:
        """
        If something is in flight again when it is drained for the second time, that is
        waited for, and told of once more.
        """
        self.send(ask(b"Later"))
        self.hint()
        self.drainer.drain()
        self.answer()
        answer = self.protocol.callRemote(Now)
        self.drainer.drain()
        self.assertFalse(self.transport.disconnecting)
        self.send(amp.AmpBox(_answer=b"1").serialize())
        self.assertEqual(self.idled, 2)
        self.successResultOf(answer)
