"""
What stands for a drain where a drainer is tested alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock
from zope.interface import implementer

from terminable.interfaces import IDrainWatch
from terminable.policy.schedule import Schedule


@implementer(IDrainWatch)
class HandWatch:
    """
    What a drainer is given when its drain begins.

    @ivar clock: decides when what is to be done later is done.
    @ivar idled: how often the drainer has said that its connection is idle.
    @ivar over: whether the connection is over, so that nothing is done any more.
    """

    def __init__(self, clock: Clock | None = None, **settings: Any) -> None:
        """
        @param settings: those of the schedule.
        """
        self.clock = Clock() if clock is None else clock
        self.schedule = Schedule(**settings)
        self.idled = 0
        self.over = False

    def __call__(self) -> None:
        """
        See L{IDrainWatch.__call__}.
        """
        self.idled += 1

    def later(self, seconds: float, work: Callable[..., object], *args: object) -> None:
        """
        See L{IDrainWatch.later}; here an exception goes to whoever advances the clock.
        """

        def run() -> None:
            if not self.over:
                work(*args)

        self.clock.callLater(seconds, run)
