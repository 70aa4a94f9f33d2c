"""
What the report says of those who were turned away, or had their time, during a stop.
"""

from __future__ import annotations

from typing import Any

from terminable.policy.ledger import Outcome, Report
from terminable.policy.limits import Limit
from tests.admitting import AdmissionTestCase, RoomTestCase
from tests.doubles import Keeping, Plain, World


class Busy(Keeping):
    """
    Never done.
    """

    busy = True


def counts(report: Report) -> dict[str, int]:
    """
    @return: what there is of each outcome that there is.
    """
    names = [each.value for each in Outcome]
    found = {name: getattr(report, name) for name in names if getattr(report, name)}
    assert sum(found.values()) == report.opened, report
    return found


def named(report: Report) -> list[tuple[str, str]]:
    """
    @return: what each was doing that is in the report, and what came of it.
    """
    return [(entry.doing, entry.outcome.value) for entry in report.entries]


class StayTests(RoomTestCase):
    """
    Somebody has been inside for too long.
    """

    def test_inAStop(self) -> None:
        """
        Whoever is aborted for it during a stop is counted as aborted, and named, busy or not.
        """
        for protocol, doing in ((Busy, "doing something"), (Keeping, ""), (Plain, "")):
            self.open(protocol, stay=2, gracePeriod=6, idleGrace=4)
            self.come()
            self.world.pass_(1)
            result = self.terminator.terminate()
            self.world.pass_(1.5)
            report = self.successResultOf(result)
            self.assertEqual(counts(report), {"aborted": 1})
            self.assertEqual(named(report), [(doing, "aborted")])
            self.assertFalse(report.graceful)

    def test_before(self) -> None:
        """
        Before a stop it is over like any other.
        """
        self.open(Busy, stay=2)
        self.come()
        self.world.pass_(3)
        report = self.successResultOf(self.terminator.terminate())
        self.assertEqual((counts(report), named(report)), ({"before": 1}, []))

    def test_byChoice(self) -> None:
        """
        In a drain by choice it counts for that.
        """
        self.open(Busy, stay=2)
        self.come(2)
        self.world.pass_(1)
        result = self.terminator.drain(lambda each: each.peer.endswith(":1"), gracePeriod=6)
        self.world.pass_(1.5)
        report = self.successResultOf(result)
        self.assertEqual(counts(report), {"aborted": 1})
        self.assertEqual(named(report), [("doing something", "aborted")])
        self.assertEqual(counts(self.successResultOf(self.terminator.terminate())), {"before": 2})

    def test_once(self) -> None:
        """
        Who does not even end then is named once, also at the deadline.
        """
        self.open(Busy, stay=2, gracePeriod=2.5)
        self.come(delay=None)
        self.world.pass_(1)
        result = self.terminator.terminate()
        self.world.pass_(5)
        report = self.successResultOf(result)
        self.assertEqual(counts(report), {"aborted": 1})
        self.assertEqual(len(report.entries), 1)

    def test_byTwo(self) -> None:
        """
        Nor is it counted twice who is aborted by two.
        """
        self.open(Busy, gracePeriod=2.5)
        [transport] = self.come(delay=None)
        result = self.terminator.terminate()
        for _ in range(2):
            self.terminator.gate.abort(transport)
        transport.end()
        report = self.successResultOf(result)
        self.assertEqual((counts(report), len(report.entries)), ({"aborted": 1}, 1))


class ThrottledTests(RoomTestCase):
    """
    Somebody is over a limit, and does not go.
    """

    def test_aborted(self) -> None:
        """
        Whoever is aborted for it during a stop is counted, and named.
        """
        world = World(Busy, gracePeriod=20, limits=[Limit(messages=1)])
        world.connect()
        result = world.terminator.terminate()
        world.pass_(0.5)
        [(transport, throttled)] = world.terminator.throttle._live.items()
        throttled.cut(world.terminator.throttle.limits[0])
        transport.delay = None
        self.assertNoResult(result)
        world.pass_(3.5)
        self.assertTrue(transport.aborted)
        transport.end()
        report = self.successResultOf(result)
        self.assertEqual(counts(report), {"aborted": 1})
        self.assertEqual(named(report), [("doing something", "aborted")])


class RefusedTests(RoomTestCase):
    """
    Those who wait are refused when a stop begins.
    """

    def stop(self, **given: Any) -> Report:
        """
        One is inside and stays there, one waits.
        """
        settings = {"capacity": 1, "atStop": "refuse", "gracePeriod": 3, **given}
        self.open(Keeping, **settings)
        self.come(2)
        result = self.terminator.terminate()
        self.world.pass_(6)
        return self.successResultOf(result)

    def test_wordless(self) -> None:
        """
        A peer that has said nothing, and is told nothing, was idle; it did not leave by itself.
        """
        for settings in ({}, {"refusals": 0}):
            report = self.stop(**settings)
            self.assertEqual(counts(report), {"idle": 1, "aborted": 1})
            self.assertEqual(named(report)[0], ("waiting to be admitted", "idle"))

    def test_reset(self) -> None:
        """
        Whoever is reset is aborted.
        """
        report = self.stop(full="reset")
        self.assertEqual(counts(report), {"aborted": 2})
        self.assertEqual(named(report)[0], ("waiting to be admitted", "aborted"))

    def test_waitedTooLong(self) -> None:
        """
        It is the same for those who have waited for too long by then.
        """
        self.assertEqual(counts(self.stop(atStop="admit", wait=1)), {"idle": 1, "aborted": 1})
        report = self.stop(atStop="admit", wait=1, full="reset")
        self.assertEqual(counts(report), {"aborted": 2})

    def test_early(self) -> None:
        """
        Whoever has said something that nobody will ever read is aborted, as far as he can see.
        """
        self.open(Keeping, capacity=1, atStop="refuse", gracePeriod=3)
        self.come(2)
        [_, waiting] = self.terminator.connections()
        waiting.transport.protocol.dataReceived(b"request")
        result = self.terminator.terminate()
        self.world.pass_(6)
        self.assertEqual(counts(self.successResultOf(result)), {"aborted": 2})

    def test_byChoice(self) -> None:
        """
        In a drain by choice it counts for that.
        """
        self.open(Keeping, capacity=1, wait=1)
        _, second = self.come(2)
        result = self.terminator.drain(lambda each: each.transport is second)
        self.world.pass_(3)
        report = self.successResultOf(result)
        self.assertEqual((counts(report), len(report.entries)), ({"idle": 1}, 1))

    def test_atTheDeadline(self) -> None:
        """
        Whoever still waits at the deadline is named once.
        """
        self.open(Keeping, capacity=1, gracePeriod=2)
        self.come(2)
        result = self.terminator.terminate()
        self.world.pass_(4)
        report = self.successResultOf(result)
        self.assertEqual((counts(report), len(report.entries)), ({"aborted": 2}, 2))


class SocketTests(AdmissionTestCase):
    """
    The same over TCP.
    """

    def stop(self, data: bytes, **given: Any) -> Report:
        """
        One is inside, another waits and has said something, or not.
        """
        self.serve(capacity=1, atStop="refuse", **given)
        self.client()
        self.turn()
        self.client(data)
        self.turn()
        self.assertEqual(self.terminator.waiting, 1)
        result = self.terminator.terminate(3)
        for _ in range(20):
            self.turn(0.3)
        return self.successResultOf(result)

    def test_silent(self) -> None:
        """
        Nothing was lost.
        """
        self.assertEqual(counts(self.stop(b"")), {"idle": 2})

    def test_spoke(self) -> None:
        """
        What lies in the kernel is a request that nobody answers.
        """
        for given in ({}, {"refusals": 0}, {"full": "reset"}):
            report = self.stop(b"request", **given)
            self.assertEqual(counts(report), {"idle": 1, "aborted": 1})
            self.assertIn(("waiting to be admitted", "aborted"), named(report))
