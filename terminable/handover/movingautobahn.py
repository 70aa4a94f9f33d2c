"""
WebSockets of Autobahn, stand-alone or behind C{autobahn.twisted.resource}.

Loaded when Autobahn is.
"""

from __future__ import annotations

from typing import Any

from autobahn.twisted.websocket import WebSocketServerProtocol

from terminable.handover.movable import CannotMove, CannotTake, ConnectionMoved, NotNow
from terminable.handover.parcels import Parcel, saved


class Autobahn:
    """
    A WebSocket of Autobahn; the protocol is the application too, and provides L{IMovable
    <terminable.handover.movable.IMovable>}.
    """

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol

    def check(self) -> None:
        """
        See L{Mover.check<terminable.handover.parcels.Mover.check>}.
        """
        protocol = self._protocol
        if protocol.state == protocol.STATE_CONNECTING:
            raise NotNow("its opening handshake is not over")
        if protocol.state != protocol.STATE_OPEN:
            raise CannotMove("its closing handshake has begun")
        if protocol.websocket_extensions_in_use:
            raise CannotMove("its extensions have a state of their own")
        receiving = protocol.data or protocol.current_frame is not None or protocol.inside_message
        if receiving or _isSending(protocol):
            raise NotNow("a message is in flight")

    def pack(self) -> Parcel:
        """
        See L{Mover.pack<terminable.handover.parcels.Mover.pack>}.
        """
        protocol = self._protocol
        chosen = protocol.websocket_protocol_in_use or ""
        return Parcel("autobahn", saved(protocol), protocol.http_request_data, chosen)

    def moved(self) -> None:
        """
        See L{Mover.moved<terminable.handover.parcels.Mover.moved>}: C{onClose} is told.
        """
        self._protocol.wasNotCleanReason = ConnectionMoved.MESSAGE


def _isSending(protocol: Any) -> bool:
    """
    Whether a message is being sent piece by piece.
    """
    queued = protocol.send_queue or protocol.triggered
    return bool(queued or protocol.send_state != protocol.SEND_STATE_GROUND)


def openedAutobahn(protocol: Any, parcel: Parcel) -> Any:
    """
    The protocol that a replayed handshake has opened.

    @return: C{None} while the handshake is not over.
    @raise CannotTake: it will never be, or the result is another one.
    """
    if not isinstance(protocol, WebSocketServerProtocol):
        # Behind twisted.web, it appears when the resource is rendered.
        return None
    if protocol.state == protocol.STATE_CONNECTING or _isSending(protocol):
        return None
    chosen = protocol.websocket_protocol_in_use or ""
    if protocol.state != protocol.STATE_OPEN or chosen != parcel.subprotocol:
        raise CannotTake("the opening handshake has another result here")
    if protocol.websocket_extensions_in_use:
        raise CannotTake("extensions are in use here")
    return protocol
