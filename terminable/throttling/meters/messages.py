"""
Messages of WebSockets of C{twisted.web.websocket}.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from terminable.drainers.websocket import WebSocketDrainer
from terminable.throttling.charges import Refusal
from terminable.throttling.meter import Meter
from terminable.tracking import internals

#: RFC 6455, section 7.4.1: "a message that violates its policy".
POLICY = 1008


class WebSocketMeter(Meter):
    """
    What WebSockets have in common, whoever speaks them.  Counts messages when their last part
    has come.  Those behind one that waits are not taken apart, nor are pings and the peer's
    goodbye.
    """

    #: How it is left.
    drainer: Any = None

    def leave(self, refusal: Refusal) -> None:
        """
        Close with 1008.
        """
        self.drainer.close(POLICY, refusal.limit.words)
        self.drainer.lose()


class TwistedMeter(WebSocketMeter):
    """
    The messages of one that C{WebSocketResource} has made.
    """

    def __init__(self, channel: Any) -> None:
        """
        @param channel: the HTTP channel that was upgraded.
        """
        super().__init__(internals.httpUpgraded(channel))
        self.drainer = WebSocketDrainer(channel)
        self._channel = channel
        self._connection = internals.webSocketState(self.protocol)[0]
        self._found: Iterator[Any] | None = None

    def begin(self) -> None:
        """
        Stand between the frames and what becomes of them.
        """
        self._all = self.hook(self._connection, "events", self._events)

    def _events(self) -> Iterator[Any]:
        while not self.waits:
            if self._found is None:
                self._found = self._all()
            event = next(self._found, None)
            if event is None:
                self._found = None
                return
            if getattr(event, "message_finished", False):
                self.message(self._deliver, event)
            else:
                yield event

    def _deliver(self, event: Any) -> None:
        internals.deliver(self.protocol, event)

    def go(self) -> None:
        """
        Take the rest apart, by way of who stands there during a drain.
        """
        self._channel.dataReceived(b"")

    def refuse(self, refusal: Refusal, *message: Any) -> None:
        """
        Forget the message, and send one with the limit's words.
        """
        internals.forgetMessage(self.protocol)
        self.warn(refusal)

    def warn(self, refusal: Refusal) -> None:
        """
        Send a message with the limit's words.
        """
        from wsproto.connection import ConnectionState

        if self._connection.state is ConnectionState.OPEN:
            self.protocol.sendTextMessage(refusal.limit.words)
