"""
For how much longer systemd is asked to wait for a stop.

All times are in seconds.
"""

from __future__ import annotations

import math

#: What is asked for at once, at most.
MOST = 30.0

#: What is asked for beyond the deadline, for what follows the last connection: services,
#: threads.
SPARE = 5.0

#: Nobody is asked for less.
_TRIFLE = 0.001


class Patience:
    """
    For how much longer systemd is asked to wait.

    It waits for C{TimeoutStopSec} at least; what is asked for only ever makes that longer.
    """

    def __init__(self) -> None:
        self._covered = self._again = self._moved = -math.inf
        self._deadline = math.inf
        self._live = 0

    def wanted(self, now: float, left: float | None, live: int) -> float | None:
        """
        @param left: seconds until the deadline; C{None} if there is none.
        @param live: how many connections there are.
        @return: for how many seconds to ask now; C{None} if there is no need or no reason.
        """
        if live < self._live or self._moved == -math.inf:
            self._moved = now
        self._live = live
        if left is None:
            until = now + MOST if now - self._moved < MOST else now
        else:
            self._deadline = now + left if left else min(self._deadline, now)
            until = min(self._deadline + SPARE, now + MOST)
        needed = now >= self._again and until > max(now, self._covered) + _TRIFLE
        return until - now if needed else None

    def granted(self, now: float, seconds: float) -> None:
        """
        So much was asked for; half of it may pass before it is done again.
        """
        self._covered = now + seconds
        self._again = now + seconds / 2
