"""
Many idle connections, and what ends as many of them by the shortest way.
"""

from __future__ import annotations

import gc
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.clients import get
from benchmarks.machine import HERE, HOST, freePort

BATCH = 100

#: How many come from one address: there are some 28,000 ports for each.
FROM_ONE = 10_000

#: From C{linux/in.h}; the port is chosen when the connection is made, by both its ends.
_IP_BIND_ADDRESS_NO_PORT = 24


def connected(port: int, number: int) -> socket.socket:
    """
    A connection; the number decides from which address of this machine.
    """
    sock = socket.socket()
    try:
        sock.settimeout(10.0)
        sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        sock.bind((f"127.0.0.{1 + number // FROM_ONE}", 0))
        sock.connect((HOST, port))
    except BaseException:
        sock.close()
        raise
    return sock


class Crowd:
    """
    Many connections, each of which has had one request answered.
    """

    def __init__(self, port: int, count: int) -> None:
        self.sockets: dict[int, socket.socket] = {}
        try:
            while len(self.sockets) < count:
                self._open(port, min(BATCH, count - len(self.sockets)))
        except BaseException:
            self.leave()
            raise

    def _open(self, port: int, count: int) -> None:
        batch = []
        for number in range(len(self.sockets), len(self.sockets) + count):
            connection = connected(port, number)
            connection.sendall(get())
            batch.append(connection)
        for connection in batch:
            answer = b""
            while not answer.endswith(b"\nhello\n"):
                data = connection.recv(4096)
                if not data:
                    raise RuntimeError(f"an idle connection ended early: {answer!r}")
                answer += data
            connection.setblocking(False)
            self.sockets[connection.fileno()] = connection

    def watch(self, seconds: float) -> list[float]:
        """
        The moments at which the connections ended, as they are seen here.

        @param seconds: how long to wait for the last.
        """
        ended: list[float] = []
        epoll = select.epoll()
        for number in self.sockets:
            epoll.register(number, select.EPOLLIN)
        deadline = time.monotonic() + seconds
        gc.disable()
        while self.sockets and (left := deadline - time.monotonic()) > 0:
            for number, _ in epoll.poll(left):
                try:
                    if self.sockets[number].recv(4096):
                        continue
                except OSError:
                    pass
                ended.append(time.monotonic())
                self.sockets.pop(number).close()
        gc.enable()
        epoll.close()
        return ended

    def leave(self) -> None:
        """
        Close those that are left.
        """
        for connection in self.sockets.values():
            connection.close()
        self.sockets.clear()


def closerInC(directory: Path) -> Path | None:
    """
    Compile C{closer.c}.

    @return: the program, C{None} if there is no compiler.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    program = directory / "closer"
    subprocess.run([compiler, "-O2", "-o", program, HERE / "closer.c"], check=True, timeout=60)
    return program


def closerInPython() -> list[str]:
    """
    The command of C{closer.py}.
    """
    return [sys.executable, str(HERE / "closer.py")]


def _awaitPort(port: int) -> None:
    deadline = time.monotonic() + 10.0
    while True:
        try:
            socket.create_connection((HOST, port), 1.0).close()
            return
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def floor(closer: list[str], count: int) -> float:
    """
    Seconds in which a plain loop ends so many connections.

    @param closer: the command of that loop.
    @raise RuntimeError: it has not ended all of them.
    """
    port = freePort()
    process = subprocess.Popen([*closer, str(port), str(count)])
    try:
        _awaitPort(port)
        crowd = Crowd(port, count)
        time.sleep(0.2)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        ended = crowd.watch(30.0)
        crowd.leave()
        process.wait(10.0)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if len(ended) < count:
        raise RuntimeError("the plain loop left connections behind")
    return max(ended) - began
