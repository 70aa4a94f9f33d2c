"""
A Redis server of a test's own.
"""

from __future__ import annotations

import subprocess

from tests.live.processes import LiveTestCase, Server, eventually, freePort
from tests.live.programs import program


class Redis:
    """
    One server, which may be stopped and started again.  It keeps nothing on disk.

    @ivar path: its UNIX socket.
    @ivar port: its port on 127.0.0.1.
    """

    def __init__(self, test: LiveTestCase, *options: str) -> None:
        self._test = test
        self._program = program("redis-server", "redis-server")
        self._command = program("redis-cli", "redis-tools")
        self._directory = test.directory()
        self.path = self._directory / "redis.sock"
        self.port = freePort()
        self._options = options
        self.server: Server

    def start(self) -> None:
        """
        Return when it answers.
        """
        self.server = self._test.launch(
            *("--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", str(self.path)),
            *("--save", "", "--appendonly", "no", "--dir", str(self._directory), *self._options),
            program=(self._program,),
        )
        if not eventually(lambda: "PONG" in self.ask("PING") or "NOAUTH" in self.ask("PING")):
            raise AssertionError(self.server.log())

    def ask(self, *words: str) -> str:
        """
        What it answers to a command.
        """
        done = subprocess.run(
            [self._command, "-s", str(self.path), *words],
            capture_output=True,
            text=True,
            timeout=30,
        )
        return done.stdout.strip()

    def stop(self) -> None:
        """
        Return when it is gone.
        """
        self.server.send()
        self.server.gone()


class RedisTestCase(LiveTestCase):
    """
    Has a server.
    """

    def redis(self, *options: str) -> Redis:
        """
        Start one.
        """
        redis = Redis(self, *options)
        redis.start()
        return redis
