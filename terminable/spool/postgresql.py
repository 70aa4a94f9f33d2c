"""
The store for several processes or machines: a PostgreSQL database.

Needs the extra C{postgresql}: psycopg, version 3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.enterprise import adbapi
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from terminable.errors import InvalidOption
from terminable.spool.desk import Desk, Job, notRunning, pruned
from terminable.spool.interfaces import ISpoolStore, ITaken
from terminable.spool.items import Item, SpoolAway, SpoolProgress, errorOf
from terminable.spool.slots import Line, Slot, driver, prepare, settings, shown
from terminable.spool.tables import Tables

_EXPECTED = "a PostgreSQL database that can be reached and used"


@implementer(ISpoolStore)
class PostgreSQLStore:
    """
    Items in two tables of a database.

    One connection, in a thread of its own, is asked everything but what concerns an item in
    hand; for each of these there is one more connection, with a transaction that stays open
    while it is worked on, and in which its row is locked.  If the worker ends, by whatever, the
    server notices it and the lock is gone: no item is leased for a time.
    """

    def __init__(
        self,
        reactor: Any,
        address: str,
        *,
        name: str = "spool",
        pool: Callable[..., Any] = adbapi.ConnectionPool,
    ) -> None:
        """
        @param address: C{postgresql://user@host/database}, or whatever else libpq takes.
        @param name: what the names of the tables begin with.
        @param pool: makes what C{twisted.enterprise.adbapi.ConnectionPool} is.
        @raise InvalidOption: the driver is not installed, or the name is none.
        """
        self._reactor = reactor
        self._address = address
        self._driver = driver(address)
        self._tables = Tables(name)
        self._pool = pool
        self._desk: Desk | None = None
        self._line: Any = None
        self._slots: list[Slot] = []
        self._idle: list[Slot] = []

    def __repr__(self) -> str:
        return f"<PostgreSQLStore {self._tables.items}>"

    # -- beginning

    def check(self) -> None:
        """
        See L{ISpoolStore.check}.
        """
        self._connected(lambda db: None)

    def _connected(self, step: Callable[[Any], object]) -> None:
        """
        Do something with a connection, and wait for it.
        """
        try:
            connection = self._driver.connect(self._address, **settings(self._address))
            try:
                prepare(connection)
                step(connection)
            finally:
                connection.close()
        except (self._driver.Error, ValueError) as problem:
            reason = f"{_EXPECTED} ({errorOf(problem)})"
            raise InvalidOption("spool", shown(self._address), reason) from None

    def start(self, most: int | None, deadBlocks: bool) -> None:
        """
        See L{ISpoolStore.start}.
        """

        def make(db: Any) -> None:
            db.execute("BEGIN")
            self._tables.make(db, most, deadBlocks)
            db.execute("COMMIT")

        self._connected(make)
        self._line = self._newLine()
        self._desk = Desk(self._reactor, self._answer)

    def _newLine(self) -> Line:
        return Line(self._reactor, self._address, self._pool)

    # -- asking

    def _answer(self, jobs: list[Job]) -> Deferred[list[Any]]:
        answered: Deferred[list[Any]] = self._line.run(lambda db: self._batch(db, jobs), tries=2)
        return answered

    def _batch(self, db: Any, jobs: list[Job]) -> list[Any]:
        """
        Do several jobs by one transaction, or each by one if that fails.
        """
        try:
            return self._together(db, jobs)
        except self._driver.Error as problem:
            if db.closed:
                raise
            db.execute("ROLLBACK")
            if len(jobs) == 1:
                return [Failure(SpoolAway(errorOf(problem)))]
        return [result for job in jobs for result in self._batch(db, [job])]

    def _together(self, db: Any, jobs: list[Job]) -> list[Any]:
        db.execute("BEGIN")
        self._tables.begin()
        self._tables.lockKeys(db, [job.key for job in jobs])
        results = [job.attempt(db) for job in jobs]
        db.execute("COMMIT")
        return results

    def _ask(self, run: Callable[[Any], Any], key: str | None = None) -> Deferred[Any]:
        if self._desk is None:
            return notRunning()
        return self._desk.ask(Job(run, key=key))

    def record(self, item: Item) -> Deferred[Item]:
        """
        See L{ISpoolStore.record}.
        """
        return self._ask(lambda db: self._tables.record(db, item), item.key)

    def look(self, id: str) -> Deferred[Item | None]:
        """
        See L{ISpoolStore.look}.
        """
        return self._ask(lambda db: self._tables.look(db, id))

    def progress(self) -> Deferred[SpoolProgress]:
        """
        See L{ISpoolStore.progress}.
        """
        return self._ask(self._tables.progress)

    def deadLetters(self, most: int) -> Deferred[list[Item]]:
        """
        See L{ISpoolStore.deadLetters}.
        """
        return self._ask(lambda db: self._tables.deadLetters(db, most))

    def retryDead(self, id: str) -> Deferred[bool]:
        """
        See L{ISpoolStore.retryDead}.
        """
        return self._ask(lambda db: self._tables.retryDead(db, id))

    def dropDead(self, id: str) -> Deferred[bool]:
        """
        See L{ISpoolStore.dropDead}.
        """
        return self._ask(lambda db: self._tables.dropDead(db, id))

    def prune(self, age: float) -> Deferred[int]:
        """
        See L{ISpoolStore.prune}.
        """

        def some(most: int) -> Deferred[int]:
            return self._ask(lambda db: self._tables.prune(db, age, most))

        return Deferred.fromCoroutine(pruned(some))

    # -- taking

    def take(self) -> Deferred[ITaken | None]:
        """
        See L{ISpoolStore.take}.
        """
        if self._desk is None:
            return notRunning()
        return Deferred.fromCoroutine(self._take())

    async def _take(self) -> Any:
        slot = self._idle.pop() if self._idle else self._newSlot()
        try:
            number = await slot.take()
        except Exception:
            self._idle.append(slot)
            raise
        if number is None:
            self._idle.append(slot)
            return None
        try:
            # By another connection: it counts even if this process ends in this moment.
            attempts = await self._ask(lambda db: self._tables.tried(db, number))
        except Exception:
            await slot.drop()
            raise
        return slot.begun(attempts)

    def _newSlot(self) -> Slot:
        slot = Slot(self._newLine(), self._tables, self._idle.append)
        self._slots.append(slot)
        return slot

    # -- ending

    def stop(self) -> Deferred[None]:
        """
        See L{ISpoolStore.stop}.
        """
        desk, self._desk = self._desk, None
        if desk is None:
            return succeed(None)
        return desk.whenIdle().addCallback(self._hangUp)

    def _hangUp(self, result: object) -> None:
        for line in [self._line, *(slot.line for slot in self._slots)]:
            line.hangUp()
        self._slots.clear()
        self._idle.clear()
