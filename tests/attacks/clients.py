"""
Somebody who asks, bit by bit.
"""

from __future__ import annotations

import contextlib
import socket
from typing import Any

from tests.attacks.talks import Request


class Client:
    """
    Sends what it has to say bit by bit, and reads.

    @ivar arrived: how much of it had been sent when its connection was told to go; C{None} if
        it was not.
    @ivar left: whether it went away by itself.
    @ivar before: whether its connection was over when the stop began.
    """

    def __init__(self, talk: list[Request], sock: socket.socket, name: str) -> None:
        self.talk = talk
        self.name = name
        self.socket = sock
        self.data = b"".join(request.data for request in talk)
        self.sent = 0
        self.received = b""
        self.over = ""
        self.left = self.half = self.before = False
        self.transport: Any = None
        self.arrived: int | None = None

    def send(self, count: int) -> None:
        """
        Send a bit more.
        """
        if self.left or self.half or self.over:
            return
        with contextlib.suppress(OSError):
            self.sent += self.socket.send(self.data[self.sent : self.sent + count])

    def proceed(self) -> None:
        """
        Decide what else to say.
        """

    def read(self, limit: int) -> None:
        """
        Read some.
        """
        try:
            while limit > 0 and not self.over and not self.left:
                data = self.socket.recv(min(limit, 2**16))
                self.over = self.over or ("" if data else "end")
                self.received += data
                limit -= len(data)
        except BlockingIOError:
            pass
        except OSError:
            self.over = "reset"

    @property
    def said(self) -> bool:
        """
        Whether there is nothing more to come.
        """
        return self.sent == len(self.data)

    def leave(self, half: bool) -> None:
        """
        Go, or say that nothing more comes.
        """
        if half:
            self.half = True
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_WR)
        else:
            self.left = True
            self.socket.close()

    def look(self) -> None:
        """
        Was its connection told to go?
        """
        transport = self.transport
        if self.arrived is not None or transport is None:
            return
        channel = getattr(getattr(transport, "protocol", None), "_channel", None)
        ends = channel is not None and getattr(channel, "persistent", 1) == 0
        if not transport.connected or transport.disconnecting or ends:
            self.arrived = self.sent
