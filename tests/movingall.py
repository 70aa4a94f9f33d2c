"""
Moving all connections of a server, in unit tests.
"""

from __future__ import annotations

from typing import Any

from terminable.handover.moving import Moved, moveAll
from tests.passages import PassageTestCase


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
