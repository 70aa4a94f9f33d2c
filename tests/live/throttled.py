"""
Servers with limits, in a process of their own, that are asked for their memory.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
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


def queues(port: int) -> tuple[int, int]:
    """
    What a connection to a local port has in the kernel, in bytes: what its client has
    written that the server's side has not, and what that has and its process has not read.

    @raise AssertionError: there is not one connection.
    """
    unsent, unread = [], []
    for row in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        local, remote, state, sizes = row.split()[1:5]
        ports = [int(each.split(":")[1], 16) for each in (local, remote)]
        sent, read = (int(each, 16) for each in sizes.split(":"))
        if state == "01" and port in ports:
            (unread if ports[0] == port else unsent).append(read if ports[0] == port else sent)
    assert len(unsent) == len(unread) == 1, (unsent, unread)
    return unsent[0], unread[0]
