"""
What sockets that no kernel has have in common.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

#: C{SO_ATTACH_FILTER} of C{<asm-generic/socket.h>}, and C{TCP_INFO} of C{<linux/tcp.h>}: names
#: that not every platform has.
_SO_ATTACH_FILTER = 26
_TCP_INFO = 11

#: An address as sockets have it: host and port, and with IPv6 two more.
Name = tuple[Any, ...]


def failed(number: int, kind: type[OSError] = OSError) -> OSError:
    """
    The error of this number, as the kernel would have it.
    """
    return kind(number, os.strerror(number))


class Unreal(socket.socket):
    """
    What both kinds have in common: a descriptor that is none.

    @ivar options: what C{setsockopt} was given, by level and name.
    @ivar gone: whether it was closed.
    """

    def __init__(self, name: Name) -> None:
        # Not the inherited one: that would make a socket.
        self.options: dict[tuple[int, int], Any] = {}
        self.gone = False
        self.name = name

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name[0]}:{self.name[1]}>"

    def __enter__(self) -> Unreal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def family(self) -> socket.AddressFamily:
        """
        As that of a real one.
        """
        return socket.AF_INET if len(self.name) == 2 else socket.AF_INET6

    @property
    def type(self) -> socket.SocketKind:
        """
        As that of a real one.
        """
        return socket.SOCK_STREAM

    def fileno(self) -> int:
        """
        There is no descriptor.
        """
        return -1

    def setblocking(self, flag: bool) -> None:
        """
        Nothing blocks here.
        """

    def settimeout(self, value: float | None) -> None:
        """
        Nothing blocks here.
        """

    def getsockname(self) -> Name:
        """
        Our own address.
        """
        return self.name

    def setsockopt(self, level: int, name: int, value: Any, *_: int) -> None:
        """
        Remember an option.

        @raise OSError: it is a filter, which would keep some away who connect.
        """
        if (level, name) == (socket.SOL_SOCKET, _SO_ATTACH_FILTER):
            raise failed(errno.ENOPROTOOPT)
        self.options[level, name] = value

    def getsockopt(self, level: int, name: int, size: int = 0) -> Any:
        """
        What was remembered, 0 if nothing was; with C{TCP_INFO}, what the kernel would know.
        """
        if (level, name) == (socket.IPPROTO_TCP, _TCP_INFO):
            return self.info()[:size]
        return self.options.get((level, name), 0)

    def info(self) -> bytes:
        """
        What the kernel would know: C{struct tcp_info}.
        """
        raise NotImplementedError  # pragma: no cover
