"""
The options that keep clients within bounds.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import quoteStringArgument, serverFromString
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from terminable.controls import spoolOf
from terminable.endpoints import admissionFrom, limitFrom
from terminable.errors import InvalidOption
from terminable.policy.admission import Admission
from terminable.policy.limits import Limit, Of, Per
from terminable.sharing import SharedQuota
from terminable.spool import Spool
from terminable.tap import makeService
from tests.test_tap import TapTestCase

HERE = "tests.test_controls"


def work(item: object) -> None:
    """
    What an item is worked off by.
    """


class AdmissionTests(TapTestCase):
    """
    Who is served.
    """

    def test_none(self) -> None:
        """
        Without any of the options all are served.
        """
        options = self.parse()
        self.assertIsNone(options.admission)
        self.assertEqual(options.limits, [])

    def test_all(self) -> None:
        """
        Each option is a setting of the admission.
        """
        words = "--capacity 10 --capacity-per-peer 2 --queue 20 --queue-per-peer 4 --wait 5"
        more = "--stay 6 --when-full refuse --waiting-at-stop refuse --peer-prefixes 24,56"
        expected = Admission(
            capacity=10,
            perPeer=2,
            queue=20,
            perPeerQueue=4,
            wait=5.0,
            stay=6.0,
            full="refuse",
            atStop="refuse",
            prefixes=(24, 56),
        )
        self.assertEqual(self.parse(*words.split(), *more.split()).admission, expected)

    def test_bad(self) -> None:
        """
        What cannot be meant is told as it was typed.
        """
        for typed, expected in (
            ("--capacity 0", "--capacity: 0 given, expected a whole number, 1 or more"),
            ("--capacity ten", "--capacity: 'ten' given, expected a whole number"),
            ("--queue 5", "--queue: 5 given, expected --capacity or --capacity-per-peer as well"),
            ("--capacity 5 --when-full sigh", "--when-full: 'sigh' given, expected one of hold"),
            ("--stay 0", "--stay: '0' given, expected a number of seconds above 0"),
            ("--capacity 1 --peer-prefixes 33,64", "--peer-prefixes: '33,64' given, expected bits"),
        ):
            line = self.refused(*typed.split())
            self.assertIn(f"terminable: {expected}", line)
            # That cannot be typed.
            self.assertNotIn("None", line)


class LimitTests(TapTestCase):
    """
    How fast.
    """

    def test_several(self) -> None:
        """
        There may be several.
        """
        words = ["--limit", "messages=10/s:per=peer", "--limit", "received=2MB/s"]
        first, second = self.parse(*words).limits
        self.assertEqual((first.of, first.rate, first.per), (Of.MESSAGES, 10.0, Per.PEER))
        self.assertEqual((second.of, second.rate, second.per), (Of.RECEIVED, 2e6, Per.CONNECTION))

    def test_served(self) -> None:
        """
        The terminator holds clients to them.
        """
        words = ["--port", self.free(), "--limit", "messages=10/s", "--capacity", "3"]
        service: Any = makeService(self.parse(*words))
        self.assertEqual([each.rate for each in service.terminator.throttle.limits], [10.0])

    def test_bad(self) -> None:
        """
        What cannot be meant is told with all that was typed.
        """
        for typed, expected in (
            ("messages=0", "messages: a rate above 0 such as 100/s"),
            ("messages=5:burst=.5", "burst: room for a message, or a byte: 1 or more"),
            ("messages=5:over=sigh", "over: steps such as backpressure,quota@5"),
            ("received=5:over=quota", "over: steps such as"),
            ("rate=5", "limit: settings with colons between them"),
        ):
            line = self.refused("--limit", typed)
            self.assertIn(f"--limit: '{typed}' given, expected a limit (in it, {expected}", line)


class SharedTests(TapTestCase):
    """
    Limits that several processes share.
    """

    def test_made(self) -> None:
        """
        Each has a quota, which is a service; all have one connection.
        """
        shared = ["--shared-limit", "messages=5:per=all:over=quota"]
        more = ["--shared-limit", "messages=2:per=peer", "--redis", "redis://127.0.0.1:6379/3"]
        service: Any = makeService(self.parse("--port", self.free(), *shared, *more))
        found = list(service)
        self.assertEqual([type(each) for each in found], [SharedQuota, SharedQuota])
        limits = service.terminator.throttle.limits
        self.assertEqual([limit.shared for limit in limits], found)
        self.assertEqual(
            [(q.rate, q.burst, q.away) for q in found], [(5, 5, "open"), (2, 2, "open")]
        )
        self.assertIs(found[0].link, found[1].link)

    def test_away(self) -> None:
        """
        What is done without Redis may be said.
        """
        words = "--shared-limit messages=5:per=all --redis unix:/x --redis-away closed"
        service: Any = makeService(self.parse("--port", self.free(), *words.split()))
        [quota] = service
        self.assertEqual(quota.away, "closed")

    def test_bad(self) -> None:
        """
        What cannot be meant.
        """
        shared = "--shared-limit messages=5:per=all"
        for typed, expected in (
            (shared, "--shared-limit needs --redis"),
            ("--redis x", "--redis needs --shared-limit"),
            ("--redis-away open", "--redis-away needs --redis"),
            (f"{shared} --redis foo://x", "--redis: 'foo://x' given, expected redis://host"),
            (f"{shared} --redis tcp:x:1 --redis-away ajar", "expected open or closed"),
            ("--shared-limit messages=5 --redis tcp:x:1", "per: peer or all"),
            ("--shared-limit received=5:per=all --redis tcp:x:1", "shared: a limit of messages"),
        ):
            self.assertIn(expected, self.refused(*typed.split()))


class SpoolTests(TapTestCase):
    """
    A spool.
    """

    def test_made(self) -> None:
        """
        It is a service of its own, and served.
        """
        words = f"--spool {self.mktemp()} --spool-work {HERE}.work --spool-rate 600/min"
        typed = [*words.split(), "--spool-at-once", "3"]
        service: Any = makeService(self.parse("--port", self.free(), *typed))
        [spool] = service
        self.assertIsInstance(spool, Spool)

    def test_share(self) -> None:
        """
        Each of several workers has its share of the rate.
        """
        options = self.parse("--spool", self.mktemp(), "--spool-rate", "30/s", "--workers", "3")
        spool: Any
        spool, _ = spoolOf(options, self.reactor)
        self.assertEqual(spool.terms.rate, 10.0)

    def test_recordOnly(self) -> None:
        """
        Without work it only records, for others to work off.
        """
        service: Any = makeService(self.parse("--port", self.free(), "--spool", self.mktemp()))
        self.assertEqual(len(list(service)), 1)

    def test_bad(self) -> None:
        """
        What cannot be meant.
        """
        for typed, expected in (
            ("--spool-rate 5", "--spool-rate needs --spool"),
            ("--spool /no/such/directory/x", "--spool: '/no/such/directory/x' given"),
            ("--spool x --spool-rate 0", "--spool-rate: '0' given, expected a rate above 0"),
            (
                "--spool x --spool-work no.such",
                "--spool-work: 'no.such' given, expected the dotted",
            ),
            ("--spool x --spool-at-once 0", "--spool-at-once: 0 given"),
            ("--spool x --spool-at-once all", "--spool-at-once: 'all' given"),
            ("--spool x --path .", "--path and --spool exclude each other"),
            ("--spool x -- web", "--spool cannot be given with a plugin"),
        ):
            self.assertIn(expected, self.refused(*typed.split()))


class PrefixTests(SynchronousTestCase):
    """
    The same in the description of an endpoint.
    """

    def test_all(self) -> None:
        """
        An admission, and a limit.
        """
        limit = quoteStringArgument("messages=10/s:per=peer").replace("=", "\\=")
        words = f"terminable:tcp:0:capacity=10:whenFull=reset:peerPrefixes=24,64:limit={limit}"
        reactor: Any = MemoryReactorClock()
        endpoint: Any = serverFromString(reactor, words)
        self.assertEqual(endpoint.admission, Admission(10, full="reset", prefixes=(24, 64)))
        [found] = endpoint.limits
        self.assertEqual(str(found), str(Limit(messages=10, per="peer")))

    def test_bad(self) -> None:
        """
        What cannot be meant is told as it was typed.
        """
        reactor: Any = MemoryReactorClock()
        for typed, option in (
            ("capacity=0", "capacity"),
            ("capacity=1:whenFull=sigh", "whenFull"),
            ("wait=5", "wait"),
            ("limit=messages", "limit"),
        ):
            problem = self.assertRaises(
                InvalidOption, serverFromString, reactor, f"terminable:tcp:0:{typed}"
            )
            self.assertEqual(problem.option, option)

    def test_nothing(self) -> None:
        """
        Nothing typed is no admission.
        """
        self.assertIsNone(admissionFrom({"grace": "5", "capacity": None}))
        self.assertRaises(InvalidOption, limitFrom, "limit", "")
