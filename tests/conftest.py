"""
How pytest runs what trial also runs.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.trial.unittest import TestCase


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
