"""
Connections on which answers are read strictly.

Only the standard library is needed.
"""

from __future__ import annotations

import socket
import ssl
from typing import Any

from terminable.testing.tally import Settings

#: How many bytes of an answer that was cut are told.
TOLD = 200

#: How many bytes are read at once.
PIECE = 65536

#: The longest head of an answer, in bytes.
HEAD = 65536


class Wrong(Exception):
    """
    What came is no answer, or not the one that was expected.
    """


class Conversation:
    """
    One connection, on which answers are read strictly (RFC 9112, sections 6 and 7).

    @ivar heard: bytes since the last request.
    @ivar said: the first of these.
    @ivar asked: how many requests were written.
    """

    heard = 0
    said = b""
    asked = 0

    def __init__(self, settings: Settings) -> None:
        """
        Connect, and shake hands.

        @raise OSError: that did not work.
        """
        self._settings = settings
        self._buffer = b""
        family = socket.AF_UNIX if settings.path else socket.AF_INET
        if ":" in settings.host:
            family = socket.AF_INET6
        self.sock: Any = socket.socket(family)
        try:
            self._reach(settings)
        except BaseException:
            self.sock.close()
            raise

    def _reach(self, settings: Settings) -> None:
        self.sock.settimeout(settings.timeout)
        self.sock.connect(settings.path or (settings.host, settings.port))
        self.name = "" if settings.path else f"port {self.sock.getsockname()[1]}"
        if not settings.path:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if settings.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            # An end that was not announced may be a cut.
            self.sock = context.wrap_socket(
                self.sock, server_hostname=settings.hostname, suppress_ragged_eofs=False
            )

    def isOver(self) -> bool:
        """
        Whether the server has ended it, or said something that nobody has asked for, since
        the last answer.
        """
        self.sock.setblocking(False)
        try:
            self.sock.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True
        finally:
            self.sock.settimeout(self._settings.timeout)
        return True

    def ask(self, request: bytes) -> None:
        """
        @raise OSError: it was not written in full.
        """
        self.heard, self.said = 0, b""
        self.sock.sendall(request)
        self.asked += 1

    def _more(self) -> bool:
        data = self.sock.recv(PIECE)
        self.heard += len(data)
        self.said += data[: TOLD - len(self.said)]
        self._buffer += data
        return bool(data)

    def _until(self, end: bytes) -> bytes:
        while end not in self._buffer:
            if len(self._buffer) > HEAD:
                raise Wrong("a line or a head without an end")
            if not self._more():
                raise EOFError
        found, _, self._buffer = self._buffer.partition(end)
        return found

    def _exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            if not self._more():
                raise EOFError
        found, self._buffer = self._buffer[:count], self._buffer[count:]
        return found

    def answer(self, method: str) -> bool:
        """
        Read the answer, and look whether it is as expected.

        @return: whether it is the last one here.
        @raise Wrong: it is not.
        @raise EOFError: the connection ended before.
        """
        status = 100
        while status < 200:
            version, status, headers = _head(self._until(b"\r\n\r\n"))
            if status == 101:
                raise Wrong("another protocol")
        bodiless = method == "HEAD" or status in (204, 304)
        body, delimited = (b"", True) if bodiless else self._body(headers)
        if self._buffer:
            raise Wrong(f"{len(self._buffer)} bytes more than the answer has")
        _check(self._settings, status, body)
        tokens = ",".join(headers.get("connection", [])).lower().replace(" ", "").split(",")
        kept = delimited and "close" not in tokens
        return not (kept and (version != "1.0" or "keep-alive" in tokens))

    def _body(self, headers: dict[str, list[str]]) -> tuple[bytes, bool]:
        lengths, codings = headers.get("content-length"), headers.get("transfer-encoding")
        if lengths and codings:
            raise Wrong("both Content-Length and Transfer-Encoding")
        if codings:
            if [each.lower() for each in codings] != ["chunked"]:
                raise Wrong(f"Transfer-Encoding: {', '.join(codings)}")
            return self._chunks(), True
        if lengths is None:
            while self._more():
                pass
            body, self._buffer = self._buffer, b""
            return body, False
        if len(set(lengths)) > 1 or not (lengths[0].isascii() and lengths[0].isdigit()):
            raise Wrong(f"Content-Length: {', '.join(lengths)}")
        return self._exactly(int(lengths[0])), True

    def _chunks(self) -> bytes:
        body = b""
        while size := _size(self._until(b"\r\n")):
            body += self._exactly(size)
            if self._exactly(2) != b"\r\n":
                raise Wrong("a chunk longer than it said")
        while self._until(b"\r\n"):
            pass
        return body


def _head(head: bytes) -> tuple[str, int, dict[str, list[str]]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    if version not in ("HTTP/1.0", "HTTP/1.1") or not rest[:3].isdigit() or rest[3:4].strip():
        raise Wrong("no status line")
    headers: dict[str, list[str]] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise Wrong(f"a header {line[:50]!r}")
        headers.setdefault(name.lower(), []).append(value.strip())
    return version[5:], int(rest[:3]), headers


def _size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip()
    if not digits or digits.strip(b"0123456789abcdefABCDEF"):
        raise Wrong(f"a chunk's size {line[:50]!r}")
    return int(digits, 16)


def _check(settings: Settings, status: int, body: bytes) -> None:
    if status >= 500 if settings.status is None else status != settings.status:
        raise Wrong(f"status {status}")
    if settings.expect is not None and body != settings.expect.encode("latin-1"):
        raise Wrong(f"a body of {len(body)} bytes, {body[:50]!r}")
