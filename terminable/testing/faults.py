"""
Clients that do what they should not, on real sockets.

Only the standard library is needed, and nothing here knows of the server's reactor: they may
be used from any test, thread or program.  They block, but never for longer than their
limit.  What each gives back is to be used in a C{with} statement, or closed::

    with stuckReader(("127.0.0.1", 8080), b"GET /big HTTP/1.1\\r\\nHost: shop\\r\\n\\r\\n") as peer:
        ...                            # end the server
        assert peer.end() == "reset"

An address is a pair of host and port, the path of a UNIX socket, or an C{IAddress} of
Twisted's.  G1 to G12 are the guarantees that C{docs/guarantees.rst} describes.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
import ssl
from collections.abc import Sequence
from typing import Any

from terminable.errors import InvalidOption
from terminable.testing.faulty import Faulty, Secured
from terminable.testing.httpanswers import writeRequest

#: After how many seconds a client gives up whatever it waits for.
LIMIT = 30.0

#: The receive buffer of those who do not read, in bytes; the kernel may make it larger.
WINDOW = 4096

#: The beginning of a request whose headers do not end.
HALF_HEADER = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Half: "


def _number(option: str, value: Any, least: float, what: str) -> None:
    bad = isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value)
    if bad or value < least:
        raise InvalidOption(option, value, what)


def _whole(option: str, value: Any, least: int = 0) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InvalidOption(option, value, f"a whole number, at least {least}")


def _seconds(option: str, value: Any) -> None:
    _number(option, value, 0.0, "seconds")
    if value in (0, math.inf):
        raise InvalidOption(option, value, "seconds, more than 0")


def _place(address: Any) -> tuple[int, Any]:
    """
    @return: the family and the address of a socket that is to be connected.
    """
    if not isinstance(address, os.PathLike):
        # A path has a name as well, but that is not all of it.
        address = getattr(address, "name", address)
    if hasattr(address, "host") and hasattr(address, "port"):
        address = (address.host, address.port)
    if isinstance(address, (str, bytes, os.PathLike)):
        return socket.AF_UNIX, os.fspath(address)
    if (
        isinstance(address, Sequence)
        and len(address) == 2
        and isinstance(address[0], str)
        and isinstance(address[1], int)
    ):
        host, port = address
        return (socket.AF_INET6 if ":" in host else socket.AF_INET), (host, port)
    raise InvalidOption("address", address, "(host, port), a path, or an IAddress")


def connect(
    address: Any, *, tls: Secured = False, window: int | None = None, limit: float = LIMIT
) -> Faulty:
    """
    Connect, and do nothing wrong so far: what all others begin with, and what one of your
    own may begin with.

    @param address: of the server.
    @param tls: whether to speak TLS, trusting everybody; or what to speak it with.
    @param window: a size for the receive buffer, in bytes.
    @param limit: after how many seconds to give up whatever is waited for.
    @raise terminable.InvalidOption: something that cannot be meant.
    @raise OSError: nobody listens there.
    """
    _seconds("limit", limit)
    if window is not None:
        _whole("window", window, 1)
    family, place = _place(address)
    sock = socket.socket(family)
    try:
        sock.settimeout(limit)
        if window is not None:
            # Before it is connected: later, the window would not be smaller any more.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        sock.connect(place)
        return Faulty(sock, limit, tls)
    except BaseException:
        sock.close()
        raise


def _saying(address: Any, data: bytes, **options: Any) -> Faulty:
    made = connect(address, **options)
    try:
        made.send(data)
    except BaseException:
        made.close()
        raise
    return made


# -- those who say too little


def silentPeer(address: Any, **options: Any) -> Faulty:
    """
    Connects, and never says anything.

    A good server loses it after a while, and does not wait for it when it stops: it has asked
    for nothing.  It tries G6, and G8: it is counted as idle, and named as new.

    @param options: of L{connect}.
    """
    return connect(address, **options)


def silentTLS(address: Any, hello: int = 0, **options: Any) -> Faulty:
    """
    Connects to a port with TLS, and never says hello, or only the beginning of it.

    A good server does not wait for it when it stops, at most until the deadline (G6), and
    names it in the report as one that is opening (G8).

    @param hello: how many bytes of its hello to send.
    @param options: of L{connect}.
    """
    _whole("hello", hello)
    outgoing = ssl.MemoryBIO()
    shaking = ssl.create_default_context().wrap_bio(
        ssl.MemoryBIO(), outgoing, server_hostname="localhost"
    )
    with contextlib.suppress(ssl.SSLWantReadError):
        shaking.do_handshake()
    return _saying(address, outgoing.read()[:hello], **options)


def halfHeader(address: Any, head: bytes = HALF_HEADER, **options: Any) -> Faulty:
    """
    Sends the beginning of a request, and then nothing.

    A good server tells it 408 when its patience is over, and at the deadline of a stop at the
    latest (G6); the report names it (G1).

    @param head: what it sends.
    @param options: of L{connect}.
    """
    return _saying(address, head, **options)


def halfBody(
    address: Any, length: int, sent: int | None = None, target: str = "/", **options: Any
) -> Faulty:
    """
    Announces a body, and sends a part of it.

    As with L{halfHeader}: 408 or 503 at the deadline (G6), and named (G1).

    @param length: how many bytes it announces.
    @param sent: how many it sends; by default, half of them.
    @param options: of L{connect}.
    """
    _whole("length", length, 1)
    part = length // 2 if sent is None else sent
    _whole("sent", part)
    head = writeRequest(target, "POST", headers={"Content-Length": str(length)})
    return _saying(address, head + b"x" * part, **options)


def slowloris(
    address: Any, interval: float = 1.0, head: bytes = HALF_HEADER, **options: Any
) -> Faulty:
    """
    Sends one more header again and again, and never the last.

    That it is not silent must not keep a server from its deadline (G6); good ones have a
    deadline for headers too.

    @param interval: how many seconds there are between two headers.
    @param head: what it begins with.
    @param options: of L{connect}; it falls silent when its limit is over.
    """
    _seconds("interval", interval)
    made = _saying(address, head, **options)
    made.everySo(interval, lambda: made.send(b"x\r\nX-More: "))
    return made


def slowWriter(address: Any, request: bytes, rate: float = 10.0, **options: Any) -> Faulty:
    """
    Sends a request slowly, one byte after the other.

    A good server that stops answers it if it is done in time (G1), and tells it 408
    otherwise (G6).

    @param rate: bytes a second.
    @param options: of L{connect}; it stops sending when its limit is over.
    """
    _number("rate", rate, 0.001, "bytes a second, at least 0.001")
    made = connect(address, **options)
    left = [request[place : place + 1] for place in range(len(request))]
    made.everySo(1.0 / rate, lambda: made.send(left.pop(0)) if left else True)
    return made


# -- those who do not read


def stuckReader(
    address: Any, request: bytes, window: int | None = WINDOW, **options: Any
) -> Faulty:
    """
    Asks for something, and reads nothing of the answer.

    What it asks for should be more than the kernels hold, some megabytes.  A good server
    pauses whatever produces the answer, waits until the deadline, resets the connection
    (G6), and names it with what it has not taken (G1).

    @param request: what it asks for.
    @param window: a size for its receive buffer, in bytes; C{None} for the kernel's own.
    @param options: of L{connect}.
    """
    return _saying(address, request, window=window, **options)


def slowReader(
    address: Any,
    request: bytes,
    rate: float = 1000.0,
    window: int | None = WINDOW,
    **options: Any,
) -> Faulty:
    """
    Asks for something, and reads it slowly.

    A good server goes on sending, and does not end the connection because it is slow: what
    was written arrives, if it is done before the deadline (G4).

    @param request: what it asks for.
    @param rate: how many bytes it reads a second.
    @param window: a size for its receive buffer, in bytes; C{None} for the kernel's own.
    @param options: of L{connect}; it stops reading when its limit is over.
    """
    _number("rate", rate, 0.001, "bytes a second, at least 0.001")
    made = _saying(address, request, window=window, **options)
    # Ten times a second, but no less than a byte.
    interval = max(0.1, 1.0 / rate)
    made.everySo(interval, lambda: not made.readSome(max(1, round(rate * interval))))
    return made


# -- those who go


def reset(address: Any, request: bytes = b"", **options: Any) -> None:
    """
    Connects, sends something perhaps, and resets the connection at once.

    A good server notices, and it costs nobody else anything; counted as one that has left
    (G8).

    @param request: what it sends before.
    @param options: of L{connect}.
    """
    with _saying(address, request, **options) as made:
        made.reset()


def resetMidAnswer(address: Any, request: bytes, after: int = 1, **options: Any) -> bytes:
    """
    Asks for something, and resets the connection in the middle of the answer.

    A good server stops producing it, and has no more trouble than a line in its log.

    @param request: what it asks for.
    @param after: how many bytes of the answer it reads before.
    @param options: of L{connect}.
    @return: what it has read; fewer bytes if the answer was shorter.
    @raise TimeoutError: they did not come within the limit.
    """
    _whole("after", after, 1)
    with _saying(address, request, **options) as made:
        while len(made.received) < after and made.readSome(after - len(made.received)):
            pass
        made.reset()
    return made.received


def leaver(address: Any, request: bytes, **options: Any) -> None:
    """
    Asks for something, and leaves at once without waiting for the answer.

    A good server may do the work or not; the answer goes nowhere, and the connection is
    counted as one that has left, or as finished if the answer was written before that was
    noticed (G8).

    @param request: what it asks for.
    @param options: of L{connect}.
    """
    _saying(address, request, **options).close()


def halfCloser(address: Any, request: bytes, **options: Any) -> Faulty:
    """
    Asks for something, and ends its own side at once, as some clients rightly do.

    A good server answers all the same (G1), if its protocol knows what a half-closed
    connection is; that of C{twisted.web} does not, and takes it for gone.  Without TLS.

    @param request: what it asks for.
    @param options: of L{connect}.
    """
    made = _saying(address, request, **options)
    made.sock.shutdown(socket.SHUT_WR)
    return made


# -- many


class Flood(contextlib.ExitStack):
    """
    Many clients.

    @ivar peers: those who are connected.
    @ivar refused: how many were not, and how: their errors.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peers: list[Faulty] = []
        self.refused: list[OSError] = []


def flood(address: Any, count: int, request: bytes = b"", **options: Any) -> Flood:
    """
    Connects many times, one after the other without waiting, and keeps all of it.

    A good server serves or refuses each of them, accepts those who are queued before it
    closes its port (G2), ends all of them in time (G6) and does not stand still meanwhile
    (G7); the report counts every one once (G8).

    @param count: how many.
    @param request: what each of them sends.
    @param options: of L{connect}.
    @return: all of them; to be used in a C{with} statement, or closed.
    """
    _whole("count", count, 1)
    made = Flood()
    try:
        for _ in range(count):
            try:
                made.peers.append(made.enter_context(_saying(address, request, **options)))
            except OSError as error:
                made.refused.append(error)
    except BaseException:
        made.close()
        raise
    return made
