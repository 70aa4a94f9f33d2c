#!/usr/bin/env python3
"""
A rolling deploy: the servers of a fleet are restarted one after the other, and nobody notices.

    ./deploy.py --restart "systemctl restart site@{name}" --haproxy /run/haproxy/admin.sock \\
        1=127.0.0.1:9081 2=127.0.0.1:9082 3=127.0.0.1:9083

Each server is given by a name and the address of its agent check.  Before a server is touched,
all must be ready.  The command restarts it: the old process says "drain", finishes what it has,
and ends; the new one says "ready" as soon as it serves.  When HAProxy has seen that too, it is
the next one's turn.  If that does not come to pass in time, nothing more is touched: mend that
one, and deploy again.

The exit status is 0 when all are new, 1 if one does not come back or was not ready, and 2 if the
command line is wrong.  Python 3.10 is all that is needed.
"""

from __future__ import annotations

import argparse
import csv
import io
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

#: Seconds between two looks, and seconds that a look may take.
LOOK = 0.1
PATIENCE = 2.0


class Failed(Exception):
    """
    The deploy must not go on.
    """


def hear(address: tuple[str, int] | str, said: bytes = b"") -> str:
    """
    Connect, say something, and listen to the end.

    @param address: of a TCP port, or of a UNIX socket.
    @raise OSError: nobody is there, or does not answer.
    """
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(address)
        sock.sendall(said)
        heard = b""
        while data := sock.recv(65536):
            heard += data
    return heard.decode("ascii", "replace")


@dataclass(frozen=True)
class Server:
    """
    One server of the fleet.

    @ivar name: what the command and HAProxy call it.
    @ivar agent: host and port of its agent check.
    """

    name: str
    agent: tuple[str, int]

    def says(self) -> str:
        """
        What its agent check answers; why it does not, in brackets.
        """
        try:
            return hear(self.agent).strip()
        except OSError as problem:
            return f"({problem})"

    @property
    def ready(self) -> bool:
        """
        Whether it wants new connections.
        """
        return "ready" in self.says().split()


def server(text: str) -> Server:
    """
    Read C{NAME=HOST:PORT}.

    @raise ValueError: it is something else.
    """
    name, _, address = text.partition("=")
    host, _, port = address.rpartition(":")
    if not (name and host):
        raise ValueError(text)
    return Server(name, (host, int(port)))


@dataclass(frozen=True)
class HAProxy:
    """
    What stands in front.

    @ivar path: of its stats socket.
    @ivar backend: the name of the backend that has the servers.
    """

    path: str
    backend: str

    def sees(self, name: str) -> str:
        """
        The status that it shows for a server, such as C{UP} or C{DRAIN (agent)}.

        @raise Failed: it does not know it.
        """
        try:
            text = hear(self.path, b"show stat\n").removeprefix("# ")
        except OSError as problem:
            raise Failed(f"HAProxy does not answer at {self.path}: {problem}") from None
        for row in csv.DictReader(io.StringIO(text)):
            if (row["pxname"], row["svname"]) == (self.backend, name):
                return row["status"]
        raise Failed(f"HAProxy knows no server {name} in the backend {self.backend}")


class Deploy:
    """
    One run.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.servers: list[Server] = options.servers
        self.restart: str = options.restart
        self.patience: float = options.patience
        self.haproxy = HAProxy(options.haproxy, options.backend) if options.haproxy else None
        self.pause: float = options.pause

    def run(self) -> None:
        """
        Restart all.

        @raise Failed: one does not come back, or was not ready; the others are as they were.
        """
        for each in self.servers:
            self.mustBeReady()
            print(f"{each.name}: restarting", flush=True)
            began = time.monotonic()
            self.replace(each)
            self.awaitBack(each)
            print(f"{each.name}: ready after {time.monotonic() - began:.1f} s", flush=True)

    def replace(self, server: Server) -> None:
        """
        Have the command restart one.
        """
        words = [word.replace("{name}", server.name) for word in shlex.split(self.restart)]
        try:
            status = subprocess.run(words, stdin=subprocess.DEVNULL, check=False).returncode
        except OSError as problem:
            raise Failed(f"{server.name}: {problem}") from None
        if status:
            raise Failed(f"{server.name}: {shlex.join(words)} has failed with status {status}")

    def mustBeReady(self) -> None:
        """
        Those that are not touched have to serve meanwhile.
        """
        for each in self.servers:
            if not each.ready:
                raise Failed(f"{each.name} is not ready: {each.says()}")

    def awaitBack(self, server: Server) -> None:
        """
        Return when the server has its part of the load.
        """
        self._await(lambda: server.ready, lambda: f"{server.name} says {server.says()}")
        haproxy = self.haproxy
        if haproxy is None:
            time.sleep(self.pause)
            return
        self._await(
            lambda: haproxy.sees(server.name) == "UP",
            lambda: f"HAProxy sees {server.name} as {haproxy.sees(server.name)}",
        )

    def _await(self, condition: Callable[[], bool], state: Callable[[], str]) -> None:
        deadline = time.monotonic() + self.patience
        while not condition():
            if time.monotonic() > deadline:
                raise Failed(f"{state()}, {self.patience:g} s after its restart")
            time.sleep(LOOK)


def arguments() -> argparse.Namespace:
    """
    The command line.
    """
    parser = argparse.ArgumentParser(description="Restart servers one after the other.")
    parser.add_argument("servers", type=server, nargs="+", metavar="NAME=HOST:PORT")
    parser.add_argument(
        "--restart",
        required=True,
        metavar="COMMAND",
        help="restarts one server, {name}; returns when the new process was started",
    )
    parser.add_argument("--haproxy", metavar="PATH", help="its stats socket")
    parser.add_argument("--backend", default="site", metavar="NAME", help="[default: site]")
    parser.add_argument(
        "--patience",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="until a restarted server must be ready [default: 60]",
    )
    parser.add_argument(
        "--pause",
        type=float,
        default=2.0,
        metavar="SECONDS",
        help="after each server, if HAProxy cannot be asked [default: 2]",
    )
    return parser.parse_args()


def main() -> int:
    """
    @return: the exit status.
    """
    try:
        Deploy(arguments()).run()
    except Failed as problem:
        print(f"the deploy has stopped: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
