"""
A server that does to each connection what it was told, and nothing else.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import ssl
import struct
import tempfile
import threading
from collections.abc import Iterable
from typing import Any

from terminable.testing.selfsigned import selfSigned

#: Seconds after which anything here gives up.
PATIENCE = 10.0

#: What to do at the end of a connection, instead of closing it.
RESET, KEEP = b"RESET", b"KEEP"

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def serverContext() -> ssl.SSLContext:
    """
    What a server needs for TLS.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(selfSigned())
        file.flush()
        context.load_cert_chain(file.name)
    return context


def readable(sock: socket.socket, seconds: float = 0.0) -> bool:
    """
    Whether somebody has connected, or does so in time.
    """
    return bool(select.select([sock], [], [], seconds)[0])


class Scripted(threading.Thread):
    """
    Serves one connection after the other.

    @ivar heard: what each connection has asked, as far as it was read.
    """

    def __init__(
        self, *scripts: Iterable[bytes], path: str = "", tls: ssl.SSLContext | None = None
    ) -> None:
        """
        @param scripts: for each connection, what to send after each request; at the end it is
            closed, or what L{RESET} or L{KEEP} say.  The last script is used again and again.
        """
        super().__init__(daemon=True)
        self._scripts = [list(each) for each in scripts]
        self._tls = tls
        self.sock = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self.sock.bind(path or ("127.0.0.1", 0))
        self.sock.listen(64)
        self._leaving = False
        self.address: Any = path or self.sock.getsockname()
        self.heard: list[bytes] = []
        self.kept: list[socket.socket] = []

    def __enter__(self) -> Scripted:
        self.start()
        return self

    def __exit__(self, *details: object) -> None:
        self.refuse()
        for each in self.kept:
            each.close()

    def refuse(self) -> None:
        """
        Listen no more; who waits in the queue is served.
        """
        self._leaving = True
        self.join(PATIENCE)

    def turnTo(self, *script: bytes) -> None:
        """
        From now on, do this to each connection.
        """
        self._scripts = [list(script)]

    def run(self) -> None:
        """
        Until nobody may connect any more.
        """
        while not self._leaving or readable(self.sock):
            if not readable(self.sock, 0.01):
                continue
            sock, _ = self.sock.accept()
            sock.settimeout(PATIENCE)
            script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
            with contextlib.suppress(OSError):
                self._play(sock, script)
        self.sock.close()
        if not isinstance(self.address, tuple):
            os.unlink(self.address)

    def _play(self, sock: Any, script: list[bytes]) -> None:
        if self._tls is not None:
            sock = self._tls.wrap_socket(sock, server_side=True)
        for part in script:
            if part == RESET:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif part == KEEP:
                self.kept.append(sock)
                return
            else:
                if not self._hear(sock):
                    break
                sock.sendall(part)
        sock.close()

    def _hear(self, sock: Any) -> bool:
        heard = b""
        while b"\r\n\r\n" not in heard:
            data = sock.recv(65536)
            if not data:
                break
            heard += data
        self.heard.append(heard)
        return bool(heard)
