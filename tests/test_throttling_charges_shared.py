"""
Messages that are charged where several processes are counted together.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed

from terminable.policy.limits import Limit
from terminable.throttling.charges import Hold, Refusal
from tests.doubles import Boom
from tests.test_throttling_charges import ChargesTestCase


class Quota:
    """
    Counts for several processes.

    @ivar waits: what is answered, one after the other; nothing to wait for at the end.
    """

    def __init__(self, *waits: Any) -> None:
        self.waits = list(waits)
        self.asked: list[tuple[str, int]] = []

    def take(self, key: str, amount: int) -> Deferred[float]:
        """
        Somebody wants something.
        """
        self.asked.append((key, amount))
        wait = self.waits.pop(0) if self.waits else 0.0
        if isinstance(wait, Exception):
            raise wait
        return wait if isinstance(wait, Deferred) else succeed(wait)


class SharedTests(ChargesTestCase):
    """
    Rates that other processes count too.
    """

    def limit(self, *waits: Any, over: str = "backpressure") -> Limit:
        """
        One of ten a second.
        """
        self.quota = Quota(*waits)
        return Limit(messages=10, burst=1, per="peer", over=over, shared=self.quota)

    def test_may(self) -> None:
        """
        Everybody is asked about, with his key.
        """
        charges = self.charges(self.limit())
        self.assertIsNone(self.successResultOf(charges.arrived()))
        self.assertEqual(self.quota.asked, [("key", 1)])

    def test_waits(self) -> None:
        """
        Who has to wait asks again when there may be something; those behind him ask when he
        is through.
        """
        charges = self.charges(self.limit(0.3, 0.2))
        turns: list[Any] = [charges.arrived() for _ in range(3)]
        self.assertEqual(len(self.quota.asked), 1)
        self.go(0.31)
        self.assertEqual(len(self.quota.asked), 2)
        self.assertNoResult(turns[0])
        self.go(0.21)
        for turn in turns:
            self.assertIsNone(self.successResultOf(turn))
        self.assertEqual(len(self.quota.asked), 5)

    def test_refused(self) -> None:
        """
        Who is refused has not spent anything of what is counted here.
        """
        own = Limit(messages=10, burst=5, per="all", over="quota")
        limit = self.limit(7.0, over="quota")
        charges = self.charges(own, limit)
        self.assertEqual(self.successResultOf(charges.arrived()), Refusal(limit, 7.0))
        self.assertEqual(self.shared[own].level, 5.0)
        self.assertIsNone(self.successResultOf(charges.arrived()))
        self.assertEqual(self.shared[own].level, 4.0)

    def test_steps(self) -> None:
        """
        What is done depends on for how long there has been too much, though some messages
        came through meanwhile, and on all connections of the peer.
        """
        limit = self.limit(*[0.5, 0.0] * 50, over="backpressure,quota@3,disconnect@5")
        one, other = self.charges(limit), self.charges(limit)
        verdicts = []
        for number in range(12):
            turn: Any = (one, other)[number % 2].arrived()
            self.go(0.51)
            verdict = self.successResultOf(turn)
            verdicts.append(verdict and (verdict.last, round(self.clock.seconds())))
            if verdict:
                break
        self.assertEqual(verdicts, [None] * 6 + [(False, 4)])
        self.quota.waits = [0.5] * 100
        for _ in range(5):
            self.clock.advance(0.3)
            verdict = self.successResultOf(other.arrived())
        self.assertEqual((verdict.last, round(self.clock.seconds())), (True, 5))

    def test_longWaits(self) -> None:
        """
        Who waits for long does not become calm by that.
        """
        charges = self.charges(self.limit(*[2.0, 0.0] * 3, over="backpressure,quota@3"))
        for _ in range(2):
            turn: Any = charges.arrived()
            self.go(2.01)
            self.assertIsNone(self.successResultOf(turn))
        self.assertIsInstance(self.successResultOf(charges.arrived()), Refusal)

    def test_notHereEither(self) -> None:
        """
        Nobody is asked about what is too much here already; and what has to wait here is
        asked about then.
        """
        limit = self.limit()
        charges = self.charges(Limit(messages=10, burst=1, over="quota"), limit)
        self.successResultOf(charges.arrived())
        self.assertIsInstance(charges.arrived(), Refusal)
        self.assertEqual(len(self.quota.asked), 1)
        charges = self.charges(Limit(messages=10, burst=1, per="all"), limit)
        self.successResultOf(charges.arrived())
        turn: Any = charges.arrived()
        self.assertEqual(len(self.quota.asked), 2)
        self.go(0.11)
        self.assertIsNone(self.successResultOf(turn))
        self.assertEqual(len(self.quota.asked), 3)
        charges = self.charges(Limit(messages=10, burst=1), limit)
        self.successResultOf(charges.arrived())
        self.assertEqual(self.successResultOf(charges.arrived()), Hold(0.1))

    def test_gone(self) -> None:
        """
        Who goes meanwhile is asked about no more, wherever he waited, and what was not used is
        there for others.
        """
        own = Limit(messages=10, burst=5, per="all")
        charges = self.charges(own, self.limit(Deferred(), 0.3))
        turns: list[Any] = [charges.arrived() for _ in range(3)]
        self.assertEqual(self.shared[own].level, 2.0)
        turns[1].cancel()
        turns[0].cancel()
        self.go(0.05)
        turns[2].cancel()
        for turn in turns:
            self.failureResultOf(turn, CancelledError)
        self.assertEqual(self.shared[own].level, 5.0)
        self.assertEqual(len(self.quota.asked), 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_goneBefore(self) -> None:
        """
        So is who waits for a rate that is counted here.
        """
        own = Limit(messages=10, burst=1, per="all")
        charges = self.charges(own, self.limit())
        charges.arrived()
        turn: Any = charges.arrived()
        turn.cancel()
        self.failureResultOf(turn, CancelledError)
        self.assertEqual((self.shared[own].level, self.clock.getDelayedCalls()), (0.0, []))

    def test_fails(self) -> None:
        """
        If whoever counts fails, whoever asked hears of it, and the next is asked about.
        """
        charges = self.charges(self.limit(Boom()))
        self.failureResultOf(charges.arrived(), Boom)
        self.assertIsNone(self.successResultOf(charges.arrived()))
