"""
What the kernel knows about a socket, and what it can be told.

Every function answers for any socket on any platform; where the kernel cannot
tell, the answer is the one that costs least when it is wrong.
"""

from __future__ import annotations

import contextlib
import ctypes
import select
import socket
import struct
import sys
from array import array
from typing import Final

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

#: Where C{tcpi_rtt} (32 bits, microseconds) and C{tcpi_bytes_received} (64 bits) lie in
#: C{struct tcp_info} of C{<linux/tcp.h>}.
_ROUND_TRIP: Final = 68
_BYTES_RECEIVED: Final = 128

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


def readable(sock: socket.socket) -> bool:
    """
    Whether C{recv} or C{accept} would return at once.
    """
    try:
        if not hasattr(select, "poll"):  # pragma: no cover - Windows
            return bool(select.select([sock], [], [], 0)[0])
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        return bool(poll.poll(0))
    except (OSError, ValueError):
        return False


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
