"""
Where a Redis server is, and how to be let in.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, UNIXClientEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from terminable.errors import InvalidOption
from terminable.sharing.place import Place, placeOf
from tests.sharing import FakeRedis, SharingTestCase


class PlaceTests(SynchronousTestCase):
    """
    Texts.
    """

    def place(self, where: Any) -> Place:
        return placeOf(MemoryReactorClock(), where)

    def test_hosts(self) -> None:
        """
        URLs of hosts, with all their parts.
        """
        for text, expected in (
            ("redis://host", (None, None, None)),
            ("redis://host/", (None, None, None)),
            ("redis://host:6380/3", (None, None, 3)),
            ("redis://[::1]:6380/3", (None, None, 3)),
            ("redis://host?db=4", (None, None, 4)),
            ("redis://:word@host", (None, "word", None)),
            ("redis://me:a%40b@host/0", ("me", "a@b", 0)),
            ("rediss://me:word@host:1", ("me", "word", None)),
        ):
            place = self.place(text)
            self.assertEqual((place.username, place.password, place.db), expected, text)

    def test_endpoints(self) -> None:
        """
        Each kind of text is an endpoint of its kind.
        """
        for text, kind in (
            ("redis://host", HostnameEndpoint),
            ("unix:///run/redis.sock?db=2", UNIXClientEndpoint),
            ("unix:/run/redis.sock", UNIXClientEndpoint),
            ("tcp:127.0.0.1:6379", TCP4ClientEndpoint),
        ):
            self.assertIsInstance(self.place(text).endpoint, kind, text)
        plain, secure = self.place("redis://host"), self.place("rediss://host")
        self.assertNotIsInstance(secure.endpoint, type(plain.endpoint))

    def test_address(self) -> None:
        """
        The host, the port and the path are those that were given.
        """
        for text, expected in (
            ("redis://127.0.0.1", ("127.0.0.1", 6379)),
            ("redis://127.0.0.1:1234", ("127.0.0.1", 1234)),
        ):
            reactor = MemoryReactorClock()
            placeOf(reactor, text).endpoint.connect(None)
            reactor.advance(1)
            self.assertEqual(reactor.tcpClients[0][:2], expected)
        reactor = MemoryReactorClock()
        place = placeOf(reactor, "unix://me:word@/run/a%20b?db=2")
        place.endpoint.connect(None)
        self.assertEqual(reactor.unixClients[0][0], "/run/a b")
        self.assertEqual((place.username, place.password, place.db), ("me", "word", 2))

    def test_endpointItself(self) -> None:
        """
        An endpoint is one.
        """
        endpoint = TCP4ClientEndpoint(MemoryReactorClock(), "127.0.0.1", 1)
        self.assertIs(self.place(endpoint).endpoint, endpoint)

    def test_noPassword(self) -> None:
        """
        What is logged has no password, nor has an error.
        """
        for text in ("redis://me:word@host/1", "unix://:word@/path", "rediss://:a@word@host"):
            place = self.place(text)
            self.assertNotIn("word", place.text + repr(place))
        for text in ("redis://me:word@host:port", "redis://:word@host/x", "redis://h?p=word"):
            self.assertNotIn("word", str(self.assertRaises(InvalidOption, self.place, text)))

    def test_refused(self) -> None:
        """
        What is no place is refused, with what would be one.
        """
        for where in (
            *("", "host", "host:6379", "http://host", "redis://", "redis://host:x"),
            *("redis://host/a", "redis://host/1/2", "redis://host?name=x", "redis://host#x"),
            *("redis://word@host", "redis://host:70000", "unix://", "unix:///", "unix:///a?db=b"),
            *("redis://host?db", "tcp:127.0.0.1", None, 6379, b"redis://host"),
        ):
            error = self.assertRaises(InvalidOption, self.place, where)
            self.assertEqual(error.option, "redis", where)


class LetInTests(SharingTestCase):
    """
    Passwords and databases.
    """

    def test_password(self) -> None:
        """
        User, password and database are told before anything else.
        """
        self.redis.password = b"word"
        self.place(username="me", password="word", db=3)
        self.assertEqual(self.take(self.started()), 0.0)
        self.assertEqual(self.redis.commands[:2], [[b"AUTH", b"me", b"word"], [b"SELECT", b"3"]])

    def test_refused(self) -> None:
        """
        A password or a database that is refused is like being away, and tried again.
        """
        self.redis.password = b"word"
        for settings, reason in (
            ({"password": "wrong"}, "could not auth: WRONGPASS"),
            ({}, "NOAUTH"),
            ({"password": "word", "db": 99}, "DB index is out of range"),
        ):
            redis: FakeRedis = self.redis
            self.place(**settings)
            quota = self.started()
            before = len(redis.attempts)
            self.assertFalse(quota.link.connected)
            self.assertIn(reason, self.log[-1])
            self.turn(0.11)
            self.assertEqual(len(redis.attempts), before + 1)
            quota.stop()
            self.turn()
            self.assertEqual(redis.wires, [])
