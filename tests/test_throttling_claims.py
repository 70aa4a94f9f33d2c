"""
Waiting in line for a rate.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from terminable.throttling.claims import Claim, Source
from tests.doubles import Boom
from tests.throttles import within

#: What a clock says that counts from 1970; its steps are no smaller than a quarter of a
#: microsecond.
START = 1.7e9


class Wanting(Claim):
    """
    Somebody who wants something, and writes down when he gets it.

    @ivar takes: how much he uses of it, at once; C{None} if he keeps it.
    """

    def __init__(self, clock: Clock, *sources: Source, takes: float | None = None) -> None:
        super().__init__(sources)
        self.clock = clock
        self.takes = takes
        self.got: list[float] = []
        self.onGranted: Any = lambda: None

    def granted(self) -> None:
        """
        There it is.
        """
        self.got.append(self.clock.seconds())
        if self.takes is not None:
            self.use(self.takes)
        self.onGranted()


class ClaimTests(SynchronousTestCase):
    """
    Ten a second, five at once.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(START)
        self.source = self.make()

    def make(self, rate: float = 10.0, burst: float = 5.0) -> Source:
        """
        A bucket.
        """
        return Source(self.clock, rate, burst)

    def go(self, seconds: float) -> None:
        """
        Let time go by.
        """
        self.clock.pump([0.01] * round(seconds * 100))

    def assertGot(self, claim: Wanting, *times: float) -> None:
        """
        These are the times at which somebody got it, or the next at which the clock ticked.
        """
        found = [time - START for time in claim.got]
        late = [one - other for one, other in zip(found, times, strict=True)]
        self.assertTrue(all(-0.001 < each < 0.021 for each in late), found)

    def test_inLine(self) -> None:
        """
        They are served in the order in which they came, as fast as the rate allows, and
        nobody at once.
        """
        claims = [Wanting(self.clock, self.source, takes=2.0) for _ in range(5)]
        for claim in claims:
            claim.ask(2.0)
            self.assertFalse(claim.isGranted)
        self.assertEqual([claim.got for claim in claims], [[]] * 5)
        self.go(1.0)
        for claim, time in zip(claims, (0.0, 0.0, 0.1, 0.3, 0.5), strict=True):
            self.assertGot(claim, time)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_turns(self) -> None:
        """
        Who wants more has to queue up again.
        """
        many, one = (Wanting(self.clock, self.source, takes=1.0) for _ in range(2))
        self.source.spend(5.0)
        many.onGranted = lambda: many.ask(1.0)
        many.ask(1.0)
        self.go(0.35)
        one.ask(1.0)
        self.go(0.27)
        self.assertGot(many, 0.1, 0.2, 0.3, 0.4, 0.6)
        self.assertGot(one, 0.5)

    def test_unused(self) -> None:
        """
        What is not used is for the next, who does not wait as long as it would have taken.
        """
        first, second = Wanting(self.clock, self.source), Wanting(self.clock, self.source)
        self.source.spend(5.0)
        first.ask(4.0)
        second.ask(4.0)
        self.go(0.43)
        self.assertTrue(first.isGranted)
        self.assertEqual(self.source.held, 4.0)
        first.use(1.0)
        self.assertEqual((first.amount, self.source.held), (0.0, 0.0))
        self.go(0.1)
        self.assertGot(second, 0.5)

    def test_withdrawn(self) -> None:
        """
        Who goes away leaves nothing behind, wherever he stood.
        """
        claims = [Wanting(self.clock, self.source) for _ in range(4)]
        self.source.spend(5.0)
        for claim in claims:
            claim.ask(2.0)
        claims[0].withdraw()
        claims[2].withdraw()
        self.go(0.25)
        self.assertGot(claims[1], 0.2)
        claims[1].withdraw()
        self.go(0.01)
        self.assertGot(claims[3], 0.25)
        claims[3].withdraw()
        for claim in claims:
            claim.withdraw()
            self.assertEqual((claim.amount, claim.isGranted), (0.0, False))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual((self.source.held, self.source.line), (0.0, {}))
        self.assertAlmostEqual(self.source.level, 2.6, places=4)

    def test_leaveNowhere(self) -> None:
        """
        Who does not stand in line may leave.
        """
        claim = Wanting(self.clock, self.source)
        self.source.leave(claim)
        self.source.join(Wanting(self.clock, self.source))
        self.source.leave(claim)
        self.assertEqual(len(self.source.line or ()), 1)

    def test_severalBuckets(self) -> None:
        """
        Who needs several buckets waits at one after the other: what is shared is not set aside
        for those who cannot have it for another reason.
        """
        slow, shared = self.make(1.0, 1.0), self.source
        slow.spend(1.0)
        shared.spend(5.0)
        both = Wanting(self.clock, slow, shared, takes=1.0)
        both.ask(1.0)
        other = Wanting(self.clock, shared, takes=1.0)
        self.go(0.5)
        self.assertEqual(shared.held, 0.0)
        self.assertAlmostEqual(shared.fill(self.clock.seconds()), 5.0, places=4)
        other.ask(5.0)
        self.go(0.6)
        self.assertGot(other, 0.5)
        self.assertGot(both, 1.0)
        self.assertEqual((slow.held, shared.held), (0.0, 0.0))

    def test_withdrawnBetween(self) -> None:
        """
        Who goes away between two buckets gives back what the first has set aside.
        """
        own, shared = self.make(), self.source
        shared.spend(5.0)
        claim = Wanting(self.clock, own, shared)
        claim.ask(3.0)
        self.go(0.1)
        self.assertEqual((own.held, len(shared.line or ())), (3.0, 1))
        claim.withdraw()
        self.assertEqual((own.held, own.level, len(shared.line or ())), (0.0, 5.0, 0))

    def test_broken(self) -> None:
        """
        If somebody fails, those behind him get theirs.
        """
        broken, next_ = (Wanting(self.clock, self.source, takes=1.0) for _ in range(2))

        def fails() -> None:
            raise Boom

        broken.onGranted = fails
        broken.ask(1.0)
        next_.ask(1.0)
        self.go(0.01)
        self.assertEqual(len(next_.got), 1)
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)

    def test_stillOver(self) -> None:
        """
        That those who wait take no more than there is does not make it calm; that nobody
        waits any more does.
        """
        source = self.make(1.0, 1.0)
        claim = Wanting(self.clock, source, takes=1.0)
        claim.onGranted = lambda: claim.ask(1.0)
        source.over(self.clock.seconds())
        claim.ask(1.0)
        self.go(5.5)
        source.fill(self.clock.seconds())
        self.assertAlmostEqual(source.overFor(self.clock.seconds()), 5.5, places=4)
        claim.withdraw()
        self.go(2.0)
        source.fill(self.clock.seconds())
        self.assertEqual(source.overFor(self.clock.seconds()), 0.0)

    def test_retryAfter(self) -> None:
        """
        Whoever comes next is told to come after those who wait.
        """
        self.source.spend(5.0)
        now = self.clock.seconds()
        self.assertAlmostEqual(self.source.retryAfter(now), 0.1)
        for _ in range(3):
            Wanting(self.clock, self.source).ask(1.0)
        self.assertAlmostEqual(self.source.retryAfter(now), 0.4)

    def test_thousands(self) -> None:
        """
        Of thousands who wait each gets his turn; one call is scheduled for all of them.
        """
        source = self.make(1000.0, 100.0)
        claims = [Wanting(self.clock, source, takes=1.0) for _ in range(5000)]
        for claim in claims:
            claim.ask(1.0)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        for claim in claims[1::2]:
            claim.withdraw()
        self.go(2.7)
        got = [claim.got for claim in claims]
        self.assertEqual([len(times) for times in got], [1, 0] * 2500)
        times = [time for each in got for time in each]
        self.assertEqual(times, sorted(times))
        self.assertAlmostEqual(times[-1] - times[0], 2.4, places=1)

    def test_lateClock(self) -> None:
        """
        A reactor that was busy for long does not make more of it than the burst.
        """
        claims = [Wanting(self.clock, self.source, takes=1.0) for _ in range(20)]
        for claim in claims:
            claim.ask(1.0)
        self.clock.advance(1000.0)
        self.assertEqual(sum(len(claim.got) for claim in claims), 5)
        self.go(2.0)
        self.assertTrue(all(claim.got for claim in claims))


#: Who wants how much of which buckets after how many seconds, and uses which part of it.
DEMANDS = st.lists(
    st.tuples(st.floats(0.0, 2.0), st.integers(0, 3), st.floats(0.01, 1.0), st.floats(0.0, 1.0)),
    max_size=40,
)


class AnyDemandTests(SynchronousTestCase):
    """
    Whoever wants what.
    """

    @settings(deadline=None)
    @given(DEMANDS, st.floats(0.5, 20.0), st.floats(1.0, 20.0))
    def test_demands(self, demands: list[Any], rate: float, burst: float) -> None:
        """
        Everybody gets what he wants some time, in the order in which he came, and no bucket
        gives more within any time than its burst and its rate.
        """
        clock = Clock()
        shared = Source(clock, rate, burst)
        own = [Source(clock, rate / 2.0, burst / 2.0) for _ in range(4)]
        used: dict[Source, list[tuple[float, float]]] = {source: [] for source in (shared, *own)}
        claims: list[list[Wanting]] = [[] for _ in own]

        def got(claim: Wanting, part: float) -> None:
            amount = claim.amount * part
            for source in claim.sources:
                used[source].append((clock.seconds(), amount))
            claim.use(amount)

        for seconds, who, size, part in demands:
            clock.advance(seconds)
            claim = Wanting(clock, own[who], shared)
            claim.onGranted = lambda claim=claim, part=part: got(claim, part)
            claim.ask(size * burst / 2.0)
            claims[who].append(claim)
        clock.pump([0.1] * 1000)
        for mine in claims:
            self.assertTrue(all(len(claim.got) == 1 for claim in mine))
            for one, next_ in pairwise(mine):
                self.assertLessEqual(one.got, next_.got)
        for source, times in used.items():
            self.assertLessEqual(within(times, source.burst, source.rate), 1e-5)
            self.assertAlmostEqual(source.held, 0.0, places=6)
