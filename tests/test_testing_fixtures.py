"""
The fixtures for pytest.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase, TestCase

from terminable.testing import fixtures, pytestplugin
from terminable.testing.dropped import assertNothingDropped, deferNothingDropped


def request(cls: Any = None, **plugins: Any) -> Any:
    """
    What pytest tells of a test.

    @param cls: its class.
    @param plugins: those in use.
    """
    manager = SimpleNamespace(get_plugin=plugins.get)
    return SimpleNamespace(
        node=SimpleNamespace(cls=cls), config=SimpleNamespace(pluginmanager=manager)
    )


def finish(fixture: Iterator[Any]) -> None:
    """
    The test is over.
    """
    assert next(fixture, None) is None


class Thread:
    """
    Stands for that of the reactor.
    """

    def __init__(self) -> None:
        self.did: list[Any] = []

    def serve(self, what: Any, **options: Any) -> Any:
        self.did.append((what, options))
        server = mock.Mock()
        server.end.side_effect = lambda: self.did.append(f"end {what}")
        return server

    def rest(self) -> None:
        self.did.append("rest")

    def end(self) -> None:
        self.did.append("end")


class FixtureTests(SynchronousTestCase):
    """
    What they give, and what they end.
    """

    def setUp(self) -> None:
        self.thread: Any = Thread()
        self.patch(fixtures, "_threads", [self.thread])

    def test_blocking(self) -> None:
        """
        Without pytest-twisted, servers run in a thread, and are ended with the test, the last
        one first.
        """
        fixture = fixtures.servers(request())
        start = next(fixture)
        start("one", tls=True)
        start("two")
        finish(fixture)
        expected = [("one", {"tls": True}), ("two", {}), "end two", "end one"]
        self.assertEqual(self.thread.did, expected)

    def test_endFails(self) -> None:
        """
        If the end of one fails, the others are ended all the same, and the test fails.
        """
        fixture = fixtures.servers(request())
        start = next(fixture)
        start("one")
        start("two").end.side_effect = ZeroDivisionError
        self.assertRaises(ZeroDivisionError, finish, fixture)
        self.assertEqual(self.thread.did[-1], "end one")

    def test_beside(self) -> None:
        """
        With pytest-twisted, the reactor runs already: the test is given a Deferred.
        """
        for name in ("twisted", "pytest_twisted"):
            server = mock.Mock()
            waited: list[Any] = []
            plugin = SimpleNamespace(blockon=waited.append)
            self.patch(fixtures, "serve", lambda *details, it=server, **options: succeed(it))
            fixture = fixtures.servers(request(**{name: plugin}))
            started: Deferred[Any] = next(fixture)("one")
            self.assertIs(self.successResultOf(started), server)
            finish(fixture)
            self.assertEqual(waited, [server.end.return_value])

    def test_trials(self) -> None:
        """
        A test that runs the reactor itself is told what to do instead.
        """
        fixture = fixtures.servers(request(TestCase))
        problem = self.assertRaises(pytest.fail.Exception, next, fixture)
        self.assertIn("TerminableTestMixin", str(problem))
        next(fixtures.servers(request(SynchronousTestCase)))

    def test_noTrial(self) -> None:
        """
        Without trial, there are no such tests.
        """
        with mock.patch.dict(sys.modules):
            del sys.modules["twisted.trial.unittest"]
            self.assertFalse(fixtures.isTrials(request(TestCase).node))

    def test_thread(self) -> None:
        """
        There is one thread for the reactor of this process.
        """
        self.patch(fixtures, "_threads", [])
        first = fixtures._thread()
        self.assertIs(fixtures._thread(), first)
        from twisted.internet import reactor

        self.assertIs(first.reactor, reactor)

    def test_nothingDropped(self) -> None:
        """
        The assertion is the one that fits.
        """
        self.assertIs(fixtures.nothingDropped(request()), assertNothingDropped)
        self.assertIs(fixtures.nothingDropped(request(twisted=True)), deferNothingDropped)


class PluginTests(SynchronousTestCase):
    """
    What pytest calls.
    """

    def setUp(self) -> None:
        self.thread: Any = Thread()
        self.patch(fixtures, "_threads", [self.thread])

    def test_fixtures(self) -> None:
        """
        The fixtures are those.
        """
        wrapped: Any = pytestplugin.terminableServer
        fixture = wrapped.__wrapped__(request())
        next(fixture)("one")
        finish(fixture)
        self.assertEqual(self.thread.did, [("one", {}), "end one"])
        wrapped = pytestplugin.terminableNothingDropped
        self.assertIs(wrapped.__wrapped__(request()), assertNothingDropped)

    def test_hooks(self) -> None:
        """
        Before a test that runs the reactor itself, the thread rests; after the last one it
        ends.
        """
        tests: list[Any] = [request(TestCase).node, request(SynchronousTestCase).node]
        for test in [*tests, request().node]:
            pytestplugin.pytest_runtest_setup(test)
        pytestplugin.pytest_sessionfinish()
        pytestplugin.pytest_runtest_setup(tests[0])
        pytestplugin.pytest_sessionfinish()
        self.assertEqual(self.thread.did, ["rest", "end"])

    def test_unused(self) -> None:
        """
        Nothing is loaded for that.
        """
        with mock.patch.dict(sys.modules):
            del sys.modules[pytestplugin.FIXTURES]
            pytestplugin.pytest_runtest_setup(request(TestCase).node)
            pytestplugin.pytest_sessionfinish()
            self.assertNotIn(pytestplugin.FIXTURES, sys.modules)
        self.assertEqual(self.thread.did, [])
