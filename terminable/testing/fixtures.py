"""
What the fixtures do, as soon as they are used.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from terminable.testing.blocking import BlockingServer, ReactorThread
from terminable.testing.dropped import assertNothingDropped, deferNothingDropped
from terminable.testing.live import LiveServer, serve

#: The one thread in which the reactor runs, if nobody else runs it.
_threads: list[ReactorThread] = []

CANNOT = "a test of trial's runs the reactor itself, and cannot use the fixture \
terminableServer: derive it from terminable.testing.TerminableTestMixin, and use self.serve()"


def pytestTwisted(config: pytest.Config) -> Any:
    """
    The plugin that runs the reactor beside the tests, if it is in use.
    """
    plugins = config.pluginmanager
    return plugins.get_plugin("twisted") or plugins.get_plugin("pytest_twisted")


def isTrials(item: Any) -> bool:
    """
    Whether a test runs the reactor itself.
    """
    trial = sys.modules.get("twisted.trial.unittest")
    return trial is not None and issubclass(getattr(item, "cls", None) or object, trial.TestCase)


def servers(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """
    @return: what starts servers, once; when it is asked for more, these are ended.
    """
    if isTrials(request.node):
        pytest.fail(CANNOT, pytrace=False)
    plugin = pytestTwisted(request.config)
    if plugin is None:
        yield from _inThread()
    else:
        yield from _beside(plugin.blockon)


def _inThread() -> Iterator[Callable[..., BlockingServer]]:
    thread = _thread()
    made: list[BlockingServer] = []

    def start(what: Any, **options: Any) -> BlockingServer:
        made.append(thread.serve(what, **options))
        return made[-1]

    yield start
    _endAll([server.end for server in made])


def _beside(blockOn: Callable[[Any], Any]) -> Iterator[Callable[..., Deferred[LiveServer]]]:
    from twisted.internet import reactor

    made: list[LiveServer] = []

    def keep(server: LiveServer) -> LiveServer:
        made.append(server)
        return server

    def start(what: Any, **options: Any) -> Deferred[LiveServer]:
        return serve(reactor, what, **options).addCallback(keep)

    yield start
    _endAll([partial(_endBeside, blockOn, server) for server in made])


def _endBeside(blockOn: Callable[[Any], Any], server: LiveServer) -> None:
    blockOn(server.end())


def _endAll(ends: list[Callable[[], object]]) -> None:
    """
    End the last one first, and all of them, whatever they say.
    """
    problems = []
    for end in reversed(ends):
        try:
            end()
        except Exception as problem:
            problems.append(problem)
    if problems:
        raise problems[0]


def _thread() -> ReactorThread:
    if not _threads:
        from twisted.internet import reactor

        _threads.append(ReactorThread(reactor))
    return _threads[0]


def nothingDropped(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """
    @return: what puts a load on a server while something is done to it.
    """
    return deferNothingDropped if pytestTwisted(request.config) else assertNothingDropped


def beforeTest(item: Any) -> None:
    """
    Have the reactor ready for a test of trial's.
    """
    if _threads and isTrials(item):
        _threads[0].rest()


def afterTests() -> None:
    """
    Stop the reactor, if it runs in a thread of ours.
    """
    while _threads:
        _threads.pop().end()
