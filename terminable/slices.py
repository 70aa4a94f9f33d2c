"""
Doing something to very many connections without standing in anybody's way.
"""

from __future__ import annotations

import gc
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from typing import Generic, TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

Item = TypeVar("Item")

#: How long our own work may take in one turn of the reactor, in seconds.
BUDGET = 0.002

#: From how many items on the garbage collector has to wait.
MANY = 500

_log = Logger()


class Collector:
    """
    Keeps Python's cyclic garbage collector from running while very many connections
    are being ended.

    What we allocate for them would start a full collection, which walks through every
    object of the process: 150 ms at ten thousand connections, in one turn of the
    reactor.  A moment later most of these objects are gone.
    """

    def __init__(self) -> None:
        self._holders = 0
        self._ours = False

    def hold(self) -> None:
        """
        No collection until L{release} was called as often.
        """
        self._holders += 1
        if self._holders == 1 and gc.isenabled():
            gc.disable()
            self._ours = True

    def release(self) -> None:
        """
        Collect again, if nobody else has it wait and if it was we who stopped it.
        """
        self._holders -= 1
        if not self._holders and self._ours:
            self._ours = False
            if not gc.get_freeze_count():
                # Everything that was allocated meanwhile would count as young, and be walked
                # through at once: this makes it old.
                gc.freeze()
                gc.unfreeze()
            gc.enable()


#: There is one garbage collector in a process.
collector = Collector()


class Slices:
    """
    Does work in slices, one for each turn of the reactor.

    @ivar longest: the most that a slice has taken so far, in seconds of this thread's
        processor time: what other processes take meanwhile is not our work.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        budget: float = BUDGET,
        worked: Callable[[], float] = time.thread_time,
    ) -> None:
        """
        @param budget: seconds on the reactor's clock after which a slice ends.
        @param worked: tells how long this thread has worked, in seconds.
        """
        self._reactor = reactor
        self._budget = budget
        self._worked = worked
        self.longest = 0.0

    def each(
        self,
        items: Collection[Item],
        work: Callable[[Item], object],
        done: Callable[[], object] = lambda: None,
    ) -> None:
        """
        Call C{work} with every item that there is now, with the first ones before this
        returns, then C{done}.  An exception is logged, and costs its item alone.
        """
        held = len(items) >= MANY
        if held:
            collector.hold()

        def end() -> None:
            if held:
                collector.release()
            done()

        self.work(iter(list(items)), work, end)

    def work(
        self, items: Iterator[Item], work: Callable[[Item], object], done: Callable[[], object]
    ) -> None:
        """
        The same for items that come one by one.
        """
        seconds = self._reactor.seconds
        before = worked = self._worked()
        began = seconds()
        for item in items:
            try:
                work(item)
            except BaseException:
                _log.failure("{work} failed for {item}", work=work, item=item)
            if seconds() - began >= self._budget:
                worked = self._worked()
                self._reactor.callLater(0, self.work, items, work, done)
                break
        else:
            worked = self._worked()
            done()
        self.longest = max(self.longest, worked - before)


class Queue(Generic[Item]):
    """
    Does work, in slices, for items that come at any time, never at once.
    """

    def __init__(
        self,
        slices: Slices,
        work: Callable[[Item], object],
        later: Callable[[float, Callable[[], object]], object],
    ) -> None:
        """
        @param work: called with each item; an exception costs its item alone.
        @param later: calls something after some seconds.
        """
        self._slices = slices
        self._work = work
        self._items: deque[Item] = deque()
        self._later = later
        self._working = False

    def add(self, item: Item) -> None:
        """
        One more.
        """
        self._items.append(item)
        if not self._working:
            self._working = True
            self._later(0, self._begin)

    def _begin(self) -> None:
        self._slices.work(self._taken(), self._work, self._end)

    def _taken(self) -> Iterator[Item]:
        while self._items:
            yield self._items.popleft()

    def _end(self) -> None:
        self._working = False
