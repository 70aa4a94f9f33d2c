"""
The drainer for protocols of which nothing is known.

Busy means: something was written that has not left, something was sent to us that
has not been read, or somebody is producing.  Such a connection is lost in Twisted's
own way, which writes everything out first; one that is streaming is lost when its
producer is done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IProtocol
from twisted.python.components import registerAdapter
from zope.interface import implementer

from terminable.interfaces import IDrainer, IHintingDrainer
from terminable.tracking import internals, sockets
from terminable.tracking.layers import bottomOf, socketOf


@implementer(IHintingDrainer)
class RawDrainer:
    """
    Ends any protocol at all.

    @ivar transport: what the protocol was given as its transport.
    """

    silent = True

    def __init__(self, protocol: Any, upgraded: bool = False) -> None:
        """
        @param upgraded: it began as another protocol.
        """
        self.transport = getattr(protocol, "transport", None)
        self.upgraded = upgraded

    def isBusy(self) -> bool:
        """
        See L{IDrainer.isBusy}.
        """
        transport = bottomOf(self.transport)
        if not isinstance(transport, FileDescriptor):
            return False
        if transport.producer is not None and not self.upgraded:
            return True
        sock = socketOf(transport)
        if internals.unsentBytes(transport):
            return True
        return sock is not None and bool(sockets.unread(sock))

    def hint(self, idle: Callable[[], None]) -> None:
        """
        There is no hint.
        """

    def drain(self) -> None:
        """
        Lose the connection in the ordinary way.
        """
        transport = self.transport
        if transport is None:
            return
        if self.upgraded:
            # The HTTP channel that is no longer there is still registered, and
            # TLS waits for it.
            transport.unregisterProducer()
        transport.loseConnection()

    def describe(self) -> str:
        """
        Nothing is known.
        """
        return ""

    def lastWord(self, retryAfter: int) -> str:
        """
        There is none.
        """
        return ""


def register() -> None:
    """
    Make this the drainer of everything that has no other.
    """
    registerAdapter(RawDrainer, IProtocol, IDrainer)
