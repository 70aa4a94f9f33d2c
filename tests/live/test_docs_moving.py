"""
The programs that the page on moving connections shows do what it says.
"""

from __future__ import annotations

import signal
import socket
import sys

from tests.live.processes import PATIENCE, LiveTestCase, Server, freePort
from tests.live.test_docs import EXAMPLES


class Talk:
    """
    Lines.
    """

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.file = self.socket.makefile("rwb", buffering=0)

    def say(self, data: bytes) -> None:
        """
        Send something.
        """
        self.file.write(data)

    def hear(self) -> str:
        """
        A line.
        """
        return self.file.readline().decode().rstrip("\r\n")


class MovingTests(LiveTestCase):
    """
    Examples that move connections.
    """

    def example(self, name: str, *arguments: str) -> Server:
        """
        Start one.
        """
        return self.start(str(EXAMPLES / name), *arguments, program=(sys.executable,))

    def test_tally(self) -> None:
        """
        The other process goes on with the sum, also in the middle of a line.
        """
        path, port = str(self.directory() / "s"), freePort()
        taker = self.example("tally.py", "take", path, str(port))
        server = self.example("tally.py", "serve", path, str(port))
        server.awaitLog("listening on")
        talk = Talk(port)
        self.addCleanup(talk.socket.close)
        self.assertEqual(talk.hear(), "numbers, please")
        talk.say(b"3\n1")
        self.assertEqual(talk.hear(), f"3 so far, says {server.process.pid}")
        server.send(signal.SIGUSR1)
        server.awaitLog("1 moved, 0 ended, 0 left")
        talk.say(b"0\n")
        self.assertEqual(talk.hear(), f"13 so far, says {taker.process.pid}")
        server.gone()
        self.assertEqual(server.status, 0)

    def test_nobodyTakes(self) -> None:
        """
        If nobody takes them, it says so.
        """
        server = self.example("tally.py", "serve", str(self.directory() / "s"), str(freePort()))
        server.awaitLog("listening on")
        server.send(signal.SIGUSR1)
        server.gone()
        self.assertIn("nobody takes connections", server.log())

    def test_pool(self) -> None:
        """
        Two workers have as many connections each.
        """
        folder, port = self.directory(), freePort()
        paths = [str(folder / name) for name in "ab"]
        workers = [self.example("pool.py", "worker", path) for path in paths]
        acceptor = self.example("pool.py", "accept", str(port), *paths)
        acceptor.awaitLog("listening on")
        answers = []
        for _ in range(4):
            talk = Talk(port)
            self.addCleanup(talk.socket.close)
            talk.say(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
            while line := talk.hear():
                self.assertNotIn("50", line[:12])
            answers.append(int(talk.hear()))
        pids = sorted(worker.process.pid for worker in workers)
        self.assertEqual(sorted(answers), sorted(pids * 2))
