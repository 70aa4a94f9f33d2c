"""
Rates, and the buckets that hold to them.
"""

from __future__ import annotations

import math
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from terminable.errors import InvalidOption
from terminable.policy.rates import CALM, LARGEST, SMALLEST, Bucket, amount, rate

#: Neither rates, nor amounts.
NONSENSE: tuple[Any, ...] = (
    *(0, -1, 0.0, "0", "0/s", "-1", "", " ", "fast", "1e3", "1/", "/s", "1/w", "1TB", "1 2"),
    *(math.inf, -math.inf, math.nan, "inf", "nan", True, None, b"1", [1], 1j),
    *(10**400, "9" * 400, SMALLEST / 2, LARGEST * 2),
)


class ReadingTests(SynchronousTestCase):
    """
    Rates and amounts as people write them.
    """

    def test_rates(self) -> None:
        """
        Numbers are per second; texts may have a unit, and a time.
        """
        for text, expected in {
            "10": 10.0,
            "10/s": 10.0,
            " 10/s ": 10.0,
            "600/min": 10.0,
            "3600/h": 1.0,
            "86400/d": 1.0,
            ".5/s": 0.5,
            "2.5/S": 2.5,
            "2MB/s": 2e6,
            "2 MB/s": 2e6,
            "2mib/s": 2.0 * 2**20,
            "1kB": 1000.0,
            "1KiB": 1024.0,
            "1G": 1e9,
            "1GiB/min": 2**30 / 60.0,
            "7B/s": 7.0,
        }.items():
            self.assertEqual(rate("received", text), expected)
        for number in (1, 0.25, SMALLEST, LARGEST):
            self.assertEqual(rate("received", number), number)

    def test_amounts(self) -> None:
        """
        Amounts are the same without a time.
        """
        for value, expected in {"200": 200.0, "64kB": 64000.0, "1MiB": 2.0**20, 3: 3.0}.items():
            self.assertEqual(amount("burst", value), expected)
        self.assertRaises(InvalidOption, amount, "burst", "1/s")

    def test_nonsense(self) -> None:
        """
        What cannot be meant is named, with what could be.
        """
        for read in (rate, amount):
            for value in NONSENSE:
                error = self.assertRaises(InvalidOption, read, "this", value)
                self.assertEqual((error.option, error.value), ("this", value))
                self.assertIn("above 0 such as", error.expected)


class BucketTests(SynchronousTestCase):
    """
    L{Bucket}.
    """

    def setUp(self) -> None:
        self.bucket = Bucket(10.0, 20.0, 100.0)

    def test_full(self) -> None:
        """
        It begins full, and never holds more than its burst.
        """
        self.assertEqual(self.bucket.fill(100.0), 20.0)
        self.assertEqual(self.bucket.fill(1000.0), 20.0)
        self.assertTrue(self.bucket.full(1000.0))

    def test_fills(self) -> None:
        """
        It fills at its rate; who wants more than there is is told when there will be.
        """
        self.bucket.spend(20.0)
        self.assertEqual(self.bucket.fill(100.5), 5.0)
        self.assertEqual(self.bucket.wait(5.0, 100.5), 0.0)
        self.assertEqual(self.bucket.wait(6.0, 100.5), 0.1)
        self.assertFalse(self.bucket.full(101.9))
        self.assertTrue(self.bucket.full(102.0))

    def test_debt(self) -> None:
        """
        It may have to make up for what was more than it had.
        """
        self.bucket.spend(25.0)
        self.assertEqual(self.bucket.wait(0.0, 100.0), 0.5)
        self.assertEqual(self.bucket.wait(1.0, 100.25), 0.35)

    def test_setAside(self) -> None:
        """
        What is set aside still fills it; what is not used is there for others.
        """
        self.bucket.setAside(15.0)
        self.assertEqual(self.bucket.fill(100.0), 5.0)
        self.assertEqual(self.bucket.fill(200.0), 5.0)
        self.bucket.use(15.0, 10.0, 200.0)
        self.assertEqual((self.bucket.level, self.bucket.held), (10.0, 0.0))
        self.assertEqual(self.bucket.fill(201.0), 20.0)

    def test_give(self) -> None:
        """
        What is put back does not make it hold more than its burst.
        """
        self.bucket.spend(5.0)
        self.bucket.setAside(5.0)
        self.bucket.give(3.0)
        self.assertEqual(self.bucket.level, 13.0)
        self.bucket.give(100.0)
        self.assertEqual(self.bucket.level, 15.0)

    def test_clockSetBack(self) -> None:
        """
        A clock that is set back gives nothing and takes nothing, and who was over the rate
        for some time was so for this time.
        """
        self.bucket.spend(20.0)
        self.bucket.over(100.0)
        self.bucket.fill(100.5)
        self.assertEqual(self.bucket.fill(50.0), 5.0)
        self.assertEqual(self.bucket.overFor(50.0), 0.5)
        self.assertAlmostEqual(self.bucket.fill(50.25), 7.5)
        self.assertEqual(self.bucket.overFor(50.25), 0.75)
        self.assertEqual(self.bucket.fill(51.0), 15.0)
        self.assertIsNone(self.bucket.since)
        self.assertEqual(self.bucket.fill(20.0), 15.0)
        self.assertEqual(self.bucket.overFor(20.0), 0.0)

    def test_lookedAtEarlier(self) -> None:
        """
        Whoever has looked at the clock a little earlier does not make time count twice.
        """
        self.bucket.spend(20.0)
        for _ in range(100):
            self.bucket.fill(100.5)
            self.bucket.fill(100.2)
        self.assertEqual(self.bucket.fill(100.5), 5.0)
        self.assertEqual(self.bucket.fill(100.75), 7.5)

    def test_over(self) -> None:
        """
        How long more has been wanted counts from the first time, until it is half full, and
        has been left alone for as long as that takes.
        """
        bucket = self.bucket
        self.assertEqual(bucket.overFor(100.0), 0.0)
        bucket.spend(20.0)
        bucket.over(100.0)
        bucket.over(100.75)
        bucket.fill(101.5)
        self.assertEqual(bucket.overFor(101.5), 1.5)
        self.assertFalse(bucket.full(101.5))
        bucket.fill(101.75)
        self.assertEqual(bucket.overFor(101.75), 0.0)
        bucket.over(102.5)
        self.assertEqual(bucket.fill(103.0), 20.0)
        self.assertFalse(bucket.full(103.0))
        self.assertEqual(bucket.overFor(104.0), 1.5)
        # Nobody asks a bucket about a time before it was asked last.
        self.assertEqual(bucket.overFor(102.0), 0.0)

    def test_smallBucket(self) -> None:
        """
        A small one is full again in no time; that alone does not make it calm.
        """
        bucket = Bucket(1000.0, 1.0, 0.0)
        for number in range(40):
            now = number * 0.1
            if bucket.fill(now) >= 1.0:
                bucket.spend(1.0)
            bucket.over(now)
        self.assertAlmostEqual(bucket.overFor(3.9), 3.9)
        bucket.fill(3.9 + CALM)
        self.assertIsNone(bucket.since)

    def test_slowBucket(self) -> None:
        """
        One that takes hours to fill is not calm after a second.
        """
        bucket = Bucket(0.001, 1.0, 0.0)
        bucket.spend(1.0)
        bucket.over(0.0)
        for now in (1.0, 100.0, 499.0):
            bucket.fill(now)
            self.assertEqual(bucket.overFor(now), now)
        bucket.fill(501.0)
        self.assertIsNone(bucket.since)


#: What may be done with a bucket: seconds that pass, and how much is wanted.
WISHES = st.lists(
    st.tuples(
        st.sampled_from(["spend", "aside", "use", "give"]),
        st.floats(0.0, 5.0),
        st.floats(0.001, 30.0),
    ),
    max_size=60,
)


class Ledger:
    """
    Spends out of a bucket what is in it, and writes down when.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self.bucket = Bucket(rate, burst, 0.0)
        self.now = 0.0
        self.used: list[tuple[float, float]] = []
        self.aside: list[float] = []

    def do(self, what: str, seconds: float, size: float) -> None:
        """
        Let time go by, and do something.
        """
        bucket = self.bucket
        self.now += seconds
        there = what in ("spend", "aside") and bucket.fill(self.now) >= size
        if what == "spend" and there:
            bucket.spend(size)
            self.used.append((self.now, size))
        elif what == "aside" and there:
            bucket.setAside(size)
            self.aside.append(size)
        elif what in ("use", "give") and self.aside:
            kept = self.aside.pop(0)
            taken = min(kept, size) if what == "use" else 0.0
            bucket.use(kept, taken, self.now)
            self.used.append((self.now, taken))


class AnyWishTests(SynchronousTestCase):
    """
    Whatever is wanted whenever.
    """

    @example(1.0, 1.0, [("aside", 0.0, 1.0), ("use", 5.0, 1.0), ("spend", 0.0, 1.0)])
    @given(st.floats(0.1, 50.0), st.floats(1.0, 50.0), WISHES)
    def test_neverMore(self, rate: float, burst: float, wishes: list[Any]) -> None:
        """
        Within any time, no more is used than the burst, and what the rate allows in this time.
        """
        ledger = Ledger(rate, burst)
        for wish in wishes:
            ledger.do(*wish)
            self.assertTrue(-1e-6 <= ledger.bucket.level <= burst + 1e-6)
        for first, (begin, _) in enumerate(ledger.used):
            total = 0.0
            for end, size in ledger.used[first:]:
                total += size
                self.assertLessEqual(total, burst + rate * (end - begin) + 1e-6)

    @given(st.floats(0.1, 50.0), st.floats(1.0, 50.0), WISHES)
    def test_nothingLost(self, rate: float, burst: float, wishes: list[Any]) -> None:
        """
        As long as it is not full, what comes in goes out, or is still there.
        """
        ledger = Ledger(rate, burst)
        bucket = ledger.bucket
        came = burst
        for what, seconds, size in wishes:
            bucket.fill(ledger.now)
            room = burst - bucket.level - bucket.held
            came += min(room, rate * seconds)
            ledger.do(what, seconds, size)
            bucket.fill(ledger.now)
            went = sum(size for _, size in ledger.used)
            self.assertAlmostEqual(came, went + bucket.level + bucket.held, places=6)
        self.assertAlmostEqual(bucket.held, sum(ledger.aside), places=6)

    @given(st.floats(0.1, 50.0), st.floats(1.0, 50.0), WISHES)
    def test_waitIsRight(self, rate: float, burst: float, wishes: list[Any]) -> None:
        """
        After the time that it says, there is what was wanted, and not earlier.
        """
        ledger = Ledger(rate, burst)
        for what, seconds, size in wishes:
            ledger.do(what, seconds, size)
            wanted = min(size, burst - ledger.bucket.held)
            wait = ledger.bucket.wait(wanted, ledger.now)
            copy = Bucket(rate, burst, ledger.now)
            copy.level, copy.held = ledger.bucket.level, ledger.bucket.held
            if wait > 1e-6:
                self.assertLess(copy.fill(ledger.now + wait * 0.999), wanted)
            self.assertGreaterEqual(copy.fill(ledger.now + wait) + 1e-9, wanted)

    @given(st.lists(st.floats(-5.0, 5.0), max_size=30), st.floats(0.5, 20.0))
    def test_anyClock(self, steps: list[float], rate: float) -> None:
        """
        A clock that goes forth and back gives no more than the time that it went forth.
        """
        bucket = Bucket(rate, 1000.0, 0.0)
        bucket.spend(1000.0)
        bucket.over(0.0)
        now = 0.0
        for step in steps:
            now += step
            bucket.fill(now)
            self.assertGreaterEqual(bucket.overFor(now), 0.0)
        forth = sum(step for step in steps if step > 0.0)
        self.assertLessEqual(bucket.level, min(1000.0, forth * rate) + 1e-6)
