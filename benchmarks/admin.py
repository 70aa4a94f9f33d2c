"""
What its admin door costs a server that is at work: seen by a hundred watchers, and besieged.

    python benchmarks/admin.py
    python benchmarks/admin.py --windows 20 --only besieged

Two hundred clients are connected to the server, half of them with a request that is being worked
on.  Windows of time in which nobody is at the door take turns with windows in which somebody is.
What is measured is the processor time that the server's process takes (C{/proc/PID/schedstat}): by
so much less is left for those whom it serves.

"watched": 100 watchers of C{/events}, probes, C{/status} and C{/connections} every second.
"besieged": 1,000 who want to watch, and eight threads without a pause: wrong hosts, pages of
others, bodies that are too long or never come, odd paths.  "token": the same, and nobody knows the
token.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.clients import Client, get
from benchmarks.common import HOST, Listen, Server, Workspace, freePort, raiseDescriptorLimit
from benchmarks.figures import Figure, arguments, exitStatus, show

TOKEN = "0123456789abcdef"

#: How much the door may take of one processor, in per cent.
MOST = 2.0

#: How many the server serves meanwhile.
CLIENTS = 200

_GET = b"GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n"
_POST = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n%s\r\n%s"

#: What besiegers say, over and over.
_QUESTIONS = (
    b"GET /status HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    _GET % (b"/status", b"Authorization: Bearer fedcba9876543210\r\n"),
    _GET % (b"/../../etc/passwd", b""),
    _GET % (b"/events", b"Sec-Fetch-Site: cross-site\r\n"),
    _POST % (b"/abort", b"Origin: http://evil.example\r\nContent-Length: 2\r\n", b"{}"),
    _POST % (b"/drain", b"Content-Length: 99999999\r\n", b"a" * 70_000),
    _POST % (b"/drain", b"Content-Length: 100\r\n", b"{"),
    b"\x16\x03\x01\x00\xff nonsense\r\n\r\n",
)


def _connected(port: int) -> socket.socket:
    sock = socket.create_connection((HOST, port), timeout=0.5)
    sock.settimeout(0.5)
    return sock


def _besiege(port: int, stop: Any) -> None:
    """
    One of those who ask without a pause.
    """
    for question in itertools.cycle(_QUESTIONS):
        if stop.is_set():
            return
        with contextlib.suppress(OSError), _connected(port) as sock:
            sock.sendall(question)
            sock.recv(4096)


def _crowd(port: int, count: int, stop: Any) -> None:
    """
    Many who want to watch, and come again when they are refused.
    """
    held: dict[socket.socket, bool] = {}
    while not stop.is_set():
        if len(held) < count:
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex((HOST, port))
            held[sock] = False
            time.sleep(0.001)
            continue
        for sock in list(held):
            try:
                if not held[sock]:
                    sock.send(_GET % (b"/events", b""))
                    held[sock] = True
                if not sock.recv(65536):
                    raise ConnectionResetError
            except BlockingIOError:
                pass
            except OSError:
                del held[sock]
                sock.close()
        time.sleep(0.2)


def _probe(port: int, stop: Any) -> None:
    """
    A supervisor, and somebody who looks.
    """
    while not stop.wait(1.0):
        for path in (b"/live", b"/ready", b"/status", b"/connections"):
            with contextlib.suppress(OSError), _connected(port) as sock:
                sock.sendall(_GET % (path, b""))
                sock.recv(65536)


def _visitors(kind: str, port: int, stop: Any) -> None:
    """
    A process of those who are at the door.
    """
    raiseDescriptorLimit()
    os.nice(5)
    works: list[tuple[Any, tuple[Any, ...]]]
    if kind == "watched":
        works = [(_crowd, (port, 100, stop)), (_probe, (port, stop))]
    else:
        works = [(_crowd, (port, 1000, stop))] + [(_besiege, (port, stop))] * 8
    threads = [threading.Thread(target=work, args=details) for work, details in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@contextlib.contextmanager
def _atTheDoor(kind: str, port: int) -> Iterator[None]:
    stop = multiprocessing.Event()
    process = multiprocessing.Process(target=_visitors, args=(kind, port, stop), daemon=True)
    process.start()
    # Until all have come who may at once.
    time.sleep(4.0)
    try:
        yield
    finally:
        stop.set()
        process.join(10)
        # Until they are forgotten.
        time.sleep(0.5)


class _Measured(Server):
    """
    A server whose processor time is known.
    """

    def spent(self) -> int:
        """
        Nanoseconds of processor time so far.
        """
        path = Path(f"/proc/{self._process.pid}/schedstat")
        return int(path.read_text().split()[0])

    def share(self, seconds: float) -> float:
        """
        How much of one processor it takes, in per cent, for so long.
        """
        before, began = self.spent(), time.monotonic()
        time.sleep(seconds)
        return (self.spent() - before) / 1e9 / (time.monotonic() - began) * 100


def _pairs(server: _Measured, kind: str, port: int, listen: Listen, options: Any) -> list[float]:
    """
    How much more it takes, in per cent of one processor, while they are there.
    """
    clients = [Client(listen.port) for _ in range(CLIENTS)]
    for client in clients[::2]:
        client.send(get("/slow?seconds=1000"))
    found = []
    for _ in range(options.windows):
        quiet = server.share(options.seconds / 2)
        with _atTheDoor(kind, port):
            found.append(server.share(options.seconds) - quiet)
        # Until nobody is left, also of those who waited in the queue.
        time.sleep(options.seconds)
    for client in clients:
        client.close()
    return found


def measure(options: Any) -> dict[str, list[float]]:
    """
    Every kind of visitors.
    """
    result = {}
    for kind in options.only.split(","):
        workspace = Workspace()
        listen, port = Listen(), freePort()
        extra = ["--admin", f"tcp:{port}:interface={HOST}"]
        if kind == "token":
            path = workspace.path / "token"
            path.touch(mode=0o600)
            path.write_text(TOKEN)
            extra += ["--admin-token-file", str(path)]
        with _Measured("terminable", workspace, [listen], extra=extra) as server:
            result[kind] = _pairs(server, kind, port, listen, options)
    return result


def figures(result: dict[str, list[float]]) -> list[Figure]:
    """
    Each kind against nobody at the door.
    """
    lines = []
    for kind, found in result.items():
        middle = statistics.median(found)
        text = f"{middle:.2f} % ({min(found):.2f} to {max(found):.2f})"
        what = f"of one processor, door {kind}"
        lines.append(Figure(what, text, f"<= {MOST:g} %", middle <= MOST))
    return lines


def main() -> int:
    """
    The command line.
    """
    parser = arguments(__doc__)
    parser.add_argument("--windows", type=int, default=5, help="pairs of windows")
    parser.add_argument("--seconds", type=float, default=8.0, help="the length of each")
    parser.add_argument("--only", default="watched,besieged,token")
    options = parser.parse_args()
    result = measure(options)
    lines = figures(result)
    show(result, lines, options.json)
    return exitStatus(lines)


if __name__ == "__main__":
    raise SystemExit(main())
