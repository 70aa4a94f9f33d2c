"""
A stop that others may watch.
"""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger

from terminable.interfaces import ITerminationObserver
from terminable.policy.phases import Phase

_log = Logger()


class Observed:
    """
    Stands in one phase after the other, and says so.

    @ivar phase: where it stands.
    """

    def __init__(self) -> None:
        self.phase = Phase.RELEASED
        self._observers: list[ITerminationObserver] = []

    def addObserver(self, observer: ITerminationObserver) -> None:
        """
        Tell C{observer} from now on how stops proceed.
        """
        self._observers.append(observer)

    def removeObserver(self, observer: ITerminationObserver) -> None:
        """
        Tell it no more.
        """
        self._observers.remove(observer)

    def tell(self, name: str, *details: Any) -> None:
        """
        Tell the observers; one that fails is logged, and harms nobody else.

        @param name: of a method of L{ITerminationObserver}.
        """
        for observer in list(self._observers):
            try:
                getattr(observer, name)(*details)
            except BaseException:
                _log.failure("{observer} failed", observer=observer)

    def step(self, phase: Phase) -> None:
        """
        Stand in another phase.
        """
        former, self.phase = self.phase, phase
        self.tell("phaseChanged", former, phase)
