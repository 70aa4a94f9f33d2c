"""
WebSockets of Autobahn, stand-alone or behind C{autobahn.twisted.resource}.

Loaded when Autobahn is.
"""

from __future__ import annotations

from typing import Any

from autobahn.twisted.websocket import WebSocketServerProtocol
from twisted.python.components import registerAdapter
from zope.interface import implementer

from terminable.drainers.plain import readable
from terminable.drainers.websocket import MessageDrainer, swallow
from terminable.interfaces import IDrainWatch, IHintingDrainer, ILastingDrainer

#: By what the application would get through to the peer after the close frame, where
#: nothing but an error is to be had.
_LATE = (
    "sendMessage",
    "sendPreparedMessage",
    "sendPing",
    "sendClose",
    "beginMessage",
    "beginMessageFrame",
    "sendMessageFrameData",
    "sendMessageFrame",
    "endMessage",
)


@implementer(ILastingDrainer)
class AutobahnDrainer(MessageDrainer):
    """
    Closes a server's WebSocket of Autobahn.

    The protocol is the application too: if it provides L{IDrainer} itself, it is told
    first, and says when it is busy.
    """

    def __init__(self, protocol: Any) -> None:
        super().__init__()
        self._protocol = protocol
        self._drop: Any = None
        self._opened: Any = None
        self._sent: Any = None

    @property
    def application(self) -> Any:
        """
        See L{MessageDrainer.application}.
        """
        return self._protocol

    @property
    def upgraded(self) -> bool:  # type: ignore[override]
        """
        Whether the opening handshake is over.
        """
        return not self._isOpening()

    @property
    def prompt(self) -> bool:  # type: ignore[override]
        """
        Whether there is anybody to talk to.
        """
        return not self._isOpening()

    def _isOpening(self) -> bool:
        return bool(self._protocol.state == self._protocol.STATE_CONNECTING)

    def isBusy(self) -> bool:
        """
        Whether a handshake is on its way, a message is being sent piece by piece, or the
        application says so.
        """
        protocol = self._protocol
        if self._isOpening():
            # The application may still think about what was received in full.
            return bool(protocol.data) or hasattr(protocol, "http_request_data")
        sending = protocol.send_state != protocol.SEND_STATE_GROUND
        return (sending and not self._closed) or super().isBusy()

    def describe(self) -> str:
        """
        What was asked for.
        """
        path = getattr(self._protocol, "http_request_path", None) or ""
        return f"WebSocket {readable(path.encode('utf-8', 'backslashreplace'))}".strip()

    def hint(self, idle: IDrainWatch) -> None:
        """
        From now on, a connection is lost, not reset, when its peer has closed; and it is
        told when a handshake is over that was on its way.
        """
        if self.watch is None:
            super().hint(idle)
            protocol = self._protocol
            self._drop, protocol.dropConnection = protocol.dropConnection, self._dropConnection
            self._sent, protocol.endMessage = protocol.endMessage, self._endMessage
            if self._isOpening():
                self._opened, protocol.onOpen = protocol.onOpen, self._onOpen

    def _dropConnection(self, abort: bool = False) -> None:
        # Autobahn resets the connection when the peer has answered, and the peer would
        # perhaps not see our close frame.
        self._drop(abort=abort and not self._protocol.wasClean)

    def _onOpen(self) -> Any:
        try:
            return self._opened()
        finally:
            if self.watch is not None:
                self.watch()

    def _endMessage(self) -> None:
        self._sent()
        if self.watch is not None:
            self.watch()

    def drain(self) -> None:
        """
        Tell the application, and close as soon as it is not busy.
        """
        if not self._isOpening():
            super().drain()
        elif not self.isBusy():
            self.lose()

    def lastWord(self, retryAfter: int) -> str:
        """
        The close frame; there is none for a handshake that is not over, and no place for
        it in the middle of another frame.
        """
        protocol = self._protocol
        if self._isOpening() or protocol.send_state == protocol.SEND_STATE_INSIDE_MESSAGE_FRAME:
            return ""
        return super().lastWord(retryAfter)

    def close(self, code: int, reason: str) -> bool:
        """
        See L{MessageDrainer.close}.
        """
        protocol = self._protocol
        if protocol.state != protocol.STATE_OPEN:
            # The peer was first, or the application.
            return False
        # We keep the time: Autobahn's own timer is inexact, and resets the connection.
        protocol.closeHandshakeTimeout = 0
        protocol.sendCloseFrame(code, reason.encode("utf-8"))
        for name in _LATE:
            setattr(protocol, name, swallow)
        return True

    def awaits(self) -> bool:
        """
        See L{MessageDrainer.awaits}.
        """
        return bool(self._protocol.state == self._protocol.STATE_CLOSING)

    def lose(self) -> None:
        """
        See L{MessageDrainer.lose}.
        """
        self._protocol.unregisterProducer()
        self._protocol.transport.loseConnection()


def register() -> None:
    """
    Make this the drainer of Autobahn's server protocols, also of those that say themselves
    when they are busy.
    """
    registerAdapter(AutobahnDrainer, WebSocketServerProtocol, IHintingDrainer)
