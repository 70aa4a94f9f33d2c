"""
Goodbyes spread over time.
"""

from __future__ import annotations

#: The golden ratio's fractional part: the multiples of no other number fill a circle
#: as evenly, however many there will be.
_STEP = 0.6180339887498949


class Stagger:
    """
    Gives each of an unknown number of connections its time, so that they are spread
    evenly, and neighbours by age are not neighbours in time.

    @ivar window: over how many seconds; 0 is all at once.
    """

    def __init__(self, window: float = 0.0, start: float = 0.0) -> None:
        """
        @param start: where in the window the first one is, from 0 to 1.
        """
        self.window = window
        self._place = start % 1.0

    def next(self) -> float:
        """
        How many seconds the next one has to wait: 0 or more, less than the window.
        """
        place, self._place = self._place, (self._place + _STEP) % 1.0
        return self.window * place
