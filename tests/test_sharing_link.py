"""
Being connected to Redis, as far as it is there.
"""

from __future__ import annotations

import sys
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred

from terminable.errors import InvalidOption
from terminable.sharing import RedisLink
from terminable.sharing.link import CONNECTING
from tests.sharing import SharingTestCase


class LifeTests(SharingTestCase):
    """
    Lost, and made again.
    """

    def test_backOff(self) -> None:
        """
        While nobody listens, each wait is twice as long, up to 10 s, and it is said once.
        """
        self.redis.refusing = True
        self.started()
        for _ in range(4000):
            self.clock.advance(0.01)
        waits = [b - a for a, b in zip(self.redis.attempts, self.redis.attempts[1:], strict=False)]
        for wait, expected in zip(waits, (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10), strict=False):
            self.assertLess(abs(wait - expected), 0.03)
        self.assertEqual(len(self.log), 1)

    def test_back(self) -> None:
        """
        When it is back that is said once, and questions are asked again.
        """
        quota = self.started()
        self.redis.stop()
        self.redis.reply = b":7000000\r\n"
        self.turn(0.05)
        self.assertEqual(self.take(quota), 0.0)
        self.redis.refusing = False
        for _ in range(10):
            self.turn(0.1)
        self.assertEqual(self.take(quota), 7.0)
        self.assertEqual(len(self.log), 2)
        self.assertIn("is away: Connection was closed cleanly", self.log[0])
        self.assertEqual(self.log[1], "Redis at <memory> is back")

    def test_goodLife(self) -> None:
        """
        After a good life the waits are short again.
        """
        self.redis.refusing = True
        self.started()
        for _ in range(40):
            self.turn(0.1)
        self.redis.refusing = False
        for _ in range(400):
            self.turn(0.1)
        now = self.clock.seconds()
        self.redis.wires[0].end()
        self.turn(0.1)
        self.assertAlmostEqual(self.redis.attempts[-1], now + 0.1)

    def test_scriptFails(self) -> None:
        """
        A server on which the script does not run is not back; nothing is said again.
        """
        self.redis.reply = lambda words: b"-LOADING Redis is loading the dataset in memory\r\n"
        quota = self.started()
        for _ in range(20):
            self.turn(0.1)
        self.assertFalse(quota.link.connected)
        self.assertGreater(len(self.redis.attempts), 3)
        self.assertEqual((len(self.log), self.redis.wires), (1, []))
        self.assertIn("LOADING", self.log[0])

    def test_acceptsAndIsSilent(self) -> None:
        """
        Nor is one that accepts, and says nothing.
        """
        self.redis.silent = True
        quota = self.started()
        self.turn(0.25)
        self.assertFalse(quota.link.connected)
        self.assertIn("Not received Redis response", self.log[0])
        self.assertEqual(self.redis.wires, [])

    def test_hangs(self) -> None:
        """
        Connecting takes no longer than a limit.
        """
        self.redis.hanging = True
        started = self.quota().start()
        self.turn(CONNECTING - 0.1)
        self.assertNoResult(started)
        self.turn(0.2)
        self.successResultOf(started)
        self.assertEqual(len(self.log), 1)
        self.redis.hanging = False
        self.turn(0.1)
        self.assertEqual(len(self.redis.wires), 1)


class StopTests(SharingTestCase):
    """
    No longer needed, whatever it is at.
    """

    def assertNothingLeft(self, started: Deferred[Any]) -> None:
        """
        Whoever waits for the start is told, and there is neither connection nor timer.
        """
        self.successResultOf(started)
        self.turn()
        self.assertEqual((self.redis.wires, self.clock.getDelayedCalls(), self.log), ([], [], []))

    def test_whileConnecting(self) -> None:
        """
        The attempt is cancelled.
        """
        self.redis.hanging = True
        quota = self.quota(required=True)
        started = quota.start()
        quota.stop()
        self.assertNothingLeft(started)

    def test_whileLetIn(self) -> None:
        """
        So is being let in.
        """
        self.redis.silent = True
        self.place(password="word")
        quota = self.quota()
        started = quota.start()
        quota.stop()
        self.assertNothingLeft(started)

    def test_whileTheScriptRuns(self) -> None:
        """
        So is the first question.
        """
        self.redis.silent = True
        quota = self.quota()
        started = quota.start()
        self.turn()
        self.assertEqual(len(self.redis.commands), 1)
        quota.stop()
        self.assertNothingLeft(started)

    def test_whileWaiting(self) -> None:
        """
        So is the next attempt.
        """
        self.redis.refusing = True
        quota = self.started()
        quota.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_becauseOfTheFirstAttempt(self) -> None:
        """
        Who is told that the first attempt has failed, or has not, may stop it there.
        """
        for silent in (True, False):
            self.redis.silent = silent
            quota = self.quota()
            started = quota.start().addCallback(lambda _, quota=quota: quota.stop())
            self.turn(0.25)
            self.log.clear()
            self.assertNothingLeft(started)
            self.turn(20)
            self.assertFalse(quota.link.connected)
            self.assertEqual(len(self.redis.attempts), 1)
            self.redis.attempts.clear()


class LibraryTests(SharingTestCase):
    """
    The library that speaks with Redis.
    """

    def test_missing(self) -> None:
        """
        Without it, the error says how to get it.
        """
        with mock.patch.dict(sys.modules, {"terminable.sharing.redis": None}):
            error = self.assertRaises(InvalidOption, RedisLink, self.clock, self.redis)
        self.assertIn("pip install 'txterminable[redis]'", str(error))
