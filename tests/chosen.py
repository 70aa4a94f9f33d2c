"""
A server some of whose connections are drained.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from terminable.policy.ledger import Report
from tests.doubles import Hinting, MemoryTransport, World


class DrainTestCase(SynchronousTestCase):
    """
    A server with some connections.
    """

    def serve(
        self, count: int, protocol: Any = Hinting, delay: float | None = 0.0, **times: Any
    ) -> World:
        """
        One with C{count} connections, a second between each and the next.
        """
        self.world = World(protocol, **times)
        self.transports: list[MemoryTransport] = []
        for number in range(count):
            self.transports.append(self.world.connect(delay, port=number))
            self.world.clock.advance(1)
        self.protocols = self.world.factory.protocols
        return self.world

    def drain(self, *numbers: int, **settings: Any) -> Deferred[Report]:
        """
        Drain some of them by number.
        """
        chosen = [self.transports[number] for number in numbers]
        return self.world.terminator.drain(lambda each: each.transport in chosen, **settings)

    def told(self) -> list[int]:
        """
        The numbers of those who were told that the end is near.
        """
        return [number for number, each in enumerate(self.protocols) if each.told is not None]

    def over(self) -> list[int]:
        """
        The numbers of those whose connection is over.
        """
        return [number for number, each in enumerate(self.transports) if each.over]
