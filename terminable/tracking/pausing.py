"""
Pauses of one transport that several want for reasons of their own.

Each pause is a token.  The transport reads when nobody has one, and what the application
does by C{pauseProducing} and C{resumeProducing} is a token like any other.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from twisted.internet.abstract import FileDescriptor

from terminable.tracking import internals

#: The application's own pause.
APPLICATION = "application"

_METHODS = ("pauseProducing", "resumeProducing")


def _isOwn(transport: Any, name: str, method: Any) -> bool:
    """
    Whether a method of a transport is that of its class, or none at all.
    """
    return getattr(method, "__func__", None) is getattr(type(transport), name, None)


def _reads(transport: Any) -> bool:
    """
    Whether the application has a transport read, as far as that can be told: not while
    somebody keeps it still who remembers what it is to do then.
    """
    if not isinstance(transport, FileDescriptor):
        return True
    still = not _isOwn(transport, "startReading", transport.startReading)
    return still or internals.isReading(transport)


class _Pauses:
    """
    Who wants a transport to be paused; stands in for its two methods meanwhile.
    """

    def __init__(self, transport: Any) -> None:
        self.transport = transport
        self.tokens: set[Hashable] = set()
        if not _reads(transport):
            self.tokens.add(APPLICATION)
        self._former = {name: getattr(transport, name, None) for name in _METHODS}
        for name in _METHODS:
            setattr(transport, name, getattr(self, name))

    def pauseProducing(self) -> None:
        """
        The application's.
        """
        self.add(APPLICATION)

    def resumeProducing(self) -> None:
        """
        The application's.
        """
        self.discard(APPLICATION)

    def add(self, token: Hashable) -> None:
        """
        One more reason not to read.
        """
        self.tokens.add(token)
        self._do("pauseProducing")

    def discard(self, token: Hashable) -> None:
        """
        One less; the transport is as it was when the last has gone.
        """
        self.tokens.discard(token)
        if not self.tokens:
            self.leave()
            self._do("resumeProducing")

    def _do(self, name: str) -> None:
        former = self._former[name]
        if former is not None:
            former()

    def leave(self) -> None:
        """
        Stand in no longer.
        """
        for name, former in self._former.items():
            if _isOwn(self.transport, name, former):
                # Not looked for in the instance's dictionary: that would make it slower.
                delattr(self.transport, name)
            else:
                setattr(self.transport, name, former)


def _of(transport: Any) -> _Pauses | None:
    found = getattr(getattr(transport, "pauseProducing", None), "__self__", None)
    return found if isinstance(found, _Pauses) else None


def pause(transport: Any, token: Hashable) -> None:
    """
    Have a transport read nothing until this token is given back.

    @param transport: the one that holds the socket; nothing happens if it is not connected
        any more.
    @param token: whose pause it is; a second time changes nothing.
    """
    if getattr(transport, "connected", True):
        (_of(transport) or _Pauses(transport)).add(token)


def resume(transport: Any, token: Hashable) -> None:
    """
    Give a token back; nothing happens if it was not taken.  The transport reads again when
    nobody else has one.
    """
    pauses = _of(transport)
    if pauses is not None and token in pauses.tokens:
        pauses.discard(token)


def pausedBy(transport: Any) -> frozenset[Hashable]:
    """
    Whose tokens keep a transport from reading.
    """
    pauses = _of(transport)
    return frozenset() if pauses is None else frozenset(pauses.tokens)


def forget(transport: Any) -> None:
    """
    The connection is over, and its pauses with it.
    """
    pauses = _of(transport)
    if pauses is not None:
        pauses.leave()
