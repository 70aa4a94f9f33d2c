"""
Which connections can be passed, and how each goes on where it is taken.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet import tcp

from terminable.handover.movable import CannotMove, CannotTake, IMovable
from terminable.handover.movinghttp import moverForHTTP, openedWebSocket
from terminable.handover.parcels import Mover, Parcel, Raw, isMovable, needMovable
from terminable.tracking.layers import applicationOf, layers, tlsLayer


def moverOf(transport: Any) -> Mover:
    """
    What packs the connection of a transport.

    @raise CannotMove: nothing does, and nothing will.
    """
    if not isinstance(transport, tcp.Server):
        raise CannotMove("it has no socket that was accepted by this process")
    if not transport.connected:
        raise CannotMove("it is over")
    if tlsLayer(transport) is not None:
        raise CannotMove("TLS: its keys cannot leave this process")
    found = layers(transport)
    if len(found) != 2:
        names = ", ".join(type(layer).__name__ for layer in found[1:-1])
        raise CannotMove(f"what {names or 'its protocol'} knows of it stays in this process")
    return _moverFor(found[1])


def _moverFor(protocol: Any) -> Mover:
    autobahn = sys.modules.get("autobahn.twisted.websocket")
    if autobahn is not None and isinstance(protocol, autobahn.WebSocketServerProtocol):
        from terminable.handover.movingautobahn import Autobahn

        return Autobahn(needMovable(protocol))
    if isMovable(protocol):
        return Raw(protocol)
    return moverForHTTP(protocol)


def begin(parcel: Parcel, transport: Any) -> None:
    """
    Connect a fresh protocol to a connection that was passed, and have it see what its
    predecessor saw first.  What it writes, if it is not C{"fresh"}, must be thrown away.

    @param transport: one whose protocol was built, and not connected yet.
    """
    transport.protocol.makeConnection(transport)
    if parcel.request:
        transport.protocol.dataReceived(parcel.request)


def restore(parcel: Parcel, transport: Any) -> Callable[[], None] | None:
    """
    How the application goes on, once it is there.

    @return: what to call when nothing need be thrown away any more; C{None} while a replayed
        handshake is not over.
    @raise CannotTake: it cannot go on here.
    """
    if parcel.kind in ("fresh", "http"):
        return _nothing
    application = _applicationOf(parcel, transport)
    if application is None:
        return None
    movable = IMovable(application, None)
    if movable is None:
        raise CannotTake(f"{type(application).__name__} does not provide IMovable here")
    return partial(movable.restore, parcel.state)


def _nothing() -> None:
    """
    There is no state.
    """


def _applicationOf(parcel: Parcel, transport: Any) -> Any:
    protocol = applicationOf(transport)
    if parcel.kind == "raw":
        return protocol
    if parcel.kind == "websocket":
        return openedWebSocket(protocol)
    if parcel.kind != "autobahn" or "autobahn.twisted.websocket" not in sys.modules:
        raise CannotTake(f"{parcel.kind} is not known here")
    from terminable.handover.movingautobahn import openedAutobahn

    return openedAutobahn(protocol, parcel)
