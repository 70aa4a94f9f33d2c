"""
Blocking clients, which share neither a reactor nor a fault with what they talk to.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass

HOST = "127.0.0.1"

#: Seconds after which a client gives up, so that no test hangs.
TIMEOUT = 20.0


@dataclass(frozen=True)
class Answer:
    """
    One HTTP answer that has arrived in full.
    """

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def closing(self) -> bool:
        """
        Whether it says that it is the last on its connection.
        """
        return self.headers.get("connection", "").lower() == "close"


class Peer:
    """
    One connection, seen from its client.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._buffer = b""

    @property
    def name(self) -> str:
        """
        What the server calls this client.
        """
        host, port = self.sock.getsockname()[:2]
        return f"{host}:{port}"

    def secure(self, *protocols: str) -> Peer:
        """
        Shake hands. From then on the end has to be announced; without that, it is an
        error.

        @param protocols: what to offer by ALPN.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if protocols:
            context.set_alpn_protocols(list(protocols))
        self.sock = context.wrap_socket(
            self.sock, server_hostname="localhost", suppress_ragged_eofs=False
        )
        return self

    def send(self, data: bytes) -> None:
        """
        Send all of it.
        """
        self.sock.sendall(data)

    def ask(self, target: str, method: str = "GET", headers: str = "", body: bytes = b"") -> None:
        """
        Send a request.
        """
        if body:
            headers += f"Content-Length: {len(body)}\r\n"
        head = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"
        self.send(head.encode() + body)

    def get(self, target: str) -> Answer:
        """
        Ask, and wait for the answer.
        """
        self.ask(target)
        return self.answer()

    def _more(self) -> bool:
        data = self.sock.recv(65536)
        self._buffer += data
        return bool(data)

    def _needMore(self) -> None:
        if not self._more():
            raise EOFError(f"the connection ended after {self._buffer[:200]!r}")

    def until(self, end: bytes) -> bytes:
        """
        Read up to C{end}, which is taken off.

        @raise EOFError: the connection ended before.
        """
        while end not in self._buffer:
            self._needMore()
        found, _, self._buffer = self._buffer.partition(end)
        return found

    def exactly(self, count: int) -> bytes:
        """
        Read so many bytes.

        @raise EOFError: the connection ended before.
        """
        while len(self._buffer) < count:
            self._needMore()
        found, self._buffer = self._buffer[:count], self._buffer[count:]
        return found

    def rest(self) -> bytes:
        """
        Everything up to the end of the connection, which has to be an orderly one.

        @raise OSError: the connection was reset, or (TLS) cut.
        """
        while self._more():
            pass
        found, self._buffer = self._buffer, b""
        return found

    def wasReset(self) -> bool:
        """
        Wait for the end of the connection, and tell whether it came by force.
        """
        try:
            self.rest()
        except TimeoutError:
            raise
        except OSError:
            return True
        return False

    def answer(self) -> Answer:
        """
        Read one HTTP answer.

        @raise EOFError: the connection ended before the answer did.
        """
        first, *lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        if "content-length" in headers:
            body = self.exactly(int(headers["content-length"]))
        elif headers.get("transfer-encoding") == "chunked":
            body = self._chunks()
        else:
            body = self.rest()
        return Answer(int(first.split()[1]), headers, body)

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.until(b"\r\n"), 16):
            body += self.exactly(size)
            self.exactly(2)
        self.until(b"\r\n")
        return body

    def close(self) -> None:
        """
        Go away.
        """
        self.sock.close()


@dataclass(frozen=True)
class Address:
    """
    Where a server listens: on a TCP port, on one with TLS, or on a UNIX socket.
    """

    port: int = 0
    path: str = ""
    tls: bool = False
    host: str = HOST

    @property
    def description(self) -> str:
        """
        The endpoint description; of the TLS one, all but its certificate.
        """
        if self.path:
            return f"unix:{self.path}"
        return f"{'ssl' if self.tls else 'tcp'}:{self.port}:interface={self.host}"

    def reach(self, window: int | None = None) -> Peer:
        """
        Connect, and say nothing, not even hello.

        @param window: a size for the receive buffer.
        @raise OSError: we were refused.
        """
        family = socket.AF_UNIX if self.path else socket.AF_INET
        sock = socket.socket(family)
        sock.settimeout(TIMEOUT)
        if window is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        try:
            sock.connect(self.path or (self.host, self.port))
        except BaseException:
            sock.close()
            raise
        return Peer(sock)

    def connect(self, window: int | None = None) -> Peer:
        """
        Connect, and shake hands if this is TLS.

        @raise OSError: we were refused.
        """
        peer = self.reach(window)
        return peer.secure() if self.tls else peer

    def refuses(self) -> bool:
        """
        Whether nobody listens here.
        """
        try:
            self.reach().close()
        except (ConnectionRefusedError, FileNotFoundError):
            return True
        return False
