"""
How long to wait before something that has ended is started again.

Rules:
 - the first wait is short, and each one is twice as long as the one before, up to a limit;
 - whoever has lived well for long enough begins anew.

All times are in seconds.
"""

from __future__ import annotations

#: The first wait.
FIRST = 0.1

#: No wait is longer.
LONGEST = 10.0

#: For so long must something live to be forgiven what was before.
GOOD_LIFE = 30.0


class Backoff:
    """
    The waits of one thing that is started again and again.
    """

    def __init__(self) -> None:
        self._next = FIRST

    def after(self, life: float) -> float:
        """
        It has ended.

        @param life: for how many seconds it did well; 0 if it never came to that.
        @return: how many seconds to wait now.
        """
        if life >= GOOD_LIFE:
            self._next = FIRST
        wait, self._next = self._next, min(self._next * 2, LONGEST)
        return wait
