"""
How pytest runs what trial also runs.
"""

from __future__ import annotations

import pytest
from twisted.trial.unittest import TestCase


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    Put trial's asynchronous classes first.  They run the reactor themselves, which
    they cannot once pytest-twisted has it running in its greenlet.
    """
    items.sort(key=lambda item: not issubclass(getattr(item, "cls", None) or object, TestCase))
