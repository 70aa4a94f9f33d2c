"""
Quotas that hold across processes, by a real Redis server.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from terminable.sharing.bucket import SCRIPT
from tests.live.processes import SLACK, Server, eventually, freePort
from tests.live.redis import Redis, RedisTestCase


class Slots:
    """
    What one process has got, by the tenths of a second in which it has asked.
    """

    def __init__(self, asker: Server) -> None:
        asker.gone(60)
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

    #: When all begin, by the time of day.
    begin = 0.0
    rate, burst = 500.0, 250.0

    def setUp(self) -> None:
        self.file = self.directory() / "begin"

    def asker(
        self, where: str, away: str, seconds: float, env: dict[str, str] | None = None
    ) -> Server:
        """
        One that asks for so long, as soon as all L{go}.
        """
        words = (where, str(self.rate), str(self.burst), away, str(self.file), str(seconds))
        program = (sys.executable, "-m", "tests.live.redisasker")
        return self.launch(*words, program=program, env=env)

    def go(self, *askers: Server) -> None:
        """
        Have them begin together, when all are ready.
        """
        for asker in askers:
            asker.awaitLog("ready\n")
        self.begin = time.time() + 0.2
        new = self.file.with_name("new")
        new.write_text(str(self.begin))
        new.replace(self.file)

    def again(self, attempt: Callable[[], None]) -> None:
        """
        Try it, and twice more: a rate is exact, and a machine may be busy.
        """
        for _ in range(2):
            with contextlib.suppress(AssertionError):
                return attempt()
            self.file = self.directory() / "begin"
        return attempt()

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
        self.again(self.fourProcesses)

    def fourProcesses(self) -> None:
        """
        Once.
        """
        redis = self.redis()
        askers = [self.asker(f"unix://{redis.path}", "closed", 5.0) for _ in range(4)]
        self.go(*askers)
        self.until(2.5)
        self.assertEqual(redis.ask("SCRIPT", "FLUSH"), "OK")
        results = [Slots(asker) for asker in askers]
        total = sum(each.let() for each in results)
        expected = self.burst + self.rate * 5.0
        self.assertLess(abs(total - expected) / expected, 0.02, f"{total}, not {expected}")
        for asker, each in zip(askers, results, strict=True):
            self.assertGreater(each.refused(), 0)
            self.assertEqual(asker.log().count("\n"), asker.log().count("Main loop") + 2)


class InBetweenTests(AskingTestCase):
    """
    Redis is stopped and started in between.
    """

    def test_stoppedAndStarted(self) -> None:
        """
        While it is away, those that are open let everybody through, and those that are closed
        nobody; each says it once.  Before and after, the rate holds.
        """
        self.again(self.stoppedAndStarted)

    def stoppedAndStarted(self) -> None:
        """
        Once.
        """
        redis = self.redis()
        where = f"redis://127.0.0.1:{redis.port}/0"
        askers = {
            away: [self.asker(where, away, 5.0) for _ in range(2)] for away in ("open", "closed")
        }
        self.go(*(each for both in askers.values() for each in both))
        self.until(0.6)
        redis.stop()
        away = time.time() - self.begin
        self.until(away + 1.0)
        back = time.time() - self.begin - 0.1
        redis.start()
        results = {away: [Slots(each) for each in askers[away]] for away in askers}
        for each in results["open"]:
            self.assertGreater(each.let(away + 0.1, back), 20)
            self.assertEqual(each.refused(away + 0.1, back), 0)
        for each in results["closed"]:
            self.assertEqual(each.let(away + 0.1, back), 0)
            self.assertGreater(each.refused(away + 0.1, back), 20)
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
        self.again(self.stuck)

    def stuck(self) -> None:
        """
        Once.
        """
        redis = self.redis()
        asker = self.asker(f"unix://{redis.path}", "closed", 4.5)
        self.go(asker)
        self.until(0.3)
        redis.server.send(signal.SIGSTOP)
        self.addCleanup(redis.server.send, signal.SIGCONT)
        stopped = time.time() - self.begin
        self.until(stopped + 2.0)
        # Who asks last before this is answered after it.
        gone = time.time() - self.begin - 0.3
        redis.server.send(signal.SIGCONT)
        result = Slots(asker)
        self.assertLess(result.longest(), 1.5)
        self.assertGreater(result.longest(), 0.24)
        self.assertEqual(result.let(stopped + 0.1, gone), 0)
        self.assertGreater(result.let(3.5, 4.5), 0.9 * self.rate)
        self._assertSaidOnce(asker)


class LetInTests(AskingTestCase):
    """
    Servers that want to know who asks.
    """

    # Less than any machine asks for.
    rate, burst = 50.0, 25.0

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
        where = f"rediss://:word@localhost:{port}/3"
        trusting = self.asker(where, "closed", 1.0, env={"SSL_CERT_FILE": certificate})
        other = self.asker(where, "closed", 1.0)
        self.go(trusting, other)
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
        asker = self.asker(f"unix://me:word@{redis.path}", "closed", 0.5)
        self.go(asker)
        result = Slots(asker)
        self.assertGreaterEqual(result.let(), self.burst)
        self.assertNotIn("is away", asker.log())


class ScriptTests(RedisTestCase):
    """
    What the script does.
    """

    def bucket(self, redis: Redis, amount: float, rate: float = 4.0, burst: float = 5.0) -> float:
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
        self.assertTrue(0.0 < wait <= 0.625, wait)
        self.assertEqual(redis.ask("GET", "n:k"), stored)
        self.assertTrue(0 < int(redis.ask("PTTL", "n:k")) <= 1250)
        time.sleep(wait)
        self.assertEqual(self.bucket(redis, 2.5), 0.0)
        self.assertTrue(eventually(lambda: redis.ask("EXISTS", "n:k") == "0", 3.0))
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
        self.assertTrue(99_990 < wait <= 100_000, wait)
        self.assertTrue(99_900_000 < int(redis.ask("PTTL", "n:k")) <= 100_000_000)
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
        self.assertTrue(0.0 < wait <= 0.25, wait)
