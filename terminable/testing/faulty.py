"""
What a faulty client has in its hands: one connection, on a real socket.

Only the standard library is needed.
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from typing import Any, Literal

from terminable.testing.httpanswers import Answer, readAnswers

#: Whether to speak TLS, trusting everybody; or what to speak it with.
Secured = bool | ssl.SSLContext

#: How a server has ended a connection.
End = Literal["closed", "reset"]

#: How much to read at a time, in bytes.
_AT_ONCE = 65536

_RDHUP = getattr(select, "POLLRDHUP", 0)


def _trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Faulty:
    """
    One connection, which ends with a C{with} statement or by L{close}.

    @ivar sock: its socket, which has a time limit.
    @ivar name: what a server calls it: host and port, or C{"unix socket"}.
    @ivar received: what it has read so far.
    """

    def __init__(self, sock: socket.socket, limit: float, tls: Secured = False) -> None:
        """
        @param sock: connected.
        @param limit: after how many seconds to give up whatever is waited for.
        @param tls: whether to shake hands now, or with what.
        @raise OSError: the handshake failed.
        """
        self.name = _nameOf(sock)
        if tls is not False:
            context = _trusting() if isinstance(tls, bool) else tls
            # An end that was not announced is a cut.
            sock = context.wrap_socket(
                sock, server_hostname="localhost", suppress_ragged_eofs=False
            )
        self.sock: Any = sock
        self.received = b""
        self._limit = limit
        self._end: End | None = None
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def __repr__(self) -> str:
        return f"<Faulty {self.name}>"

    def __enter__(self) -> Faulty:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        """
        Send all of it.

        @raise OSError: the connection is over, or (C{TimeoutError}) the limit.
        """
        self.sock.sendall(data)

    def readSome(self, size: int = _AT_ONCE) -> bool:
        """
        Read what is there, or comes next.

        @return: whether that was anything, and not the end.
        @raise TimeoutError: nothing came within the limit.
        """
        if self._end is None:
            try:
                data = self.sock.recv(size)
            except TimeoutError:
                raise
            except OSError:
                # Over TLS that may also be an end that was not announced: a cut as well.
                self._end = "reset"
            else:
                self.received += data
                if not data:
                    self._end = "closed"
        return self._end is None

    def rest(self) -> bytes:
        """
        Read until the server ends the connection, in whatever way.

        @return: all that was read, from the beginning.
        @raise TimeoutError: it did not end within the limit.
        """
        until = time.monotonic() + self._limit
        while self.readSome():
            self._check(until)
        return self.received

    def answers(self, *methods: str) -> list[Answer]:
        """
        The HTTP/1 answers among what was read; the last one may not be complete.

        @param methods: of its requests, in order; those that are not told are GETs.
        @raise ValueError: what was read is no HTTP/1.
        """
        return readAnswers(self.received, methods, self._end is not None)[0]

    def end(self) -> End:
        """
        Wait until the server has ended the connection, and read nothing meanwhile.

        @return: C{"closed"} if in order, C{"reset"} if by force.
        @raise TimeoutError: it did not within the limit.
        """
        until = time.monotonic() + self._limit
        poll = select.poll()
        poll.register(self.sock, _RDHUP)
        while self._end is None:
            # Where the platform cannot tell the first half of an end, it tells the whole.
            found = poll.poll(100)
            if found:
                failed = found[0][1] & select.POLLERR
                self._end = "reset" if failed else "closed"
            self._check(until)
        return self._end

    def _check(self, until: float) -> None:
        if self._end is None and time.monotonic() > until:
            raise TimeoutError(f"{self!r} was not ended within {self._limit:g} s")

    def everySo(self, interval: float, work: Callable[[], object]) -> None:
        """
        Do something again and again, in a thread of its own, until it says so, the connection
        is over, or the limit.

        @param interval: seconds between two times.
        @param work: returns whether it was the last time.
        """
        until = time.monotonic() + self._limit

        def run() -> None:
            while not self._stopped.wait(interval) and time.monotonic() < until:
                try:
                    if work():
                        return
                except (OSError, ValueError):
                    return

        self._thread = threading.Thread(target=run, name=f"faulty {self.name}", daemon=True)
        self._thread.start()

    def reset(self) -> None:
        """
        Leave by force: the server's kernel is sent a reset, not an end.
        """
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """
        Leave; a second time does nothing.
        """
        self._stopped.set()
        try:
            # Whoever reads or writes just now, in the thread, is woken.
            if self._thread is not None:
                self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            # It is over already.
            pass
        finally:
            self.sock.close()
        if self._thread is not None:
            self._thread.join(self._limit)


def _nameOf(sock: socket.socket) -> str:
    name = sock.getsockname()
    if not isinstance(name, tuple):
        return "unix socket"
    return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"
