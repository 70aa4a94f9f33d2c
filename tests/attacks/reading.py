"""
Answers of a server, read as strictly as RFC 9112 allows; no code of the server's is used.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9]) [\t -~]*")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t ]*([!-~](?:[\t -~]*[!-~])?|)[\t ]*")
_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")


class Broken(Exception):
    """
    These are no answers.
    """


class Short(Exception):
    """
    An answer is not complete.
    """


@dataclass
class Asked:
    """
    What has to be known of a request to read its answer.
    """

    method: bytes = b"GET"
    expects: bool = False


@dataclass
class Reply:
    """
    One answer.

    @ivar untilEnd: whether only the end of the connection says where it ends.
    """

    status: int
    fields: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""
    untilEnd: bool = False

    @property
    def ends(self) -> bool:
        """
        Whether it says that it is the last.
        """
        return self.fields.get(b"connection", b"").lower() == b"close"


class Reader:
    """
    Reads answers one after the other.

    @ivar replies: those that are complete, without 1xx.
    @ivar partial: whether another one has begun.
    @ivar upgraded: what came after a 101, if one came.
    """

    def __init__(self, data: bytes, asked: list[Asked]) -> None:
        """
        @raise Broken: these are no answers to these requests.
        """
        self._data = data
        self._asked = list(asked)
        self.replies: list[Reply] = []
        self.partial = False
        self.upgraded: bytes | None = None
        interims = 0
        while self._data and self.upgraded is None:
            asked_ = self._asked[0] if self._asked else Asked()
            try:
                reply, rest = self._one(asked_.method)
            except Short:
                self.partial = True
                return
            if reply.status == 100:
                interims += 1
                if interims > 1 or not asked_.expects:
                    raise Broken("100 Continue that nobody asked for")
                self._data = rest
                continue
            interims = 0
            if self._asked:
                del self._asked[0]
            self.replies.append(reply)
            self._data = rest
            if reply.status == 101:
                self.upgraded = rest

    def _one(self, method: bytes) -> tuple[Reply, bytes]:
        head, there, rest = self._data.partition(b"\r\n\r\n")
        if not there:
            if len(head) > 5 and not head.startswith(b"HTTP/"):
                raise Broken(f"no answer: {head[:60]!r}")
            raise Short
        first, *lines = head.split(b"\r\n")
        status = _STATUS.fullmatch(first)
        if status is None:
            raise Broken(f"no status line: {first!r}")
        reply = Reply(int(status[1]), self._fields(lines))
        if reply.status < 200 or reply.status in (204, 304) or method == b"HEAD":
            return reply, rest
        return self._body(reply, rest)

    def _fields(self, lines: list[bytes]) -> dict[bytes, bytes]:
        fields: dict[bytes, bytes] = {}
        for line in lines:
            found = _FIELD.fullmatch(line)
            if found is None:
                raise Broken(f"no field: {line!r}")
            name = found[1].lower()
            if name in fields and name in (b"content-length", b"transfer-encoding", b"connection"):
                raise Broken(f"{name!r} twice")
            fields[name] = found[2]
        return fields

    def _body(self, reply: Reply, rest: bytes) -> tuple[Reply, bytes]:
        length = reply.fields.get(b"content-length")
        coding = reply.fields.get(b"transfer-encoding")
        if length is not None and coding is not None:
            raise Broken("both a length and chunks")
        if coding is not None:
            if coding != b"chunked":
                raise Broken(f"coded by {coding!r}")
            return self._chunks(reply, rest)
        if length is None:
            reply.untilEnd, reply.body = True, rest
            return reply, b""
        if not re.fullmatch(rb"[0-9]+", length):
            raise Broken(f"of length {length!r}")
        if len(rest) < int(length):
            raise Short
        reply.body = rest[: int(length)]
        return reply, rest[int(length) :]

    def _chunks(self, reply: Reply, rest: bytes) -> tuple[Reply, bytes]:
        while True:
            line, there, rest = rest.partition(b"\r\n")
            if there and not _SIZE.fullmatch(line):
                raise Broken(f"no size of a chunk: {line!r}")
            if not there:
                raise Short
            size = int(line, 16)
            if len(rest) < size + 2:
                raise Short
            if rest[size : size + 2] != b"\r\n":
                raise Broken("a chunk is longer than it says")
            reply.body, rest = reply.body + rest[:size], rest[size + 2 :]
            if not size:
                return reply, rest


def frames(data: bytes) -> tuple[list[tuple[int, bytes]], bool]:
    """
    Read the frames of a WebSocket's server (RFC 6455, section 5.2).

    @return: opcodes and payloads; whether another frame has begun.
    @raise Broken: these are none.
    """
    found: list[tuple[int, bytes]] = []
    while len(data) >= 2:
        if data[0] & 0x70 or data[1] & 0x80:
            raise Broken(f"no frame: {data[:2]!r}")
        size, start = data[1] & 0x7F, 2
        if size > 125:
            wide = 2 if size == 126 else 8
            size, start = int.from_bytes(data[2 : 2 + wide], "big"), 2 + wide
        if len(data) < start + size:
            return found, True
        found.append((data[0] & 15, data[start : start + size]))
        data = data[start + size :]
    return found, bool(data)
