"""
Messages to systemd, as sd_notify(3) has them: one datagram each, to the socket that
C{NOTIFY_SOCKET} names.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from typing import Any

from twisted.logger import Logger

from terminable import events
from terminable.errors import InvalidOption

_log = Logger()

#: Bytes of a value, at most: systemd ignores a message of more than 4096.
LONGEST = 1000

#: Seconds that a connection over C{AF_VSOCK} may take, so that nothing waits for it.
PROMPT = 0.01

#: Bytes of the name of a UNIX socket, at most: C{sun_path} of unix(7), and its end.
_PATH = 107

#: C{VMADDR_CID_ANY} of vsock(7): no address to send to.
_ANYBODY = 2**32 - 1

_VSOCK = re.compile(r"vsock(?:-(dgram|seqpacket|stream))?:([0-9]{1,10}):([0-9]{1,10})")


def _oneLine(value: object) -> str:
    """
    A value as it may stand in a message, whatever a peer has put into it.
    """
    line = "".join(each if each.isprintable() else " " for each in str(value))
    return line.encode()[:LONGEST].decode(errors="ignore")


def _placeOf(value: str) -> tuple[str, tuple[str, ...], Any]:
    """
    Read what C{NOTIFY_SOCKET} says.

    @return: the name of the address family, those of the kinds of socket to try, and the
        address.
    @raise InvalidOption: it says nothing that could be meant.
    """
    path = os.fsencode(value)
    if path[:1] in (b"/", b"@") and 1 < len(path) <= _PATH:
        name = path if path[:1] == b"/" else b"\0" + path[1:]
        return "AF_UNIX", ("SOCK_DGRAM",), name
    if found := _VSOCK.fullmatch(value):
        address = (int(found[2]), int(found[3]))
        if address[0] < _ANYBODY and address[1] <= _ANYBODY:
            # sd_notify(3): hypervisors without datagrams are sent packets.
            kinds = (found[1].upper(),) if found[1] else ("DGRAM", "SEQPACKET", "STREAM")
            return "AF_VSOCK", tuple(f"SOCK_{kind}" for kind in kinds), address
    raise InvalidOption("NOTIFY_SOCKET", value, "/path, @name or vsock:CID:PORT")


class Notifier:
    """
    Sends messages to systemd.

    @ivar silent: nothing is sent, for systemd does not expect it from this process.
    """

    def __init__(self, place: str) -> None:
        """
        @param place: as in C{NOTIFY_SOCKET}.
        @raise InvalidOption: no place where messages could be sent from here.
        """
        family, self._kinds, self._address = _placeOf(place)
        if not hasattr(socket, family):
            raise InvalidOption("NOTIFY_SOCKET", place, f"a platform that has {family}")
        self._family: int = getattr(socket, family)
        self._failed = False
        self._last: socket.socket | None = None
        self.silent = False

    @classmethod
    def fromEnvironment(cls, environ: Mapping[str, str]) -> Notifier | None:
        """
        @return: what sends where C{NOTIFY_SOCKET} says; C{None} if it is not set, or, with
            a warning, if nothing can be sent there.
        """
        place = environ.get("NOTIFY_SOCKET")
        if not place:
            return None
        try:
            return cls(place)
        except InvalidOption as problem:
            _log.warn(
                "systemd is told nothing: {problem}", event=events.SYSTEMD_FAILED, problem=problem
            )
            return None

    def notify(self, **fields: object) -> bool:
        """
        Send one message, without waiting.  A failure is logged once; nothing is raised.

        @param fields: the assignments of sd_notify(3), C{READY=1} for one.  What is not
            printable becomes a space, and no value is longer than L{LONGEST} bytes.
        @return: C{False} if systemd had no room for it just now, so that it may be sent
            again; C{True} if it was sent, need not be, or cannot be.
        """
        if self.silent:
            return True
        lines = [f"{name}={_oneLine(value)}" for name, value in fields.items()]
        try:
            self._send("\n".join(lines).encode())
        except BlockingIOError:
            return False
        except OSError as problem:
            if not self._failed:
                self._failed = True
                _log.warn(
                    "systemd cannot be told: {problem}",
                    event=events.SYSTEMD_FAILED,
                    problem=problem,
                )
        return True

    def _send(self, message: bytes) -> None:
        sock = self._open()
        if sock.type == socket.SOCK_DGRAM:
            with sock:
                sock.setblocking(False)
                sock.sendto(message, self._address)
            return
        # The end of the connection is the end of the message; what was sent may be thrown
        # away if the socket is closed before it was read, so this one stays for a while.
        if self._last is not None:
            self._last.close()
        self._last = sock
        sock.settimeout(PROMPT)
        sock.connect(self._address)
        sock.sendall(message)
        sock.shutdown(socket.SHUT_WR)

    def _open(self) -> socket.socket:
        for kind in self._kinds[:-1]:
            try:
                return socket.socket(self._family, getattr(socket, kind))
            except OSError:
                continue
        return socket.socket(self._family, getattr(socket, self._kinds[-1]))


def watchdogInterval(environ: Mapping[str, str], pid: int) -> float | None:
    """
    @param pid: that of this process.
    @return: after how many seconds of silence systemd ends us (sd_watchdog_enabled(3)); C{None}
        if it does not watch, or watches another process.
    @raise InvalidOption: C{WATCHDOG_USEC} is no length of time.
    """
    value = environ.get("WATCHDOG_USEC")
    if value is None or environ.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    if not re.fullmatch("[0-9]{1,20}", value) or not 0 < int(value) < 2**64 - 1:
        raise InvalidOption("WATCHDOG_USEC", value, "a whole number of microseconds, 1 or more")
    return int(value) / 1e6


def environmentOfSuccessor(environ: Mapping[str, str]) -> dict[str, str]:
    """
    @return: the environment for a process that is to become systemd's main process: the
        watchdog is told to expect somebody else.
    """
    return {name: value for name, value in environ.items() if name != "WATCHDOG_PID"}


def environmentOfWorker(environ: Mapping[str, str]) -> dict[str, str]:
    """
    @return: the environment for a process that has nothing to say to systemd.
    """
    ours = ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC")
    return {name: value for name, value in environ.items() if name not in ours}
