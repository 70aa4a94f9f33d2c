"""
Moving all connections of a server, in unit tests.
"""

from __future__ import annotations

import socket
from typing import Any

from terminable.handover.moving import Moved, moveAll
from tests.passages import PassageTestCase, get, sites


class MovingTestCase(PassageTestCase):
    """
    What they have in common.
    """

    def move(self, until: float = 10.0) -> Any:
        """
        Begin.
        """
        return moveAll(self.reactor, self.here.connections(), self.sender, until)

    def moved(self, until: float = 10.0) -> Moved:
        """
        Do it.
        """
        moving = self.move(until)
        self.until(lambda: moving.called, 0.01)
        result: Moved = self.successResultOf(moving)
        return result


class SitesTestCase(MovingTestCase):
    """
    The same with a web site on either side.
    """

    def setUp(self) -> None:
        here, there, self.page, self.otherPage = sites()
        self.begin(here, there)

    def later(self) -> socket.socket:
        """
        Somebody whose request is in flight.
        """
        client = self.client()
        before = len(self.page.waiting)
        client.sendall(get("/later"))
        self.until(lambda: len(self.page.waiting) > before)
        return client
