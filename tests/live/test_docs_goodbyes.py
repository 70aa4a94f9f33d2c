"""
The programs that the prose shows of long-lived connections and of drainers for other
people's libraries do what it says.
"""

from __future__ import annotations

import contextlib
import shutil
import sys

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.live.processes import PATIENCE, SLACK
from tests.live.test_docs import ANYWHERE, EXAMPLES, ExampleTestCase

#: How an entry point looks when its package is installed.
INFO = "Metadata-Version: 2.1\nName: gossip-drainer\nVersion: 1.0\n"


class LongLivedTests(ExampleTestCase):
    """
    C{events.py}.
    """

    def test_events(self) -> None:
        """
        The stream says that it ends, and its answer is complete.
        """
        server = self.program("events.py")
        client = self.begin(server, b"GET /events HTTP/1.1\r\nHost: here\r\n\r\n")
        heard = client.rest()
        self.assertIn(b"data: ", heard)
        self.assertTrue(heard.endswith(b"data: back in a moment\n\n\r\n0\r\n\r\n"), heard[-80:])
        server.gone()
        self.assertIn("0 idle, 1 finished, 0 aborted", server.log())

    def test_news(self) -> None:
        """
        A long poll is answered early.
        """
        server = self.program("events.py")
        client = self.begin(server, b"GET /news HTTP/1.1\r\nHost: here\r\n\r\n")
        self.assertTrue(client.rest().startswith(b"HTTP/1.1 204 "))
        self.assertLess(server.gone(), 2 + SLACK)
        self.assertIn("0 idle, 1 finished, 0 aborted", server.log())


class GameTests(ExampleTestCase):
    """
    C{game.py}.
    """

    def play(self, port: int) -> ClientConnection:
        """
        Connect to the game.
        """
        player = connect(f"ws://127.0.0.1:{port}/game", compression=None)
        self.addCleanup(player.socket.close)
        self.assertEqual(player.recv(PATIENCE), "welcome")
        return player

    def last(self, player: ClientConnection) -> list[str | bytes]:
        """
        Everything until the close frame.
        """
        heard = []
        with contextlib.suppress(ConnectionClosed):
            while True:
                heard.append(player.recv(PATIENCE))
        return heard

    def test_game(self) -> None:
        """
        Who plays is told, plays to the end, and is closed then; who does not is closed at once.
        """
        server = self.program("game.py")
        port = int(server.awaitLog("listening on ").split()[-1])
        playing, waiting = self.play(port), self.play(port)
        playing.send("start")
        playing.send("move")
        self.assertEqual(playing.recv(PATIENCE), "2 moves left")
        server.send()
        self.assertEqual(self.last(waiting), ["last round"])
        self.assertEqual((waiting.close_code, waiting.close_reason), (1012, "restart"))
        self.assertEqual(playing.recv(PATIENCE), "last round")
        playing.send("move")
        playing.send("move")
        self.assertEqual(self.last(playing), ["1 moves left", "0 moves left"])
        self.assertEqual(playing.close_code, 1012)
        server.gone()
        self.assertIn("1 idle, 1 finished, 0 aborted", server.log())


class GossipTests(ExampleTestCase):
    """
    The drainer that another package publishes.
    """

    def test_gossip(self) -> None:
        """
        Installed, it is found by its entry point; a story is heard to its end.
        """
        directory = self.directory()
        for path in (EXAMPLES / "gossip").glob("*.py"):
            shutil.copy(path, directory)
        information = directory / "gossip_drainer-1.0.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(INFO)
        project = (EXAMPLES / "gossip" / "pyproject.toml").read_text()
        section, _, entry = project.partition('[project.entry-points."terminable.drainers"]\n')
        self.assertIn("txterminable", section)
        lines = "[terminable.drainers]\n" + entry.replace('"', "")
        (information / "entry_points.txt").write_text(lines)
        server = self.start(
            "terminable",
            *("--port", ANYWHERE, "--factory", "gossip.GossipFactory"),
            env={"PYTHONPATH": f"{directory}:{':'.join(filter(None, sys.path))}"},
        )
        client = self.begin(server, b"story\n")
        server.awaitPortsClosed()
        client.say(b"end\n")
        expected = b"they say story\nthey say end\nI must not say more\n"
        self.assertEqual(client.rest(), expected)
        server.gone()
        self.assertIn("0 idle, 1 finished, 0 aborted", server.report())
