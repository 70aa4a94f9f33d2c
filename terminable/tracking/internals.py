"""
Every private Twisted name that C{terminable} touches, and nothing else.

Each function says which name it needs; C{tests/test_internals.py} fails when a
new Twisted no longer has one of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IListeningPort
from twisted.protocols.tls import TLSMemoryBIOProtocol

from terminable.tracking.known import HTTP_CHANNEL, Known

if TYPE_CHECKING:
    from twisted.web.http import HTTPChannel, Request

#: What C{Site} builds: it stands for an C{HTTPChannel}, perhaps for an C{H2Connection}.
GENERIC_HTTP = Known("twisted.web.http", "_GenericHTTPChannelProtocol")


# -- transports


def unsentBytes(transport: FileDescriptor) -> int:
    """
    How much was written that the kernel has not taken (C{_tempDataLen}).
    """
    return len(transport.dataBuffer) - transport.offset + transport._tempDataLen


def onFlushed(transport: FileDescriptor, decide: Callable[[], object]) -> None:
    """
    Have C{decide} called when the transport, told to lose its connection, has
    written everything; what it returns is for the reactor: C{CONNECTION_DONE} to
    close, C{None} to stay (C{_postLoseConnection}).
    """
    transport._postLoseConnection = decide  # type: ignore[method-assign]


def forgetFlushed(transport: FileDescriptor) -> None:
    """
    Undo L{onFlushed}: who decides has the transport, and the transport would have him.
    """
    if getattr(transport._postLoseConnection, "__self__", transport) is not transport:
        del transport._postLoseConnection


class Flushing:
    """
    A transport class that asks C{flushed} instead of closing as soon as everything is
    written (C{_postLoseConnection}).
    """

    def flushed(self) -> object:
        """
        @return: C{CONNECTION_DONE} to close, C{None} to stay.
        """
        raise NotImplementedError  # pragma: no cover

    def _postLoseConnection(self) -> object:
        return self.flushed()


def endWriting(transport: FileDescriptor) -> None:
    """
    Have what is written from now on thrown away (C{_writeDisconnected}).
    """
    transport._writeDisconnected = True


def handshakeDone(tls: TLSMemoryBIOProtocol) -> bool:
    """
    Whether the TLS handshake is over (C{_handshakeDone}).
    """
    return bool(tls._handshakeDone)


def tlsBacklog(tls: TLSMemoryBIOProtocol) -> bool:
    """
    Whether the TLS layer holds back what was written, or waits for a producer
    (C{_appSendBuffer}, C{_producer}).
    """
    return bool(tls._appSendBuffer) or tls._producer is not None


def isHTTPProducer(transport: FileDescriptor) -> bool:
    """
    Whether an HTTP channel, of whichever version, is registered as the transport's producer,
    also above TLS (C{_ProducerMembrane._producer}, C{_http2}).
    """
    producer = transport.producer
    producer = getattr(producer, "_producer", producer)
    return HTTP_CHANNEL.made(producer) or type(producer).__module__ == _HTTP2


#: Where C{twisted.web} has its HTTP/2 connections; it may be that h2 is not there.
_HTTP2 = "twisted.web._http2"


# -- ports


def adopted(port: IListeningPort) -> bool:
    """
    Whether the port's socket was made by somebody else, who may still hold it
    (C{_shouldShutdown}).
    """
    return not getattr(port, "_shouldShutdown", True)


def share(holder: Any, shared: bool = True) -> None:
    """
    The socket of a port or a transport is somebody else's too from now on: closing it must
    not shut it (C{_shouldShutdown}).

    @param shared: C{False} if it is nobody else's any more.
    """
    holder._shouldShutdown = not shared


def exchangePath(port: Any, path: bytes) -> bytes:
    """
    Give a UNIX port another path, whose file it removes when it closes; a path that
    begins with a zero byte names no file (C{_bindPath}).

    @return: the path that it had.
    """
    former: bytes = port._bindPath
    port._bindPath = path
    return former


# -- twisted.web


def httpChannel(protocol: Any) -> Any:
    """
    The C{HTTPChannel} or C{H2Connection} that C{protocol} stands for now (C{_channel}).
    """
    return protocol._channel if GENERIC_HTTP.made(protocol) else protocol


def negotiating(protocol: Any) -> bool:
    """
    Whether it is still open which HTTP C{protocol} will speak (C{_negotiatedProtocol}).
    """
    return GENERIC_HTTP.made(protocol) and protocol._negotiatedProtocol is None


def httpIdle(channel: HTTPChannel) -> bool:
    """
    Whether nothing of a request was received that has not been answered (C{_buffer}).
    """
    return not channel.requests and not channel._buffer


def httpPipelined(channel: HTTPChannel) -> bool:
    """
    Whether something was received behind the request that is being answered
    (C{_buffer}, C{_dataBuffer}).
    """
    return bool(channel._buffer) or any(channel._dataBuffer)


def httpHandling(channel: HTTPChannel) -> bool:
    """
    Whether a request was received in full and is with the application
    (C{_handlingRequest}).
    """
    return bool(channel._handlingRequest)


def httpRequestLine(channel: HTTPChannel, request: Request) -> tuple[bytes, bytes]:
    """
    Method and target of a request, also while the rest of it is being received
    (C{_command}, C{_path}).
    """
    if channel._handlingRequest:
        return request.method, request.uri
    return getattr(channel, "_command", b""), getattr(channel, "_path", b"")


def httpUpgraded(channel: HTTPChannel) -> Any:
    """
    The protocol that an upgraded channel hands its bytes to, as Twisted's WebSockets do:
    whose method stands in for C{dataReceived}.
    """
    return getattr(channel.dataReceived, "__self__", None)


def streamRequest(stream: Any) -> Any:
    """
    The request of an HTTP/2 stream (C{_request}).
    """
    return stream._request


def http2HeldBack(channel: Any) -> bool:
    """
    Whether an HTTP/2 connection holds back frames because its transport takes nothing
    (C{_consumerBlocked}, C{_bufferedControlFrames}).
    """
    return channel._consumerBlocked is not None or bool(channel._bufferedControlFrames)


def isStream(channel: Any) -> bool:
    """
    Whether a request came by an HTTP/2 stream (C{_conn}).
    """
    return hasattr(channel, "streamID") and hasattr(channel, "_conn")


def streamTransport(stream: Any) -> Any:
    """
    The transport of an HTTP/2 stream's connection (C{_conn}).
    """
    return stream._conn.transport


def isWebSocket(protocol: Any) -> bool:
    """
    Whether this is what Twisted's C{WebSocketResource} speaks (C{_wsconn}, C{_wsp}).
    """
    return hasattr(protocol, "_wsconn") and hasattr(protocol, "_wsp")


def webSocketState(protocol: Any) -> tuple[Any, Any]:
    """
    The C{wsproto} connection of a WebSocket, and its application (C{_wsconn}, C{_wsp}).
    """
    return protocol._wsconn, protocol._wsp


def deliver(protocol: Any, event: Any) -> None:
    """
    Give a WebSocket's application a message (C{_handleEvent}).
    """
    from twisted.web._websocket_impl import _handleEvent

    _handleEvent(event, protocol)


def forgetMessage(protocol: Any) -> None:
    """
    Forget what has come of a WebSocket's message so far (C{_textBuffer}, C{_bytesBuffer}).
    """
    protocol._textBuffer.done()
    protocol._bytesBuffer.done()


# -- the process


def forgetExitSignal(reactor: Any) -> None:
    """
    Have C{twistd} return instead of ending the process by the signal that stopped
    the reactor (C{_exitSignal}).
    """
    reactor._exitSignal = None


# -- twisted.conch


def sshHeldBack(transport: Any) -> bool:
    """
    Whether something was sent that waits for the end of a key exchange
    (C{_blockedByKeyExchange}).
    """
    return bool(transport._blockedByKeyExchange)


def sshTakeKeys(transport: Any) -> None:
    """
    Use the keys that a key exchange has brought, without waiting for the peer's word that
    it uses them; what was held back is sent (C{_newKeys}).
    """
    transport._newKeys()


# -- twisted.protocols.amp


def ampOutstanding(dispatcher: Any) -> int:
    """
    How many calls of an AMP dispatcher's own its peer has not answered
    (C{_outstandingRequests}).
    """
    return len(dispatcher._outstandingRequests or ())


def ampPartialBox(protocol: Any) -> Any:
    """
    The box of which an AMP protocol has received a part; the same object as it will be
    when it is complete (C{_currentBox}).
    """
    return protocol._currentBox


# -- twisted.mail


def smtpSender(protocol: Any) -> Any:
    """
    Who sends the message that an SMTP client has begun with MAIL and neither ended nor
    continued with DATA; C{None} if it has not (C{_from}).
    """
    return protocol._from


def smtpRecipients(protocol: Any) -> int:
    """
    How many recipients that message has so far (C{_to}).
    """
    return len(protocol._to)


# -- moving


def isReading(transport: Any) -> bool:
    """
    Whether the reactor reads for a transport: as the reactors by C{epoll}, C{poll}, C{kqueue}
    and C{select} remember it (C{_reads}), or that of C{asyncio} (C{_readers}).
    """
    reactor = transport.reactor
    for name in ("_reads", "_readers"):
        known = getattr(reactor, name, None)
        if known is not None:
            return transport in known or transport.fileno() in known
    return transport in reactor.getReaders()


def halfEnded(transport: Any) -> bool:
    """
    Whether a transport has ended its writing, or will when everything is written
    (C{_writeDisconnecting}, C{_writeDisconnected}).
    """
    return bool(transport._writeDisconnecting or transport._writeDisconnected)


class Claiming:
    """
    A locator of AMP commands that finds the descriptors which came with them
    (C{_getDescriptor}, which is asked of the locator).
    """

    def claim(self, number: int) -> int:
        """
        @param number: which of the descriptors that came on the channel, from zero.
        @return: the descriptor.
        """
        raise NotImplementedError  # pragma: no cover

    def _getDescriptor(self, number: int) -> int:
        return self.claim(number)


def unclaimed(channel: Any) -> dict[int, int]:
    """
    The descriptors that came on an AMP channel and that no command has claimed yet, by their
    numbers (C{_descriptors}).
    """
    known: dict[int, int] = channel._descriptors
    return known


def isHTTP2(channel: Any) -> bool:
    """
    Whether this is an HTTP/2 connection of C{twisted.web} (C{_http2}).
    """
    return type(channel).__module__ == _HTTP2


def midMessage(connection: Any) -> bool:
    """
    Whether a connection of C{wsproto} has received, or sent, a message in part, or part of a
    frame (C{_proto}, C{_frame_decoder}, C{_message_decoder}, C{_outbound_opcode}).
    """
    frames = connection._proto
    decoder = frames._frame_decoder
    return bool(
        len(decoder.buffer)
        or decoder.header is not None
        or frames._message_decoder.opcode is not None
        or frames._outbound_opcode is not None
    )


def hasExtensions(connection: Any) -> bool:
    """
    Whether a connection of C{wsproto} uses extensions (C{_proto}).
    """
    return bool(connection._proto.extensions)
