"""
Quotas that hold across processes, by a real Redis server.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from typing import Any

from terminable.sharing.bucket import SCRIPT
from tests.live.processes import SLACK, Server, freePort
from tests.live.redis import Redis, RedisTestCase


class Slots:
    """
    What one process has got, by the tenths of a second in which it has asked.
    """

    def __init__(self, asker: Server) -> None:
        asker.gone(40)
        [line] = [line for line in asker.log().splitlines() if line.startswith("{")]
        self.slots: dict[int, Any] = dict(json.loads(line)["slots"])

    def let(self, begin: float = 0.0, end: float = 1000.0) -> int:
        """
        How many questions were let through.
        """
        return self._sum(0, begin, end)

    def refused(self, begin: float = 0.0, end: float = 1000.0) -> int:
        """
        How many were not.
        """
        return self._sum(1, begin, end)

    def _sum(self, index: int, begin: float, end: float) -> int:
        first, last = round(begin * 10), round(end * 10)
        return sum(slot[index] for at, slot in self.slots.items() if first <= at < last)

    def longest(self) -> float:
        """
        The longest time that an answer has taken, in seconds.
        """
        return max(slot[2] for slot in self.slots.values())


class AskingTestCase(RedisTestCase):
    """
    Starts processes that ask.
    """

    def asker(
        self, where: str, away: str, seconds: float, env: dict[str, str] | None = None
    ) -> Server:
        """
        One that asks from L{begin} on.
        """
        words = (where, str(self.rate), str(self.burst), away)
        times = (str(self.begin), str(self.begin + seconds))
        program = (sys.executable, "-m", "tests.live.redisasker")
        return self.launch(*words, *times, program=program, env=env)

    #: When all begin, by the time of day.
    begin = 0.0
    rate, burst = 500.0, 250.0

    def until(self, seconds: float) -> None:
        """
        Return so many seconds after the beginning.
        """
        time.sleep(max(0.0, self.begin + seconds - time.time()))


class SharedTests(AskingTestCase):
    """
    Several processes, one quota.
    """

    def test_fourProcesses(self) -> None:
        """
        Four processes that ask as fast as they can get together what one would: within 2 %
        of the burst and what the rate allows.  Redis forgets the script meanwhile.
        """
        redis = self.redis()
        self.begin = time.time() + 2.0
        askers = [self.asker(f"unix://{redis.path}", "closed", 5.0) for _ in range(4)]
        self.until(2.5)
        self.assertEqual(redis.ask("SCRIPT", "FLUSH"), "OK")
        results = [Slots(asker) for asker in askers]
        total = sum(each.let() for each in results)
        expected = self.burst + self.rate * 5.0
        self.assertLess(abs(total - expected) / expected, 0.02, f"{total}, not {expected}")
        for asker, each in zip(askers, results, strict=True):
            self.assertGreater(each.refused(), 0)
            self.assertEqual(asker.log().count("\n"), asker.log().count("Main loop") + 1)


class InBetweenTests(AskingTestCase):
    """
    Redis is stopped and started in between.
    """

    def test_stoppedAndStarted(self) -> None:
        """
        While it is away, those that are open let everybody through, and those that are closed
        nobody; each says it once.  Before and after, the rate holds.
        """
        redis = self.redis()
        self.begin = time.time() + 2.0
        where = f"redis://127.0.0.1:{redis.port}/0"
        askers = {
            away: [self.asker(where, away, 5.0) for _ in range(2)] for away in ("open", "closed")
        }
        self.until(0.6)
        redis.stop()
        away = time.time() - self.begin
        self.until(1.6)
        redis.start()
        results = {away: [Slots(each) for each in askers[away]] for away in askers}
        for each in results["open"]:
            self.assertGreater(each.let(away + 0.1, 1.6), 20)
            self.assertEqual(each.refused(away + 0.1, 1.6), 0)
        for each in results["closed"]:
            self.assertEqual(each.let(away + 0.1, 1.6), 0)
            self.assertGreater(each.refused(away + 0.1, 1.6), 20)
        for both in results.values():
            self._assertRate(both)
        for asker in [*askers["open"], *askers["closed"]]:
            self._assertSaidOnce(asker)
        # It comes back with its buckets full.
        total = sum(each.let() for each in results["closed"])
        self.assertLessEqual(total, 2 * self.burst + self.rate * 5.0)

    def _assertRate(self, results: list[Slots]) -> None:
        before = sum(each.let(0.0, 0.6) for each in results)
        self.assertLessEqual(before, (self.burst + self.rate * 0.6) * 1.02)
        after = sum(each.let(4.0, 5.0) for each in results)
        self.assertLess(abs(after - self.rate) / self.rate, 0.1, after)
        for each in results:
            self.assertLess(each.longest(), 0.25 + SLACK)

    def _assertSaidOnce(self, asker: Server) -> None:
        log = asker.log()
        self.assertEqual((log.count("is away"), log.count("is back")), (1, 1), log)
        self.assertNotIn("Traceback", log)

    def test_stuck(self) -> None:
        """
        A server that does not answer holds up nobody for longer than the time limit, and is
        asked again when it does.
        """
        redis = self.redis()
        self.begin = time.time() + 1.5
        asker = self.asker(f"unix://{redis.path}", "closed", 3.0)
        self.until(0.3)
        redis.server.send(signal.SIGSTOP)
        self.addCleanup(redis.server.send, signal.SIGCONT)
        self.until(1.0)
        redis.server.send(signal.SIGCONT)
        result = Slots(asker)
        self.assertLess(result.longest(), 0.25 + SLACK)
        self.assertGreater(result.longest(), 0.24)
        self.assertEqual(result.let(0.7, 1.0), 0)
        self.assertGreater(result.let(2.0, 3.0), 0.9 * self.rate)
        self._assertSaidOnce(asker)


class LetInTests(AskingTestCase):
    """
    Servers that want to know who asks.
    """

    def test_secure(self) -> None:
        """
        Over TLS, with a password and another database; a certificate that is not trusted is
        said to be so, and the password is not.
        """
        certificate, port = str(self.certificate()), freePort()
        redis = self.redis(
            *("--tls-port", str(port), "--tls-cert-file", certificate, "--requirepass", "word"),
            *("--tls-key-file", certificate, "--tls-auth-clients", "no"),
        )
        self.begin = time.time() + 1.5
        where = f"rediss://:word@localhost:{port}/3"
        trusting = self.asker(where, "closed", 1.0, env={"SSL_CERT_FILE": certificate})
        other = self.asker(where, "closed", 1.0)
        result = Slots(trusting)
        self.assertGreater(result.let(), self.burst)
        self.assertGreater(result.refused(), 0)
        self.assertNotIn("is away", trusting.log())
        self.assertEqual(Slots(other).let(), 0)
        self.assertIn("certificate verify failed", other.log())
        self.assertNotIn("word", trusting.log() + other.log())
        self.assertNotIn("Traceback", trusting.log() + other.log())
        self.assertIn("NOAUTH", redis.ask("PING"))

    def test_leastRights(self) -> None:
        """
        A user who has no more rights than the page says is let in, and asks.
        """
        redis = self.redis()
        rights = ("~closed:*", "+eval", "+evalsha", "+get", "+set", "+time")
        self.assertEqual(redis.ask("ACL", "SETUSER", "me", "on", ">word", *rights), "OK")
        self.begin = time.time() + 1.0
        asker = self.asker(f"unix://me:word@{redis.path}", "closed", 0.5)
        result = Slots(asker)
        self.assertGreaterEqual(result.let(), self.burst)
        self.assertNotIn("is away", asker.log())


class ScriptTests(RedisTestCase):
    """
    What the script does.
    """

    def bucket(self, redis: Redis, amount: float, rate: float = 10.0, burst: float = 5.0) -> float:
        """
        Take something out of one bucket.

        @return: the seconds to wait.
        """
        words = ("EVAL", SCRIPT.decode(), "1", "n:k", repr(rate), repr(burst), repr(amount))
        return int(redis.ask(*words)) / 1e6

    def test_bucket(self) -> None:
        """
        A bucket gives what is in it, then says how long to wait, and is gone when it is
        full; whatever is found in its place is as if it were full.
        """
        redis = self.redis()
        self.assertEqual([self.bucket(redis, 2.5) for _ in range(2)], [0.0, 0.0])
        stored = redis.ask("GET", "n:k")
        wait = self.bucket(redis, 2.5)
        self.assertTrue(0.05 < wait <= 0.25, wait)
        self.assertEqual(redis.ask("GET", "n:k"), stored)
        self.assertTrue(0 < int(redis.ask("PTTL", "n:k")) <= 500)
        time.sleep(wait)
        self.assertEqual(self.bucket(redis, 2.5), 0.0)
        time.sleep(0.6)
        self.assertEqual(redis.ask("EXISTS", "n:k"), "0")
        for words in (
            ("SET", "n:k", "nonsense"),
            ("SET", "n:k", "nan 12"),
            ("RPUSH", "n:k", "list"),
        ):
            redis.ask("DEL", "n:k")
            redis.ask(*words)
            self.assertEqual(self.bucket(redis, 5.0), 0.0, words)
            self.assertGreater(self.bucket(redis, 5.0), 0.0)

    def test_slow(self) -> None:
        """
        Slow and fast buckets are as exact.
        """
        redis = self.redis()
        self.assertEqual(self.bucket(redis, 1.0, rate=1e-5, burst=1.0), 0.0)
        wait = self.bucket(redis, 1.0, rate=1e-5, burst=1.0)
        self.assertTrue(99_999 < wait <= 100_000, wait)
        self.assertTrue(99_990_000 < int(redis.ask("PTTL", "n:k")) <= 100_000_000)
        redis.ask("DEL", "n:k")
        self.assertEqual(self.bucket(redis, 1e6, rate=1e6, burst=1e6), 0.0)
        self.assertLess(self.bucket(redis, 1e6, rate=1e6, burst=1e6), 1.0)

    def test_clockSetBack(self) -> None:
        """
        A clock that is set back gives nothing, and what is taken then counts from there.
        """
        redis = self.redis()
        future = int(redis.ask("TIME").split()[0]) + 3600
        redis.ask("SET", "n:k", f"4 {future}000000")
        self.assertEqual(self.bucket(redis, 1.0), 0.0)
        wait = self.bucket(redis, 1.0)
        self.assertTrue(0.0 < wait <= 0.1, wait)
