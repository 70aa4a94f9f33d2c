"""
A transport that keeps still while its connection is between two processes.

Whatever the application, a timer or a stop wants of it meanwhile is remembered: a byte that
is read, a C{shutdown(2)} or a reset would be felt by the process that has the other copy of
the descriptor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from terminable.tracking import internals

_log = Logger()

#: What makes the reactor do something.
_SWITCHES = ("startReading", "stopReading", "startWriting", "stopWriting")

#: What ends the connection, or half of it; what stands further behind is stronger.
_ENDS = ("loseWriteConnection", "loseConnection", "connectionLost", "abortConnection")


def swallow(*args: object) -> None:
    """
    Throw it away.
    """


class _Stand:
    """
    Stands in for a method of a transport, and is none of the kinds of callables by which
    others know their own.
    """

    __slots__ = ("_name", "_work")

    def __init__(self, work: Callable[..., None], name: str) -> None:
        self._work = work
        self._name = name

    def __call__(self, *args: Any) -> None:
        self._work(self._name, *args)


def isHeld(transport: Any) -> bool:
    """
    Whether a transport keeps still.
    """
    return isinstance(transport.startReading, _Stand)


class Hold:
    """
    Keeps one transport from reading, writing and ending, until L{release} or L{forget}.

    @ivar transport: the transport.
    @ivar reading: whether it is to read when it is released.
    """

    def __init__(self, transport: Any, reading: bool | None = None) -> None:
        """
        @param reading: whether it is to read when it is released; by default, as it does now.
        """
        self.transport = transport
        self.reading = internals.isReading(transport) if reading is None else reading
        self._end: tuple[str, tuple[Any, ...]] | None = None
        self._held = True
        self._own: dict[str, tuple[Any, Any]] = {}
        transport.stopReading()
        transport.stopWriting()
        for name in _SWITCHES:
            self._put(name, _Stand(self._switch, name))
        for name in _ENDS:
            self._put(name, _Stand(self._remember, name))

    def _put(self, name: str, stand: Any) -> None:
        transport = self.transport
        former = getattr(transport, name)
        if getattr(former, "__func__", None) is getattr(type(transport), name):
            former = None
        self._own[name] = (stand, former)
        setattr(transport, name, stand)

    def _takeBack(self, *names: str) -> None:
        for name in names:
            stand, former = self._own.pop(name, (None, None))
            if stand is None or getattr(self.transport, name) is not stand:
                # Somebody else has put something there meanwhile, and keeps it.
                continue
            if former is None:
                delattr(self.transport, name)
            else:
                setattr(self.transport, name, former)

    def _switch(self, name: str) -> None:
        if not self._held:
            getattr(type(self.transport), name)(self.transport)
        elif name.endswith("Reading"):
            self.reading = name == "startReading"

    def _remember(self, name: str, *args: Any) -> None:
        if not self._held:
            getattr(type(self.transport), name)(self.transport, *args)
        elif self._end is None or _ENDS.index(name) >= _ENDS.index(self._end[0]):
            self._end = (name, args)

    @property
    def ending(self) -> bool:
        """
        Whether somebody has asked for the end of the connection.
        """
        return self._end is not None or bool(self.transport.disconnecting)

    def flush(self) -> None:
        """
        Give the kernel what was written before, as far as it takes that at once.
        """
        transport = self.transport
        if internals.unsentBytes(transport) and not self.ending:
            # What is wrong with the connection, if anything is, the reactor will find out too.
            transport.doWrite()

    def mute(self) -> None:
        """
        Throw away what is written from now on.
        """
        for name in ("write", "writeSequence"):
            self._put(name, swallow)

    def unmute(self) -> None:
        """
        Keep again what is written, until it can be sent.
        """
        self._takeBack("write", "writeSequence")

    def release(self) -> None:
        """
        The connection is ours: do what was asked for meanwhile, and go on.
        """
        self._giveUp()
        transport = self.transport
        if internals.unsentBytes(transport) or transport.disconnecting:
            transport.startWriting()
        if self.reading:
            transport.startReading()
        if self._end is not None:
            name, args = self._end
            getattr(transport, name)(*args)

    def forget(self, reason: ConnectionDone) -> None:
        """
        The connection is another process's: end it here, without a word to the peer.

        @param reason: what the protocol is told.
        """
        self._giveUp()
        internals.share(self.transport)
        try:
            self.transport.connectionLost(Failure(reason))
        except BaseException:
            _log.failure("{transport} failed to end", transport=self.transport)

    def _giveUp(self) -> None:
        self._held = False
        self._takeBack(*list(self._own))
