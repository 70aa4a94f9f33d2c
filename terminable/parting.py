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

    @ivar alone: whether nothing has to be said on it before its socket is shut down.
    """

    __slots__ = ("_parting", "_transport", "alone", "producer", "protocol")

    def __init__(self, transport: Any, parting: Parting, alone: bool) -> None:
        self._transport = transport
        self._parting = parting
        self.alone = alone
        self.protocol = transport.protocol
        self.producer = transport.producer

    def __call__(self) -> Any:
        self._parting.forget(self._transport)
        why = self._transport.doRead()
        if why is None:
            self._parting.look(self._transport)
        return why

    def isStill(self, transport: Any) -> bool:
        """
        Whether nothing about it has changed, as far as this process knows.
        """
        return (
            self.alone
            and transport.protocol is self.protocol
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
        A connection is idle now; it is remembered as that until something comes, and then
        looked at again.
        """
        transport = connection.transport
        if (
            isinstance(transport, FileDescriptor)
            and transport.connected
            and transport not in self._seen
            and getattr(transport.doRead, "__func__", None) is type(transport).doRead
        ):
            seen = self._seen[transport] = _Seen(transport, self, self._isAlone(connection))
            transport.doRead = seen  # type: ignore[method-assign]

    def _isAlone(self, connection: Connection) -> bool:
        """
        Those that others have an eye on, that TLS or a wrapper has to say something on, and
        those whose peer has never spoken are ended one by one.
        """
        sock = socketOf(connection.transport)
        return (
            sock is not None
            and not self._roll.knows(connection.transport)
            and connection.protocol is connection.transport.protocol
            and connection.silent
            and sockets.hasSpoken(sock)
        )

    def look(self, transport: Any) -> None:
        """
        Something came: it is counted at once who is busy with it.
        """
        if transport in self._roll.ledger:
            connection = self._roll.connection(transport)
            if connection.isUnfinished():
                self._roll.remember(connection)
                self._roll.ledger.sawBusy(transport)
            else:
                self.watch(connection)

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
