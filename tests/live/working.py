"""
What workers serve in these tests, and who asks them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time

from twisted.web.resource import Resource
from twisted.web.server import Request

from benchmarks.restartprocesses import Family, adoptingOrphans
from tests.live import resources
from tests.live.clients import Address
from tests.live.processes import (
    PATIENCE,
    LiveTestCase,
    Server,
    awaitCatching,
    eventually,
    freePort,
)


class Pid(Resource):
    """
    Says which process this is.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        return b"%d" % os.getpid()


class Root(resources.Root):
    """
    What the other live tests serve, and that.
    """

    def __init__(self) -> None:
        super().__init__()
        self.putChild(b"pid", Pid())


def whoAnswers(address: Address) -> int:
    """
    The process that answers on a new connection.
    """
    peer = address.connect()
    try:
        return int(peer.get("/pid").body)
    finally:
        peer.close()


class Asking(threading.Thread):
    """
    Asks all the time, on a new connection each.

    @ivar problems: what went wrong.
    @ivar count: how many answers there were.
    """

    def __init__(self, address: Address) -> None:
        super().__init__(daemon=True)
        self._address = address
        self._over = threading.Event()
        self.problems: list[Exception] = []
        self.count = 0

    def run(self) -> None:
        while not self._over.wait(0.002):
            try:
                whoAnswers(self._address)
            except Exception as problem:
                self.problems.append(problem)
            self.count += 1

    def stop(self) -> None:
        """
        Return when the last answer is there.
        """
        self._over.set()
        if self.is_alive():
            self.join(PATIENCE)


class WorkersTestCase(LiveTestCase):
    """
    Starts workers, and sees to it that none is left.
    """

    def setUp(self) -> None:
        stack = contextlib.ExitStack()
        stack.enter_context(adoptingOrphans())
        self.addCleanup(stack.close)

    def work(self, count: int, *options: str) -> tuple[Server, Family, Address]:
        """
        Start workers that serve L{Root}, and wait until all of them do.
        """
        address = Address(port=freePort())
        words = ["--workers", str(count), "--port", address.description, *options]
        server = self.launch("terminable", "--class", "tests.live.working.Root", *words)
        family = Family(server.process.pid)
        self.addCleanup(family.end)
        self.awaitServing(server, count)
        server.awaitReady()
        awaitCatching(server.process.pid, signal.SIGTTOU)
        return server, family, address

    def awaitServing(self, server: Server, count: int) -> None:
        """
        Return when so many processes have begun to serve, or more.
        """
        text = "taking over as process"
        if not eventually(lambda: server.log().count(text) >= count or server.status is not None):
            raise AssertionError(server.log())
        self.assertIsNone(server.status, server.log())

    def workers(self, server: Server, family: Family) -> set[int]:
        """
        The processes below the first one that live.
        """
        return set(family.living()) - {server.process.pid}

    def ask(self, *addresses: Address) -> list[Asking]:
        """
        Ask all the time, until L{settle}.
        """
        asking = [Asking(address) for address in addresses]
        for each in asking:
            self.addCleanup(each.stop)
            each.start()
        return asking

    def settle(self, asking: list[Asking]) -> None:
        """
        All questions were answered.
        """
        for each in asking:
            each.stop()
            self.assertEqual(each.problems, [])
            self.assertGreater(each.count, 10)

    def assertAllGone(self, server: Server, family: Family, address: Address) -> None:
        """
        Nothing is left of it all.
        """
        left: list[int] = []

        def gone() -> bool:
            left[:] = family.living()
            return not left

        self.assertTrue(eventually(gone), f"{left} are left:\n{server.log()}")
        self.assertTrue(address.refuses())

    def awaitAnswers(self, address: Address, expected: set[int]) -> None:
        """
        Ask until every one of those has answered, and nobody else does.
        """
        answered: set[int] = set()
        deadline = time.monotonic() + PATIENCE
        while answered != expected:
            peers = [address.connect() for _ in range(20)]
            for peer in peers:
                peer.ask("/pid")
            answered |= {int(peer.answer().body) for peer in peers}
            for peer in peers:
                peer.close()
            self.assertLess(time.monotonic(), deadline, (answered, expected))
            self.assertLessEqual(answered, expected)
