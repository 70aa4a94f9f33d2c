"""
What C{terminable} may raise.
"""

from __future__ import annotations


class TerminableError(Exception):
    """
    The base of every error that C{terminable} raises itself.
    """


class InvalidOption(TerminableError, ValueError):
    """
    A setting has a value that cannot be meant.

    @ivar option: the name of the setting, as its reader typed it.
    @ivar value: what was given.
    @ivar expected: what would have been accepted, in words.
    """

    def __init__(self, option: str, value: object, expected: str) -> None:
        super().__init__(option, value, expected)
        self.option = option
        self.value = value
        self.expected = expected

    def __str__(self) -> str:
        try:
            given = repr(self.value)
        except Exception:
            # A whole number of thousands of digits, or somebody's own class.
            given = f"something of type {type(self.value).__name__}"
        return f"{self.option}: {given} given, expected {self.expected}"


class NotServing(TerminableError):
    """
    The call makes sense only while the terminator is serving (or suspended).
    """


class CannotAttach(TerminableError):
    """
    The object is not a listening port whose connections can be recorded.
    """


class HandoverFailed(TerminableError):
    """
    Another process was to take over, and did not; this one goes on serving.
    """


class UpgradeRefused(TerminableError):
    """
    Nobody can take over now: an upgrade is under way, say.
    """


class QueueFull(TerminableError):
    """
    As many are waiting as may; this one was not taken.
    """


class Unreachable(TerminableError):
    """
    A server that was said to be needed cannot be reached.
    """
