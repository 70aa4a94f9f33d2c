"""
The clients and servers of the benchmarks, with real sockets.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from benchmarks import lost
from benchmarks.crowds import closerInC, closerInPython, floor
from benchmarks.machine import Listen, Workspace
from benchmarks.peers import plaintwisted, terminable
from benchmarks.peers.base import Peer, Running
from tests.live.processes import LiveTestCase, eventually

#: Serves, has a child, and does not mind SIGTERM.
STUBBORN = """
import http.server, os, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if not child:
    signal.pause()
print("child", child, flush=True)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *words): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


class LostTests(LiveTestCase):
    """
    L{lost.stopOnce}.
    """

    def test_ours(self) -> None:
        """
        Streams of HTTP/2 are answered, and none is lost.
        """
        seen = lost.stopOnce(terminable.PEER, lost.LOADS[-1], Workspace())
        self.assertGreater(seen.answered, 0)
        self.assertEqual((seen.lost, seen.problem), (0, ""))

    def test_clientsCanLose(self) -> None:
        """
        Plain Twisted loses what is in flight, and the clients see it.
        """
        for load in (lost.LOADS[0], lost.LOADS[-1]):
            seen = lost.stopOnce(plaintwisted.PEER, load, Workspace())
            self.assertGreater(seen.answered, 0)
            self.assertGreater(seen.lost, 0)


class FloorTests(LiveTestCase):
    """
    L{floor}.
    """

    def test_loops(self) -> None:
        """
        Both loops end all connections.
        """
        inC = closerInC(Path(self.directory()))
        for closer in filter(None, (closerInPython(), inC and [str(inC)])):
            self.assertGreater(floor(closer, 150), 0.0)


class RunningTests(LiveTestCase):
    """
    L{Running}.
    """

    def test_stubborn(self) -> None:
        """
        A server that does not leave is ended, with its children, and that is said.
        """
        peer = Peer(
            "stubborn",
            lambda: "1.0",
            lambda order: [sys.executable, "-c", STUBBORN, str(order.port)],
        )
        with Running(peer, Workspace(), Listen()) as server:
            server.waitForLog("child")
            child = int(server.log().split()[1])
            server.terminate()
            stop = server.waitOrEnd(0.3)
        self.assertEqual((stop.ended, stop.status), (True, -signal.SIGKILL))
        self.assertGreaterEqual(stop.seconds, 0.3)
        self.assertTrue(eventually(lambda: not _lives(child)))


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX" and os.path.exists(f"/proc/{pid}")
