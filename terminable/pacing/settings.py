"""
What the settings of this package have in common.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from terminable.errors import InvalidOption


def clockOf(reactor: Any) -> Any:
    """
    @return: what was given, or else the reactor that is installed.
    """
    if reactor is None:
        from twisted.internet import reactor
    return reactor


def seconds(option: str, value: Any) -> float:
    """
    @return: a length of time.
    @raise InvalidOption: it is none, or not more than 0.
    """
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0.0 < value <= sys.float_info.max:
        raise InvalidOption(option, value, "a number of seconds, more than 0")
    return float(value)


def whole(option: str, value: Any) -> int:
    """
    @return: how many.
    @raise InvalidOption: no whole number, or less than 1.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidOption(option, value, "a whole number, 1 or more")
    return value


def function(option: str, value: Any) -> Callable[..., Any]:
    """
    @return: what can be called.
    @raise InvalidOption: it cannot.
    """
    if not callable(value):
        raise InvalidOption(option, value, "something that can be called")
    return value  # type: ignore[no-any-return]
