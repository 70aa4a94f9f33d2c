"""
How many requests a stop loses, side by side.

50 clients that never retry load a server; it is told to stop; every request that was written in
full to an established connection and got no complete answer is lost.  A refused connection is
not, nor is one that broke before the request could be written.  Over HTTP/2 these are ten
connections with ten streams each; a stream of which the server says that it has not looked at it
is refused, and so not lost.

    python benchmarks/lost.py --stops 20
    python benchmarks/lost.py --servers "terminable,plain Twisted" --only TLS
"""

from __future__ import annotations

import random
import ssl
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks import http2clients
from benchmarks.clients import Client, Incomplete, get
from benchmarks.machine import Listen, Workspace
from benchmarks.peers.base import Peer, Running
from benchmarks.sheets import Sheet
from benchmarks.sidebyside import failed, parser, repeating, run, servers
from benchmarks.started import Stop

#: Seconds that a server is given to end, and those after which we end it.
GRACE, LATEST = 10.0, 15.0

#: Clients of HTTP/1.1, and connections of HTTP/2.
CLIENTS, CONNECTIONS = 50, 10


@dataclass(frozen=True)
class Load:
    """
    How the clients behave.
    """

    name: str
    keepAlive: bool = True
    pause: float = 0.0
    tls: bool = False
    http2: bool = False


LOADS = [
    Load(name + (", TLS" if tls else ""), keepAlive, pause, tls)
    for tls in (False, True)
    for name, keepAlive, pause in (
        ("keep-alive", True, 0.0),
        ("5 ms pause", True, 0.005),
        ("new connection each", False, 0.0),
    )
] + [Load("HTTP/2", tls=True, http2=True)]


class Loader(threading.Thread):
    """
    One client: it sends, waits for the answer, and goes on until its connection is refused.

    @ivar answered: requests with a complete answer.
    @ivar lost: requests that were written, and got none.
    @ivar unsent: connections that broke before a request was written.
    """

    def __init__(self, port: int, load: Load, tls: ssl.SSLContext | None, until: float) -> None:
        super().__init__(daemon=True)
        self.port, self.load, self.tls, self.until = port, load, tls, until
        self.answered = self.lost = self.unsent = 0
        self.request = get("/", *([] if load.keepAlive else ["Connection: close"]))

    def run(self) -> None:
        """
        Go on until nobody listens, or it is late.
        """
        while time.monotonic() < self.until:
            try:
                client = Client(self.port, self.tls)
            except ConnectionRefusedError:
                return
            except OSError:
                self.unsent += 1
                continue
            try:
                while self._exchange(client) and time.monotonic() < self.until:
                    time.sleep(self.load.pause)
            finally:
                client.close()

    def _exchange(self, client: Client) -> bool:
        """
        One request; return whether the connection may be used for another.
        """
        try:
            client.send(self.request)
        except OSError:
            self.unsent += 1
            return False
        try:
            answer = client.answer()
        except Incomplete:
            self.lost += 1
            return False
        self.answered += 1
        return self.load.keepAlive and not answer.saysClose


@dataclass
class Outcome:
    """
    What one stop cost.
    """

    lost: int
    answered: int
    unsent: int
    stop: Stop

    @property
    def problem(self) -> str:
        """
        What makes it no figure, or a doubtful one.
        """
        if not self.answered:
            return "nothing was answered"
        return f"had to be ended after {LATEST:g} s" if self.stop.ended else ""


def _loaders(
    port: int, load: Load, tls: ssl.SSLContext | None
) -> Sequence[Loader | http2clients.Loader]:
    until = time.monotonic() + LATEST + 5.0
    if not load.http2:
        return [Loader(port, load, tls, until) for _ in range(CLIENTS)]
    assert tls is not None
    asking = http2clients.tlsContext(tls)
    return [http2clients.Loader(port, asking, until) for _ in range(CONNECTIONS)]


def stopOnce(peer: Peer, load: Load, workspace: Workspace) -> Outcome:
    """
    Start a server, load it, stop it, count.
    """
    listen = Listen(tls=load.tls, backlog=1024)
    tls = workspace.tlsContext() if load.tls else None
    with Running(peer, workspace, listen, GRACE) as server:
        loaders = _loaders(listen.port, load, tls)
        for loader in loaders:
            loader.start()
        time.sleep(random.uniform(0.5, 1.0))
        server.terminate()
        stop = server.waitOrEnd(LATEST)
        for loader in loaders:
            loader.join(LATEST)
    return Outcome(
        sum(loader.lost for loader in loaders),
        sum(loader.answered for loader in loaders),
        sum(loader.unsent for loader in loaders),
        stop,
    )


def _fill(sheet: Sheet, peer: Peer, load: Load, stops: int, workspace: Workspace) -> None:
    for _ in range(stops):
        try:
            seen = stopOnce(peer, load, workspace)
        except (OSError, RuntimeError) as reason:
            failed(sheet, peer.name, load.name, reason)
            continue
        sheet.add(peer.name, load.name, seen.lost if seen.answered else None, seen.problem)
        more = sheet.more.setdefault(peer.name, {}).setdefault(load.name, [])
        seconds = round(seen.stop.seconds, 3)
        more.append({"answered": seen.answered, "unsent": seen.unsent, "seconds": seconds})


def measure(options: Namespace) -> list[Sheet]:
    """
    All loads on all servers.
    """
    loads = [load for load in LOADS if options.only in load.name]
    settings = {"stops": options.stops}
    if options.ourStops and options.ourStops != options.stops:
        settings["our_stops"] = options.ourStops
    sheet = Sheet(
        "lost",
        "Requests lost at a stop",
        "requests",
        [load.name for load in loads],
        repeating("lost", **settings),
    )
    workspace = Workspace()
    for peer in servers(options):
        stops = options.ourStops if peer.isOurs and options.ourStops else options.stops
        for load in loads:
            if peer.speaksHTTP2 or not load.http2:
                _fill(sheet, peer, load, stops, workspace)
    return [sheet]


def main() -> int:
    """
    The command line.
    """
    found = parser(__doc__)
    found.add_argument("--our-stops", dest="ourStops", type=int, help="of terminable [as others]")
    found.add_argument("--only", default="", help="loads whose name contains this")
    return run(measure, found.parse_args())


if __name__ == "__main__":
    sys.exit(main())
