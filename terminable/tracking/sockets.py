"""
What the kernel knows about a socket, and what it can be told.

Every function answers for any socket on any platform; where the kernel cannot
tell, the answer is the one that costs least when it is wrong.  A socket that no kernel has
(those of L{terminable.testing}) is asked itself: by C{count}, as C{ioctl} is, and by
C{events}, as C{poll} is.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import select
import socket
import struct
import sys
from array import array
from typing import Final, NamedTuple

try:
    from fcntl import ioctl
    from termios import FIONREAD, TIOCOUTQ
except ImportError:  # pragma: no cover - Windows
    ioctl = None  # type: ignore[assignment]

_LINUX: Final = sys.platform.startswith("linux")

#: C{SO_ATTACH_FILTER} of C{<asm-generic/socket.h>}; the socket module has no name for it.
_SO_ATTACH_FILTER: Final = 26
_SO_DETACH_FILTER: Final = 27

#: C{SIOCOUTQNSD} of C{<linux/sockios.h>}.
_SIOCOUTQNSD: Final = 0x894B

#: Where C{tcpi_last_data_sent} (32 bits, milliseconds) lies in C{struct tcp_info} of
#: C{<linux/tcp.h>}; C{tcpi_last_data_recv} is the one after the next.
_LAST_DATA_SENT: Final = 44

#: Where C{tcpi_rtt} (32 bits, microseconds) and C{tcpi_bytes_received} (64 bits) lie in
#: C{struct tcp_info} of C{<linux/tcp.h>}.
_ROUND_TRIP: Final = 68
_BYTES_RECEIVED: Final = 128

#: And C{tcpi_last_data_sent}, C{tcpi_last_data_recv} (32 bits, milliseconds), and
#: C{tcpi_bytes_acked} (64 bits).
_LAST_SENT: Final = 44
_LAST_RECEIVED: Final = 52
_BYTES_CONFIRMED: Final = 120

#: And C{tcpi_unacked} (32 bits), in which a socket that listens has the length of its queue.
_UNACKED: Final = 24

#: A classic BPF program, as C{(code, jump if true, jump if false, operand)}: what
#: it sees begins with the TCP header, whose byte 13 holds the flags (RFC 9293,
#: section 3.1).  A segment with SYN (2) and without ACK (16) is dropped, all
#: others are passed.
_DROP_NEW: Final = (
    (0x30, 0, 0, 13),  # load byte 13
    (0x54, 0, 0, 0x12),  # and with SYN | ACK
    (0x15, 0, 1, 0x02),  # is it SYN alone?
    (0x06, 0, 0, 0),  # then drop
    (0x06, 0, 0, 0xFFFFFFFF),  # else pass
)


def _count(sock: socket.socket, request: int) -> int:
    count = getattr(sock, "count", None)
    if count is not None:
        return int(count(request))
    if ioctl is None:  # pragma: no cover - Windows
        return 0
    number = array("i", [0])
    try:
        ioctl(sock.fileno(), request, number)
    except (OSError, ValueError):
        return 0
    return number[0]


def unread(sock: socket.socket) -> int:
    """
    How many bytes the kernel holds that we have not read.
    """
    return _count(sock, FIONREAD)


def unacknowledged(sock: socket.socket) -> int:
    """
    How many bytes the kernel holds that the peer has not confirmed.
    """
    return _count(sock, TIOCOUTQ)


def isQuiet(sock: socket.socket) -> bool:
    """
    Whether the kernel holds nothing that we have not read, and nothing that the peer has
    not confirmed.
    """
    return not (_count(sock, FIONREAD) or _count(sock, TIOCOUTQ))


def end(sock: socket.socket) -> None:
    """
    Tell the peer that nothing more is sent, nor read; nothing happens if it was quicker.
    """
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        # Not by C{contextlib}: ten thousand of these are waiting for each other.
        return


def notSent(sock: socket.socket) -> int:
    """
    How many bytes the kernel holds that it has not even sent: the peer takes them
    slowly, and would never see them if the connection were reset.
    """
    if not _LINUX or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return 0
    return _count(sock, _SIOCOUTQNSD)


def hasSpoken(sock: socket.socket) -> bool:
    """
    Whether the peer ever sent a byte; C{True} where that cannot be told.
    """
    info = _tcpInfo(sock)
    return info is None or bool(struct.unpack_from("=Q", info, _BYTES_RECEIVED)[0])


def roundTrip(sock: socket.socket) -> float:
    """
    How long it takes until the peer answers, in seconds, as the kernel has measured
    it; 0 where it has not.
    """
    info = _tcpInfo(sock)
    return 0.0 if info is None else float(struct.unpack_from("=I", info, _ROUND_TRIP)[0]) / 1e6


def quiet(sock: socket.socket) -> float:
    """
    For how many seconds nothing was sent by either side; for ever, where that cannot be
    told.
    """
    info = _tcpInfo(sock)
    if info is None:
        return math.inf
    sent, received = struct.unpack_from("=I4xI", info, _LAST_DATA_SENT)
    return float(min(sent, received)) / 1e3


def queued(sock: socket.socket) -> int:
    """
    How many connections wait in the queue of a listening TCP socket; 0 where that cannot be
    told.
    """
    info = _tcpInfo(sock)
    # For a socket that listens, this place has another meaning than its name.
    return 0 if info is None else int(struct.unpack_from("=I", info, _UNACKED)[0])


class Traffic(NamedTuple):
    """
    What has passed a TCP connection so far.

    @ivar received: bytes from the peer.
    @ivar confirmed: bytes to the peer that it has confirmed.
    @ivar lastReceived: seconds since the last of its bytes; C{None} if there was none.
    @ivar lastSent: seconds since our last byte; C{None} if none was confirmed.
    """

    received: int
    confirmed: int
    lastReceived: float | None
    lastSent: float | None


def traffic(sock: socket.socket) -> Traffic | None:
    """
    @return: what has passed; C{None} where that cannot be told: UNIX sockets, and other
        systems than Linux.
    """
    info = _tcpInfo(sock)
    if info is None:
        return None
    [received] = struct.unpack_from("=Q", info, _BYTES_RECEIVED)
    [confirmed] = struct.unpack_from("=Q", info, _BYTES_CONFIRMED)
    # Before the first byte, both count from the handshake.
    lastReceived = struct.unpack_from("=I", info, _LAST_RECEIVED)[0] / 1e3 if received else None
    lastSent = struct.unpack_from("=I", info, _LAST_SENT)[0] / 1e3 if confirmed else None
    return Traffic(received, confirmed, lastReceived, lastSent)


def _tcpInfo(sock: socket.socket) -> bytes | None:
    if not _LINUX or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    size = _BYTES_RECEIVED + 8
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, size)
    except OSError:
        return None
    # Linux before 4.1 knows less.
    return info if len(info) == size else None


def _poll(sock: socket.socket, wanted: int) -> int:
    poll = select.poll()
    poll.register(sock, wanted)
    found = poll.poll(0)
    return found[0][1] if found else 0


def readable(sock: socket.socket) -> bool:
    """
    Whether C{recv} or C{accept} would return at once.
    """
    events = getattr(sock, "events", None)
    if events is not None:
        return bool(events() & select.POLLIN)
    try:
        if not hasattr(select, "poll"):  # pragma: no cover - Windows
            return bool(select.select([sock], [], [], 0)[0])
        return bool(_poll(sock, select.POLLIN))
    except (OSError, ValueError):
        return False


def gone(sock: socket.socket) -> bool:
    """
    Whether nobody is at the other end any more: the connection was reset, or the peer has
    ended its side and has left nothing that we have not read.  C{False} where that cannot
    be told.
    """
    if not hasattr(select, "poll"):  # pragma: no cover - Windows
        return False
    ended = getattr(select, "POLLRDHUP", 0) | select.POLLHUP
    events = getattr(sock, "events", None)
    try:
        state = _poll(sock, getattr(select, "POLLRDHUP", 0)) if events is None else events()
    except (OSError, ValueError):
        return True
    if state & (select.POLLERR | select.POLLNVAL):
        return True
    return bool(state & ended) and not unread(sock)


def refuseNew(sock: socket.socket) -> bool:
    """
    Have the kernel ignore new connection requests on a listening TCP socket, while
    handshakes that have begun are completed.

    @return: whether it agreed.  It needs Linux, and a socket that allows filters
        (in some environments C{CAP_NET_ADMIN}).
    """
    if not _LINUX or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    program = ctypes.create_string_buffer(
        b"".join(struct.pack("HBBI", *instruction) for instruction in _DROP_NEW)
    )
    head = struct.pack("HP", len(_DROP_NEW), ctypes.addressof(program))
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, head)
    except OSError:
        return False
    return True


def acceptNew(sock: socket.socket) -> None:
    """
    Undo L{refuseNew}, where the kernel had agreed to it.
    """
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
