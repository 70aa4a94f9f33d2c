"""
Idle connections by the thousand: all their peers are told first, then the books are kept.

What takes the time at the end of an idle connection is not the kernel's part: it is
to look whether it is idle indeed, and to tell its protocol, the reactor and the account.  So
the looking is done while the idle grace lasts.  When it is over, whoever has received
nothing since is told by the kernel, one after the other; and when all of them know, the rest
of each is done.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.abstract import FileDescriptor

from terminable.roll import Roll
from terminable.slices import Slices
from terminable.tracking import internals, lingering, sockets
from terminable.tracking.connection import Connection
from terminable.tracking.layers import socketOf


class _Seen:
    """
    An idle connection as it was when it was looked at; stands in for its C{doRead} until
    something comes.
    """

    __slots__ = ("_over", "_transport", "producer", "protocol")

    def __init__(self, transport: Any, over: Callable[[Any], object]) -> None:
        self._transport = transport
        self._over = over
        self.protocol = transport.protocol
        self.producer = transport.producer

    def __call__(self) -> Any:
        self._over(self._transport)
        return self._transport.doRead()

    def isStill(self, transport: Any) -> bool:
        """
        Whether nothing about it has changed, as far as this process knows.
        """
        return (
            transport.protocol is self.protocol
            and transport.producer is self.producer
            and transport.connected
            and not transport.disconnecting
            and not internals.unsentBytes(transport)
        )


class Parting:
    """
    Ends connections that have been idle since their drain began.
    """

    def __init__(self, roll: Roll, slices: Slices) -> None:
        """
        @param roll: what is remembered of connections: those are not for us.
        """
        self._roll = roll
        self._slices = slices
        self._seen: dict[Any, _Seen] = {}
        self._told: deque[Any] = deque()

    def watch(self, connection: Connection) -> None:
        """
        A connection is idle now; it is remembered as that until something comes.

        Those that others have an eye on, that TLS or a wrapper has to say something on, and
        those whose peer has never spoken are ended one by one.
        """
        transport = connection.transport
        sock = socketOf(transport)
        if (
            sock is not None
            and isinstance(transport, FileDescriptor)
            and transport not in self._seen
            and connection.protocol is getattr(transport, "protocol", None)
            and getattr(transport.doRead, "__func__", None) is type(transport).doRead
            and connection.silent
            and sockets.hasSpoken(sock)
        ):
            transport.doRead = self._seen[transport] = _Seen(transport, self.forget)  # type: ignore[method-assign]

    def forget(self, transport: Any) -> None:
        """
        Something came, or the connection is over.
        """
        if self._seen.pop(transport, None) is not None:
            del transport.doRead

    def tell(self, transport: Any) -> bool:
        """
        Tell a peer that its connection is over, if nothing has happened on it since
        L{watch}.

        @return: whether that was so; the rest is done by L{finish}.
        """
        seen = self._seen.get(transport)
        if seen is None:
            return False
        self.forget(transport)
        if self._roll.knows(transport) or not seen.isStill(transport):
            return False
        sock = transport.socket
        if not sockets.isQuiet(sock):
            return False
        transport.stopReading()
        # Its protocol does not know yet: what it writes now goes where it would go later.
        internals.endWriting(transport)
        sockets.end(sock)
        self._told.append(transport)
        return True

    def finish(self) -> None:
        """
        Lose those that L{tell} has told, each in its turn.
        """
        told, self._told = self._told, deque()
        self._slices.each(told, self._lose)

    def _lose(self, transport: Any) -> None:
        if transport in self._roll.ledger:
            # Nothing was in flight.
            self._roll.begun.discard(transport)
            lingering.finish(transport)

    def stop(self) -> None:
        """
        Leave nothing on any connection.
        """
        for transport in list(self._seen):
            self.forget(transport)
