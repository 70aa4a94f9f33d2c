"""
Looking at very many connections without standing in anybody's way: a few in each turn of the
reactor, one job after the other, and all of them in a small part of the time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.task import deferLater
from twisted.logger import Logger

from terminable.policy.rates import Bucket

#: Seconds of work in one turn of the reactor, and the rest until the next.
SLICE = 0.001
REST = 0.004

#: The part of the time that work may take for long, and for how many seconds at once after a
#: quiet time.
SHARE = 0.02
BURST = 1.0

#: How many items to look at between two looks at the clock.
_AT_ONCE = 8

_log = Logger()


class Work:
    """
    Does one job after the other.
    """

    def __init__(self, reactor: Any, worked: Callable[[], float] = time.thread_time) -> None:
        """
        @param worked: tells how long this thread has worked, in seconds.
        """
        self._reactor = reactor
        self._worked = worked
        self._lock = DeferredLock()
        self._bucket = Bucket(SHARE, BURST, reactor.seconds())

    def each(self, items: Iterable[Any], work: Callable[[Any], object]) -> Deferred[float]:
        """
        Call C{work} with each item, with the first ones before this returns if there is nothing
        to wait for.  What it raises is logged, and costs its item alone.

        @return: fires with the seconds of work that it has taken.
        """
        return self._lock.run(lambda: Deferred.fromCoroutine(self._each(iter(items), work)))

    async def _each(self, items: Iterator[Any], work: Callable[[Any], object]) -> float:
        # Who has taken much, waits before the next job: there may be debts.
        wait = self._bucket.wait(0.0, self._reactor.seconds())
        if wait:
            await deferLater(self._reactor, wait)
        spent = 0.0
        while True:
            took, more = self._slice(items, work)
            spent += took
            if not more:
                self._bucket.spend(spent)
                return spent
            await deferLater(self._reactor, REST)

    def _slice(self, items: Iterator[Any], work: Callable[[Any], object]) -> tuple[float, bool]:
        """
        @return: the seconds that it has taken, and whether there may be more to do.
        """
        began = self._worked()
        for number, item in enumerate(items, start=1):
            try:
                work(item)
            except Exception:
                _log.failure("{work} failed for {item}", work=work, item=item)
            if number % _AT_ONCE == 0 and self._worked() - began >= SLICE:
                return self._worked() - began, True
        return self._worked() - began, False
