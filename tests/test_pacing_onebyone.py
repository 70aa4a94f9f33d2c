"""
Questions that wait for the answer before.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, TimeoutError, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.protocols.amp import AMP, Command, Integer
from twisted.python.failure import Failure
from twisted.test.iosim import connectedServerAndClient
from twisted.trial.unittest import SynchronousTestCase

from terminable.errors import InvalidOption, QueueFull
from terminable.pacing import OneByOne, settings
from tests.doubles import Boom
from tests.test_docs import DOCS, blocks


class GateTestCase(SynchronousTestCase):
    """
    @ivar sent: what was sent.
    @ivar answers: the Deferreds that sending has returned.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.sent: list[Any] = []
        self.answers: list[Deferred[Any]] = []
        self.cancelled: list[Any] = []

    def later(self, what: Any) -> Deferred[Any]:
        """
        Sends, and has the answer come by a Deferred.
        """
        self.sent.append(what)
        self.answers.append(Deferred(lambda _: self.cancelled.append(what)))
        return self.answers[-1]

    def told(self, what: Any) -> None:
        """
        Sends, and has the answer be told.
        """
        self.sent.append(what)

    def gate(self, send: Any, **settings: Any) -> OneByOne:
        return OneByOne(send, reactor=self.clock, **settings)


class DeferredTests(GateTestCase):
    """
    Answers that come by Deferreds.
    """

    def test_inTurn(self) -> None:
        """
        The next is sent when the last was answered, and each gets its own answer.
        """
        gate = self.gate(self.later)
        asked = [gate.ask(what) for what in "abc"]
        self.assertEqual((self.sent, gate.unanswered, gate.waiting), (["a"], 1, 2))
        for index, what in enumerate("abc"):
            self.assertEqual(self.sent[-1], what)
            self.answers[index].callback(what.upper())
            self.assertEqual(self.successResultOf(asked[index]), what.upper())
        self.assertEqual((gate.unanswered, gate.waiting), (0, 0))

    def test_failure(self) -> None:
        """
        A failure is an answer.
        """
        gate = self.gate(self.later)
        first, _ = gate.ask("a"), gate.ask("b")
        self.answers[0].errback(Boom())
        self.failureResultOf(first, Boom)
        self.assertEqual(self.sent, ["a", "b"])

    def test_raises(self) -> None:
        """
        So is an exception.
        """

        def send(what: Any) -> None:
            raise Boom()

        gate = self.gate(send)
        self.failureResultOf(gate.ask("a"), Boom)
        self.failureResultOf(gate.ask("b"), Boom)

    def test_several(self) -> None:
        """
        So many at once, and no more.
        """
        gate = self.gate(self.later, atOnce=2)
        asked = [gate.ask(what) for what in "abcd"]
        self.assertEqual(self.sent, ["a", "b"])
        self.answers[1].callback(1)
        self.successResultOf(asked[1])
        self.assertEqual(self.sent, ["a", "b", "c"])

    def test_atOnce(self) -> None:
        """
        Answers that are there at once, of whatever kind, take no stack.
        """

        async def coroutine(what: Any) -> Any:
            return what

        for send in (succeed, coroutine, str):
            first: Deferred[Any] = Deferred()
            ways = {"0": lambda what, first=first: first}
            gate = self.gate(lambda what, ways=ways, send=send: ways.get(what, send)(what))
            asked = [gate.ask(str(number)) for number in range(3000)]
            first.callback("0")
            self.assertEqual(self.successResultOf(asked[-1]), "2999")

    def test_askAgain(self) -> None:
        """
        Who asks again on an answer stands at the end.
        """
        gate = self.gate(self.later)
        gate.ask("a").addCallback(lambda _: gate.ask("c"))
        gate.ask("b")
        self.answers[0].callback(None)
        self.answers[1].callback(None)
        self.assertEqual(self.sent, ["a", "b", "c"])

    def test_noneByDeferred(self) -> None:
        """
        A Deferred that has fired with C{None} is an answer.
        """
        self.assertIsNone(self.successResultOf(self.gate(lambda: succeed(None)).ask()))


class Double(Command):
    """
    Twice a number.
    """

    arguments = ((b"number", Integer()),)
    response = ((b"twice", Integer()),)


class Doubling(AMP):
    """
    Answers when it is told to.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Deferred[Any]] = []

    @Double.responder
    def double(self, number: int) -> Any:
        self.asked.append(Deferred())
        return self.asked[-1].addCallback(lambda _: {"twice": number * 2})


class RemoteCallTests(SynchronousTestCase):
    """
    AMP, as the page on pacing shows it.
    """

    def test_twoAtOnce(self) -> None:
        """
        Two calls are on their way at a time.
        """
        [block] = [block for block in blocks(DOCS / "howto" / "pacing.rst") if "gateOf" in block]
        names: dict[str, Any] = {}
        exec(block, names)
        client, server, pump = connectedServerAndClient(Doubling, AMP)
        clock = Clock()
        self.patch(settings, "clockOf", lambda reactor: clock)
        gate = names["gateOf"](client)
        asked = [gate.ask(Double, number=number) for number in range(3)]
        pump.flush()
        self.assertEqual((len(server.asked), gate.waiting), (2, 1))
        server.asked[0].callback(None)
        pump.flush()
        self.assertEqual(self.successResultOf(asked[0]), {"twice": 0})
        self.assertEqual(len(server.asked), 3)


class ToldTests(GateTestCase):
    """
    Answers that are told, in order.
    """

    def test_inTurn(self) -> None:
        """
        Each answer is for the oldest question.
        """
        gate = self.gate(self.told, atOnce=2)
        asked = [gate.ask(what) for what in "abc"]
        self.assertTrue(gate.answered(1))
        self.assertEqual(self.sent, ["a", "b", "c"])
        self.assertTrue(gate.failed(Boom()))
        self.assertTrue(gate.answered())
        self.assertEqual(self.successResultOf(asked[0]), 1)
        self.failureResultOf(asked[1], Boom)
        self.assertIsNone(self.successResultOf(asked[2]))

    def test_unasked(self) -> None:
        """
        An answer to nobody is told to be one.
        """
        gate = self.gate(self.told)
        self.assertFalse(gate.answered(1))
        self.assertFalse(gate.failed(Failure(Boom())))

    def test_whileSending(self) -> None:
        """
        The answer may come before sending is over.
        """

        def send(what: Any) -> None:
            gate.answered(what * 2)

        gate = self.gate(send)
        self.assertEqual([self.successResultOf(gate.ask(n)) for n in (1, 2)], [2, 4])

    def test_notByDeferred(self) -> None:
        """
        What is told is not taken for the answer of one that comes by a Deferred.
        """
        gate = self.gate(self.later)
        asked = gate.ask("a")
        self.assertFalse(gate.answered(1))
        self.assertNoResult(asked)


class BoundTests(GateTestCase):
    """
    Not too many, not too long.
    """

    def test_full(self) -> None:
        """
        One more than may wait fails at once; when there is room, it need not.
        """
        gate = self.gate(self.later, waiting=1)
        gate.ask("a")
        second = gate.ask("b")
        self.assertIn("1 questions", str(self.failureResultOf(gate.ask("c"), QueueFull).value))
        self.answers[0].callback(None)
        gate.ask("d")
        self.assertNoResult(second)
        self.assertEqual((self.sent, gate.waiting), (["a", "b"], 1))

    def test_overdue(self) -> None:
        """
        At the end of the time limit the question fails, what was sent is cancelled, and
        the next is sent.
        """
        gate = self.gate(self.later, timeLimit=5)
        first, second = gate.ask("a"), gate.ask("b")
        self.clock.advance(5)
        self.failureResultOf(first, TimeoutError)
        self.assertEqual((self.cancelled, self.sent), (["a"], ["a", "b"]))
        self.clock.advance(4)
        self.answers[1].callback(1)
        self.assertEqual(self.successResultOf(second), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_overdueInOrder(self) -> None:
        """
        Where only the order tells answers apart, all is lost then.
        """
        gate = self.gate(self.told, timeLimit=5)
        asked = [gate.ask("a"), gate.ask("b")]
        self.clock.advance(5)
        for each in [*asked, gate.ask("c")]:
            self.failureResultOf(each, TimeoutError)
        self.assertEqual(self.sent, ["a"])
        self.assertFalse(gate.answered(1))

    def test_settings(self) -> None:
        """
        A setting that cannot be meant is named.
        """
        for option, value in (
            *(("atOnce", each) for each in (0, -1, 1.0, True, "1")),
            *(("waiting", each) for each in (0, 0.5)),
            *(("timeLimit", each) for each in (0, "x", float("inf"))),
        ):
            error = self.assertRaises(InvalidOption, OneByOne, self.told, **{option: value})
            self.assertEqual((error.option, error.value), (option, value))
        self.assertEqual(self.assertRaises(InvalidOption, OneByOne, None).option, "send")


class EndTests(GateTestCase):
    """
    Cancelled, and lost.
    """

    def test_cancelWaiting(self) -> None:
        """
        One that waits is taken out.
        """
        gate = self.gate(self.later)
        gate.ask("a")
        second, third = gate.ask("b"), gate.ask("c")
        second.cancel()
        self.failureResultOf(second, CancelledError)
        self.answers[0].callback(None)
        self.assertEqual(self.sent, ["a", "c"])
        self.assertNoResult(third)

    def test_cancelSent(self) -> None:
        """
        One that was sent has its Deferred cancelled, and the next is sent.
        """
        gate = self.gate(self.later)
        first = gate.ask("a")
        gate.ask("b")
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertEqual((self.cancelled, self.sent), (["a"], ["a", "b"]))

    def test_cancelTold(self) -> None:
        """
        One whose answer will be told keeps its place until then.
        """
        gate = self.gate(self.told)
        first, second = gate.ask("a"), gate.ask("b")
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertEqual(self.sent, ["a"])
        gate.answered(1)
        self.assertEqual(self.sent, ["a", "b"])
        gate.answered(2)
        self.assertEqual(self.successResultOf(second), 2)

    def test_lost(self) -> None:
        """
        All fail, those who ask later too, and what was sent is cancelled.
        """
        gate = self.gate(self.later, timeLimit=5)
        asked = [gate.ask("a"), gate.ask("b")]
        gate.lost(Failure(ConnectionDone()))
        gate.lost(Boom())
        for each in [*asked, gate.ask("c")]:
            self.failureResultOf(each, ConnectionDone)
        self.assertEqual((self.cancelled, self.sent), (["a"], ["a"]))
        self.assertEqual((gate.unanswered, gate.waiting), (0, 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lostWhileSending(self) -> None:
        """
        Sending may be what loses it.
        """

        def send(what: Any) -> None:
            gate.lost(Boom())
            raise ConnectionDone()

        gate = self.gate(send)
        self.failureResultOf(gate.ask("a"), Boom)
