"""
Clients without a pause, or with one, that know what became of every request.

All clients of one load share a thread and an C{epoll}; each is a generator that
says what it waits for.  Only the standard library is needed, so that tests may
import this as well.
"""

from __future__ import annotations

import errno
import heapq
import itertools
import math
import os
import select
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Generator, Sequence
from typing import Any, NamedTuple

HOST = "127.0.0.1"

#: Seconds without an answer after which a request has failed.
PATIENCE = 10.0

#: Seconds that a client waits after a failure: a server that is not there would
#: otherwise be asked thousands of times.
AFTER_FAILURE = 0.02

#: What a non-blocking socket says instead of waiting.
_WAITS = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

READ = select.EPOLLIN
WRITE = select.EPOLLOUT

#: What a client waits for, until it is called again.
Waiting = Generator[int, None, Any]


class Sample(NamedTuple):
    """
    One request: when its turn came and when it was over, in monotonic seconds, and why it
    failed; an empty word if it did not.
    """

    began: float
    ended: float
    failure: str


class Client:
    """
    One closed loop: a request, its answer, a pause, the next request.

    @ivar began: when the turn of the request under way came, C{None} in a pause.
    @ivar mask: what the socket is registered for; 0 if it is not.
    @ivar alarm: when it wants to be called in any case, C{None} if it does not.
    """

    def __init__(self, load: Load) -> None:
        self.load = load
        self.sock: Any = None
        self.began: float | None = None
        self.mask = 0
        self.alarm: float | None = None
        self.work = self._loop()

    def _loop(self) -> Waiting:
        load = self.load
        self.alarm = None
        while not load.stopping:
            self.began = began = time.monotonic()
            failure = yield from self._ask(next(load.numbers))
            load.samples.append((began, time.monotonic(), failure))
            self.began = None
            if failure or not load.keepAlive:
                self.drop()
            if failure or load.think:
                yield from self._pause(load.think or AFTER_FAILURE)
        self.drop()

    def drop(self) -> None:
        """
        Close the connection, if there is one.
        """
        if self.sock is not None:
            if self.mask:
                self.load.forget(self)
            self.sock.close()
            self.sock = None

    def _pause(self, seconds: float) -> Waiting:
        until = time.monotonic() + seconds
        if not self.load.stopping:
            self.load.wake(until, self)
        while time.monotonic() < until and not self.load.stopping:
            yield 0 if self.sock is None else READ
            self._noticeEnd()
        self.alarm = None

    def _noticeEnd(self) -> None:
        """
        Drop a connection that was ended between two requests.
        """
        if self.sock is None:
            return
        try:
            self.sock.recv(65536)
        except _WAITS:
            return
        except OSError:
            pass
        # The end, or something that nobody has asked for: of no further use either way.
        self._endedIdle()

    def _endedIdle(self) -> None:
        self.load.endedIdle += 1
        self.drop()

    def _ask(self, number: int) -> Waiting:
        """
        One request.

        @return: why it failed, an empty word if it did not.
        """
        self._noticeEnd()
        fresh = self.sock is None
        try:
            if fresh:
                yield from self._connect()
            yield from self._send(self.load.request % number)
        except ConnectionRefusedError:
            return "refused"
        except TimeoutError:
            return "late"
        except OSError:
            if fresh:
                return "broken"
            # It ended before the request was written: that goes to another one.
            self._endedIdle()
            return (yield from self._ask(number))
        return (yield from self._hear(number))

    def _connect(self) -> Waiting:
        self.sock = sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        error = sock.connect_ex((HOST, self.load.port))
        if error == errno.EINPROGRESS:
            yield WRITE
            error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))
        self.load.connections += 1
        if self.load.tls is not None:
            self.sock = self.load.tls.wrap_socket(
                sock, server_hostname=HOST, do_handshake_on_connect=False
            )
            yield from self._shakeHands()

    def _shakeHands(self) -> Waiting:
        while True:
            try:
                self.sock.do_handshake()
            except ssl.SSLWantReadError:
                yield READ
            except ssl.SSLWantWriteError:
                yield WRITE
            else:
                return

    def _send(self, data: bytes) -> Waiting:
        while data:
            try:
                data = data[self.sock.send(data) :]
            except _WAITS:
                yield WRITE

    def _hear(self, number: int) -> Waiting:
        """
        Wait for the answer to a request that was written.

        @return: why it failed, an empty word if it did not.
        """
        try:
            head, body = yield from self._answer()
        except ConnectionResetError:
            return "reset"
        except TimeoutError:
            return "late"
        except (EOFError, OSError):
            return "lost"
        if not head.startswith(b"HTTP/1.1 200 ") or body != b"%d\n" % number:
            return "wrong"
        if b"connection: close" in head.lower() and self.load.keepAlive:
            self.load.told += 1
            self.drop()
        return ""

    def _answer(self) -> Waiting:
        got, end, size = b"", -1, 0
        while True:
            yield READ
            while True:
                try:
                    data = self.sock.recv(65536)
                except _WAITS:
                    break
                if not data:
                    raise EOFError
                got += data
                if end < 0 and (end := got.find(b"\r\n\r\n")) >= 0:
                    size = _length(got[:end])
                if end >= 0 and len(got) >= end + 4 + size:
                    return got[:end], got[end + 4 :]


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
    return 0


class Load(threading.Thread):
    """
    Clients that ask for C{/echo?n=NUMBER}, each time with a number of its own, and want that
    number as the answer.  They never repeat a request.

    Failed is: C{refused}, the connection; C{broken}, it ended before a first request could be
    written, for TLS in the handshake; C{lost} and C{reset}, it ended after that, without a
    complete answer; C{wrong}, the answer was another; C{late}, there was none.

    @ivar samples: C{(began, ended, failure)} of every request that is over; see L{Sample}.
    @ivar connections: how many were established.
    @ivar told: how many answers said that they were the last on a connection kept alive.
    @ivar endedIdle: how many connections were ended between two requests without a word.
    @ivar cpuSeconds: what the clients themselves needed, of one core, when they are through.
    """

    def __init__(
        self,
        port: int,
        clients: int = 50,
        keepAlive: bool = True,
        tls: ssl.SSLContext | None = None,
        think: float = 0.0,
    ) -> None:
        """
        @param keepAlive: use a connection as long as the server lets us; else, one for
            each request, which says so.
        @param think: how long each client is silent after an answer, in seconds.
        """
        super().__init__(daemon=True)
        self.port, self.keepAlive, self.tls, self.think = port, keepAlive, tls, think
        wish = b"" if keepAlive else b"Connection: close\r\n"
        self.request = b"GET /echo?n=%%d HTTP/1.1\r\nHost: 127.0.0.1\r\n%b\r\n" % wish
        self.numbers = itertools.count(1)
        self.samples: list[Any] = []
        self.connections = self.told = self.endedIdle = 0
        self.cpuSeconds = self.seconds = 0.0
        self.stopping = False
        self._clients = [Client(self) for _ in range(clients)]
        self._byDescriptor: dict[int, Client] = {}
        self._timers: list[tuple[float, int, Client]] = []
        self._order = itertools.count()
        self._left = clients

    # -- asked by the clients -----------------------------------------------

    def wake(self, when: float, client: Client) -> None:
        """
        Call a client again at that time.
        """
        client.alarm = when
        heapq.heappush(self._timers, (when, next(self._order), client))

    def forget(self, client: Client) -> None:
        """
        A client is about to close its socket.
        """
        self._epoll.unregister(client.sock)
        del self._byDescriptor[client.sock.fileno()]
        client.mask = 0

    # -- the loop -----------------------------------------------------------

    def run(self) -> None:
        """
        Go on until L{stop}, and until every request that is under way then is over.
        """
        began = time.monotonic()
        with select.epoll() as self._epoll:
            for number, client in enumerate(self._clients):
                # Those who pause do not all ask in the same moment.
                self.wake(began + self.think * number / len(self._clients), client)
            while self._left:
                self._turn()
        self.seconds = time.monotonic() - began
        self.cpuSeconds = time.thread_time()

    def _turn(self) -> None:
        for descriptor, _ in self._epoll.poll(self._patience()):
            self._step(self._byDescriptor[descriptor])
        now = time.monotonic()
        while self._timers and (self._timers[0][0] <= now or self.stopping):
            when, _, client = heapq.heappop(self._timers)
            if client.alarm == when:
                self._step(client)
        for client in self._clients:
            if client.began is not None and now > client.began + PATIENCE:
                self._step(client, TimeoutError())

    def _patience(self) -> float:
        if not self._timers:
            return 0.1
        return min(max(self._timers[0][0] - time.monotonic(), 0.0), 0.1)

    def _step(self, client: Client, problem: Exception | None = None) -> None:
        try:
            mask = client.work.throw(problem) if problem else next(client.work)
        except StopIteration:
            self._left -= 1
            return
        if mask == client.mask or client.sock is None:
            return
        if client.mask:
            self._epoll.modify(client.sock, mask)
        else:
            self._epoll.register(client.sock, mask)
            self._byDescriptor[client.sock.fileno()] = client
        client.mask = mask

    # -- asked by whoever measures ------------------------------------------

    def stop(self) -> None:
        """
        Ask no more, and return when the last answer has come, or will not.

        @raise RuntimeError: some client does not come to an end.
        """
        self.stopping = True
        self.join(3 * PATIENCE)
        if self.is_alive():
            raise RuntimeError(f"{self._left} clients are stuck")

    def failures(self) -> dict[str, int]:
        """
        How many failed, by the reason.
        """
        return dict(Counter(failure for _, _, failure in self.samples if failure))

    def latencies(self, windows: Sequence[tuple[float, float]]) -> list[float]:
        """
        How long each answer took, in seconds, from the client's turn until it was complete,
        connecting included, of the requests that were under way in any of these times.
        """
        return [
            ended - began
            for start, end in windows
            for began, ended, failure in self.samples
            if began < end and ended > start and not failure
        ]


def percentile(values: Sequence[float], percent: float) -> float | None:
    """
    The least value that so many percent of them do not exceed; C{None} if there are none.
    """
    if not values:
        return None
    return sorted(values)[max(math.ceil(len(values) * percent / 100) - 1, 0)]
