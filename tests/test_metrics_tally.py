"""
What has become of all connections that a server ever had.
"""

from __future__ import annotations

import random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from terminable.admin.tally import BUCKETS, CHOSEN, OPENED, Tally
from terminable.interfaces import ITerminationObserver
from terminable.policy.ledger import Outcome, Report
from terminable.policy.phases import Phase
from tests.doubles import Hinting, World
from tests.releasing import ReleaseTestCase, addsUp
from tests.test_ledger import report


def numbers(found: Report) -> dict[str, int]:
    """
    What a report counts.
    """
    names = [OPENED, *(each.value for each in Outcome)]
    return {name: getattr(found, name) for name in names}


class TallyTests(ReleaseTestCase):
    """
    Sums.
    """

    def setUp(self) -> None:
        self.begin(Hinting, gracePeriod=5.0)
        self.tally = Tally(self.terminator)

    def assertTotals(self, **expected: int) -> None:
        """
        These are not 0, all others are.
        """
        totals = self.tally.totals()
        self.assertEqual({name: n for name, n in totals.items() if n}, expected)

    def end(self) -> Report:
        """
        Stop, and let time go by.
        """
        result = self.terminator.terminate()
        self.pass_(8)
        return self.successResultOf(result)

    def pass_(self, seconds: float) -> None:
        """
        Let time go by in small steps.
        """
        for _ in range(round(seconds * 20)):
            self.clock.turn(0.05)

    def test_isAnObserver(self) -> None:
        """
        It is told how a stop proceeds; of closed ports it wants to know nothing.
        """
        verifyObject(ITerminationObserver, self.tally)
        self.tally.portsClosed()
        self.assertTotals()

    def test_live(self) -> None:
        """
        Before a stop, connections are opened and end.
        """
        self.connect()
        self.connect().end()
        self.assertTotals(opened=2, before=1)

    def test_stop(self) -> None:
        """
        After a stop they are what the report says.
        """
        self.connect()
        self.connect(busy=True, number=2)
        found = self.end()
        self.assertEqual((found.idle, found.aborted), (1, 1))
        self.assertTotals(opened=2, idle=1, aborted=1)

    def test_again(self) -> None:
        """
        When the server listens again, numbers go on.
        """
        for number in (1, 2, 3):
            self.connect()
            self.end()
            self.assertTotals(opened=number, idle=number)
            self.listen()
            self.assertTotals(opened=number, idle=number)

    def test_generations(self) -> None:
        """
        Those of older generations count, while these drain and when they are gone.
        """
        transport = self.connect(busy=True)
        self.release()
        self.listen()
        self.connect(number=2)
        self.assertTotals(opened=2)
        self.factory.protocols[0].finish()
        transport.end()
        self.pass_(0.2)
        self.assertEqual(self.terminator.generations, [])
        self.assertTotals(opened=2, finished=1)
        self.end()
        self.assertTotals(opened=2, finished=1, idle=1)

    def test_chosen(self) -> None:
        """
        Those who are drained while others stay are counted, once.
        """
        for number in range(4):
            self.connect(number=number)
        self.terminator.drain(percent=50)
        self.terminator.drain(percent=50)
        self.assertEqual(self.tally.totals()[CHOSEN], 3)
        self.pass_(3)
        self.assertTotals(opened=4, before=3, chosen=3)

    def test_kept(self) -> None:
        """
        Nothing but numbers is kept of an account that is complete.
        """
        self.connect()
        self.end()
        self.listen()
        self.tally.totals()
        self.assertEqual(len(self.tally._open), 1)
        self.assertIs(self.tally._open[0], self.terminator.gate.ledger)

    def test_durations(self) -> None:
        """
        Each stop is sorted into one class by how long it took.
        """
        for seconds in (0.0, 0.1, 0.11, 25.0, 300.0, 301.0):
            self.tally.terminated(report(seconds=seconds))
        found = dict(zip([*BUCKETS, None], self.tally.stops, strict=True))
        expected = {0.1: 2, 0.25: 1, 30.0: 1, 300.0: 1, None: 1}
        self.assertEqual({most: n for most, n in found.items() if n}, expected)
        self.assertAlmostEqual(self.tally.seconds, 626.21)

    def test_stopped(self) -> None:
        """
        When it is told to, it watches no more.
        """
        self.tally.stop()
        self.end()
        self.assertEqual(sum(self.tally.stops), 0)


class AgreementTests(ReleaseTestCase):
    """
    The tally and the reports.
    """

    def setUp(self) -> None:
        self.begin(Hinting, gracePeriod=3.0)
        self.tally = Tally(self.terminator)
        self.random = random.Random(20261123)
        self.live: list[Any] = []
        self.count = 0

    def some(self, count: int) -> None:
        """
        So many connect, at times, and do this and that.
        """
        for _ in range(count):
            self.count += 1
            busy = self.random.random() < 0.5
            self.live.append(self.connect(busy, 0.0, 1024 + self.count))
            self.something()
            self.clock.turn(self.random.choice((0.0, 0.0, 0.01)))

    def something(self) -> None:
        """
        Some of them go, finish, or begin something.
        """
        [protocol] = self.random.sample(self.factory.protocols, 1)
        protocol.busy = not protocol.busy
        if self.random.random() < 0.3:
            self.live.pop(self.random.randrange(len(self.live))).end()
        if self.random.random() < 0.02:
            self.terminator.drain(percent=self.random.choice((5, 20)), gracePeriod=1.0)

    def old(self) -> Any:
        """
        Release the ports, and listen again.
        """
        generation = self.release()
        self.listen()
        return generation

    def over(self) -> None:
        """
        Let time go by until all that ends has ended, some of it by itself.
        """
        for _ in range(100):
            if self.random.random() < 0.3:
                self.random.choice(self.factory.protocols).finish()
            self.clock.turn(0.05)

    def test_thousand(self) -> None:
        """
        After a thousand connections that did this and that, over several generations and
        stops, the totals are the sum of all reports.
        """
        self.some(300)
        first = self.old()
        self.some(200)
        self.over()
        self.assertEqual(self.terminator.generations, [])
        reports = [self.successResultOf(first.terminate())]
        self.some(100)
        self.old()
        self.some(200)
        for count in (200, 0):
            stop = self.terminator.terminate()
            self.over()
            reports.append(self.successResultOf(stop))
            self.listen()
            self.some(count)
        totals = self.tally.totals()
        chosen = totals.pop(CHOSEN)
        self.assertEqual((totals[OPENED], len(reports)), (1000, 3))
        self.assertTrue(all(map(addsUp, reports)))
        found: dict[str, int] = dict.fromkeys(numbers(reports[0]), 0)
        for each in map(numbers, reports):
            found = {name: found[name] + each[name] for name in found}
        self.assertEqual({name: totals[name] for name in found}, found)
        self.assertTrue(all(found.values()), found)
        self.assertGreater(chosen, 10)


class WorldTests(SynchronousTestCase):
    """
    Late beginnings.
    """

    def test_late(self) -> None:
        """
        Made while a server serves, it has what is in the account of then.
        """
        world = World(Hinting)
        world.connect()
        world.connect(port=5).end()
        tally = Tally(world.terminator)
        self.assertEqual((tally.totals()[OPENED], tally.totals()["before"]), (2, 1))
        self.assertIs(world.terminator.phase, Phase.SERVING)
