"""
Blocking clients that know exactly what became of a request.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass

from benchmarks.common import HOST


class Incomplete(Exception):
    """
    The connection ended before the answer did; C{body} is what came of it.
    """

    def __init__(self, reason: str, body: bytes = b"") -> None:
        super().__init__(reason)
        self.body = body


@dataclass
class Answer:
    """
    One complete HTTP answer.
    """

    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def saysClose(self) -> bool:
        return self.headers.get(b"connection", b"").lower() == b"close"


class Client:
    """
    One blocking connection that sends exactly what it is told and never
    retries.
    """

    def __init__(
        self,
        port: int,
        tls: ssl.SSLContext | None = None,
        timeout: float = 10.0,
        receiveBuffer: int | None = None,
        handshake: bool = True,
    ) -> None:
        self.socket = socket.socket()
        self.buffer = b""
        try:
            if receiveBuffer is not None:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receiveBuffer)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket.settimeout(timeout)
            self.socket.connect((HOST, port))
            self.name = ":".join(map(str, self.socket.getsockname()))
            if tls is not None:
                self.socket = tls.wrap_socket(
                    self.socket, server_hostname=HOST, do_handshake_on_connect=False
                )
                if handshake:
                    self.shakeHands()
        except BaseException:
            self.socket.close()
            raise

    def shakeHands(self) -> None:
        assert isinstance(self.socket, ssl.SSLSocket)
        self.socket.do_handshake()

    def send(self, data: bytes) -> None:
        """
        Write all of it, or raise L{OSError}.
        """
        self.socket.sendall(data)

    def receive(self, size: int = 65536) -> bytes:
        """
        What comes next, or nothing if the connection has ended in whatever way.
        """
        try:
            return self.socket.recv(size)
        except TimeoutError:
            raise Incomplete("timeout", self.buffer) from None
        except OSError:
            return b""

    def _more(self) -> None:
        data = self.receive()
        if not data:
            raise Incomplete("ended", self.buffer)
        self.buffer += data

    def answer(self) -> Answer:
        """
        Read one answer; raise L{Incomplete} if the connection ends too early.
        """
        while (end := self.buffer.find(b"\r\n\r\n")) < 0:
            self._more()
        first, *lines = self.buffer[:end].split(b"\r\n")
        self.buffer = self.buffer[end + 4 :]
        pairs = (line.split(b":", 1) for line in lines)
        headers = {name.lower(): value.strip() for name, value in pairs}
        status = int(first.split(b" ", 2)[1])
        if b"content-length" not in headers:
            return Answer(status, headers, self.rest())
        length = int(headers[b"content-length"])
        while len(self.buffer) < length:
            self._more()
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return Answer(status, headers, body)

    def rest(self) -> bytes:
        """
        Everything until the end of the connection.
        """
        while data := self.receive():
            self.buffer += data
        body, self.buffer = self.buffer, b""
        return body

    def close(self) -> None:
        self.socket.close()


def get(path: str = "/", *headers: str) -> bytes:
    """
    The bytes of a request.
    """
    return "\r\n".join([f"GET {path} HTTP/1.1", f"Host: {HOST}", *headers, "", ""]).encode("ascii")
