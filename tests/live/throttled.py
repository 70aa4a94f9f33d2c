"""
Servers with limits, in a process of their own, that are asked for their memory.
"""

from __future__ import annotations

import fcntl
import json
import socket
import subprocess
import sys
import termios
from typing import Any

from tests.live.processes import ROOT, LiveTestCase, environment


class LimitedServer:
    """
    One process with ports of different kinds; see C{benchmarks/throttlingserver.py}.

    @ivar ports: where it listens.
    """

    def __init__(self, ports: list[tuple[str, list[str]]], certificate: str) -> None:
        program = ROOT / "benchmarks" / "throttlingserver.py"
        what = json.dumps([{"kind": kind, "limits": limits} for kind, limits in ports])
        self._process: Any = subprocess.Popen(
            [sys.executable, str(program), what, certificate],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        self.ports: list[int] = json.loads(self._process.stdout.readline())

    def memory(self) -> int:
        """
        How many bytes of it are resident.
        """
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline().split()[0])

    def cleanUp(self) -> None:
        """
        Leave nothing behind.
        """
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


class LimitedTestCase(LiveTestCase):
    """
    Starts such servers.
    """

    def limited(self, *ports: tuple[str, list[str]]) -> LimitedServer:
        """
        A server with these ports: what is spoken, and the limits.
        """
        server = LimitedServer(list(ports), str(self.certificate()))
        self.addCleanup(server.cleanUp)
        return server


def unsent(client: socket.socket) -> int:
    """
    How many bytes that a client has written its kernel still has: the server's has no room for
    them, as its process reads nothing.
    """
    return int.from_bytes(fcntl.ioctl(client, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
