"""
Which sockets this process was started with: systemd's convention, sd_listen_fds(3).

C{LISTEN_FDS} says how many there are, from descriptor 3 on; C{LISTEN_FDNAMES} their
names, separated by colons; C{LISTEN_PID} for whom they are, as the variables are
inherited by children too.  C{TERMINABLE_HANDOVER} is ours: the descriptor of the channel
to whoever hands over.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Mapping, MutableMapping

from terminable.errors import InvalidOption
from terminable.handover.offered import OfferedSocket

#: C{SD_LISTEN_FDS_START} of C{<systemd/sd-daemon.h>}.
FIRST = 3

#: More descriptors than anybody listens on.
MOST = 1024

#: The descriptor of the channel.
HANDOVER = "TERMINABLE_HANDOVER"

#: Where the process number of whoever serves is to be found.
PIDFILE = "TERMINABLE_PIDFILE"

#: Set to 1 for a process that serves beside others, below one that only supervises.
WORKER = "TERMINABLE_WORKER"

_SOCKETS = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", HANDOVER)
_OURS = (*_SOCKETS, PIDFILE, WORKER)


def _atStart() -> dict[str, str]:
    """
    The environment as it was when this process began.
    """
    try:
        with open("/proc/self/environ", "rb") as said:
            words = os.fsdecode(said.read()).split("\0")
    except OSError:
        return {}
    return dict(word.split("=", 1) for word in words if "=" in word)


#: What of it this process was started with.  Twisted takes some of it out of the environment
#: as soon as anybody looks for endpoint plugins.
STARTED = {name: value for name, value in {**_atStart(), **os.environ}.items() if name in _OURS}


def _number(environ: Mapping[str, str], name: str, expected: str, least: int, most: int) -> int:
    value = environ.get(name, "")
    # More digits than any of these numbers has are not even read.
    digits = value if value.isascii() and value.isdigit() and len(value) <= 10 else "-1"
    if not least <= int(digits) <= most:
        raise InvalidOption(name, value, expected)
    return int(digits)


def isFor(environ: Mapping[str, str], pid: int) -> bool:
    """
    Whether there are sockets for the process C{pid}; those for a parent of it are not.

    @raise InvalidOption: C{LISTEN_PID} is no process number, or with a channel to somebody
        who hands over, another process's.
    """
    if "LISTEN_PID" not in environ and HANDOVER not in environ:
        return False
    expected = "the number of a process"
    whose = _number(environ, "LISTEN_PID", expected, 1, 2**31)
    if whose != pid and HANDOVER in environ:
        raise InvalidOption("LISTEN_PID", whose, f"{pid}, the number of this process")
    return whose == pid


def listening(environ: Mapping[str, str]) -> list[OfferedSocket]:
    """
    The sockets; their descriptors are not inherited by children from now on.

    @raise InvalidOption: what the variables say is not so.
    """
    count = _number(environ, "LISTEN_FDS", f"a number from 1 to {MOST}", 1, MOST)
    names = environ.get("LISTEN_FDNAMES", ":".join(["unknown"] * count)).split(":")
    if len(names) != count:
        expected = f"as many names as LISTEN_FDS says, {count}, with colons between them"
        raise InvalidOption("LISTEN_FDNAMES", environ["LISTEN_FDNAMES"], expected)
    return [
        OfferedSocket(name, _listener(descriptor))
        for descriptor, name in enumerate(names, start=FIRST)
    ]


def _listener(descriptor: int) -> socket.socket:
    expected = "sockets that listen for streams"
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            raise InvalidOption("LISTEN_FDS", f"{descriptor} (no socket)", expected)
        sock = socket.socket(fileno=descriptor)
    except OSError as problem:
        what = f"{descriptor} ({problem.strerror})"
        raise InvalidOption("LISTEN_FDS", what, expected) from None
    accepting = getattr(socket, "SO_ACCEPTCONN", None)
    listens = accepting is None or bool(sock.getsockopt(socket.SOL_SOCKET, accepting))
    if sock.type != socket.SOCK_STREAM or not listens:
        what = "a stream that does not listen" if sock.type == socket.SOCK_STREAM else "no stream"
        sock.detach()
        raise InvalidOption("LISTEN_FDS", f"{descriptor} ({what})", expected)
    os.set_inheritable(descriptor, False)
    return sock


def channel(environ: Mapping[str, str]) -> socket.socket | None:
    """
    The channel to whoever hands over, if there is one.

    @raise InvalidOption: the descriptor is none of a connected UNIX socket.
    """
    if HANDOVER not in environ:
        return None
    expected = "the descriptor of a connected UNIX socket"
    descriptor = _number(environ, HANDOVER, expected, FIRST, 2**31 - 1)
    try:
        sock = socket.socket(fileno=descriptor)
    except OSError as problem:
        what = f"{descriptor} ({problem.strerror})"
        raise InvalidOption(HANDOVER, what, expected) from None
    if sock.family != socket.AF_UNIX or sock.type != socket.SOCK_STREAM:
        sock.detach()
        raise InvalidOption(HANDOVER, descriptor, expected)
    os.set_inheritable(descriptor, False)
    return sock


def names(environ: Mapping[str, str]) -> dict[int, str]:
    """
    What each socket is called, by its inode; as far as can be told.
    """
    found = {}
    try:
        count = _number(environ, "LISTEN_FDS", "", 1, MOST)
    except InvalidOption:
        return {}
    called = environ.get("LISTEN_FDNAMES", ":".join(["unknown"] * count)).split(":")
    for descriptor, name in zip(range(FIRST, FIRST + count), called, strict=False):
        with contextlib.suppress(OSError):
            found[os.fstat(descriptor).st_ino] = name
    return found


def forget(environ: MutableMapping[str, str]) -> None:
    """
    What was said there has been done; nobody else is to do it.
    """
    for name in _OURS:
        environ.pop(name, None)


def passedOn(environ: Mapping[str, str], names: list[str], channel: int) -> dict[str, str]:
    """
    The environment of a process that is given sockets; C{LISTEN_PID} can only be set when
    the process is there.
    """
    kept = {name: value for name, value in environ.items() if name not in _SOCKETS}
    if names:
        kept |= {"LISTEN_FDS": str(len(names)), "LISTEN_FDNAMES": ":".join(names)}
    return {**kept, HANDOVER: str(channel)}
