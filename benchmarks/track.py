"""
One run of C{tracking.py}: a server and its clients in one process, one thread,
with a clock that stands still.

    python benchmarks/track.py requests|calls|memory|rss bare|own|pair COUNT
"""

from __future__ import annotations

import gc
import itertools
import json
import os
import socket
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.logger import globalLogBeginner
from twisted.web.server import Site

import resources

HOST = "127.0.0.1"
REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
WARM = 20
BATCH = 40

reactor: Any = _reactor
# Somebody has to hold the terminator, as a service would.
kept: list[object] = []


def _terminator(variant: str) -> Any:
    try:
        from terminable import Terminator
    except ImportError:
        if variant == "bare":
            return None
        raise
    kept.append(Terminator(reactor))
    return kept[-1]


def listen(variant: str) -> int:
    """
    Serve the site in the given way; return the port.
    """
    site = Site(resources.Hello())
    # Also where nothing is recorded: the same modules, the same classes, and so
    # the same collisions in the interpreter's caches.
    terminator = _terminator(variant)
    if variant == "bare":
        return int(reactor.listenTCP(0, site, interface=HOST).getHost().port)
    if variant == "pair":
        wrapped = terminator.wrap(site)
        return int(reactor.listenTCP(0, wrapped, interface=HOST).getHost().port)
    ports: list[Any] = []
    endpoint = TCP4ServerEndpoint(reactor, 0, interface=HOST)
    terminator.listen(endpoint, site).addCallback(ports.append)
    while not ports:
        reactor.iterate(0)
    return int(ports[0].getHost().port)


def connect(port: int) -> socket.socket:
    """
    A client that the server has accepted.
    """
    client = socket.create_connection((HOST, port))
    client.setblocking(False)
    return client


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


def requests(port: int, count: int) -> dict[str, float]:
    """
    So many requests, counted from outside.
    """
    client = connect(port)
    for _ in range(count):
        exchange(client)
    return {}


def calls(port: int, count: int) -> dict[str, float]:
    """
    Calls per request, of Python functions and of C functions.
    """
    client = connect(port)
    for _ in range(WARM):
        exchange(client)
    seen = {"call": 0, "c_call": 0}

    def profile(frame: object, event: str, argument: object) -> None:
        if event in seen:
            seen[event] += 1

    sys.setprofile(profile)
    for _ in range(count):
        exchange(client)
    sys.setprofile(None)
    return {"python": seen["call"] / count, "c": seen["c_call"] / count}


def _crowd(port: int, count: int) -> None:
    """
    Open connections that stay idle after one request each.
    """
    while count > 0:
        clients = [connect(port) for _ in range(min(BATCH, count))]
        count -= len(clients)
        for client in clients:
            exchange(client)
            # Only the server's side is to be measured: keep the bare number.
            client.detach()


def _perConnection(port: int, count: int, measured: Callable[[], int]) -> dict[str, float]:
    _crowd(port, WARM)
    gc.collect()
    before = measured()
    _crowd(port, count)
    gc.collect()
    return {"bytes": (measured() - before) / count}


def memory(port: int, count: int) -> dict[str, float]:
    """
    Bytes that Python allocated per idle connection.
    """
    tracemalloc.start()
    return _perConnection(port, count, lambda: tracemalloc.get_traced_memory()[0])


def rss(port: int, count: int) -> dict[str, float]:
    """
    Growth of the resident set per idle connection.
    """
    page = os.sysconf("SC_PAGE_SIZE")

    def resident() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * page

    return _perConnection(port, count, resident)


def main() -> None:
    mode, variant, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    gc.disable()
    nobody: Any = [lambda event: None]
    globalLogBeginner.beginLoggingTo(nobody, redirectStandardIO=False, discardBuffer=True)
    reactor.startRunning(installSignalHandlers=False)
    port = listen(variant)
    reactor.seconds = itertools.repeat(reactor.seconds()).__next__
    run = {"requests": requests, "calls": calls, "memory": memory, "rss": rss}[mode]
    print(json.dumps(run(port, int(count))))
    sys.stdout.flush()
    # Leave at once: the end of five thousand connections is not the subject.
    os._exit(0)


main()
