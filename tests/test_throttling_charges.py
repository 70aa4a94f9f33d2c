"""
Messages, charged to their rates.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from terminable.policy.limits import Limit
from terminable.throttling.charges import Charges, Delay, Hold, Refusal
from terminable.throttling.claims import Source


class ChargesTestCase(SynchronousTestCase):
    """
    Connections with limits.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.shared: dict[Limit, Source] = {}

    def source(self, limit: Limit) -> Source:
        """
        A bucket of a limit.
        """
        return Source(self.clock, limit.rate, limit.burst)

    def charges(self, *limits: Limit) -> Charges:
        """
        One connection; what is not its own is shared with the others.
        """
        pairs = [
            (
                each,
                self.source(each)
                if each.per.value == "connection"
                else self.shared.setdefault(each, self.source(each)),
            )
            for each in limits
        ]
        own = [(each, source) for each, source in pairs if each.shared is None]
        others = [(each, source, "key") for each, source in pairs if each.shared is not None]
        return Charges(self.clock, lambda: (own, others))

    def go(self, seconds: float) -> None:
        """
        Let time go by.
        """
        self.clock.pump([0.01] * round(seconds * 100))


class OwnTests(ChargesTestCase):
    """
    Rates of one connection alone.
    """

    def test_nothing(self) -> None:
        """
        Without limits nothing is charged.
        """
        charges = self.charges()
        self.assertEqual([charges.arrived() for _ in range(100)], [None] * 100)

    def test_found(self) -> None:
        """
        Who is charged is found out with the first message, and asked for again if that one
        is charged to nobody.
        """
        found: list[Any] = [None, None, ((), ())]
        charges = Charges(self.clock, lambda: found.pop(0))
        for left in (2, 1, 0, 0):
            self.assertIsNone(charges.arrived())
            self.assertEqual(len(found), left)

    def test_quiet(self) -> None:
        """
        Who was quiet for long may send no more at once than the burst.
        """
        charges = self.charges(Limit(messages=1, burst=3))
        self.assertIsNone(charges.arrived())
        self.go(60.0)
        self.assertEqual([charges.arrived() for _ in range(3)], [None] * 3)
        self.assertIsInstance(charges.arrived(), Hold)

    def test_backpressure(self) -> None:
        """
        The message that is one too many is handled, and no other until the rate allows it.
        """
        charges = self.charges(Limit(messages=10, burst=2))
        self.assertEqual([charges.arrived() for _ in range(3)], [None, None, Hold(0.1)])
        self.clock.advance(0.1)
        self.assertEqual(charges.arrived(), Hold(0.1))
        self.clock.advance(0.3)
        self.assertIsNone(charges.arrived())
        self.assertIsNone(charges.arrived())
        late: Any = charges.arrived()
        self.assertIsInstance(late, Hold)
        self.assertAlmostEqual(late.seconds, 0.1)

    def test_delay(self) -> None:
        """
        It is handled when the rate allows it, however many there are.
        """
        charges = self.charges(Limit(messages=10, burst=1, over="delay"))
        self.assertEqual(
            [charges.arrived() for _ in range(4)], [None, Delay(0.1), Delay(0.2), Delay(0.3)]
        )

    def test_quota(self) -> None:
        """
        What is too much is refused, costs nothing, and may come again when the rate allows
        it.
        """
        limit = Limit(messages=10, burst=2, over="quota")
        charges = self.charges(limit)
        self.assertEqual([charges.arrived() for _ in range(2)], [None, None])
        for _ in range(50):
            self.assertEqual(charges.arrived(), Refusal(limit, 0.1))
        self.clock.advance(0.05)
        self.assertEqual(charges.arrived(), Refusal(limit, 0.05))
        self.clock.advance(0.05)
        self.assertIsNone(charges.arrived())

    def test_disconnect(self) -> None:
        """
        Who has to go is told so.
        """
        limit = Limit(messages=10, burst=1, over="disconnect")
        charges = self.charges(limit)
        self.assertIsNone(charges.arrived())
        self.assertEqual(charges.arrived(), Refusal(limit, 0.1, last=True))

    def test_steps(self) -> None:
        """
        What is done depends on for how long there has been too much.
        """
        limit = Limit(messages=10, burst=5, over="backpressure,quota@1,disconnect@2")
        charges = self.charges(limit)
        seen: dict[str, float] = {}
        for _ in range(300):
            verdict: Any = charges.arrived()
            kind = "last" if getattr(verdict, "last", False) else type(verdict).__name__
            seen.setdefault(kind, round(self.clock.seconds(), 1))
            if kind == "last":
                break
            self.clock.advance(getattr(verdict, "seconds", 0.01))
        self.assertEqual(seen, {"NoneType": 0.0, "Hold": 0.1, "Refusal": 1.1, "last": 2.1})

    def test_hardest(self) -> None:
        """
        Of several limits, the one by which most is to be done counts, and the longest wait.
        """
        slow = Limit(messages=1, burst=1, over="delay")
        strict = Limit(messages=10, burst=2, over="quota")
        charges = self.charges(slow, strict)
        self.assertIsNone(charges.arrived())
        self.assertEqual(charges.arrived(), Delay(1.0))
        refusal = charges.arrived()
        assert isinstance(refusal, Refusal)
        self.assertIs(refusal.limit, strict)
        self.assertEqual((refusal.retryAfter, refusal.wholeSeconds), (2.0, 2))
        self.assertEqual(Refusal(slow, 0.01).wholeSeconds, 1)

    def test_over(self) -> None:
        """
        When the connection is over nothing is charged any more, also if nothing ever was.
        """
        charges = self.charges(Limit(messages=1, burst=1, over="quota"))
        charges.arrived()
        charges.stop()
        self.assertIsNone(charges.arrived())
        new = self.charges(Limit(messages=1, burst=1, over="quota"))
        new.stop()
        self.assertEqual([new.arrived(), new.arrived()], [None, None])


class CommonTests(ChargesTestCase):
    """
    Rates that several connections have in common.
    """

    def test_inTurn(self) -> None:
        """
        Who has to wait is called when it is his turn: one message of each, and no more in all
        than the rate allows, however many connections there are.
        """
        for over in ("backpressure", "delay"):
            limit = Limit(messages=10, burst=2, per="all", over=over)
            connections = [self.charges(limit) for _ in range(3)]
            turns: list[int] = []
            note = turns.append
            self.assertEqual([connections[0].arrived(), connections[1].arrived()], [None, None])
            for number, charges in enumerate(connections):
                for _ in range(3):
                    turn: Any = charges.arrived()
                    turn.addCallback(lambda _, number=number, note=note: note(number))
            self.go(0.05)
            self.assertEqual(turns, [])
            self.go(0.3)
            self.assertEqual(turns, [0, 1, 2])
            self.go(0.65)
            self.assertEqual(turns, [0, 1, 2] * 3)
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_newcomer(self) -> None:
        """
        Whoever comes does not overtake those who wait, though there is some.
        """
        limit = Limit(messages=10, burst=2, per="all")
        first, second = self.charges(limit), self.charges(limit)
        self.shared[limit].spend(2.0)
        waiting: Any = first.arrived()
        self.clock.seconds = lambda: 0.15  # type: ignore[method-assign]
        self.assertIsInstance(second.arrived(), Deferred)
        self.assertNoResult(waiting)

    def test_gone(self) -> None:
        """
        Who goes, or gives up a message, leaves nothing to be waited for.
        """
        limit = Limit(messages=10, burst=1, per="peer")
        gone, other = self.charges(limit), self.charges(limit)
        gone.arrived()
        turns: list[Any] = [gone.arrived() for _ in range(50)]
        waiting: Any = other.arrived()
        for turn in turns[1:]:
            turn.cancel()
            self.failureResultOf(turn, CancelledError)
        turns[0].cancel()
        self.failureResultOf(turns[0], CancelledError)
        gone.stop()
        self.go(0.11)
        self.assertIsNone(self.successResultOf(waiting))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopped(self) -> None:
        """
        Nobody is called whose connection is over.
        """
        limit = Limit(messages=10, burst=1, per="all")
        charges = self.charges(limit)
        charges.arrived()
        turn: Any = charges.arrived()
        charges.stop()
        self.go(1.0)
        self.assertNoResult(turn)

    def test_moreInTurn(self) -> None:
        """
        What arrives because of a turn queues up behind the others.
        """
        limit = Limit(messages=10, burst=1, per="all")
        one, other = self.charges(limit), self.charges(limit)
        one.arrived()
        turns: list[str] = []

        def again(_: Any) -> None:
            turns.append("one")
            more: Any = one.arrived()
            more.addCallback(again)

        first: Any = one.arrived()
        first.addCallback(again)
        second: Any = other.arrived()
        second.addCallback(lambda _: turns.append("other"))
        self.go(0.45)
        self.assertEqual(turns, ["one", "other", "one", "one"])

    def test_quota(self) -> None:
        """
        Who is refused is told to come after those who wait.
        """
        limit = Limit(messages=10, burst=1, per="all", over="backpressure,quota@1")
        one, other = self.charges(limit), self.charges(limit)
        one.arrived()
        for _ in range(3):
            one.arrived()
        self.clock.rightNow = 1.0
        self.shared[limit].fill(1.0)
        self.shared[limit].level = 0.0
        self.assertEqual(other.arrived(), Refusal(limit, 0.2))

    def test_withOwn(self) -> None:
        """
        Who has a rate of his own as well is held to both.
        """
        own = Limit(messages=5, burst=1, over="delay")
        common = Limit(messages=10, burst=1, per="all", over="delay")
        one, other = self.charges(own, common), self.charges(own, common)
        self.assertIsNone(one.arrived())
        turns: list[Any] = [other.arrived(), one.arrived(), one.arrived()]
        self.go(0.11)
        self.assertIsNone(self.successResultOf(turns[0]))
        self.go(0.07)
        self.assertNoResult(turns[1])
        self.go(0.05)
        self.assertIsNone(self.successResultOf(turns[1]))
        self.assertNoResult(turns[2])
        self.go(0.21)
        self.assertIsNone(self.successResultOf(turns[2]))
