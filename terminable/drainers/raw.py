"""
The drainer for protocols of which nothing is known.

Busy means: something was written that has not left, something was sent to us that
has not been read, or somebody is producing.  Such a connection is lost in Twisted's
own way, which writes everything out first; while somebody is producing, it is lost
when that is done.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IProtocol
from twisted.python.components import registerAdapter
from zope.interface import implementer

from terminable.drainers.plain import NothingToSay
from terminable.interfaces import IDrainer, IHintingDrainer
from terminable.tracking import internals, sockets
from terminable.tracking.layers import bottomOf, socketOf, tlsLayer


@implementer(IHintingDrainer)
class RawDrainer(NothingToSay):
    """
    Ends any protocol at all.

    @cvar forgetful: whether nothing is kept here, and a drainer may be made anew at each look;
        all others are kept, as L{terminable.IDrainer} promises.
    @ivar transport: what the protocol was given as its transport.
    """

    forgetful = True

    def __init__(self, protocol: Any, upgraded: bool = False) -> None:
        """
        @param upgraded: it began as another protocol.
        """
        self.transport = getattr(protocol, "transport", None)
        self._upgraded = upgraded

    @property
    def upgraded(self) -> bool:
        """
        Whether this began as HTTP: its channel is no longer there, or no longer listens,
        but is still registered as a producer.
        """
        bottom = bottomOf(self.transport)
        return self._upgraded or (
            isinstance(bottom, FileDescriptor) and internals.isHTTPProducer(bottom)
        )

    @property
    def silent(self) -> bool:
        """
        Whether it may be lost without further ado.
        """
        return not self.upgraded

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

    def drain(self) -> None:
        """
        Lose the connection as soon as nobody is producing.
        """
        transport = self.transport
        if transport is None:
            return
        bottom = bottomOf(transport)
        if self.upgraded:
            # The HTTP channel that is no longer there is still registered, and
            # TLS waits for it.
            transport.unregisterProducer()
        elif self._isFed(bottom):
            _loseAfterProducer(transport, bottom)
            return
        transport.loseConnection()

    def _isFed(self, bottom: Any) -> bool:
        """
        Whether Twisted would not wait for the producer: it does for those that are
        asked for each piece, and for all of them above TLS, but not for one that comes
        by itself.
        """
        return (
            isinstance(bottom, FileDescriptor)
            and bottom.producer is not None
            and bool(bottom.streamingProducer)
            and tlsLayer(bottom) is None
        )


def _loseAfterProducer(transport: Any, bottom: Any) -> None:
    unregister = bottom.unregisterProducer

    def unregisterProducer() -> None:
        unregister()
        vars(bottom).pop("unregisterProducer", None)
        transport.loseConnection()

    bottom.unregisterProducer = unregisterProducer


def register() -> None:
    """
    Make this the drainer of everything that has no other.
    """
    registerAdapter(RawDrainer, IProtocol, IDrainer)
