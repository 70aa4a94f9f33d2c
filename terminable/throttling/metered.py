"""
A socket that reads and writes no more than somebody allows.

What a transport takes out of its socket, and puts into it, passes here and nowhere else,
so that bytes are counted as they are on the wire, below TLS and whatever the protocol.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterable
from typing import Any, Protocol


class Flow(Protocol):
    """
    Who says how much.
    """

    def allowance(self, size: int) -> int:
        """
        @param size: how many bytes are wanted.
        @return: how many may be moved now; 0 if none, and then it is seen to that
            nobody asks again before there are some.
        """

    def used(self, size: int) -> None:
        """
        So many were moved, of those that were allowed.
        """


def _notNow() -> BlockingIOError:
    return BlockingIOError(errno.EWOULDBLOCK, "over the rate")


def move(flow: Flow, size: int, work: Callable[[int], Any], moved: Callable[[Any], int]) -> Any:
    """
    Move what may be moved.

    @param work: moves no more than so many bytes.
    @param moved: how many that were.
    """
    allowed = flow.allowance(size)
    if not allowed:
        raise _notNow()
    used = 0
    try:
        result = work(allowed)
        used = moved(result)
    finally:
        flow.used(used)
    return result


#: Looked up once: each read and write pays for what happens here.
_receive = socket.socket.recv
_send = socket.socket.send


def _length(received: Any) -> int:
    return len(received[0])


class MeteredSocket(socket.socket):
    """
    A connected stream socket.

    @ivar reads: who says how much may be read; C{None} if nobody.
    @ivar writes: who says how much may be written; C{None} if nobody.
    """

    __slots__ = ("reads", "writes")

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self.reads: Flow | None = None
        self.writes: Flow | None = None

    def recv(self, size: int, flags: int = 0) -> bytes:
        """
        Read what may be read.

        @raise BlockingIOError: nothing is there, or nothing may be read.
        """
        reads = self.reads
        if reads is None or flags:
            return _receive(self, size, flags)
        allowed = reads.allowance(size)
        if not allowed:
            raise _notNow()
        try:
            data = _receive(self, allowed)
        except BaseException:
            reads.used(0)
            raise
        reads.used(len(data))
        return data

    def recvmsg(self, size: int, *rest: int) -> Any:
        """
        The same, with descriptors that came along: transports of UNIX sockets use it.
        """
        receive = super().recvmsg
        if self.reads is None or any(rest[1:]):
            return receive(size, *rest)
        return move(self.reads, size, lambda allowed: receive(allowed, *rest), _length)

    def send(self, data: Any, flags: int = 0) -> int:
        """
        Write what may be written.

        @raise BlockingIOError: nothing can, or may, be written.
        """
        writes = self.writes
        if writes is None or not data:
            return _send(self, data, flags)
        allowed = writes.allowance(len(data))
        if not allowed:
            raise _notNow()
        try:
            part = data if allowed >= len(data) else memoryview(data)[:allowed]
            sent = _send(self, part, flags)
        except BaseException:
            writes.used(0)
            raise
        writes.used(sent)
        return sent

    def sendmsg(self, buffers: Iterable[Any], *rest: Any) -> int:
        """
        The same, with descriptors that go along.
        """
        send = super().sendmsg
        if self.writes is None:
            return send(buffers, *rest)
        data = b"".join(buffers)
        return int(move(self.writes, len(data), lambda size: send([data[:size]], *rest), int))


def metered(transport: Any) -> MeteredSocket:
    """
    Exchange the socket of a transport for one that is metered: the same connection, with
    the same descriptor.
    """
    plain = transport.socket
    if hasattr(plain, "reads"):
        # One that no kernel has, and that can be metered as it is.
        return plain  # type: ignore[no-any-return]
    own = MeteredSocket(plain.family, plain.type, plain.proto, fileno=plain.detach())
    own.setblocking(False)
    transport.socket = own
    transport.fileno = own.fileno
    return own
