"""
Messages that count for several processes: somebody else is asked, and may take his time.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed

from terminable.policy.limits import Limit
from tests.doubles import Boom
from tests.metering import Metered, MeterTestCase
from tests.test_throttling_meters import Lines, Strings, lines


class Shared:
    """
    What counts for several processes, asked and answered by hand.

    @ivar atOnce: what is answered without a wait, first.
    """

    def __init__(self, *atOnce: Any) -> None:
        self.asked: list[Deferred[float]] = []
        self.cancelled: list[object] = []
        self.atOnce = list(atOnce)

    def take(self, key: str, amount: float) -> Deferred[float]:
        """
        Somebody wants something.
        """
        if self.atOnce:
            answer = self.atOnce.pop(0)
            return fail(answer) if isinstance(answer, Exception) else succeed(answer)
        self.asked.append(Deferred(self.cancelled.append))
        return self.asked[-1]

    def answer(self, made: Metered, answer: Any = 0.0) -> None:
        """
        Answer the oldest question.
        """
        asked = self.asked.pop(0)
        if isinstance(answer, Exception):
            asked.errback(answer)
        else:
            asked.callback(answer)
        made.pump()


class SharedTests(MeterTestCase):
    """
    One client whose messages are asked for one by one.
    """

    def ask(self, *more: Any, kind: Any = Lines, atOnce: Any = (), over: str = "delay") -> Metered:
        """
        Somebody whose messages are.
        """
        self.shared = Shared(*atOnce)
        limit = Limit(messages=10, burst=1, per="peer", over=over, shared=self.shared)
        return self.serve(kind, limit, *more)

    def test_oneAfterTheOther(self) -> None:
        """
        One is asked for after the other, and handled when the answer is there.
        """
        made = self.ask()
        made.send(lines(3))
        for number in range(3):
            self.assertEqual(len(made.protocol.heard), number)
            self.assertEqual(len(self.shared.asked), 1)
            self.assertTrue(made.paused)
            self.shared.answer(made)
        self.assertEqual(made.protocol.heard, [b"0", b"1", b"2"])
        self.assertFalse(made.paused)

    def test_atOnce(self) -> None:
        """
        If the answer is there at once, that is as if nobody was asked: a protocol is not
        called while it is at something.
        """
        made = self.ask(kind=Strings, atOnce=[0.0] * 3)
        made.send(b"\0\1a\0\1b\0\1c")
        self.assertEqual(made.protocol.heard, [b"a", b"b", b"c"])
        self.assertEqual(made.counts.held, 0)

    def test_refused(self) -> None:
        """
        Who is refused after some thought is told, and so is who is refused at once; what is
        behind is handled.
        """
        made = self.ask(over="quota", atOnce=[0.0, 5.0])
        made.send(lines(4))
        self.assertEqual(made.said(), b"+0\r\nQUOTA_EXCEEDED\r\n")
        self.shared.answer(made, 5.0)
        self.assertEqual(made.said(), b"QUOTA_EXCEEDED\r\n")
        self.shared.answer(made)
        self.assertEqual(made.said(), b"+3\r\n")
        self.assertEqual(made.counts.refused, 2)

    def test_disconnected(self) -> None:
        """
        Who has to go after some thought is told, and goes.
        """
        made = self.ask(over="disconnect")
        made.send(lines(4))
        self.shared.answer(made, 5.0)
        self.assertEqual(made.said(), b"QUOTA_EXCEEDED\r\n")
        made.go(1.1)
        self.assertEqual(made.peer.over, "FIN")

    def test_withOwnLimit(self) -> None:
        """
        Who may, by all others, still has a rate of his own.
        """
        for over in ("backpressure", "delay"):
            made = self.ask(f"messages=10/s:burst=1:over={over}")
            made.send(lines(3))
            self.shared.answer(made)
            self.shared.answer(made)
            ahead = 1 if over == "backpressure" else 0
            self.assertEqual(len(made.protocol.heard), 1 + ahead)
            made.go(0.11)
            self.assertEqual(len(made.protocol.heard), 2)
            self.shared.answer(made)
            made.go(0.11)
            self.assertEqual(len(made.protocol.heard), 3)

    def test_nobodyKnows(self) -> None:
        """
        If asking fails, which it should not, that is logged, and nobody suffers.
        """
        made = self.ask(atOnce=[Boom()])
        made.send(lines(2))
        self.assertEqual(made.said(), b"+0\r\n")
        self.shared.answer(made, Boom())
        self.assertEqual(made.said(), b"+1\r\n")
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 2)

    def test_gone(self) -> None:
        """
        For who is gone, nobody is asked any more.
        """
        made = self.ask()
        protocol = made.protocol
        made.send(lines(2))
        made.transport.abortConnection()
        made.pump()
        self.assertEqual(len(self.shared.cancelled), 1)
        self.assertEqual((protocol.heard, protocol.ended), ([], 1))

    def test_fails(self) -> None:
        """
        A message that fails then costs its connection.
        """
        made = self.ask()
        protocol = made.protocol

        def fails(line: bytes) -> None:
            raise Boom

        protocol.onLine = fails
        made.send(lines(2))
        self.shared.answer(made)
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)
        self.assertEqual((protocol.heard, protocol.ended), ([b"0"], 1))
