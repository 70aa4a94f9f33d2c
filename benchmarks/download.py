"""
Slow readers that are in the middle of an answer when the stop begins.

A 32 MiB download, read at 16 MiB/s: it must arrive whole, and the process must
leave right after.  Then answers of 2,000,000 bytes to slow readers whose next
request lies unread in the server's receive buffer: a socket that is closed with
unread input resets the connection and throws its last answer away.

    python benchmarks/download.py
"""

from __future__ import annotations

import hashlib
import statistics
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

from benchmarks.clients import Client, Incomplete, get
from benchmarks.common import Listen, Server, Stop, Workspace
from benchmarks.figures import Figure, arguments, exitStatus, show, spread

MIB = 2**20
SIZE = 2_000_000
RATE = 2.0 * MIB
BLOCK = bytes(range(256)) * 256
UNREAD = get("/?unread", "X-Filler: " + "x" * 2000)


def expected(size: int) -> str:
    """
    The digest of the body that the server sends.
    """
    whole, rest = divmod(size, len(BLOCK))
    digest = hashlib.sha256()
    for _ in range(whole):
        digest.update(BLOCK)
    digest.update(BLOCK[:rest])
    return digest.hexdigest()


@dataclass(frozen=True)
class Reading:
    """
    What one slow reader asks for, and what it writes behind its request.

    @ivar toCome: whether the answer begins only after the stop did.
    """

    name: str
    path: str
    size: int
    rate: float
    headers: tuple[str, ...] = ()
    behind: bytes = b""
    toCome: bool = False


WHOLE = Reading("32 MiB", "/download?bytes=33554432", 32 * MIB, 16 * MIB)
LAST = ("Connection: close",)
SOON = "/big?after=0.8"
PENDING = [
    Reading("2 MB begun, last", "/big", SIZE, RATE, LAST, UNREAD),
    Reading("2 MB to come, last", SOON, SIZE, RATE, LAST, UNREAD, True),
    Reading("2 MB to come", SOON, SIZE, RATE, (), UNREAD, True),
    Reading("2 MB to come, 40 behind", SOON, SIZE, RATE, (), UNREAD * 40, True),
]


class SlowReader(threading.Thread):
    """
    Reads one answer at a steady rate and notes how much of it arrived.
    """

    def __init__(self, reading: Reading, client: Client) -> None:
        super().__init__(daemon=True)
        self.reading, self.client = reading, client
        self.got = 0
        self.digest = hashlib.sha256()
        self.lastByte = 0.0
        self.head: bytes | None = b""
        self.rest = b""
        self.trouble = ""

    def begin(self) -> None:
        """
        Ask, let the server take the request, and only then write what comes
        behind: it must stay unread.
        """
        self.client.send(get(self.reading.path, *self.reading.headers))
        if self.reading.toCome:
            time.sleep(0.1)
        else:
            self._count(self.client.receive(1024))
        if self.reading.behind:
            self.client.send(self.reading.behind)
        self.start()

    def _count(self, data: bytes) -> None:
        if self.head is not None:
            self.head += data
            if b"\r\n\r\n" not in self.head:
                return
            data = self.head.split(b"\r\n\r\n", 1)[1]
            self.head = None
        mine = data[: self.reading.size - self.got]
        self.digest.update(mine)
        self.got += len(mine)
        self.rest += data[len(mine) :]

    def run(self) -> None:
        began = time.monotonic()
        try:
            while self.got < self.reading.size:
                data = self.client.receive(32768)
                if not data:
                    self.trouble = "ended early"
                    return
                self._count(data)
                due = began + self.got / self.reading.rate
                time.sleep(max(0.0, due - time.monotonic()))
            self.lastByte = time.monotonic()
            self.rest += self.client.rest()
        except Incomplete as reason:
            self.trouble = str(reason)
        finally:
            self.client.close()

    def seen(self, stop: Stop) -> dict[str, Any]:
        whole = self.digest.hexdigest() == expected(self.reading.size)
        return {
            "got": self.got,
            "of": self.reading.size,
            "whole": whole,
            "laterAnswers": self.rest.count(b"HTTP/1.1 200"),
            "trouble": self.trouble,
            "exitAfterLastByteMs": (
                round((stop.gone - self.lastByte) * 1000, 1) if whole else None
            ),
        }


def stopOnce(
    options: Any, readings: list[Reading], tls: bool, workspace: Workspace
) -> dict[str, Any]:
    """
    Begin to read, stop the server, read on.
    """
    listen = Listen(tls=tls)
    context = workspace.tlsContext() if tls else None
    with Server(options.server, workspace, [listen], grace=options.grace) as server:
        readers = [
            SlowReader(reading, Client(listen.port, context, receiveBuffer=65536))
            for reading in readings
        ]
        for reader in readers:
            reader.begin()
        time.sleep(0.2)
        server.terminate()
        stop = server.wait(options.grace + 10.0)
        for reader in readers:
            reader.join(options.grace + 10.0)
    return {
        "exitSeconds": round(stop.seconds, 3),
        "status": stop.status,
        "readers": {reader.reading.name: reader.seen(stop) for reader in readers},
    }


def measure(options: Any) -> dict[str, Any]:
    """
    The long download and the answers with unread input, plain and over TLS.
    """
    workspace = Workspace()
    result: dict[str, Any] = {"server": options.server}
    for tls in (False, True):
        name = "TLS" if tls else "plain"
        result[name] = {
            "download": [stopOnce(options, [WHOLE], tls, workspace) for _ in range(options.stops)],
            "pending": [stopOnce(options, PENDING, tls, workspace) for _ in range(options.stops)],
        }
    return result


def figures(result: dict[str, Any]) -> list[Figure]:
    """
    A line for each kind of reader.
    """
    lines = []
    for transport in ("plain", "TLS"):
        for what in ("download", "pending"):
            stops = result[transport][what]
            for name in stops[0]["readers"]:
                seen = [stop["readers"][name] for stop in stops]
                lines.append(_figure(f"{name}, {transport}", seen, what))
    return lines


def _figure(name: str, seen: list[dict[str, Any]], what: str) -> Figure:
    whole = sum(one["whole"] for one in seen)
    least = min(one["got"] for one in seen)
    text = f"{whole} of {len(seen)} whole; least {least:,} of {seen[0]['of']:,}"
    good = whole == len(seen)
    wanted = "whole"
    if what == "download":
        after = [one["exitAfterLastByteMs"] for one in seen]
        wanted = "whole, exit <= 100 ms after"
        if good:
            text += f"; exit {spread(after)} ms after the last byte"
            good = statistics.median(after) <= 100
    else:
        text += f"; {min(one['laterAnswers'] for one in seen)} later answers"
    return Figure(f"slow reader: {name}", text, wanted, good)


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--stops", type=int, default=1)
    parser.add_argument("--grace", type=float, default=10.0)
    options = parser.parse_args()
    result = measure(options)
    lines = figures(result)
    show(result, lines, options.json)
    return exitStatus(lines)


if __name__ == "__main__":
    sys.exit(main())
