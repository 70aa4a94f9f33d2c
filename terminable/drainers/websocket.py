"""
WebSockets of C{twisted.web.websocket}.

RFC 6455, section 7.1: a close frame with a code, behind whatever was queued; then the
peer's close frame is awaited, for a bounded time, and the connection is lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.web.http import HTTPChannel
from zope.interface import implementer

from terminable.drainers.plain import NothingToSay, readable
from terminable.interfaces import IDrainer, IDrainWatch, ILastingDrainer
from terminable.tracking import internals


def swallow(*args: object, **keywords: object) -> None:
    """
    Take what comes too late.
    """


def _nothing(event: object) -> bytes:
    """
    Send nothing.
    """
    return b""


@implementer(ILastingDrainer)
class MessageDrainer(NothingToSay):
    """
    What WebSockets have in common, whoever speaks them: an application that provides
    L{IDrainer} is told first, and says when it is busy; any other is never.
    """

    silent = False
    lasting = True
    prompt = True
    upgraded = True

    def __init__(self) -> None:
        self.watch: IDrainWatch | None = None
        self._told = False
        self._closed = False

    @property
    def application(self) -> Any:
        """
        What may provide L{IDrainer}.
        """
        raise NotImplementedError  # pragma: no cover

    def close(self, code: int, reason: str) -> bool:
        """
        Write a close frame.

        @return: whether this was possible.
        """
        raise NotImplementedError  # pragma: no cover

    def awaits(self) -> bool:
        """
        Whether the peer has still to answer the close frame of the application's.
        """
        return False

    def lose(self) -> None:
        """
        Lose the connection.
        """
        raise NotImplementedError  # pragma: no cover

    def isBusy(self) -> bool:
        """
        Whether the application says so; after the close frame there is nothing to wait for.
        """
        application = self.application
        if self._closed or not IDrainer.providedBy(application):
            return False
        return bool(application.isBusy())

    def hint(self, idle: IDrainWatch) -> None:
        """
        There is no hint.
        """
        self.watch = idle

    def drain(self) -> None:
        """
        Tell the application, and close as soon as it is not busy.
        """
        application = self.application
        if not self._told and not self._closed and IDrainer.providedBy(application):
            self._told = True
            application.drain()
        if not self.isBusy():
            self.sayGoodbye()

    def sayGoodbye(self) -> bool:
        """
        Write the close frame, and wait for the peer's.

        @return: whether this was possible.
        """
        if self._closed or self.watch is None:
            return False
        self._closed = True
        schedule = self.watch.schedule
        said = self.close(schedule.closeCode, schedule.closeReason)
        self.watch.later(schedule.linger if said or self.awaits() else 0, self.lose)
        return said

    def lastWord(self, retryAfter: int) -> str:
        """
        The close frame, if it was not written before.
        """
        said = self.sayGoodbye()
        return str(self.watch.schedule.closeCode) if said and self.watch is not None else ""


class WebSocketDrainer(MessageDrainer):
    """
    Closes a WebSocket that C{WebSocketResource} has made out of an HTTP channel.
    """

    def __init__(self, channel: HTTPChannel) -> None:
        super().__init__()
        self._channel: Any = channel
        self._socket = internals.httpUpgraded(channel)
        self._receive: Callable[[bytes], None] = self._socket.dataReceived
        self._leave: Any = None

    @property
    def application(self) -> Any:
        """
        See L{MessageDrainer.application}.
        """
        return internals.webSocketState(self._socket)[1]

    def describe(self) -> str:
        """
        What was upgraded.
        """
        requests = self._channel.requests
        return f"WebSocket {readable(requests[0].uri) if requests else ''}".strip()

    def hint(self, idle: IDrainWatch) -> None:
        """
        Notice from now on that the peer has closed: Twisted's channel is still registered
        as a producer, and TLS would wait for it.
        """
        if self.watch is None:
            super().hint(idle)
            self._channel.dataReceived = self._dataReceived
            self._leave, self._socket.loseConnection = self._socket.loseConnection, self._left
            if self._socket.transport.disconnecting:
                self.lose()

    def _left(self, *words: Any, **named: Any) -> None:
        """
        The application closes.
        """
        self._leave(*words, **named)
        self.lose()

    def _dataReceived(self, data: bytes) -> None:
        if self._closed:
            self._receiveLast(data)
            return
        self._receive(data)
        if self._socket.transport.disconnecting:
            self.lose()

    def _receiveLast(self, data: bytes) -> None:
        """
        What the peer sends until it has seen our close frame: messages are delivered, its
        close frame is the end, and pings are not answered any more.
        """
        from wsproto.events import BytesMessage, CloseConnection, TextMessage
        from wsproto.utilities import LocalProtocolError

        connection, _ = internals.webSocketState(self._socket)
        try:
            connection.receive_data(data)
        except LocalProtocolError:
            # It goes on after its close frame.
            return
        for event in connection.events():
            if isinstance(event, CloseConnection):
                self.lose()
                return
            if isinstance(event, (TextMessage, BytesMessage)):
                internals.deliver(self._socket, event)

    def close(self, code: int, reason: str) -> bool:
        """
        See L{MessageDrainer.close}.
        """
        from wsproto.events import CloseConnection
        from wsproto.utilities import LocalProtocolError

        connection, _ = internals.webSocketState(self._socket)
        try:
            frame = connection.send(CloseConnection(code, reason))
        except LocalProtocolError:
            # The peer was first, or the application.
            return False
        self._socket.transport.write(frame)
        # By whichever way the application would get through to the peer, there is nothing
        # but an error to be had now.
        connection.send = _nothing
        self._socket.loseConnection = swallow
        return True

    def lose(self) -> None:
        """
        See L{MessageDrainer.lose}.
        """
        transport = self._socket.transport
        transport.unregisterProducer()
        transport.loseConnection()
