"""
A spool whose store is answered for by hand.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from terminable.spool import Item, Spool
from tests.spooldoubles import HandStore, HandTaken, SpoolReactor


class SpoolTestCase(SynchronousTestCase):
    """
    Has a spool whose store is answered for by hand.
    """

    def setUp(self) -> None:
        self.reactor = SpoolReactor()
        self.store = HandStore()
        self.working: list[tuple[Item, Deferred[Any]]] = []
        self.logged: list[Any] = []
        globalLogPublisher.addObserver(self.logged.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.logged.append)

    def work(self, item: Item) -> Deferred[Any]:
        """
        Work that ends when the test says so.
        """
        self.working.append((item, Deferred()))
        return self.working[-1][1]

    def spool(self, work: Any = None, **settings: Any) -> Spool:
        """
        @return: one that runs.
        """
        spool = Spool(self.reactor, self.store, work or self.work, **settings)
        spool.startService()
        return spool

    def give(self, attempts: int = 1, **values: Any) -> HandTaken:
        """
        Answer the oldest question for an item that was not answered.
        """
        taken = HandTaken(Item("a", attempts=attempts, **values))
        self.answer(taken)
        return taken

    def answer(self, value: Any) -> None:
        """
        Answer it with anything.
        """
        asked = next(each for each in self.store.asked if not each.called)
        if isinstance(value, Exception):
            asked.errback(value)
        else:
            asked.callback(value)

    def asks(self) -> bool:
        """
        @return: whether the spool is waiting for an item.
        """
        return not all(asked.called for asked in self.store.asked)

    def levels(self) -> list[str]:
        """
        @return: the levels of what was logged, but for information.
        """
        levels = [event["log_level"] for event in self.logged]
        return [level.name for level in levels if level > LogLevel.info]
