"""
The drainer of Perspective Broker: what is busy, and what is still served.
"""

from __future__ import annotations

from twisted.spread import pb
from zope.interface.verify import verifyObject

from terminable.drainers import library
from terminable.drainers.pb import PBDrainer, Terminating, callsOf
from terminable.interfaces import ILastingDrainer
from tests.remotecalls import Echo, Model, PBTestCase


class PBDrainerTests(PBTestCase):
    """
    L{PBDrainer}.
    """

    def test_isRegistered(self) -> None:
        """
        Brokers have this drainer, which keeps connections that live long, and are watched.
        """
        self.assertIsInstance(self.drainer, PBDrainer)
        self.assertTrue(verifyObject(ILastingDrainer, self.drainer))
        self.assertEqual(
            (self.drainer.silent, self.drainer.lasting, self.drainer.prompt), (False, True, False)
        )
        fresh = pb.Broker()
        library.begin(fresh)
        self.assertIsNotNone(callsOf(fresh))
        self.assertFalse(self.drainer.isBusy())
        self.assertEqual(self.drainer.describe(), "")

    def test_pendingIsBusy(self) -> None:
        """
        A call that was received and is not answered makes it busy.
        """
        answer = self.call("later")
        self.assertTrue(self.drainer.isBusy())
        self.assertEqual(self.drainer.describe(), "call later")
        self.answer()
        self.assertFalse(self.drainer.isBusy())
        self.assertEqual(self.successResultOf(answer), "done")

    def test_answeredAtOnce(self) -> None:
        """
        Of a call that is answered at once nothing is kept, whatever the answer.
        """
        answers = [self.call("now"), self.call("fail"), self.call("missing")]
        self.assertFalse(self.drainer.isBusy())
        self.pump()
        self.assertEqual(self.successResultOf(answers[0]), 42)
        self.failureResultOf(answers[1], pb.Error)
        self.failureResultOf(answers[2], pb.NoSuchMethod)
        self.assertEqual(len(self.flushLoggedErrors(pb.NoSuchMethod)), 1)

    def test_failing(self) -> None:
        """
        A call that fails is over.
        """
        answer = self.call("later")
        self.root.waiting.pop(0).errback(pb.Error("no"))
        self.assertFalse(self.drainer.isBusy())
        self.pump()
        self.failureResultOf(answer, pb.Error)

    def test_unsendable(self) -> None:
        """
        So is one whose answer cannot be sent: there will be no other.
        """
        with self.assertRaises(Exception):  # noqa: B017 - Twisted names no other
            self.call("unsendable")
        self.assertEqual(len(callsOf(self.server).pending), 0)

    def test_withoutAnAnswer(self) -> None:
        """
        When a call is done whose answer nobody wants cannot be known.
        """
        self.call("later", pbanswer=False)
        self.assertFalse(self.drainer.isBusy())

    def test_ownCallsAreBusy(self) -> None:
        """
        A call of ours that the peer has not answered makes it busy.
        """
        self.call("keep", Echo())
        answers = [self.root.kept.callRemote("echo", text) for text in "ab"]
        self.assertEqual(self.drainer.describe(), "waiting for 2 answers")
        self.assertTrue(self.drainer.isBusy())
        self.pump()
        self.assertFalse(self.drainer.isBusy())
        self.assertEqual([self.successResultOf(answer) for answer in answers], ["a", "b"])

    def test_bothWays(self) -> None:
        """
        Calls in both directions are not confused, although they have the same numbers.
        """
        self.call("keep", Echo())
        self.call("later")
        answers = [self.root.kept.callRemote("echo", text) for text in "ab"]
        self.assertEqual(self.drainer.describe(), "call later, waiting for 2 answers")
        self.pump()
        self.assertEqual(self.drainer.describe(), "call later")
        self.assertEqual([self.successResultOf(answer) for answer in answers], ["a", "b"])

    def test_cacheCalls(self) -> None:
        """
        Calls to our copies of the peer's objects are calls.
        """
        model = Model()
        self.call("keep", model)
        self.pump()
        answer = model.observer.callRemote("later")
        model.observer.callRemote("later", pbanswer=False)
        waiting = []
        for _ in range(2):
            self.toServer()
            waiting.append(self.root.kept.waiting)
        self.assertEqual(self.drainer.describe(), "call later")
        self.hint()
        self.drainer.drain()
        refused = model.observer.callRemote("later")
        self.pump()
        self.failureResultOf(refused, pb.Error)
        self.assertEqual(self.idled, 0)
        callsOf(self.server).pending.clear()
        del answer

    def test_partIsBusy(self) -> None:
        """
        A message that was received in part makes it busy, from its first byte on.
        """
        answers = []
        for cut in (1, 2, 10, 20, 30):
            answers.append(self.remote.callRemote("now", "an argument"))
            self.toServer(cut)
            self.assertTrue(self.drainer.isBusy(), cut)
            self.assertEqual(self.drainer.describe(), "part of a message")
            self.pump()
            self.assertFalse(self.drainer.isBusy(), cut)
        self.assertEqual([self.successResultOf(answer) for answer in answers], [42] * 5)

    def test_pagesAreBusy(self) -> None:
        """
        Pages that are being sent make it busy.
        """
        collector = Echo()
        self.call("pages", collector)
        self.assertTrue(self.drainer.isBusy())
        self.assertEqual(self.drainer.describe(), "sending pages")
        self.hint()
        self.drainer.drain()
        self.server.resumeProducing()
        self.assertEqual(self.idled, 0)
        self.server.resumeProducing()
        self.assertFalse(self.drainer.isBusy())
        self.assertEqual(self.idled, 1)
        self.pump()
        self.assertEqual(collector.pages, ["abc", "def", None])

    def test_manyCalls(self) -> None:
        """
        Of many calls the first ones are named.
        """
        for _ in range(5):
            self.call("later")
        self.assertEqual(self.drainer.describe(), "call later, call later, call later and 2 more")

    def test_servedUntilItIsDrained(self) -> None:
        """
        The hint alone changes nothing for anybody.
        """
        self.hint()
        answers = [self.call("later"), self.call("now")]
        self.answer()
        self.assertEqual([self.successResultOf(answer) for answer in answers], ["done", 42])
        self.assertEqual((self.idled, self.transport.disconnecting), (0, False))

    def test_answered(self) -> None:
        """
        Calls that are taken since the hint, and those that are answered, are told of;
        other messages are not calls.
        """
        self.call("later")
        self.hint()
        self.client.sendCall(b"version", 6)
        self.pump()
        self.assertFalse(self.drainer.answered)
        self.answer()
        self.assertTrue(self.drainer.answered)
        for wanted in (True, False):
            self.connect()
            self.hint()
            self.call("now", pbanswer=wanted)
            self.assertTrue(self.drainer.answered)

    def test_idleIsLost(self) -> None:
        """
        An idle connection is lost when it is drained, without a word.
        """
        self.hint()
        self.drainer.drain()
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual((self.transport.data, self.idled), (b"", 0))
        self.drainer.drain()

    def test_busyIsLostAfterTheLastAnswer(self) -> None:
        """
        A busy one is lost after the last answer: the drainer tells that, once, and is
        asked again.
        """
        answers = [self.call("later"), self.call("later")]
        self.hint()
        self.drainer.drain()
        self.answer()
        self.assertEqual(self.idled, 0)
        self.answer()
        self.assertEqual((self.idled, self.transport.disconnecting), (1, False))
        self.assertEqual([self.successResultOf(answer) for answer in answers], ["done", "done"])
        self.drainer.drain()
        self.assertTrue(self.transport.disconnecting)

    def test_newCallsAreRefused(self) -> None:
        """
        A call that comes after the connection was drained is answered with an error that
        says so, and is not performed.
        """
        first = self.call("later")
        self.hint()
        self.drainer.drain()
        second = self.call("now")
        self.pump()
        failure = self.failureResultOf(second, pb.Error)
        self.assertTrue(failure.check("terminable.drainers.pb.Terminating"))
        self.assertTrue(failure.check(Terminating))
        self.assertIn("not begun", failure.getErrorMessage())
        self.assertEqual(self.root.seen, ["later"])
        self.answer()
        self.assertEqual(self.successResultOf(first), "done")
        self.assertEqual(self.idled, 1)
        third = self.call("now")
        self.pump()
        self.failureResultOf(third, pb.Error)
        self.assertEqual(self.idled, 1)

    def test_whoCannotBeRefusedIsServed(self) -> None:
        """
        A call whose answer nobody wants is performed; nobody could be told otherwise.
        """
        self.call("later")
        self.hint()
        self.drainer.drain()
        self.call("now", pbanswer=False)
        self.assertEqual(self.root.seen, ["later", "now"])

    def test_partIsTaken(self) -> None:
        """
        A call of which a part was there before is taken, but none behind it.
        """
        self.hint()
        first = self.remote.callRemote("now")
        self.toServer(20)
        self.drainer.drain()
        self.assertFalse(self.transport.disconnecting)
        self.drainer.drain()
        second = self.remote.callRemote("now")
        self.pump()
        self.assertEqual(self.successResultOf(first), 42)
        self.failureResultOf(second, pb.Error)
        self.assertEqual((self.root.seen, self.idled), (["now"], 1))

    def test_ownAnswerEndsIt(self) -> None:
        """
        The last answer to a call of ours ends the connection too.
        """
        self.call("keep", Echo())
        answer = self.root.kept.callRemote("echo", "a")
        self.hint()
        self.drainer.drain()
        self.assertEqual((self.idled, self.transport.disconnecting), (0, False))
        self.pump()
        self.assertEqual(self.idled, 1)
        self.assertEqual(self.successResultOf(answer), "a")
