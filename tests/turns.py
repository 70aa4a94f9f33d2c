"""
Connections that live long, and how their turns are watched.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from terminable.policy.ledger import Report
from tests.doubles import Hinting, World

#: Where in the window the first ones are.
PLACES = [0.0, 0.618, 0.236, 0.854, 0.472]


class Lasting(Hinting):
    """
    Lives long.
    """

    lasting = True


class Prompt(Lasting):
    """
    Says goodbye in a dialogue, and goes when its peer has answered.
    """

    prompt = True

    def drain(self) -> None:
        self.drained += 1


class TurnTestCase(SynchronousTestCase):
    """
    Some connections of a kind.
    """

    def serve(self, kind: Any, count: int = 5, **settings: Any) -> World:
        """
        A server with so many.
        """
        self.world = World(kind, **settings)
        self.transports = [self.world.connect(port=number) for number in range(count)]
        self.protocols = self.world.factory.protocols
        return self.world

    def ask(self, number: int, answer: Any = None) -> Deferred[Any]:
        """
        Ask to be told when the drain of one of them begins, and answer then.
        """
        transport = self.transports[number]
        asked = self.world.terminator.gate.whenDraining(transport)
        return asked.addCallback(lambda _: answer)

    def moments(self, seconds: float, what: Any = None) -> list[float | None]:
        """
        Let time go by.

        @return: when each of them was told to go, or whatever else C{what} says.
        """
        what = what or (lambda number: self.protocols[number].drained)
        found: list[float | None] = [None] * len(self.transports)
        for step in range(round(seconds * 100) + 1):
            for number in range(len(found)):
                if found[number] is None and what(number):
                    found[number] = step / 100
            self.world.clock.advance(0.01)
        return found

    def assertMoments(self, found: list[float | None], expected: list[float]) -> None:
        """
        That is when it was, give or take a moment.
        """
        self.assertNotIn(None, found)
        for one, other in zip(found, expected, strict=True):
            assert one is not None
            self.assertApproximates(one, other, 0.031)

    def nothingLeft(self, result: Deferred[Report]) -> Report:
        """
        It is over, and nothing comes after it.
        """
        report = self.successResultOf(result)
        self.assertEqual(self.world.clock.getDelayedCalls(), [])
        return report
