"""
The drainer of Perspective Broker: the deadline, and what is out of the ordinary.
"""

from __future__ import annotations

from typing import Any

from twisted.spread import pb

from terminable.drainers.pb import PBDrainer, Terminated, callsOf, watch
from tests.remotecalls import Echo, PBTestCase


class PBDrainerEndsTests(PBTestCase):
    """
    L{PBDrainer}.
    """

    def test_lastWord(self) -> None:
        """
        At the deadline every caller who waits is told, and what the application answers
        after that is swallowed without complaint.
        """
        answers = [self.call("later"), self.call("later")]
        self.hint()
        self.drainer.drain()
        self.assertEqual(self.drainer.lastWord(5), "error")
        self.pump()
        for answer in answers:
            failure = self.failureResultOf(answer, pb.Error)
            self.assertTrue(failure.check(Terminated))
            self.assertIn("not done in time", failure.getErrorMessage())
        self.assertTrue(self.transport.disconnecting)
        self.root.waiting.pop(0).callback("swallowed")
        self.root.waiting.pop(0).errback(pb.Error("swallowed too"))
        self.assertEqual(self.transport.data, b"")
        self.server.sendCall(b"decref", 1)
        self.assertNotEqual(self.transport.data, b"")
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_noLastWord(self) -> None:
        """
        If nobody waits for an answer of ours, nobody is told.
        """
        self.call("keep", Echo())
        self.pump()
        answer = self.root.kept.callRemote("echo", "a")
        self.assertTrue(self.drainer.isBusy())
        self.assertEqual(self.drainer.lastWord(5), "")
        self.assertFalse(self.transport.disconnecting)
        self.lose()
        self.failureResultOf(answer, pb.PBConnectionLost)

    def test_strangePeers(self) -> None:
        """
        Request IDs that no Twisted would send are left to Twisted: they are not waited
        for, and nothing breaks on them.
        """
        answers: list[Any] = []
        self.client.proto_answer = lambda *answer: answers.append(answer)
        self.call("later")
        self.hint()
        self.drainer.drain()
        for identity in ([1], b"x", 1.5):
            for name in (b"now", b"later"):
                self.client.sendCall(
                    b"message", identity, b"root", name, 1, [b"tuple"], [b"dictionary"]
                )
        self.pump()
        self.assertEqual(answers, [([1], 42), (b"x", 42), (1.5, 42)])
        self.assertEqual(self.drainer.describe(), "call later")

    def test_strangeCacheCalls(self) -> None:
        """
        The same for calls to copies, which do not even have to be there.
        """
        self.client.sendCall(b"cachemessage", [1], 1, b"x", 1, [b"tuple"], [b"dictionary"])
        self.toServer()
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.assertFalse(self.drainer.isBusy())

    def test_strangeCalls(self) -> None:
        """
        What looks like a call and is none is left to Twisted as well.
        """
        self.hint()
        self.drainer.drain()
        for expression in ((b"message",), (b"message", 1)):
            self.client.sendCall(*expression)
            self.assertRaises(TypeError, self.toServer)
            self.connect()
            self.hint()

    def test_notWatchedFromTheBeginning(self) -> None:
        """
        On a connection that nobody has watched, what is in flight is not known; what
        comes after the hint is.
        """
        self.connect(watched=False)
        self.call("later")
        self.assertFalse(self.drainer.isBusy())
        self.assertEqual(self.drainer.lastWord(5), "")
        self.assertEqual(PBDrainer(self.server).describe(), "")
        self.connect(watched=False)
        self.hint()
        self.call("later")
        self.assertEqual(self.drainer.describe(), "call later")
        self.answer()
        self.assertFalse(self.drainer.isBusy())

    def test_watchedOnce(self) -> None:
        """
        Being watched twice is being watched once.
        """
        calls = callsOf(self.server)
        watch(self.server)
        self.assertIs(callsOf(self.server), calls)

    def test_over(self) -> None:
        """
        After the end nothing is busy but what the application still works on, and its
        answer harms nobody.
        """
        answer = self.call("later")
        self.hint()
        self.drainer.drain()
        self.lose()
        self.failureResultOf(answer, pb.PBConnectionLost)
        self.assertTrue(self.drainer.isBusy())
        self.root.waiting.pop(0).callback("late")
        self.assertFalse(self.drainer.isBusy())
        self.assertEqual(self.flushLoggedErrors(), [])
