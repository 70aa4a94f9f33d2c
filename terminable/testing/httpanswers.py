"""
HTTP/1.1 as a client sees it: requests written, answers read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_END = b"\r\n"


@dataclass(frozen=True)
class Answer:
    """
    One answer.

    @ivar status: its status code.
    @ivar reason: the words behind it.
    @ivar version: C{"HTTP/1.1"}, or another one.
    @ivar headers: names and values, in order, as they came.
    @ivar body: what has come of its body, without its transfer coding.
    @ivar complete: whether that is all of it.
    """

    status: int
    reason: str
    version: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    complete: bool

    def header(self, name: str) -> str | None:
        """
        @param name: of a header, in any case.
        @return: its value; of several, all of them with commas between; C{None} if there
            is none.
        """
        return _header(self.headers, name)

    @property
    def closing(self) -> bool:
        """
        Whether it says that it is the last on its connection (RFC 9112, section 9.3).
        """
        words = _words(self.header("connection"))
        return "close" in words or (self.version == "HTTP/1.0" and "keep-alive" not in words)


def _header(headers: Iterable[tuple[str, str]], name: str) -> str | None:
    values = [value for known, value in headers if known.lower() == name.lower()]
    return ", ".join(values) if values else None


def _words(value: str | None) -> list[str]:
    return [word.strip().lower() for word in (value or "").split(",")]


def writeRequest(
    target: str = "/",
    method: str = "GET",
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    host: str = "localhost",
) -> bytes:
    """
    A request of HTTP/1.1 as it is written, with C{Content-Length} if it has a body.
    """
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def readAnswers(
    data: bytes, methods: Iterable[str] = (), ended: bool = False
) -> tuple[list[Answer], bytes]:
    """
    Read the answers that a client was given on one connection.

    @param data: all that it has received.
    @param methods: of the requests, in order; those that are not told are GETs.
    @param ended: whether the server has ended the connection.
    @return: the answers, those of 1xx among them, the last of which may not be complete;
        and what is left: the beginning of one more head, or what was sent after an answer
        with which HTTP was over (101, and CONNECT).
    @raise ValueError: this is no HTTP/1.
    """
    asked = iter(methods)
    answers: list[Answer] = []
    while data:
        head, there, rest = data.partition(_END * 2)
        if not there:
            break
        version, status, reason, headers = _head(head)
        interim = 100 <= status < 200 and status != 101
        method = "" if interim else next(asked, "GET").upper()
        body, complete, data = _body(status, method, headers, rest, ended)
        answers.append(Answer(status, reason, version, headers, body, complete))
        if status == 101 or (method == "CONNECT" and status < 300):
            break
    return answers, data


def _head(head: bytes) -> tuple[str, int, str, tuple[tuple[str, str], ...]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    status, _, reason = rest.partition(" ")
    if version not in ("HTTP/1.0", "HTTP/1.1") or len(status) != 3 or not status.isdecimal():
        raise ValueError(f"no status line: {first!r}")
    headers = []
    for line in lines:
        name, there, value = line.partition(":")
        if not there or not name or name != name.strip():
            raise ValueError(f"no header: {line!r}")
        headers.append((name, value.strip()))
    return version, int(status), reason, tuple(headers)


def _body(
    status: int, method: str, headers: tuple[tuple[str, str], ...], data: bytes, ended: bool
) -> tuple[bytes, bool, bytes]:
    """
    RFC 9112, section 6.3.

    @return: the body, whether it is complete, and what comes after it.
    """
    tunnel = method == "CONNECT" and 200 <= status < 300
    if method == "HEAD" or status < 200 or status in (204, 304) or tunnel:
        return b"", True, data
    codings = _header(headers, "transfer-encoding")
    if codings is not None and _words(codings)[-1] == "chunked":
        return _chunks(data)
    length = None if codings is not None else _length(headers)
    if length is None:
        return data, ended, b""
    return data[:length], len(data) >= length, data[length:]


def _length(headers: tuple[tuple[str, str], ...]) -> int | None:
    told = _header(headers, "content-length")
    if told is None:
        return None
    lengths = set(_words(told))
    value = lengths.pop()
    if lengths or not (value.isascii() and value.isdecimal()):
        raise ValueError(f"no length: {told!r}")
    return int(value)


def _chunks(data: bytes) -> tuple[bytes, bool, bytes]:
    """
    RFC 9112, section 7.1.
    """
    body = b""
    while True:
        line, there, rest = data.partition(_END)
        if not there:
            return body, False, b""
        size = _size(line)
        if not size:
            return _trailers(body, rest)
        body += rest[:size]
        end = rest[size : size + 2]
        if len(end) < 2:
            return body, False, b""
        if end != _END:
            raise ValueError(f"a chunk that does not end: {end!r}")
        data = rest[size + 2 :]


def _size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip()
    # Python's numbers may have signs and underscores, which have no place here.
    if not digits or digits.strip(b"0123456789abcdefABCDEF"):
        raise ValueError(f"no size of a chunk: {line!r}")
    return int(digits, 16)


def _trailers(body: bytes, data: bytes) -> tuple[bytes, bool, bytes]:
    while True:
        line, there, data = data.partition(_END)
        if not there:
            return body, False, b""
        if not line:
            return body, True, data
