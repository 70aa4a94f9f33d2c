"""
Server transports that record themselves.

A port's C{transport} may be exchanged (its documentation says so): set to a subclass
of what was there before, every connection is recorded from the moment that it has a
transport, before its TLS handshake, at no cost per byte or request.
"""

from __future__ import annotations

import gc
from functools import partial
from typing import Any, Protocol

from twisted.internet import tcp
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from terminable.errors import CannotAttach
from terminable.tracking import internals


class Recorder(Protocol):
    """
    Who wants to know about connections.
    """

    def opened(self, transport: Any) -> None:
        """
        A transport exists; its protocol may not know of it yet.
        """

    def whenDraining(self, transport: Any) -> Deferred[None]:
        """
        @return: fires when the drain of the connection begins.
        """

    def forget(self, transport: Any, asked: Deferred[None]) -> None:
        """
        Whoever asked that is no longer interested.
        """

    def flushed(self, transport: Any) -> object:
        """
        The transport was told to lose its connection, and has written everything.

        @return: C{CONNECTION_DONE} to have the reactor close it, C{None} to stay.
        """

    def last(self, transport: Any) -> Any:
        """
        The connection is over, but its protocol does not know that yet.

        @return: what L{lost} is to be given.
        """

    def lost(self, transport: Any, last: Any) -> None:
        """
        The connection is over, and its protocol has been told.
        """


class _Recorded(internals.Flushing):
    """
    What the classes that L{recording} makes have in common.
    """


def recording(base: Any, recorder: Recorder) -> Any:
    """
    A subclass of a server transport class whose instances tell C{recorder}.
    """

    class Server(_Recorded, base):  # type: ignore[misc]
        __doc__ = base.__doc__
        recorded = base
        recordedBy = recorder

        def __init__(self, *args: Any, **keywords: Any) -> None:
            base.__init__(self, *args, **keywords)
            recorder.opened(self)

        def flushed(self) -> object:
            return recorder.flushed(self)

        def connectionLost(self, reason: Failure) -> None:
            last = recorder.last(self)
            try:
                base.connectionLost(self, reason)
            finally:
                recorder.lost(self, last)

    Server.__name__ = base.__name__
    Server.__qualname__ = base.__qualname__
    Server.__module__ = base.__module__
    return Server


def isRecorded(transport: Any) -> bool:
    """
    Whether the transport, or the transport class, already records itself.
    """
    kind = transport if isinstance(transport, type) else type(transport)
    return issubclass(kind, _Recorded)


def recorderOf(transport: Any) -> Recorder | None:
    """
    Who records a live connection, if anybody does.
    """
    if isRecorded(transport):
        return transport.recordedBy  # type: ignore[no-any-return]
    hook = getattr(transport, "connectionLost", None)
    return hook.args[1] if isinstance(hook, partial) and hook.func is _ended else None


def hookEnd(transport: Any, recorder: Recorder) -> None:
    """
    Have C{recorder} told when this one transport's connection is over.

    @param transport: one with a C{connectionLost} method that the reactor calls.
    """
    former = transport.connectionLost
    # Not by the instance's __dict__: once that was looked at, every attribute of this
    # transport is slower for ever.
    if getattr(former, "__func__", None) is type(transport).connectionLost:
        former = None
    transport.connectionLost = partial(_ended, transport, recorder, former)


def _ended(transport: Any, recorder: Recorder, former: Any, reason: Failure) -> None:
    last = recorder.last(transport)
    try:
        if former is None:
            # Looked up on the class: the instance has this function.
            type(transport).connectionLost(transport, reason)
        else:
            former(reason)
    finally:
        vars(transport).pop("connectionLost", None)
        recorder.lost(transport, last)


def canAttach(port: Any) -> bool:
    """
    Whether this is a TCP or UNIX port of one of Twisted's POSIX reactors, and not
    recorded yet.
    """
    return isinstance(port, tcp.Port) and not isRecorded(port.transport)


def check(port: Any) -> None:
    """
    @raise CannotAttach: L{attach} would not take this port.
    """
    if not canAttach(port):
        raise CannotAttach(f"{port!r} is not a TCP or UNIX port, or is recorded already")


def attach(port: Any, recorder: Recorder) -> None:
    """
    Record every connection of a port from now on, and those that it already has.

    @param port: a TCP or UNIX port of one of Twisted's POSIX reactors, listening.
    @raise CannotAttach: it is something else, or is already recorded.
    """
    check(port)
    port.transport = recording(port.transport, recorder)
    for transport in _existing(port):
        recorder.opened(transport)
        hookEnd(transport, recorder)


def detach(port: Any) -> None:
    """
    Record no further connections of a port; it may be attached to again.
    """
    if isinstance(port, tcp.Port) and isRecorded(port.transport):
        port.transport = port.transport.recorded  # type: ignore[attr-defined]


def _existing(port: Any) -> list[Any]:
    """
    The connections that a port has accepted.  No reactor can list them (one that is
    paused and has nothing to write is known to nobody but its protocol), so the
    garbage collector is asked: some ten milliseconds for a million objects, once.
    """
    if not port.sessionno:
        return []
    return [
        thing
        for thing in gc.get_objects()
        if isinstance(thing, tcp.Server) and thing.server is port and thing.connected
    ]
