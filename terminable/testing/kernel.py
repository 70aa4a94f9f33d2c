"""
Connected and listening TCP sockets that no kernel has.

They behave as those of Linux do, without latency: what was sent is with the peer at once, as
far as it has room; what it has no room for stays with the sender; a socket that is closed
with unread input resets its connection.  Twisted's own transports and ports run on top of
them and cannot tell, nor can anything that asks L{terminable.tracking.sockets}.
"""

from __future__ import annotations

import errno
import select
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Any

from terminable.testing.unreal import Name, Unreal, failed
from terminable.throttling.metered import Flow, move

try:
    from termios import FIONREAD, TIOCOUTQ
except ImportError:  # pragma: no cover - Windows
    FIONREAD, TIOCOUTQ = 0x541B, 0x5411  # type: ignore[misc]

#: C{SIOCOUTQNSD} of C{<linux/sockios.h>}.
_SIOCOUTQNSD = 0x894B

#: Where things lie in C{struct tcp_info} of C{<linux/tcp.h>}: numbers of 32 bits
#: (C{tcpi_unacked}, which is the length of the queue of a socket that listens, and the
#: milliseconds C{tcpi_last_data_sent} and C{tcpi_last_data_recv}), and of 64 bits
#: (C{tcpi_bytes_acked}, C{tcpi_bytes_received}).
_UNACKED = 24
_LAST_SENT = 44
_LAST_RECEIVED = 52
_BYTES_CONFIRMED = 120
_BYTES_RECEIVED = 128
_INFO = 136

#: The event that a peer has ended its side; not every platform has it.
_RDHUP = getattr(select, "POLLRDHUP", 0)


class MemorySocket(Unreal):
    """
    One end of a connection; L{connect} makes both.

    @ivar reads: who says how much may be read; C{None} if nobody.
    @ivar writes: who says how much may be written; C{None} if nobody.
    @ivar wasReset: whether the other end has reset the connection.
    @ivar peerEnded: whether everything has come that the other end will ever send.
    """

    other: MemorySocket

    def __init__(self, seconds: Callable[[], float], name: Name, peer: Name, size: int) -> None:
        """
        @param seconds: tells the time.
        @param size: how many bytes it holds of what it has received, and of what it sends.
        """
        super().__init__(name)
        self.reads: Flow | None = None
        self.writes: Flow | None = None
        self.wasReset = False
        self.peerEnded = False
        self._seconds = seconds
        self._peer = peer
        self._size = size
        self._inbox = bytearray()
        self._outbox = bytearray()
        self._ending = self._failed = False
        self._received = self._confirmed = 0
        self._lastReceived = self._lastSent = seconds()

    def getpeername(self) -> Name:
        """
        The other end's address.
        """
        return self._peer

    # -- reading

    def recv(self, size: int, flags: int = 0) -> bytes:
        """
        Read what has come, as far as it may be read.

        @raise BlockingIOError: nothing is there, or nothing may be read.
        @raise ConnectionResetError: it was reset, and nothing is left to be read.
        """
        if flags & socket.MSG_PEEK:
            return bytes(self._inbox[:size])
        if self.reads is None:
            return self._take(size)
        return bytes(move(self.reads, size, self._take, len))

    def _take(self, size: int) -> bytes:
        if self.gone:
            raise failed(errno.EBADF)
        if not self._inbox:
            self._fail()
            if not (self.peerEnded or self.wasReset):
                raise failed(errno.EWOULDBLOCK, BlockingIOError)
            return b""
        data = bytes(self._inbox[:size])
        del self._inbox[:size]
        self.other.flush()
        return data

    # -- writing

    def send(self, data: Any, flags: int = 0) -> int:
        """
        Write as much as there is room for, and may be written.

        @raise BlockingIOError: that is nothing.
        @raise ConnectionResetError: it was reset.
        @raise BrokenPipeError: our side was ended.
        """
        if self.writes is None or not data:
            return self._put(memoryview(data))
        view = memoryview(data)
        return int(move(self.writes, len(view), lambda allowed: self._put(view[:allowed]), int))

    def _put(self, data: memoryview) -> int:
        if self.gone:
            raise failed(errno.EBADF)
        self._fail()
        if self._ending or self.wasReset:
            raise failed(errno.EPIPE, BrokenPipeError)
        part = data[: self._size - len(self._outbox)]
        if len(data) and not len(part):
            raise failed(errno.EWOULDBLOCK, BlockingIOError)
        self._outbox += part
        self.flush()
        return len(part)

    def flush(self) -> None:
        """
        What was sent goes to the other end, as far as that has room.
        """
        other = self.other
        if self._outbox and other.gone:
            # Nobody is there to read it: a reset comes back (RFC 9293, section 3.10.7.4),
            # and what was on its way to us is lost.
            self._reset()
            other._outbox.clear()
        part = self._outbox[: other._size - len(other._inbox)]
        if part:
            del self._outbox[: len(part)]
            other._inbox += part
            now = self._seconds()
            self._confirmed += len(part)
            other._received += len(part)
            self._lastSent = other._lastReceived = now
        if self._ending and not self._outbox and not self.wasReset:
            other.peerEnded = True

    def _reset(self) -> None:
        self.wasReset = True
        # To whoever has seen the end in order already, it is none any more.
        self._failed = not self.peerEnded
        self._outbox.clear()

    def _fail(self) -> None:
        """
        An error is told once.
        """
        if self._failed:
            self._failed = False
            raise failed(errno.ECONNRESET, ConnectionResetError)

    # -- ending

    def shutdown(self, how: int) -> None:
        """
        End our side: nothing is sent behind what was sent so far.
        """
        if how != socket.SHUT_RD:
            self._ending = True
            self.flush()

    def close(self) -> None:
        """
        Let go: in order, or by a reset if something is unread, or if C{SO_LINGER} says so.
        """
        if self.gone:
            return
        self.gone = True
        if self._inbox or self._resets():
            self._outbox.clear()
            self.other._reset()
        else:
            self._ending = True
            self.flush()

    @property
    def unsent(self) -> int:
        """
        How many bytes were sent that the other end has not read.
        """
        return 0 if self.wasReset else len(self._outbox) + len(self.other._inbox)

    def _resets(self) -> bool:
        value = self.options.get((socket.SOL_SOCKET, socket.SO_LINGER), b"")
        return bool(value == struct.pack("ii", 1, 0))

    # -- what it is asked

    def count(self, request: int) -> int:
        """
        What C{ioctl} would count: how many bytes are unread, or not with the peer.
        """
        if request == FIONREAD:
            return len(self._inbox)
        return len(self._outbox) if request in (TIOCOUTQ, _SIOCOUTQNSD) else 0

    def events(self) -> int:
        """
        What C{poll} would see.
        """
        found = 0
        if self._inbox or self.peerEnded or self.wasReset:
            found |= select.POLLIN
        if self._ending or self.wasReset or len(self._outbox) < self._size:
            found |= select.POLLOUT
        if self.peerEnded:
            found |= _RDHUP
        if self.peerEnded and self._ending and not self._outbox:
            found |= select.POLLHUP
        if self.wasReset:
            found |= select.POLLERR | select.POLLHUP | _RDHUP
        return found

    def info(self) -> bytes:
        """
        What the kernel would know: C{struct tcp_info}.
        """
        now = self._seconds()
        info = bytearray(_INFO)
        struct.pack_into("=I", info, _LAST_SENT, round((now - self._lastSent) * 1e3))
        struct.pack_into("=I", info, _LAST_RECEIVED, round((now - self._lastReceived) * 1e3))
        struct.pack_into("=QQ", info, _BYTES_CONFIRMED, self._confirmed, self._received)
        return bytes(info)


def connect(
    seconds: Callable[[], float], here: Name, there: Name, size: int
) -> tuple[MemorySocket, MemorySocket]:
    """
    Two connected sockets.

    @param here: the address of the first.
    @param there: the address of the second.
    @param size: how many bytes each holds of what it has received, and of what it sends.
    """
    first = MemorySocket(seconds, here, there, size)
    second = MemorySocket(seconds, there, here, size)
    first.other, second.other = second, first
    return first, second


class MemoryListener(Unreal):
    """
    A socket that listens, on a network that is a dictionary.
    """

    def __init__(self, network: dict[tuple[int, int], MemoryListener], family: int) -> None:
        """
        @param network: who listens, by family and port.
        """
        super().__init__(("0.0.0.0", 0) if family == socket.AF_INET else ("::", 0, 0, 0))
        self._network = network
        self._queue: deque[MemorySocket] = deque()
        self._backlog = 0

    def bind(self, address: Any) -> None:
        """
        Take an address; the port is all that counts, and any if it is 0.

        @raise OSError: somebody listens there.
        """
        port = address[1]
        if not port:
            port = next(each for each in range(49152, 65536) if not self._taken(each))
        if self._taken(port):
            raise failed(errno.EADDRINUSE)
        self.name = (address[0] or self.name[0], port, *self.name[2:])

    def _taken(self, port: int) -> bool:
        return (self.family, port) in self._network

    def listen(self, backlog: int = 50) -> None:
        """
        @param backlog: how many may wait to be accepted.
        """
        self._backlog = backlog
        self._network[self.family, self.name[1]] = self

    def arrive(self, seconds: Callable[[], float], peer: Name, size: int) -> MemorySocket:
        """
        Somebody connects.

        @return: its socket.
        @raise TimeoutError: too many wait.
        """
        if len(self._queue) >= self._backlog:
            raise failed(errno.ETIMEDOUT, TimeoutError)
        client, served = connect(seconds, peer, self.name, size)
        self._queue.append(served)
        return client

    def accept(self) -> tuple[socket.socket, Name]:
        """
        The next in the queue, and its address.

        @raise BlockingIOError: nobody waits.
        """
        if not self._queue:
            raise failed(errno.EWOULDBLOCK, BlockingIOError)
        served = self._queue.popleft()
        return served, served.getpeername()

    def shutdown(self, how: int) -> None:
        """
        It is going to be closed.
        """

    def close(self) -> None:
        """
        Listen no more; who is still queued is reset.
        """
        if not self.gone:
            self.gone = True
            self._network.pop((self.family, self.name[1]), None)
            for each in self._queue:
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                each.close()

    def count(self, request: int) -> int:
        """
        Nothing is read or written here.
        """
        return 0

    def events(self) -> int:
        """
        What C{poll} would see.
        """
        return select.POLLIN if self._queue else 0

    def info(self) -> bytes:
        """
        What the kernel would know: C{struct tcp_info}.
        """
        info = bytearray(_INFO)
        struct.pack_into("=I", info, _UNACKED, len(self._queue))
        return bytes(info)
