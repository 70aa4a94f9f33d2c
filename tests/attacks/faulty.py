"""
Sockets that fail where they are told to; a port makes them itself and accepts such, so that
nothing has to be replaced in any module.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from typing import Any

#: What a socket is to do when a method is called: raise, or with a number, write no more.
Fault = Callable[[], int | None]


class Injected(OSError):
    """
    A fault.
    """


def isTwisted(event: dict[str, Any]) -> bool:
    """
    Whether this tells of a fault that Twisted has met, and has logged.
    """
    failure = event.get("log_failure") or event.get("failure")
    ours = str(event.get("log_namespace")).startswith("terminable")
    return failure is not None and bool(failure.check(Injected)) and not ours


def error(name: str, times: int = 10**9) -> Fault:
    """
    Fail so often, and then work.

    @param name: of an error number, as C{"EPIPE"}.
    """
    number = getattr(errno, name)
    left = [times]

    def fail() -> int | None:
        if left[0] > 0:
            left[0] -= 1
            raise Injected(number, os.strerror(number))
        return None

    return fail


def atMost(count: int) -> Fault:
    """
    Take no more than so many bytes at once.
    """
    return lambda: count


def once(count: int) -> Fault:
    """
    The same, the first time.
    """
    left = [count]
    return lambda: left.pop() if left else None


class FaultySocket(socket.socket):
    """
    @ivar faults: what happens when which method is called.
    @ivar accepted: the faults of those who will be accepted, one after the other.
    """

    faults: dict[str, Fault]
    accepted: list[dict[str, Fault]]

    @classmethod
    def of(cls, sock: socket.socket, faults: dict[str, Fault]) -> FaultySocket:
        """
        The same socket, with faults.
        """
        made = cls(sock.family, sock.type, sock.proto, sock.detach())
        made.setblocking(False)
        made.faults = faults
        made.accepted = []
        return made

    def _happens(self, what: str) -> int | None:
        fault = self.faults.get(what)
        return None if fault is None else fault()

    def really(self) -> int:
        """
        The descriptor.
        """
        return super().fileno()

    def fileno(self) -> int:
        """
        The descriptor, or that of something which is no socket: what is asked of it by
        C{ioctl(2)} fails.
        """
        try:
            self._happens("fileno")
        except Injected:
            return -1
        return super().fileno()

    def accept(self) -> tuple[socket.socket, Any]:
        self._happens("accept")
        client, address = super().accept()
        faults = self.accepted.pop(0) if self.accepted else {}
        return FaultySocket.of(client, faults), address

    def recv(self, *args: Any) -> bytes:
        most = self._happens("recv")
        return super().recv(args[0] if most is None else most, *args[1:])

    def send(self, data: Any, *flags: int) -> int:
        most = self._happens("send")
        return super().send(data if most is None else data[:most], *flags)

    def sendmsg(self, *args: Any) -> int:
        self._happens("sendmsg")
        return super().sendmsg(*args)

    def recvmsg(self, size: int, *args: Any) -> tuple[bytes, list[Any], int, Any]:
        most = self._happens("recvmsg")
        data, ancillary, *rest = super().recvmsg(size if most is None else most, *args)
        if ancillary and self._happens("descriptors") is not None:
            # As the kernel does when too many files are open.
            for *_, packed in ancillary:
                for number in memoryview(packed).cast("i"):
                    os.close(number)
            ancillary = []
        return data, ancillary, *rest

    def shutdown(self, how: int) -> None:
        self._happens("shutdown")
        super().shutdown(how)

    def getsockopt(self, *args: Any) -> Any:
        self._happens("getsockopt")
        return super().getsockopt(*args)

    def setsockopt(self, *args: Any) -> None:
        self._happens("setsockopt")
        super().setsockopt(*args)

    def getpeername(self) -> Any:
        self._happens("getpeername")
        return super().getpeername()

    def getsockname(self) -> Any:
        self._happens("getsockname")
        return super().getsockname()

    def dup(self) -> Any:
        self._happens("dup")
        return super().dup()

    def close(self) -> None:
        super().close()
        # The kernel has let go of it even if it complains.
        self._happens("close")


def faultyPort(base: Any, faults: dict[str, Fault], accepted: list[dict[str, Fault]]) -> Any:
    """
    A port class whose socket fails.

    @param accepted: how the sockets fail that it accepts.
    """

    class Port(base):  # type: ignore[misc]
        def createInternetSocket(self) -> FaultySocket:
            made = FaultySocket.of(super().createInternetSocket(), faults)
            made.accepted = accepted
            return made

    return Port
