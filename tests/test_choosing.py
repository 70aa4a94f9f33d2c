"""
Which connections a drain by choice is about.
"""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from terminable.choosing import Choice
from terminable.errors import InvalidOption
from terminable.tracking.connection import Connection
from tests.doubles import Boom


class At:
    """
    A transport with two ends.
    """

    protocol = None

    def __init__(self, peer: Any, host: Any) -> None:
        self.peer, self.host = peer, host

    def getPeer(self) -> Any:
        """
        The other end.
        """
        return self.peer

    def getHost(self) -> Any:
        """
        Our end.
        """
        if isinstance(self.host, Exception):
            raise self.host
        return self.host


def address(host: str, port: int = 4242) -> IPv4Address | IPv6Address:
    """
    One of TCP.
    """
    kind = IPv6Address if ":" in host else IPv4Address
    return kind("TCP", host, port)


def connection(peer: Any = "127.0.0.1", host: Any = 80, openedAt: float = 0.0) -> Connection:
    """
    One to choose.
    """
    peer = address(peer) if isinstance(peer, str) else peer
    host = address("127.0.0.1", host) if isinstance(host, int) else host
    return Connection(At(peer, host), openedAt)


def some(count: int) -> list[Connection]:
    """
    So many, oldest first.
    """
    return [connection(openedAt=float(number)) for number in range(count)]


class ChoiceTestCase(SynchronousTestCase):
    """
    Choices.
    """

    def chosen(self, connections: list[Connection], now: float = 100.0, **what: Any) -> list[int]:
        """
        Which ones are chosen, by number.
        """
        found = Choice(**what).of(connections, now)
        return [connections.index(each) for each in found]


class ConditionTests(ChoiceTestCase):
    """
    What has to be met.
    """

    def test_none(self) -> None:
        """
        Without any condition, all are chosen.
        """
        self.assertEqual(self.chosen(some(3)), [0, 1, 2])
        self.assertEqual(self.chosen([]), [])

    def test_select(self) -> None:
        """
        Whom a callable says yes to, in whatever way, is chosen.
        """
        found = self.chosen(some(4), select=lambda each: each.openedAt % 2)
        self.assertEqual(found, [1, 3])

    def test_selectFails(self) -> None:
        """
        An exception in it is whoever's who asked.
        """

        def fail(each: Connection) -> bool:
            raise Boom(each)

        self.assertRaises(Boom, self.chosen, some(2), select=fail)

    def test_olderThan(self) -> None:
        """
        Who has been connected for that long, or longer, is chosen; a text is read as the
        number that it spells.
        """
        for value in (98, 98.0, "98"):
            self.assertEqual(self.chosen(some(5), olderThan=value), [0, 1, 2])
        self.assertEqual(self.chosen(some(5), olderThan=0), [0, 1, 2, 3, 4])

    def test_port(self) -> None:
        """
        Who came in by a TCP port is chosen by its number.
        """
        there = [connection(host=80), connection(host=443), connection(host=80)]
        self.assertEqual(self.chosen(there, port=80), [0, 2])
        self.assertEqual(self.chosen(there, port="80"), [0, 2])
        self.assertEqual(self.chosen(there, port=8080), [])

    def test_path(self) -> None:
        """
        Who came in by a UNIX socket is chosen by its path, whatever bytes are in it.
        """
        paths = ("/run/a.sock", "/run/b.sock", "/run/ä", "/run/\udcff", "\0abstract")
        there = [connection(host=UNIXAddress(path)) for path in paths]
        for number, path in enumerate(paths):
            self.assertEqual(self.chosen(there, port=path), [number])
        self.assertEqual(self.chosen(there, port=80), [])

    def test_portUnknown(self) -> None:
        """
        Where nobody knows, or where the socket has no name, it is not that one.
        """
        there = [connection(host=host) for host in (None, UNIXAddress(None), Boom())]
        self.assertEqual(self.chosen(there, port=80), [])
        self.assertEqual(self.chosen(there, port="/run/a.sock"), [])
        self.assertEqual(self.chosen(there), [0, 1, 2])

    def test_all(self) -> None:
        """
        Every condition has to be met, and the percentage is taken of those who do.
        """
        there = [
            connection(peer, host, openedAt)
            for peer in ("10.1.2.3", "10.2.0.1")
            for host in (80, 443)
            for openedAt in (0.0, 95.0)
        ]
        given = {"peer": "10.1.0.0/16", "port": 80, "olderThan": 10}
        self.assertEqual(self.chosen(there, **given), [0])
        self.assertEqual(self.chosen(there, **given, select=lambda each: False), [])
        self.assertEqual(self.chosen(there, peer="10.1.0.0/16", percent=50), [0, 2])

    def test_selectIsAskedLast(self) -> None:
        """
        The callable is asked about those who meet the other conditions, once.
        """
        asked: list[Connection] = []
        there = some(4)
        found = self.chosen(there, olderThan=98, select=asked.append, percent=50)
        self.assertEqual((found, asked), ([], there[:3]))


class PeerTests(ChoiceTestCase):
    """
    By where they come from.
    """

    def setUp(self) -> None:
        self.hosts = ["10.1.2.3", "10.2.0.1", "::ffff:10.1.2.4", "2001:db8::1", "fe80::1%eth0"]
        self.there = [connection(host) for host in self.hosts]

    def test_address(self) -> None:
        """
        One address is itself, however it is written.
        """
        for number in (0, 1, 3):
            self.assertEqual(self.chosen(self.there, peer=self.hosts[number]), [number])
        self.assertEqual(self.chosen(self.there, peer="2001:0db8:0:0::0001"), [3])
        self.assertEqual(self.chosen(self.there, peer="10.1.2.30"), [])

    def test_network(self) -> None:
        """
        A network is everybody in it; bits behind its length do not matter.
        """
        self.assertEqual(self.chosen(self.there, peer="10.1.0.0/16"), [0, 2])
        self.assertEqual(self.chosen(self.there, peer="10.1.2.3/16"), [0, 2])
        self.assertEqual(self.chosen(self.there, peer="10.0.0.0/255.0.0.0"), [0, 1, 2])
        self.assertEqual(self.chosen(self.there, peer="2001:db8::/32"), [3])
        self.assertEqual(self.chosen(self.there, peer="fe80::/10"), [4])
        self.assertEqual(self.chosen(self.there, peer="0.0.0.0/0"), [0, 1, 2])

    def test_mapped(self) -> None:
        """
        A socket for both kinds of address calls an IPv4 client by an IPv6 address: it is
        found by either of its names, and so is its network.
        """
        self.assertEqual(self.chosen(self.there, peer="10.1.2.4"), [2])
        self.assertEqual(self.chosen(self.there, peer="::ffff:10.1.2.4"), [2])
        self.assertEqual(self.chosen(self.there, peer="::ffff:10.1.2.3"), [0])
        self.assertEqual(self.chosen(self.there, peer="::ffff:10.1.0.0/112"), [0, 2])

    def test_others(self) -> None:
        """
        Who has no IP address is from nowhere.
        """
        there = [connection(peer) for peer in (None, UNIXAddress("/x"), address("localhost"))]
        self.assertEqual(self.chosen(there, peer="0.0.0.0/0"), [])
        self.assertEqual(self.chosen(there, peer="::/0"), [])


class PercentTests(ChoiceTestCase):
    """
    A part of them.
    """

    def test_roundedUp(self) -> None:
        """
        The number is rounded up: who asks for some of very few gets one.
        """
        numbers = [(3, 50, 2), (3, 1, 1), (3, 0, 0), (3, 100, 3), (1, 0.001, 1), (0, 50, 0)]
        for count, percent, expected in [*numbers, (200, 0.5, 1), (201, 0.5, 2), (3, 5e-324, 1)]:
            self.assertEqual(len(self.chosen(some(count), percent=percent)), expected)

    def test_evenByAge(self) -> None:
        """
        They are taken evenly: old ones and new ones alike.
        """
        self.assertEqual(self.chosen(some(10), percent=50), [0, 2, 4, 6, 8])
        self.assertEqual(self.chosen(some(10), percent=30), [0, 3, 6])
        self.assertEqual(self.chosen(some(10), percent=70), [0, 1, 2, 4, 5, 7, 8])

    @given(st.integers(0, 300), st.integers(0, 100) | st.floats(0, 100))
    @example(100, 7.000000000000001)
    @example(3, 100.0)
    def test_any(self, count: int, percent: float) -> None:
        """
        However many there are, and whatever part of them: the number is the next whole one,
        nobody is taken twice, the order stays, and as many are passed over from one to the
        next, or one more.
        """
        found = self.chosen(some(count), percent=percent)
        exactly = Fraction(percent) * count / 100
        # A float cannot tell what lies behind its last digit.
        self.assertIn(len(found), {math.ceil(exactly), math.ceil(exactly * (1 + Fraction(1e-15)))})
        self.assertEqual(found, sorted(set(found)))
        steps = {after - before for before, after in pairwise(found)}
        if steps:
            self.assertLessEqual(max(steps) - min(steps), 1)
            self.assertLessEqual(count - found[-1], max(steps) + 1)


class BadTests(SynchronousTestCase):
    """
    What cannot be meant.
    """

    def check(self, option: str, expected: str, *values: Any) -> None:
        """
        Each of the values is refused, by the name of its option.
        """
        for value in values:
            problem = self.assertRaises(InvalidOption, Choice, **{option: value})
            self.assertEqual((problem.option, problem.expected), (option, expected))
            self.assertIs(problem.value, value)

    def test_percent(self) -> None:
        """
        A percentage is a number from 0 to 100.
        """
        values = (-1, 100.001, math.nan, math.inf, "50", True, [], b"5")
        self.check("percent", "a number from 0 to 100", *values)

    def test_olderThan(self) -> None:
        """
        An age is a length of time.
        """
        values = (-1, math.nan, math.inf, "x", True, [])
        self.check("olderThan", "a number of seconds, 0 or more", *values)

    def test_peer(self) -> None:
        """
        A peer is an address or a network, not a name.
        """
        expected = "an IP address, or a network such as 10.1.0.0/16"
        self.check("peer", expected, "", "localhost", "10.1.2", "10.1.0.0/33", "::/129", 5, b"::1")

    def test_port(self) -> None:
        """
        A port is a number or a path.
        """
        values = (True, 8.5, b"/run/a.sock", [])
        self.check("port", "a port number, or the path of a UNIX socket", *values)

    def test_select(self) -> None:
        """
        What chooses can be called.
        """
        self.check("select", "something to call with a connection", 5, "x", [])
