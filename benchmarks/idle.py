"""
10,000 idle keep-alive connections and 50 busy ones: how long the stop takes.

Counted from the end of the idle grace until the last idle client saw its
connection end, and compared with a plain Python loop that closes as many
sockets (C{closer.py}), seen by the same client in the same run.  The server
also measures the turns of its own reactor, whoever fills them.

    python benchmarks/idle.py
    python benchmarks/idle.py --server plain
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import statistics
import subprocess
import sys
import time
from typing import Any

from clients import Client, Incomplete, get
from common import (
    HERE,
    HOST,
    Listen,
    Server,
    Workspace,
    freePort,
    raiseDescriptorLimit,
)
from figures import Figure, arguments, exitStatus, show

BATCH = 100


class Crowd:
    """
    Many connections, each of which has had one request answered.
    """

    def __init__(self, port: int, count: int) -> None:
        self.sockets: dict[int, socket.socket] = {}
        while len(self.sockets) < count:
            self._open(port, min(BATCH, count - len(self.sockets)))

    def _open(self, port: int, count: int) -> None:
        batch = []
        for _ in range(count):
            connection = socket.create_connection((HOST, port), 10.0)
            connection.sendall(get())
            batch.append(connection)
        for connection in batch:
            answer = b""
            while b"\nhello\n" not in answer:
                data = connection.recv(4096)
                if not data:
                    raise RuntimeError(f"an idle connection ended early: {answer!r}")
                answer += data
            connection.setblocking(False)
            self.sockets[connection.fileno()] = connection

    def watch(self, seconds: float) -> list[float]:
        """
        The moments at which the connections ended, as they are seen here.
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
        for connection in self.sockets.values():
            connection.close()
        self.sockets.clear()


def baseline(count: int) -> float:
    """
    Seconds in which a plain loop ends so many connections.
    """
    port = freePort()
    process = subprocess.Popen([sys.executable, str(HERE / "closer.py"), str(port), str(count)])
    try:
        deadline = time.monotonic() + 10.0
        while True:
            try:
                socket.create_connection((HOST, port), 1.0).close()
                break
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
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


def readBusy(clients: list[Client]) -> dict[str, int]:
    """
    How many were answered, and how many of those were told to close.
    """
    seen = {"answered": 0, "told": 0}
    for client in clients:
        try:
            answer = client.answer()
        except Incomplete:
            pass
        else:
            seen["answered"] += answer.status == 200
            seen["told"] += answer.saysClose
        client.close()
    return seen


def stopOnce(options: Any, workspace: Workspace) -> dict[str, Any]:
    """
    Fill the server with idle and busy connections, stop it, watch.
    """
    beats = workspace.path / "heartbeat.json"
    idleGrace = 0.0 if options.server == "plain" else options.idle_grace
    listen = Listen(backlog=1024)
    with Server(
        options.server,
        workspace,
        [listen],
        grace=options.grace,
        idleGrace=idleGrace,
        environment={"BENCH_HEARTBEAT": str(beats)},
    ) as server:
        crowd = Crowd(listen.port, options.idle)
        busy = [Client(listen.port) for _ in range(options.busy)]
        for client in busy:
            client.send(get(f"/slow?seconds={options.seconds}"))
        time.sleep(0.3)
        began = server.terminate()
        ended = crowd.watch(options.grace + 5.0)
        left = len(crowd.sockets)
        crowd.leave()
        seen = readBusy(busy)
        stop = server.wait(options.grace + 10.0)
    graceOver = began + idleGrace
    turns = json.loads(beats.read_text())
    longest = {
        what: round(max((ms for moment, ms in turns[what] if moment > began), default=0.0), 2)
        for what in ("stalls", "collections")
    }
    return {
        "idleGone": len(ended),
        "idleLeft": left,
        "firstGone": round(min(ended) - graceOver, 4),
        "lastGone": round(max(ended) - graceOver, 4),
        **seen,
        "exitSeconds": round(stop.seconds, 3),
        "longestStallMs": longest["stalls"],
        "longestCollectionMs": longest["collections"],
        "ourLongestTurnMs": turns["ours"],
        "status": stop.status,
    }


def measure(options: Any) -> dict[str, Any]:
    """
    The plain loop, the server, the plain loop again, and their ratio.
    """
    limit = raiseDescriptorLimit()
    if limit < options.idle + options.busy + 100:
        options.idle = limit - options.busy - 100
        print(f"only {options.idle} descriptors to be had", file=sys.stderr)
    # Before and after each stop: the machine may have other things to do.
    floor = [baseline(options.idle), baseline(options.idle)]
    stops = []
    for _ in range(options.stops):
        stops.append(stopOnce(options, Workspace()))
        floor += [baseline(options.idle), baseline(options.idle)]
    return {
        "server": options.server,
        "idle": options.idle,
        "busy": options.busy,
        "cores": os.cpu_count(),
        "plainLoopSeconds": [round(seconds, 4) for seconds in floor],
        "stops": stops,
        "ratio": [round(stop["lastGone"] / statistics.median(floor), 2) for stop in stops],
    }


def figures(result: dict[str, Any]) -> list[Figure]:
    """
    The worst of the stops.
    """
    stops, busy = result["stops"], result["busy"]
    floor = statistics.median(result["plainLoopSeconds"]) * 1000
    worst = max(stop["lastGone"] for stop in stops) * 1000
    answered = min(stop["answered"] for stop in stops)
    told = min(stop["told"] for stop in stops)
    left = max(stop["idleLeft"] for stop in stops)
    stall = max(stop["longestStallMs"] for stop in stops)
    collection = max(stop["longestCollectionMs"] for stop in stops)
    ours = [stop["ourLongestTurnMs"] for stop in stops]
    turns = [turn for turn in ours if turn is not None]
    return [
        Figure(
            f"{busy} busy: answered, told to close",
            f"{answered}, {told}",
            f"{busy}, {busy}",
            answered == told == busy,
        ),
        Figure(
            f"{result['idle']} idle: gone after the grace",
            f"{worst:.0f} ms ({left} left), plain loop {floor:.0f} ms",
            "all gone",
            not left,
        ),
        Figure(
            "  times the plain loop",
            f"{max(result['ratio']):.2f}",
            "<= 3",
            max(result["ratio"]) <= 3,
        ),
        Figure(
            "  longest turn of ours",
            f"{max(turns):.1f} ms" if turns else "not told",
            "<= 5 ms",
            max(turns) <= 5 if turns else None,
        ),
        Figure(
            "  longest stall of any cause",
            f"{stall:.1f} ms (longest garbage collection {collection:.1f} ms)",
        ),
    ]


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--stops", type=int, default=1)
    parser.add_argument("--idle", type=int, default=10_000)
    parser.add_argument("--busy", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=1.5, help="a busy request")
    parser.add_argument("--grace", type=float, default=10.0)
    parser.add_argument("--idle-grace", type=float, default=1.0)
    options = parser.parse_args()
    result = measure(options)
    lines = figures(result)
    show(result, lines, options.json)
    return exitStatus(lines)


if __name__ == "__main__":
    sys.exit(main())
