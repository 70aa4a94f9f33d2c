"""
Messages of Autobahn's WebSockets.
"""

from __future__ import annotations

from typing import Any

from autobahn.twisted.websocket import WebSocketServerProtocol

from terminable.drainers.autobahn import AutobahnDrainer
from terminable.throttling.charges import Refusal
from terminable.throttling.meters.messages import WebSocketMeter


class AutobahnMeter(WebSocketMeter):
    """
    The messages of one that has C{onMessage}; those that an application takes in parts
    (C{onMessageFrame}, C{onMessageEnd}) are not counted.
    """

    def __init__(self, protocol: WebSocketServerProtocol) -> None:
        super().__init__(protocol)
        self.drainer = AutobahnDrainer(protocol)

    def begin(self) -> None:
        """
        Stand between the protocol and its application, and where frames are taken apart.
        """
        self._handle = self.hook(self.protocol, "onMessage", self._message)
        self._process = self.hook(self.protocol, "processData", self._processData)

    def _message(self, payload: bytes, isBinary: bool) -> Any:
        return self.message(self._handle, payload, isBinary)

    def _processData(self) -> bool:
        return not self.waits and bool(self._process())

    def go(self) -> None:
        """
        Take the rest apart.
        """
        self.protocol.consumeData()

    def refuse(self, refusal: Refusal, *message: Any) -> None:
        """
        Send a message with the limit's words.
        """
        self.warn(refusal)

    def warn(self, refusal: Refusal) -> None:
        """
        The same, unless the application is in the middle of one, or of the handshake.
        """
        protocol = self.protocol
        if protocol.state == protocol.STATE_OPEN and (
            protocol.send_state == protocol.SEND_STATE_GROUND
        ):
            protocol.sendMessage(refusal.limit.words.encode())
