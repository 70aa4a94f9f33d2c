"""
A connection that was accepted, and waits until there is a place for it.

What the peer sends stays in the kernel, and a TLS handshake has not begun: the transport
that holds the socket is paused.  The application's protocol is built when it is admitted,
and takes the place of the one that waits.
"""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet.abstract import FileDescriptor
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.protocol import connectionDone
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure
from zope.interface import implementer

from terminable.interfaces import IDrainWatch, IHintingDrainer
from terminable.tracking import lingering, pausing, sockets
from terminable.tracking.layers import StandIn, bottomOf, canStepAside, socketOf, stepAside
from terminable.tracking.transports import hookEnd, isRecorded, recorderOf

#: Whose pause it is.
TOKEN = "admission"


class Room(Protocol):
    """
    Who decides.
    """

    def arrive(self, waiting: Waiting) -> None:
        """
        Somebody has come: admit him, or do so later, or refuse him.
        """

    def enter(self, waiting: Waiting) -> None:
        """
        Somebody has come who is inside already.
        """

    def stopping(self, waiting: Waiting) -> None:
        """
        A drain begins for somebody who waits.
        """

    def refuseNow(self, waiting: Waiting) -> str:
        """
        The deadline has come for somebody who waits.

        @return: what he is told, in short; an empty string if nothing.
        """


def innermost(protocol: Any) -> Any:
    """
    The application's protocol within wrappers (TLS, PROXY, ...); C{None} if it is over.
    """
    while isinstance(protocol, (ProtocolWrapper, StandIn)):
        if isinstance(protocol, Waiting) and protocol.innermost is not None:
            return protocol.innermost
        protocol = protocol.wrappedProtocol
    return protocol


@implementer(IHintingDrainer)
class Waiting(StandIn):
    """
    Stands where a protocol belongs that is not built yet.

    @ivar factory: builds it.
    @ivar bottom: the transport that holds the socket.
    @ivar gate: who records the connection.
    @ivar host: the peer's address, C{None} if it has none.
    """

    #: Of what a drainer has, this cannot tell more than that it waits.
    silent = answered = lasting = prompt = False

    transport: Any = None
    bottom: Any = None
    #: The application's protocol, if this one stepped aside at an inner door.
    innermost: Any = None

    def __init__(self, factory: Any, address: Any, gate: Any, protocol: Any = None) -> None:
        """
        @param address: the peer's.
        @param gate: who records the connection, unless its transport knows somebody.
        @param protocol: what was built already, for a connection that need not wait.
        """
        self.factory = factory
        self.address = address
        self.gate = gate
        known = isinstance(address, (IPv4Address, IPv6Address))
        self.host: str | None = address.host if known else None
        self._built = protocol
        self._inPlace = False
        self._early: list[bytes] = []

    @property
    def room(self) -> Room:
        """
        Who decides.
        """
        return self.gate.room  # type: ignore[no-any-return]

    # -- as a protocol

    _connecting = False

    def makeConnection(self, transport: Any) -> None:
        self._connecting = True
        try:
            self._makeConnection(transport)
        finally:
            self._connecting = False

    def _makeConnection(self, transport: Any) -> None:
        """
        Record the transport, and ask to be admitted.
        """
        self.transport = transport
        self.bottom = bottom = bottomOf(transport)
        self._inPlace = not canStepAside(self, transport)
        self.gate = recorderOf(bottom) or self.gate
        if not self._inPlace and not isRecorded(bottom):
            hookEnd(bottom, self.gate)
        self.gate.opened(bottom)
        if self._built is None:
            self.room.arrive(self)
        else:
            self.room.enter(self)
            self._begin(self._built)

    def dataReceived(self, data: bytes) -> None:
        """
        Keep it, or pass it on: some transports cannot be paused, and some have no place to
        put another protocol.
        """
        if self.wrappedProtocol is None:
            self._early.append(data)
        else:
            self.wrappedProtocol.dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        It is over, perhaps before it was admitted.
        """
        last = self.gate.last(self.bottom) if self._inPlace else None
        try:
            if self.wrappedProtocol is not None:
                self.wrappedProtocol.connectionLost(reason)
        finally:
            if self._inPlace:
                self.gate.lost(self.bottom, last)

    # -- what the room does

    def pause(self) -> None:
        """
        Leave in the kernel what the peer sends.
        """
        if isinstance(self.bottom, FileDescriptor):
            pausing.pause(self.bottom, TOKEN)

    @property
    def gone(self) -> bool:
        """
        Whether the peer has gone, and left nothing to be read.
        """
        sock = socketOf(self.bottom)
        if sock is not None and sockets.gone(sock):
            return True
        return bool(getattr(self.bottom, "disconnecting", False))

    def admit(self) -> Any:
        """
        Build the protocol, connect it, and read on.

        @return: the application's protocol, C{None} if the factory builds none.
        """
        protocol = self.factory.buildProtocol(self.address)
        if protocol is None:
            self.lose()
            return None
        self._begin(protocol)
        return innermost(protocol)

    def speak(self, protocol: Any) -> None:
        """
        Have the peer refused by a protocol that does so.
        """
        self._begin(protocol, refused=True)
        self.gate.linger(self.bottom)

    def _begin(self, protocol: Any, refused: bool = False) -> None:
        if not stepAside(self, protocol, self.transport):
            self.wrappedProtocol = protocol
        self.gate.admitted(self.bottom, refused)
        protocol.makeConnection(self.transport)
        early, self._early = self._early, []
        for data in early:
            protocol.dataReceived(data)
        if isinstance(self.bottom, FileDescriptor):
            pausing.resume(self.bottom, TOKEN)

    def lose(self) -> None:
        """
        End the connection without a word.
        """
        if self._connecting and isinstance(self.bottom, FileDescriptor):
            # Those around it are not done with its beginning.
            FileDescriptor.loseConnection(self.bottom)
        else:
            lingering.finish(self.bottom)

    def abort(self) -> None:
        """
        Reset the connection.
        """
        self.gate.abort(self.bottom)

    def unheard(self) -> None:
        """
        It ends without having been told anything.
        """
        self.gate.dropped(self.bottom, bool(self._early))

    def dismiss(self) -> None:
        """
        Lose one whose peer is still there.
        """
        self.unheard()
        self.lose()

    # -- as its own drainer

    def isBusy(self) -> bool:
        """
        See L{IDrainer.isBusy <terminable.IDrainer.isBusy>}.
        """
        return True

    def hint(self, idle: IDrainWatch) -> None:
        """
        See L{IHintingDrainer.hint <terminable.IHintingDrainer.hint>}.
        """
        self.room.stopping(self)

    def drain(self) -> None:
        """
        Its turn comes, or the deadline.
        """

    def describe(self) -> str:
        """
        See L{IHintingDrainer.describe <terminable.IHintingDrainer.describe>}.
        """
        return "waiting to be admitted"

    def lastWord(self, retryAfter: int) -> str:
        """
        See L{IHintingDrainer.lastWord <terminable.IHintingDrainer.lastWord>}.
        """
        return self.room.refuseNow(self)

    def __repr__(self) -> str:
        return f"<Waiting {self.host or 'local'}>"
