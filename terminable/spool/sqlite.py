"""
The store that needs no server: a file of SQLite.

Any number of processes may use the same file.  Each change is a short transaction, and is on
the disk when it is told (write-ahead log, C{synchronous=FULL}).
"""

from __future__ import annotations

import glob
import os
import sqlite3
import time
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from terminable import events
from terminable.errors import InvalidOption
from terminable.spool.desk import Desk, Job, always, notRunning, pruned
from terminable.spool.interfaces import ISpoolStore, ITaken
from terminable.spool.items import Item, SpoolAway, SpoolProgress, errorOf
from terminable.spool.owners import Owner, isGone
from terminable.spool.table import Table, make

_log = Logger()

#: What an SQLite database begins with (https://www.sqlite.org/fileformat.html, 1.3).
_MAGIC = b"SQLite format 3\0"

#: Seconds to wait while another process writes.
BUSY = 20.0

#: How often, in seconds, to look whether another process that uses the file has ended.
SWEEP = 1.0

_EXPECTED = "a file in a directory that is there, or that a spool has made"


Result = TypeVar("Result")


def _never(db: Any) -> bool:
    return False


def _thread() -> ThreadPool:
    return ThreadPool(1, 1, "spool")


@implementer(ITaken)
class _Taken:
    """
    An item in hand.
    """

    def __init__(self, store: SQLiteStore, number: int, item: Item) -> None:
        self.item = item
        self._store = store
        self._number = number

    def done(self, result: bytes | None) -> Deferred[None]:
        """
        See L{ITaken.done}.
        """
        return self._ask("done", self.item.key, result, self._store.now())

    def again(self, error: str, delay: float) -> Deferred[None]:
        """
        See L{ITaken.again}.
        """
        return self._ask("again", error, self._store.now() + delay)

    def dead(self, error: str, begun: bool = True) -> Deferred[None]:
        """
        See L{ITaken.dead}.
        """
        attempts = self.item.attempts - (not begun)
        return self._ask("dead", self.item.key, error, attempts, self._store.now())

    def giveBack(self) -> Deferred[None]:
        """
        See L{ITaken.giveBack}.
        """
        return self._ask("giveBack")

    def _ask(self, name: str, *values: Any) -> Deferred[None]:
        store = self._store
        step, owner = getattr(store.table, name), store.owner.name
        asked: Deferred[None] = store.ask(lambda db: step(db, self._number, owner, *values))
        return asked


@implementer(ISpoolStore)
class SQLiteStore:
    """
    Items in a file.

    @ivar table: the statements.
    @ivar owner: this process, to others that use the file.
    @ivar now: what time it is: seconds since 1970.
    """

    table: Table
    owner: Owner

    def __init__(
        self,
        reactor: Any,
        path: str,
        *,
        now: Callable[[], float] = time.time,
        makeThread: Callable[[], Any] = _thread,
    ) -> None:
        """
        @param path: the file.  It is made by L{start}, with others beside it whose names begin
            like its own.  Not on a network file system: its locks must hold.
        @param makeThread: makes a thread pool of one thread.
        """
        self._reactor = reactor
        self._path = os.path.abspath(path)
        self.now = now
        self._makeThread = makeThread
        self._thread: Any = None
        self._db: Any = None
        self._desk: Desk | None = None
        self._swept = 0.0

    def __repr__(self) -> str:
        return f"<SQLiteStore {self._path}>"

    # -- beginning

    def _refused(self, problem: object) -> InvalidOption:
        return InvalidOption("spool", self._path, f"{_EXPECTED} ({problem})")

    def check(self) -> None:
        """
        See L{ISpoolStore.check}.
        """
        try:
            if not os.path.isdir(os.path.dirname(self._path)):
                raise self._refused("no such directory")
            if os.path.exists(self._path):
                with open(self._path, "rb") as file:
                    if file.read(len(_MAGIC)) not in (b"", _MAGIC):
                        raise self._refused("it is no SQLite database")
        except OSError as problem:
            raise self._refused(problem.strerror) from None

    def start(self, most: int | None, deadBlocks: bool) -> None:
        """
        See L{ISpoolStore.start}.
        """
        self.check()
        self.table = Table(most, deadBlocks)
        try:
            self._db = sqlite3.connect(
                self._path, timeout=BUSY, isolation_level=None, check_same_thread=False
            )
            self._open(self._db)
        except (sqlite3.Error, OSError, ValueError) as problem:
            self._forgetDatabase()
            raise self._refused(problem) from None
        self._thread = thread = self._makeThread()
        thread.start()
        # A process that ends without stopping us would wait for our thread.
        self._trigger = self._reactor.addSystemEventTrigger("during", "shutdown", thread.stop)
        self._desk = Desk(self._reactor, self._answer)

    def _forgetDatabase(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            db.close()

    def _open(self, db: Any) -> None:
        (mode,) = db.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise ValueError(f"its journal is {mode!r}, and cannot be a write-ahead log")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("BEGIN IMMEDIATE")
        try:
            make(db)
            # In a transaction: nobody looks for those who have ended meanwhile.
            self.owner = Owner(self._path)
            db.execute("INSERT INTO owners VALUES (?)", (self.owner.name,))
            self._sweep(db)
            self._sweepFiles(db)
            self.table.promoteAll(db)
            db.execute("COMMIT")
        finally:
            db.rollback()

    # -- in the thread

    def _answer(self, jobs: list[Job]) -> Deferred[list[Any]]:
        answered: Deferred[list[Any]] = deferToThreadPool(
            self._reactor, self._thread, self._batch, jobs
        )
        return answered

    def _batch(self, jobs: list[Job]) -> list[Any]:
        """
        Do several jobs by one transaction, or each by one if that fails.
        """
        try:
            return self._together(self._db, jobs)
        except (sqlite3.Error, OSError) as problem:
            if len(jobs) == 1:
                return [Failure(SpoolAway(errorOf(problem)))]
        return [result for job in jobs for result in self._batch([job])]

    def _together(self, db: Any, jobs: list[Job]) -> list[Any]:
        if not any(job.writes(db) for job in jobs):
            return [job.run(db) for job in jobs]
        db.execute("BEGIN IMMEDIATE")
        self.table.begin()
        try:
            results = [job.attempt(db) for job in jobs]
            db.execute("COMMIT")
        finally:
            db.rollback()
        return results

    def _sweep(self, db: Any) -> None:
        """
        Take over what those had in hand who have ended.
        """
        self._swept = self.now()
        for name in self._gone(db):
            count = self.table.inherit(db, name)
            _log.info(
                "{count} items were in the hands of a process that ended",
                event=events.SPOOL_RECOVERED,
                count=count,
            )

    def _gone(self, db: Any) -> list[str]:
        others = self.table.others(db, self.owner.name)
        return [name for name in others if isGone(self._path, name)]

    def _sweepFiles(self, db: Any) -> None:
        """
        Remove the files of processes that ended before they stood in the database.
        """
        known = {self.owner.name, *self.table.others(db, self.owner.name)}
        for path in glob.glob(f"{glob.escape(self._path)}-owner-*"):
            name = path.rpartition("-")[2]
            if name not in known:
                isGone(self._path, name)

    # -- asking

    def ask(
        self, run: Callable[[Any], Result], writes: Callable[[Any], bool] = always
    ) -> Deferred[Result]:
        """
        Have something done in the thread.

        @param run: called with the connection.
        @param writes: called before, says whether it would change anything.
        @return: fires with what C{run} returned, when it is committed.
        """
        if self._desk is None:
            return notRunning()
        return self._desk.ask(Job(run, writes))

    def record(self, item: Item) -> Deferred[Item]:
        """
        See L{ISpoolStore.record}.
        """
        now = self.now()
        return self.ask(lambda db: self.table.record(db, item, now))

    def take(self) -> Deferred[ITaken | None]:
        """
        See L{ISpoolStore.take}.
        """
        now = self.now()

        def looks(db: Any) -> bool:
            return self._mustSweep(now) or self.table.mayTake(db, now)

        def take(db: Any) -> ITaken | None:
            if self._mustSweep(now):
                self._sweep(db)
            found = self.table.take(db, self.owner.name, now)
            return None if found is None else _Taken(self, *found)

        return self.ask(take, looks)

    def _mustSweep(self, now: float) -> bool:
        # Or the clock was set back.
        return not 0.0 <= now - self._swept < SWEEP

    def look(self, id: str) -> Deferred[Item | None]:
        """
        See L{ISpoolStore.look}.
        """
        return self.ask(lambda db: self.table.look(db, id, self.now()), _never)

    def progress(self) -> Deferred[SpoolProgress]:
        """
        See L{ISpoolStore.progress}.
        """
        return self.ask(lambda db: self.table.progress(db, self.now()), _never)

    def deadLetters(self, most: int) -> Deferred[list[Item]]:
        """
        See L{ISpoolStore.deadLetters}.
        """
        return self.ask(lambda db: self.table.deadLetters(db, most, self.now()), _never)

    def retryDead(self, id: str) -> Deferred[bool]:
        """
        See L{ISpoolStore.retryDead}.
        """
        return self.ask(lambda db: self.table.retryDead(db, id, self.now()))

    def dropDead(self, id: str) -> Deferred[bool]:
        """
        See L{ISpoolStore.dropDead}.
        """
        return self.ask(lambda db: self.table.dropDead(db, id))

    def prune(self, age: float) -> Deferred[int]:
        """
        See L{ISpoolStore.prune}.
        """
        before = self.now() - age

        def some(most: int) -> Deferred[int]:
            return self.ask(lambda db: self.table.prune(db, before, most))

        return Deferred.fromCoroutine(pruned(some))

    # -- ending

    def stop(self) -> Deferred[None]:
        """
        See L{ISpoolStore.stop}.
        """
        desk, self._desk = self._desk, None
        if desk is None:
            return succeed(None)
        desk.ask(Job(self._leave)).addErrback(self._cannotLeave)
        return desk.whenIdle().addCallback(self._close)

    def _leave(self, db: Any) -> None:
        self.table.inherit(db, self.owner.name)

    def _cannotLeave(self, failure: Failure) -> None:
        # The others will find out.
        _log.warn(
            "{path}: {reason}",
            event=events.SPOOL_TROUBLE,
            path=self._path,
            reason=failure.getErrorMessage(),
        )

    def _close(self, result: object) -> None:
        self._reactor.removeSystemEventTrigger(self._trigger)
        self._thread.stop()
        self._forgetDatabase()
        self.owner.leave()
