"""
Clients that do what they should not, a few at a time.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable
from typing import Any

from terminable.testing import faults
from tests.soak.load import Target
from tests.soak.wire import HOST

#: How many there are at a time, for each server.
MOST = 4

#: For how many seconds one stays, usually; and how one in so many stays beyond the grace period.
STAYS, LONG, SELDOM = 5.0, 30.0, 40

#: Asked for and not read: more than the kernel holds.
BIG = b"GET /n?n=0&bytes=6000000 HTTP/1.1\r\nHost: localhost\r\n\r\n"
SLOW = b"GET /n?n=0&seconds=1 HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Hostile(threading.Thread):
    """
    All of them.

    @ivar begun: how many there were.
    """

    def __init__(self, seed: str) -> None:
        super().__init__(daemon=True, name="hostile")
        self.begun = 0
        self._random = random.Random(seed)
        self._targets: list[Target] = []
        self._over = threading.Event()
        self._there: list[tuple[float, Target, Any]] = []

    def add(self, target: Target) -> None:
        """
        A server has more to bear.
        """
        self._targets.append(target)

    def run(self) -> None:
        """
        Go on until L{stop}.
        """
        while not self._over.wait(0.2):
            self._leave()
            for target in list(self._targets):
                mine = sum(of is target for _, of, _ in self._there)
                if mine < MOST and not target.resting.is_set():
                    # Nobody listens, or not any more.
                    with contextlib.suppress(OSError):
                        self._come(target)
        for _, _, peer in self._there:
            peer.close()

    def _leave(self) -> None:
        now = time.monotonic()
        gone = [each for each in self._there if each[0] < now or each[1].resting.is_set()]
        for each in gone:
            self._there.remove(each)
            each[2].close()

    def _come(self, target: Target) -> None:
        self.begun += 1
        peer = self._random.choice(self._kinds(target))()
        if hasattr(peer, "close"):
            stays = self._random.uniform(0.2, STAYS)
            if not self._random.randrange(SELDOM):
                stays = LONG
            self._there.append((time.monotonic() + stays, target, peer))

    def _kinds(self, target: Target) -> list[Callable[[], Any]]:
        kinds: list[Callable[[], Any]] = []
        if target.plain:
            web = (HOST, target.plain)
            kinds += [
                lambda: faults.halfHeader(web, limit=10.0),
                lambda: faults.halfBody(web, 100, target="/n?n=0", limit=10.0),
                lambda: faults.stuckReader(web, BIG, limit=10.0),
                lambda: faults.silentPeer(web, limit=10.0),
                lambda: faults.reset(web, SLOW, limit=10.0),
                lambda: faults.leaver(web, SLOW, limit=10.0),
            ]
        if target.secure:
            secure = (HOST, target.secure)
            kinds.append(lambda: faults.silentTLS(secure, 40, limit=10.0))
        if target.lines:
            lines = (HOST, target.lines)
            kinds += [
                lambda: faults.silentPeer(lines, limit=10.0),
                lambda: faults.reset(lines, b"ha", limit=10.0),
            ]
        return kinds

    def stop(self) -> None:
        """
        Send them away.
        """
        self._over.set()
        self.join(30.0)
