"""
HTTP/1.1 between two requests, and what an upgrade has made of it: Twisted's WebSockets.
"""

from __future__ import annotations

from typing import Any

from twisted.web.http import HTTPChannel

from terminable.drainers.web import isUpgraded
from terminable.handover.movable import CannotMove, CannotTake, NotNow
from terminable.handover.parcels import Mover, Parcel, needMovable, saved
from terminable.tracking import internals


def moverForHTTP(protocol: Any) -> Mover:
    """
    What packs a connection that began as HTTP.

    @raise CannotMove: nothing does.
    """
    channel = internals.httpChannel(protocol)
    if not isinstance(channel, HTTPChannel):
        if internals.isHTTP2(channel):
            raise CannotMove("HTTP/2: its streams and tables cannot leave this process")
        raise CannotMove(f"{type(protocol).__name__} does not provide IMovable")
    if not isUpgraded(channel):
        return HTTP(channel)
    upgraded = internals.httpUpgraded(channel)
    if not internals.isWebSocket(upgraded):
        raise CannotMove("HTTP is over on it, and what has followed is not known")
    needMovable(internals.webSocketState(upgraded)[1])
    return WebSocket(channel, upgraded)


class HTTP:
    """
    HTTP/1.1.  Between two requests there is no state.

    @ivar channel: the C{HTTPChannel}.
    """

    def __init__(self, channel: Any) -> None:
        self.channel = channel

    def check(self) -> None:
        """
        See L{Mover.check}.
        """
        if not internals.httpIdle(self.channel) or internals.httpPipelined(self.channel):
            raise NotNow("a request is in flight")
        if not self.channel.persistent:
            raise CannotMove("its last answer was given")

    def pack(self) -> Parcel:
        """
        See L{Mover.pack}.
        """
        return Parcel("http")

    def moved(self) -> None:
        """
        See L{Mover.moved}.
        """


class WebSocket:
    """
    One of C{twisted.web.websocket}, whose application provides L{IMovable
    <terminable.handover.movable.IMovable>}.
    """

    def __init__(self, channel: Any, upgraded: Any) -> None:
        self._channel = channel
        self._connection, self._application = internals.webSocketState(upgraded)

    def check(self) -> None:
        """
        See L{Mover.check}.
        """
        from wsproto.connection import ConnectionState

        if self._connection.state is not ConnectionState.OPEN:
            raise CannotMove("its closing handshake has begun")
        if internals.hasExtensions(self._connection):
            raise CannotMove("its extensions have a state of their own")
        if internals.midMessage(self._connection):
            raise NotNow("a message is in flight")

    def pack(self) -> Parcel:
        """
        See L{Mover.pack}.
        """
        [request] = self._channel.requests
        lines = [b"%s %s HTTP/1.1" % (request.method, request.uri)]
        for name, values in request.requestHeaders.getAllRawHeaders():
            lines.extend(b"%s: %s" % (name, value) for value in values)
        opening = b"\r\n".join([*lines, b"", b""])
        return Parcel("websocket", saved(self._application), opening)

    def moved(self) -> None:
        """
        See L{Mover.moved}.
        """


def openedWebSocket(protocol: Any) -> Any:
    """
    The application of Twisted's WebSocket that a replayed handshake has opened.

    @return: C{None} while the handshake is not over.
    @raise CannotTake: it will never be.
    """
    channel = internals.httpChannel(protocol)
    if not isinstance(channel, HTTPChannel):
        raise CannotTake("HTTP/1.1 is not spoken here")
    upgraded = internals.httpUpgraded(channel)
    if internals.isWebSocket(upgraded):
        return internals.webSocketState(upgraded)[1]
    if isUpgraded(channel) or internals.httpIdle(channel):
        raise CannotTake("the opening handshake has another result here")
    return None
