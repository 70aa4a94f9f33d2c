"""
The debug door of a soak's servers: how much they hold, and orders for those that have some.

A UNIX socket; each line is an object of JSON that names what to C{do}, and so is each answer.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import resource
import socket
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.protocol import BaseProtocol, Factory
from twisted.protocols.basic import LineReceiver

from terminable.tracking.connection import Connection
from tests.live.passingservers import Numbering

#: After how many seconds an answer will not come any more.
PATIENCE = 60.0


class _Allocated(ctypes.Structure):
    """
    What glibc tells of its heap: C{struct mallinfo2}, see mallinfo(3).
    """

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def heap() -> int:
    """
    How many bytes of the C library's heap are in use, whatever holds them: OpenSSL, buffers,
    and what Python does not keep among its small objects.

    @return: 0 without glibc 2.33 or later.
    """
    tell = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if tell is None:
        return 0
    tell.restype = _Allocated
    told = tell()
    return int(told.uordblks + told.hblkhd)


def counts(reactor: Any) -> dict[str, Any]:
    """
    How much this process holds: C{fds}, C{memory} in bytes, the C{heap} in bytes, C{blocks} of
    Python's small objects, C{delayed} calls, C{objects} that are connections or protocols, and
    C{kinds}, the names of their classes.
    """
    gc.collect()
    kinds = Counter(kind.__name__ for kind in map(type, gc.get_objects()) if _counts(kind))
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "pid": os.getpid(),
        "fds": len(os.listdir("/proc/self/fd")),
        "memory": pages * resource.getpagesize(),
        "heap": heap(),
        "blocks": sys.getallocatedblocks(),
        "delayed": len(reactor.getDelayedCalls()),
        "objects": kinds.total(),
        "kinds": dict(kinds),
    }


def _counts(kind: type) -> bool:
    return kind is not Door and issubclass(kind, (Connection, BaseProtocol, Numbering))


class Door(LineReceiver):
    """
    One who asks.
    """

    delimiter = b"\n"

    def __init__(self, orders: Mapping[str, Callable[..., Any]]) -> None:
        self._orders = orders

    def lineReceived(self, line: bytes) -> None:
        words = json.loads(line)
        done = maybeDeferred(self._orders[words.pop("do")], **words)
        done.addErrback(lambda reason: {"failed": reason.getTraceback()})
        done.addCallback(lambda answer: self.sendLine(json.dumps(answer).encode()))


def openDoor(reactor: Any, path: str, orders: Mapping[str, Callable[..., Any]]) -> None:
    """
    Open the door of this process.

    @param path: of the UNIX socket.
    @param orders: what can be done, by name, beside C{counts}.
    """
    all_ = {"counts": lambda: counts(reactor), **orders}
    factory: Factory[Any] = Factory()
    factory.noisy = False
    factory.buildProtocol = lambda addr: Door(all_)  # type: ignore[method-assign]
    reactor.listenUNIX(path, factory, mode=0o600)


def ask(door: Path, do: str, /, **words: Any) -> Any:
    """
    Ask at a door.

    @raise RuntimeError: it could not be done.
    @raise OSError: there is no door, or no answer.
    """
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(str(door))
        sock.sendall(json.dumps({"do": do, **words}).encode() + b"\n")
        answer = json.loads(sock.makefile().readline() or '{"failed": "it has gone"}')
    if isinstance(answer, dict) and "failed" in answer:
        raise RuntimeError(f"{do}: {answer['failed']}")
    return answer
