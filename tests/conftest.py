"""
How pytest runs what trial also runs.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from twisted.trial.unittest import TestCase

from tests.inheriting import catchIgnored


def pytest_configure() -> None:
    """
    Whoever runs the tests may ignore signals, and a slow machine has limits of its own.
    """
    catchIgnored(signal.SIGHUP, signal.SIGINT)
    if "CI" not in os.environ:
        # There Hypothesis does so by itself; and other machines are slow too, at times.
        calm = [HealthCheck.too_slow]
        settings.register_profile("calm", deadline=None, suppress_health_check=calm)
        settings.load_profile("calm")


@pytest.fixture(autouse=True)
def ownDirectory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Run each test in a directory of its own: trial's C{mktemp} makes files where it is.
    """
    monkeypatch.chdir(tmp_path)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    Put trial's asynchronous classes first.  They run the reactor themselves, which
    they cannot once pytest-twisted has it running in its greenlet.
    """
    items.sort(key=lambda item: not issubclass(getattr(item, "cls", None) or object, TestCase))
