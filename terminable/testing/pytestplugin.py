"""
Fixtures for pytest: real servers, and clients that notice what is dropped.

Nothing of Twisted, and nothing else of C{terminable}, is imported before a fixture is used.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

#: What has to be told, if it was loaded.
FIXTURES = "terminable.testing.fixtures"


@pytest.fixture
def terminableServer(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """
    Starts servers that are ended with the test: C{terminableServer(Site(root))}, with the
    options of C{terminable.testing.serve}.  With pytest-twisted it returns a Deferred of a
    C{LiveServer}; without, a C{BlockingServer}, whose reactor runs in a thread.
    """
    from terminable.testing.fixtures import servers

    yield from servers(request)


@pytest.fixture
def terminableNothingDropped(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """
    C{terminable.testing.assertNothingDropped}; with pytest-twisted, it returns a Deferred.
    """
    from terminable.testing.fixtures import nothingDropped

    return nothingDropped(request)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """
    A test of trial's runs the reactor itself.
    """
    if FIXTURES in sys.modules:
        sys.modules[FIXTURES].beforeTest(item)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """
    Stop the reactor, if it runs in a thread of ours.
    """
    if FIXTURES in sys.modules:
        sys.modules[FIXTURES].afterTests()
