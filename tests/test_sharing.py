"""
A quota that many processes share.
"""

from __future__ import annotations

import hashlib

from twisted.application.service import IService
from twisted.internet.defer import CancelledError
from zope.interface.verify import verifyObject

from terminable.errors import InvalidOption, Unreachable
from terminable.sharing import RedisLink, SharedQuota, link
from terminable.sharing.bucket import LONGEST_KEY, SCRIPT, keyOf
from tests.sharing import SharingTestCase


class TakeTests(SharingTestCase):
    """
    While Redis is there.
    """

    def test_taken(self) -> None:
        """
        Redis is asked with the key, the rate, the burst and the amount; 0 is to go on.  The
        first question takes nothing.
        """
        quota = self.started(rate="90/min", burst=2.5, name="shop")
        self.assertEqual(self.redis.commands[0][2:], [b"1", b"shop:", b"1.5", b"2.5", b"0"])
        self.assertEqual(self.take(quota, "10.0.0.1", 0.5), 0.0)
        command = self.redis.commands[-1]
        self.assertEqual(command[2:], [b"1", b"shop:10.0.0.1", b"1.5", b"2.5", b"0.5"])

    def test_wait(self) -> None:
        """
        Microseconds are to be waited for otherwise.
        """
        quota = self.started()
        self.redis.reply = b":1500000\r\n"
        self.assertEqual(self.take(quota), 1.5)

    def test_script(self) -> None:
        """
        The script is sent once for each connection, and again if Redis has forgotten it.
        """
        quota = self.started()
        self.take(quota)
        self.redis.scripts.clear()
        self.assertEqual(self.take(quota), 0.0)
        self.take(quota)
        names = [command[0] for command in self.redis.commands]
        self.assertEqual(names, [b"EVAL", b"EVALSHA", b"EVALSHA", b"EVAL", b"EVALSHA"])
        digest = hashlib.sha1(SCRIPT).hexdigest().encode()
        self.assertEqual({self.redis.commands[i][1] for i in (1, 2, 4)}, {digest})

    def test_together(self) -> None:
        """
        What is asked in one turn is sent before anything is answered, and each gets its own
        answer.
        """
        quota = self.started()
        self.redis.reply = lambda words: b":%d\r\n" % (1_000_000 * int(words[3].partition(b":")[2]))
        answers = [quota.take(str(number)) for number in range(50)]
        self.assertEqual(self.redis.wires[0].received.count(b"EVALSHA"), 50)
        self.turn()
        self.assertEqual([self.successResultOf(each) for each in answers], list(range(50)))

    def test_bytes(self) -> None:
        """
        A key may be bytes.
        """
        quota = self.started()
        self.successResultOf(self.turned(quota, b"\xff"))
        self.assertEqual(self.redis.commands[-1][3], b"terminable:\xff")

    def turned(self, quota: SharedQuota, key: bytes) -> object:
        answer = quota.take(key)
        self.turn()
        return answer

    def test_cancelled(self) -> None:
        """
        Who cancels gets no answer, and the others theirs.
        """
        quota = self.started()
        first, second = quota.take("a"), quota.take("b")
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.turn()
        self.assertEqual(self.successResultOf(second), 0.0)
        self.assertTrue(quota.link.connected)
        self.assertEqual(self.take(quota), 0.0)

    def test_noTimersLeft(self) -> None:
        """
        Nothing is scheduled while nothing is asked.
        """
        self.take(self.started())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_amounts(self) -> None:
        """
        What no bucket can ever have is refused.
        """
        quota = self.started()
        for amount in (0, -1, 5.1, float("nan"), float("inf"), "1", True, None):
            error = self.assertRaises(InvalidOption, quota.take, "a", amount)
            self.assertEqual(error.option, "amount")
        self.assertEqual(self.take(quota, amount=5), 0.0)

    def test_repr(self) -> None:
        """
        It says what it is.
        """
        self.assertEqual(repr(self.quota()), "<SharedQuota terminable: 10/s at <memory>>")


class KeyTests(SharingTestCase):
    """
    What buckets are called.
    """

    def test_bounded(self) -> None:
        """
        A long key is replaced by its digest.
        """
        self.assertEqual(keyOf("n", "k" * LONGEST_KEY), b"n:" + b"k" * LONGEST_KEY)
        long = "\u00e4" * (LONGEST_KEY // 2 + 1)
        expected = b"n:sha256=" + hashlib.sha256(long.encode()).hexdigest().encode()
        self.assertEqual(keyOf("n", long), expected)

    def test_anyText(self) -> None:
        """
        Text that came from bytes of no known encoding is fine.
        """
        self.assertEqual(keyOf("n", b"\xff".decode("utf-8", "surrogateescape")), b"n:\xff")


class AwayTests(SharingTestCase):
    """
    While Redis is not there.
    """

    def test_open(self) -> None:
        """
        Everybody goes on, and is told so at once.
        """
        self.redis.refusing = True
        quota = self.started()
        self.assertEqual(self.successResultOf(quota.take("a")), 0.0)

    def test_closed(self) -> None:
        """
        Nobody goes on before it is tried again to connect, or an answer could be there.
        """
        self.redis.refusing = True
        quota = self.started(away="closed")
        self.assertEqual(self.successResultOf(quota.take("a")), 0.25)
        for wait in (0.1, 0.2, 0.4):
            self.turn(wait)
        self.assertAlmostEqual(self.successResultOf(quota.take("a")), 0.8)
        self.turn(0.2)
        self.assertAlmostEqual(self.successResultOf(quota.take("a")), 0.6)

    def test_notStarted(self) -> None:
        """
        Before it is started it is as if Redis were away.
        """
        self.assertEqual(self.successResultOf(self.quota().take("a")), 0.0)
        self.assertEqual(self.successResultOf(self.quota(away="closed").take("a")), 0.25)

    def test_lost(self) -> None:
        """
        Questions that are not answered when the connection is lost are answered so too.
        """
        for away, expected in (("open", 0.0), ("closed", 0.25)):
            quota = self.started(away=away)
            answer = quota.take("a")
            self.redis.wires[-1].end()
            self.assertEqual(self.successResultOf(answer), expected)
            self.assertFalse(quota.link.connected)
            self.assertEqual(self.successResultOf(quota.take("a")), expected)

    def test_silent(self) -> None:
        """
        So are those that take too long; nobody waits any longer, and Redis is connected to
        anew.
        """
        quota = self.started(timeout=0.5)
        self.redis.silent = True
        first = quota.take("a")
        self.clock.advance(0.3)
        second = quota.take("b")
        self.clock.advance(0.19)
        self.assertNoResult(first)
        self.clock.advance(0.02)
        self.assertEqual([self.successResultOf(each) for each in (first, second)], [0.0, 0.0])
        self.assertEqual(self.successResultOf(quota.take("c")), 0.0)
        self.redis.silent = False
        self.turn()
        self.turn(0.2)
        self.assertEqual(len(self.redis.attempts), 2)
        self.assertTrue(quota.link.connected)

    def test_error(self) -> None:
        """
        A server that answers with an error is as good as away.
        """
        quota = self.started(away="closed")
        self.redis.reply = b"-OOM command not allowed when used memory > 'maxmemory'.\r\n"
        answer = quota.take("a")
        self.turn()
        self.assertEqual(self.successResultOf(answer), 0.25)
        self.assertFalse(quota.link.connected)
        self.assertIn("OOM", self.log[-1])

    def test_notAskedAgain(self) -> None:
        """
        Who has failed is not asked again, not even by those who are told first.
        """
        quota = self.started()
        self.redis.reply = b"-OOM command not allowed\r\n"
        asked = quota.take("a")
        asked.addCallback(lambda _: quota.link.connected)
        self.turn()
        self.assertEqual(self.successResultOf(asked), False)

    def test_nonsense(self) -> None:
        """
        So is one that answers with something else than a number, or in another language.
        """
        for reply, reason in (
            (b"$5\r\nhello\r\n", "b'hello'"),
            (b"*0\r\n", "[]"),
            (b"\xff\xfe\r\n", "not speak"),
        ):
            quota = self.started()
            self.redis.reply = reply
            self.assertEqual(self.take(quota), 0.0)
            self.assertFalse(quota.link.connected)
            self.assertIn(reason, self.log[-1])
            quota.stop()
            self.redis.reply = b":0\r\n"

    def test_tooMany(self) -> None:
        """
        No more than so many questions are unanswered at a time.
        """
        self.patch(link, "UNANSWERED", 3)
        quota = self.started()
        answers = [quota.take("a") for _ in range(3)]
        self.assertEqual(self.successResultOf(quota.take("a")), 0.0)
        self.turn()
        self.assertEqual([self.successResultOf(each) for each in answers], [0.0] * 3)
        self.assertEqual(len(self.redis.commands), 4)
        self.assertNoResult(quota.take("a"))


class SettingTests(SharingTestCase):
    """
    What can be meant.
    """

    def test_refused(self) -> None:
        """
        A setting that cannot be meant is named.
        """
        for option, value in (
            *(("rate", each) for each in (0, -1, "fast", None, float("inf"), 1e-9)),
            *(("burst", each) for each in (0, 0.5, "many", None)),
            *(("away", each) for each in ("", "ajar", None)),
            *(("name", each) for each in ("", None, "a\nb", "x" * 65)),
            *(("timeout", each) for each in (0, -1, "1", None, True, float("inf"))),
        ):
            error = self.assertRaises(InvalidOption, self.quota, **{option: value})
            self.assertEqual((error.option, error.value), (option, value))

    def test_where(self) -> None:
        """
        So is a place that is none.
        """
        error = self.assertRaises(InvalidOption, self.quota, "nowhere")
        self.assertEqual(error.option, "redis")

    def test_texts(self) -> None:
        """
        Rates and bursts may be texts.
        """
        quota = self.quota(rate="600/min", burst="2k")
        self.assertEqual((quota.rate, quota.burst), (10.0, 2000.0))


class ServiceTests(SharingTestCase):
    """
    Started and stopped.
    """

    def test_start(self) -> None:
        """
        It has started when Redis was reached; starting it again changes nothing.
        """
        quota = self.quota()
        started = quota.start()
        self.assertNoResult(started)
        self.turn()
        self.assertIsNone(self.successResultOf(started))
        self.successResultOf(quota.start())
        self.assertEqual(len(self.redis.wires), 1)

    def test_unreachable(self) -> None:
        """
        If Redis cannot be reached, it has started all the same, and that is logged.
        """
        self.redis.refusing = True
        quota = self.quota()
        self.successResultOf(quota.start())
        self.assertEqual(len(self.log), 1)
        self.assertIn("Redis at <memory> is away: Connection was refused", self.log[0])

    def test_required(self) -> None:
        """
        Unless it is required: then starting fails, and nothing is left.
        """
        self.redis.refusing = True
        quota = self.quota(required=True)
        error = self.failureResultOf(quota.start(), Unreachable).value
        self.assertIn("Redis at <memory>: Connection was refused", str(error))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.redis.refusing = False
        self.assertEqual(self.take(self.started(required=True)), 0.0)

    def test_stop(self) -> None:
        """
        The connection is lost, what is not answered is answered as while Redis is away, and
        nothing is left.
        """
        quota = self.started(away="closed")
        self.redis.silent = True
        answer = quota.take("a")
        quota.stop()
        quota.stop()
        self.assertEqual(self.successResultOf(quota.take("a")), 0.25)
        self.turn()
        self.assertEqual(self.successResultOf(answer), 0.25)
        self.assertEqual((self.redis.wires, self.clock.getDelayedCalls()), ([], []))
        self.assertEqual(self.log, [])

    def test_again(self) -> None:
        """
        It may be started again.
        """
        quota = self.started()
        quota.stop()
        self.turn()
        quota.start()
        self.turn()
        self.assertEqual(self.take(quota), 0.0)
        self.assertEqual(len(self.redis.attempts), 2)

    def test_service(self) -> None:
        """
        It is a service; one that cannot start is logged.
        """
        quota = self.quota(required=True)
        verifyObject(IService, quota)
        quota.startService()
        self.turn()
        self.assertTrue(quota.link.connected)
        quota.stopService()
        self.turn()
        self.assertEqual(self.redis.wires, [])
        self.redis.refusing = True
        quota.startService()
        self.assertEqual(len(self.flushLoggedErrors(Unreachable)), 1)

    def test_oneLink(self) -> None:
        """
        Several quotas may have one connection, which is there until the last has stopped.
        """
        shared = RedisLink(self.clock, self.redis)
        first, second = (self.quota(shared, name=name) for name in ("one", "two"))
        started = [first.start(), second.start()]
        self.turn()
        for each in started:
            self.successResultOf(each)
        self.successResultOf(self.quota(shared).start())
        self.take(first)
        self.take(second)
        self.assertEqual([each[3] for each in self.redis.commands[1:]], [b"one:a", b"two:a"])
        self.assertEqual(len(self.redis.attempts), 1)
        shared.stop()
        first.stop()
        self.assertTrue(shared.connected)
        second.stop()
        self.assertFalse(shared.connected)
        shared.stop()
