"""
One run of C{throttling.py}: a site that is held to limits which nobody reaches, and its
client, in one process, one thread, with a clock that goes on by a moment whenever it is read.

    python benchmarks/throttlingcount.py requests|calls VARIANT COUNT
"""

from __future__ import annotations

import gc
import itertools
import json
import os
import socket
import sys
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.logger import globalLogBeginner
from twisted.web.server import Site

import resources
from terminable import Terminator

HOST = "127.0.0.1"
REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
WARM = 20

#: What the site is held to.
VARIANTS: dict[str, tuple[str, ...]] = {
    "none": (),
    "messages": ("messages=1000000/s:per=connection",),
    "per peer": ("messages=1000000/s:per=peer",),
    "received": ("received=1GB/s:per=connection",),
    "sent": ("sent=1GB/s:per=connection",),
    "all three": (
        "messages=1000000/s:per=peer",
        "received=1GB/s:per=connection",
        "sent=1GB/s:per=connection",
    ),
}

reactor: Any = _reactor


def listen(limits: tuple[str, ...]) -> tuple[Any, int]:
    """
    Serve the site; return the terminator and the port.
    """
    terminator = Terminator(reactor, limits=limits)
    ports: list[Any] = []
    endpoint = TCP4ServerEndpoint(reactor, 0, interface=HOST)
    terminator.listen(endpoint, Site(resources.Hello())).addCallback(ports.append)
    while not ports:
        reactor.iterate(0)
    return terminator, int(ports[0].getHost().port)


def exchange(client: socket.socket) -> None:
    """
    One request and its answer, turning the reactor by hand.
    """
    client.send(REQUEST)
    data = b""
    while not data.endswith(b"hello\n"):
        reactor.iterate(0)
        try:
            data += client.recv(4096)
        except BlockingIOError:
            continue


def calls(client: socket.socket, count: int) -> dict[str, float]:
    """
    Calls per request, of Python functions and of C functions.
    """
    seen = {"call": 0, "c_call": 0}

    def profile(frame: object, event: str, argument: object) -> None:
        if event in seen:
            seen[event] += 1

    sys.setprofile(profile)
    for _ in range(count):
        exchange(client)
    sys.setprofile(None)
    return {"python": seen["call"] / count, "c": seen["c_call"] / count}


def main() -> None:
    """
    The run.
    """
    mode, variant, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    gc.disable()
    nobody: Any = [lambda event: None]
    globalLogBeginner.beginLoggingTo(nobody, redirectStandardIO=False, discardBuffer=True)
    reactor.startRunning(installSignalHandlers=False)
    terminator, port = listen(VARIANTS[variant])
    reactor.seconds = itertools.count(reactor.seconds(), 1e-5).__next__
    client = socket.create_connection((HOST, port))
    client.setblocking(False)
    for _ in range(WARM):
        exchange(client)
    found: dict[str, float] = {}
    if mode == "calls":
        found = calls(client, count)
    else:
        for _ in range(count):
            exchange(client)
    assert not terminator.throttle.counts.held
    print(json.dumps(found))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
