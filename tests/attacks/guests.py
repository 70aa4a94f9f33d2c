"""
Those who connect.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.wire import trusting


class _Counted:
    """
    A transport class that counts its instances: independent of those who record them.
    """

    counter: Counter[str]


def counting(
    base: Any, count: Counter[str], accepted: Callable[[Any], object] = lambda transport: None
) -> Any:
    """
    A server transport class that counts in C{count}.

    @param accepted: called with each instance.
    """

    class Server(_Counted, base):  # type: ignore[misc]
        counter = count

        def __init__(self, *args: Any, **keywords: Any) -> None:
            count["opened"] += 1
            base.__init__(self, *args, **keywords)
            accepted(self)

    return Server


class Guest:
    """
    Somebody who has connected.
    """

    def __init__(self, sock: socket.socket, tls: bool = False) -> None:
        self.gone = False
        sock.setblocking(False)
        self.socket = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = trusting().wrap_bio(self._incoming, self._outgoing) if tls else None

    def send(self, data: bytes) -> None:
        """
        Send what the kernel takes.
        """
        with contextlib.suppress(OSError, ValueError):
            if self.tls is not None:
                # Before the handshake is over, this is a part of it.
                with contextlib.suppress(ssl.SSLError):
                    self.tls.write(data)
                data = self._outgoing.read()
            self.socket.send(data)

    def read(self, limit: int) -> None:
        """
        Read at most so much.
        """
        with contextlib.suppress(OSError, ValueError):
            data = self.socket.recv(limit)
            if self.tls is not None:
                self._incoming.write(data)
                with contextlib.suppress(ssl.SSLError):
                    self.tls.read(2**20)
                self.socket.send(self._outgoing.read())

    def halfEnd(self) -> None:
        """
        Send no more.
        """
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """
        Go rudely.
        """
        with contextlib.suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.leave()

    def leave(self) -> None:
        """
        Go.
        """
        self.gone = True
        self.socket.close()
