"""
C{terminable:} before any endpoint description.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.endpoints import TCP4ServerEndpoint, serverFromString
from twisted.internet.interfaces import (
    IListeningPort,
    IStreamServerEndpoint,
    IStreamServerEndpointStringParser,
)
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from terminable import endpoints
from terminable.endpoints import (
    TerminableEndpoint,
    TerminablePort,
    parse,
    quoted,
    scheduleFrom,
)
from terminable.errors import InvalidOption
from terminable.policy.phases import Phase
from terminable.policy.schedule import Schedule
from tests.doubles import Boom, MemoryEndpoint, MemoryFactory


class ScheduleFromTests(SynchronousTestCase):
    """
    Options as somebody typed them.
    """

    def test_all(self) -> None:
        """
        Our options are read; others, and those not given, are passed over.
        """
        typed = {"grace": "5", "idleGrace": "0.5", "quiesce": "1", "linger": "0", "mode": "660"}
        self.assertEqual(scheduleFrom(typed), Schedule(5, 0.5, 1, 0))
        self.assertEqual(scheduleFrom({"grace": None}), Schedule())

    def test_named(self) -> None:
        """
        What is wrong is told under the name that was typed, also where one option does
        not fit another.
        """
        names = {"--grace": "gracePeriod", "--idle-grace": "idleGrace"}
        for typed, value in (
            ({"--grace": "soon"}, "soon"),
            ({"--grace": "1", "--idle-grace": "2"}, 2.0),
        ):
            problem = self.assertRaises(InvalidOption, scheduleFrom, typed, names)
            self.assertEqual((problem.option, problem.value), (list(typed)[-1], value))


words = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), max_size=10)


class ParseTests(SynchronousTestCase):
    """
    Descriptions.
    """

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()

    def parse(self, description: str) -> Any:
        return serverFromString(self.reactor, description)

    def test_plugin(self) -> None:
        """
        Twisted finds the prefix, and gets an endpoint.
        """
        from twisted.plugins.terminable_plugin import terminableEndpoint

        verifyObject(IStreamServerEndpointStringParser, terminableEndpoint)
        endpoint = self.parse("terminable:tcp:8080")
        self.assertIsInstance(endpoint, TerminableEndpoint)
        verifyObject(IStreamServerEndpoint, endpoint)

    def test_options(self) -> None:
        """
        Our options stand among the inner endpoint's, in any order; each goes where it
        belongs.
        """
        endpoint = self.parse(
            "terminable:tcp:8080:grace=5:interface=127.0.0.1:idleGrace=0.5:backlog=7"
        )
        self.successResultOf(endpoint.listen(MemoryFactory()))
        port, _, backlog, interface = self.reactor.tcpServers[-1]
        self.assertEqual((port, backlog, interface), (8080, 7, "127.0.0.1"))
        self.assertEqual(endpoint._schedule, Schedule(5, 0.5))

    def test_inside(self) -> None:
        """
        What is inside may be any endpoint; its special characters stay.
        """
        endpoint = self.parse(r"terminable:unix:/tmp/a\:b\=c:mode=660:grace=1")
        self.successResultOf(endpoint.listen(MemoryFactory()))
        self.assertEqual(self.reactor.unixServers[-1][0], "/tmp/a:b=c")
        self.assertEqual(self.reactor.unixServers[-1][3], 0o660)

    def test_bad(self) -> None:
        """
        What cannot be meant is refused, and says what was expected.
        """
        for description, option in (
            ("terminable:tcp:8080:grace=-1", "grace"),
            ("terminable:tcp:8080:linger=x", "linger"),
            ("terminable:tcp:8080:grace=1:idleGrace=2", "idleGrace"),
            ("terminable:", "terminable"),
            ("terminable:8080", "terminable"),
            ("terminable:tcp:8080:nonsense=1", "terminable"),
            ("terminable:terminable:tcp:8080", "terminable"),
        ):
            problem = self.assertRaises(InvalidOption, self.parse, description)
            self.assertEqual(problem.option, option, description)
        self.assertRaises(InvalidOption, parse, self.reactor, (), {})

    def test_innerIsBad(self) -> None:
        """
        What the inner parser does not know is refused as it refuses it.
        """
        self.assertRaises(ValueError, self.parse, "terminable:nonsense:8080")

    @given(st.lists(words, min_size=1), st.dictionaries(st.sampled_from("abc"), words))
    def test_quoted(self, args: list[str], keywords: dict[str, str]) -> None:
        """
        A description that is put together again is parsed into what it was.
        """
        from twisted.internet.endpoints import _parse

        description = quoted(tuple(args), keywords)
        self.assertEqual(_parse(description), (args, keywords))


class EndpointTests(SynchronousTestCase):
    """
    Listening.
    """

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.inner = MemoryEndpoint(self.reactor)
        self.factory = MemoryFactory()
        self.endpoint = TerminableEndpoint(self.reactor, self.inner, Schedule(5))

    def listen(self) -> TerminablePort:
        port = self.successResultOf(self.endpoint.listen(self.factory))
        assert isinstance(port, TerminablePort)
        return port

    def test_fails(self) -> None:
        """
        It fails as the inner endpoint does.
        """
        self.inner.failure = Boom()
        self.failureResultOf(self.endpoint.listen(self.factory), Boom)

    def test_port(self) -> None:
        """
        Its port is one like others, on the inner one's address.
        """
        port = self.listen()
        verifyObject(IListeningPort, port)
        self.assertEqual(port.getHost(), self.inner.ports[-1].getHost())
        self.assertIn("MemoryPort", repr(port))
        port.startListening()
        self.assertTrue(self.inner.ports[-1].listening)

    def test_stopListening(self) -> None:
        """
        Told to stop, it ends politely, and has stopped when the drain is over; it still
        knows where it was.
        """
        port = self.listen()
        self.inner.ports[-1].connect()
        stopped = port.stopListening()
        self.assertFalse(self.inner.ports[-1].listening)
        self.assertNoResult(stopped)
        self.reactor.pump([0.5] * 3)
        self.assertIsNone(self.successResultOf(stopped))
        port.getHost()
        self.assertIsNone(self.successResultOf(port.stopListening()))

    def test_schedule(self) -> None:
        """
        The deadline is that of the description.
        """
        port = self.listen()
        self.inner.ports[-1].connect(delay=None)
        port.stopListening()
        self.assertEqual(port.terminator.progress().left, 5.0)

    def test_eachItsOwn(self) -> None:
        """
        Each port that it opens ends by itself.
        """
        first, second = self.listen(), self.listen()
        first.stopListening()
        self.assertIs(first.terminator.phase, Phase.TERMINATED)
        self.assertIs(second.terminator.phase, Phase.SERVING)

    def test_watched(self) -> None:
        """
        Its stop is an operator's: shown, and cut short by a second signal.
        """
        watched: list[Any] = []
        self.patch(endpoints, "watch", lambda *details: watched.append(details))
        port = self.listen()
        self.assertEqual(watched, [(self.reactor, port.terminator)])

    def test_realDescription(self) -> None:
        """
        Around one of Twisted's own endpoints it is the same.
        """
        inner = TCP4ServerEndpoint(self.reactor, 80)
        endpoint = TerminableEndpoint(self.reactor, inner, Schedule())
        port = self.successResultOf(endpoint.listen(self.factory))
        self.assertIsNone(self.successResultOf(port.stopListening()))
