"""
The layers between a socket and the application that it belongs to.

They are found anew at each look, because protocols are exchanged under way
(C{startTLS}, ALPN, upgrades, C{transport.protocol = other}).
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress
from twisted.protocols.policies import ProtocolWrapper
from twisted.protocols.tls import TLSMemoryBIOProtocol

from terminable.interfaces import IDrainer
from terminable.tracking import internals, sockets


class StandIn:
    """
    A protocol that passes everything to another one without being its transport.

    @ivar wrappedProtocol: the other one.
    """

    wrappedProtocol: Any = None


def stepAside(standIn: StandIn, protocol: Any, transport: Any) -> bool:
    """
    Put a protocol into the place of one that stands in for it.

    @param transport: what the one that stands in was given as its transport.
    @return: whether that was possible: transports that do not name their protocol, and
        those that nobody tells of their end, have no such place.
    """
    bottom = bottomOf(transport)
    name = _placeOf(standIn, transport, bottom)
    if not name:
        return False
    setattr(transport, name, protocol)
    for attribute in ("repstr", "logstr"):
        described = getattr(bottom, attribute, None)
        if described is not None:
            inner = type(protocol).__name__
            setattr(bottom, attribute, described.replace(type(standIn).__name__, inner, 1))
    return True


def canStepAside(standIn: StandIn, transport: Any) -> bool:
    """
    Whether L{stepAside} would do it.
    """
    return bool(_placeOf(standIn, transport, bottomOf(transport)))


def _placeOf(standIn: StandIn, transport: Any, bottom: Any) -> str:
    if hasattr(bottom, "connectionLost"):
        for name in ("protocol", "wrappedProtocol"):
            if getattr(transport, name, None) is standIn:
                return name
    return ""


def isEmpty(found: list[Any]) -> bool:
    """
    Whether no application has been built yet for a connection that has these layers.
    """
    return isinstance(found[-1], StandIn)


def layers(transport: Any) -> list[Any]:
    """
    Everything that bytes pass on their way from the socket to the application: the
    transport, wrappers (TLS, PROXY, ...), and last the application's protocol.

    A wrapper that provides L{IDrainer} itself is taken for the application.
    """
    found = [transport]
    protocol = getattr(transport, "protocol", None)
    while protocol is not None:
        found.append(protocol)
        if not isinstance(protocol, StandIn) and (
            not isinstance(protocol, ProtocolWrapper) or IDrainer.providedBy(protocol)
        ):
            break
        protocol = protocol.wrappedProtocol
    return found


def applicationOf(transport: Any) -> Any:
    """
    The application's protocol, or C{None} if there is none yet, or no longer.
    """
    found = layers(transport)
    return found[-1] if len(found) > 1 else None


def bottomOf(transport: Any) -> Any:
    """
    The transport that holds the socket, below what a protocol was given as its
    transport.
    """
    while not isinstance(transport, FileDescriptor):
        below = getattr(transport, "transport", None)
        if below is None:
            break
        transport = below
    return transport


def topOf(transport: Any) -> Any:
    """
    What the application's protocol was given as its transport: the innermost
    wrapper, or the transport itself.
    """
    for layer in reversed(layers(transport)[:-1]):
        if not isinstance(layer, StandIn):
            return layer
    return transport


def tlsLayer(transport: Any) -> TLSMemoryBIOProtocol | None:
    """
    The TLS layer nearest to the socket, if there is one.
    """
    for layer in layers(transport)[1:]:
        if isinstance(layer, TLSMemoryBIOProtocol):
            return layer
    return None


def abort(transport: Any) -> None:
    """
    Reset a connection, or lose it where the transport cannot.
    """
    end = getattr(transport, "abortConnection", None) or transport.loseConnection
    end()


def socketOf(transport: Any) -> socket.socket | None:
    """
    The transport's socket, if it has one and is connected.
    """
    found = getattr(transport, "socket", None)
    return found if isinstance(found, socket.socket) else None


def hasUnread(transport: Any) -> bool:
    """
    Whether the peer has sent something that the application has not seen: in the
    kernel, or in the TLS layer.
    """
    return unreadIn(transport, tlsLayer(transport))


def unreadIn(transport: Any, tls: TLSMemoryBIOProtocol | None) -> bool:
    """
    L{hasUnread} for those who know the TLS layer already.
    """
    sock = socketOf(transport)
    if sock is not None and sockets.unread(sock):
        return True
    if tls is None or not internals.handshakeDone(tls):
        return False
    handle = tls.getHandle()
    try:
        return handle is not None and bool(handle.recv(1, socket.MSG_PEEK))
    except Exception:
        # pyOpenSSL says "nothing there", "the peer said goodbye" and "broken" by
        # exceptions alike; none of them is a request.
        return False


def unsentHere(transport: Any) -> int:
    """
    How many bytes were written that have not left this process.
    """
    bottom = bottomOf(transport)
    return internals.unsentBytes(bottom) if isinstance(bottom, FileDescriptor) else 0


def unsent(transport: Any) -> int:
    """
    How many bytes were written that the peer has not confirmed.
    """
    if not isinstance(transport, FileDescriptor):
        return 0
    sock = socketOf(transport)
    held = 0 if sock is None else sockets.unacknowledged(sock)
    return internals.unsentBytes(transport) + held


def addressText(address: IAddress | None) -> str:
    """
    An address as people write it.
    """
    if isinstance(address, IPv4Address):
        return f"{address.host}:{address.port}"
    if isinstance(address, IPv6Address):
        return f"[{address.host}]:{address.port}"
    if isinstance(address, UNIXAddress):
        name = address.name
        return f"unix:{name.decode('utf-8', 'replace')}" if name else "unix socket"
    return str(address)
