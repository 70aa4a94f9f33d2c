"""
Servers of other protocols than HTTP, and what is said of them when they are gone.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from tests.live.clients import Address
from tests.live.processes import LiveTestCase, Server, freePort

#: The idle grace of all these servers, and a grace period that a test can wait for.
IDLE = 0.3
SHORT = 0.6


class ServingTestCase(LiveTestCase):
    """
    Starts a server of one kind.
    """

    factory = ""

    #: A grace period that nobody should have to wait for the end of.
    grace = 12.0

    def environment(self) -> dict[str, str]:
        """
        What the server finds in its environment.
        """
        return {}

    def serving(self, grace: float = grace, tls: bool = False, idle: float = IDLE) -> Server:
        """
        A server that serves at C{self.address}.
        """
        self.address = Address(port=freePort(), tls=tls)
        factory = f"tests.live.imapftpservers.{self.factory}"
        times = ("--grace", str(grace), "--idle-grace", str(idle))
        port = self.address.description
        if tls:
            pem = self.certificate()
            port += f":certKey={pem}:privateKey={pem}"
        what = ("--factory", factory, "--port", port)
        return self.start("terminable", *times, *what, env=self.environment())

    def meanwhile(self, work: Callable[..., Any], *args: object) -> Future[Any]:
        """
        Have a client do something that takes time.
        """
        pool = ThreadPoolExecutor(1)
        self.addCleanup(pool.shutdown)
        return pool.submit(work, *args)

    def assertFinished(self, server: Server, report: str = "1 finished, 0 aborted") -> None:
        """
        It ended well, without waiting for its deadline, and logged no failure.
        """
        self.assertLess(server.gone(), self.grace / 2, server.log())
        self.assertIn(report, server.report())
        self.assertNotIn("Traceback", server.log())

    def assertStraggler(self, server: Server, described: str) -> None:
        """
        It ended at its deadline, and named who did not, without a failure.
        """
        self.assertBetween(SHORT, server.gone(), SHORT + 0.3, server.log())
        self.assertIn("1 aborted", server.report())
        self.assertRegex(server.report(), described)
        self.assertNotIn("Traceback", server.log())
