"""
The statements for SQLite: each function is one step of a transaction, in the database's thread.

An unfinished item is C{ready}, C{behind} an earlier one of its key, or C{working}; only the
first of a key is not C{behind}.
"""

from __future__ import annotations

from sqlite3 import Connection
from typing import Any

from terminable.spool.items import HandLost, Item, SpoolProgress, State
from terminable.spool.order import Order

#: What C{PRAGMA user_version} is of the tables below.
VERSION = 1

#: What C{PRAGMA application_id} is: "spol".
APPLICATION = 0x73706F6C

_UNFINISHED = "state IN ('ready', 'behind', 'working')"

SCHEMA = (
    """CREATE TABLE items (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        key TEXT,
        payload BLOB NOT NULL,
        type TEXT NOT NULL,
        state TEXT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        due REAL NOT NULL DEFAULT 0,
        recorded REAL NOT NULL,
        ended REAL,
        owner TEXT,
        error TEXT NOT NULL DEFAULT '',
        result BLOB
    )""",
    "CREATE TABLE owners (name TEXT PRIMARY KEY)",
    "CREATE INDEX ready ON items (number, due) WHERE state = 'ready'",
    f"CREATE INDEX unfinished ON items (number, state) WHERE {_UNFINISHED}",
    "CREATE INDEX keys ON items (key, number, state) WHERE key IS NOT NULL AND state <> 'done'",
    "CREATE INDEX owned ON items (owner) WHERE owner IS NOT NULL",
    # Not one index on the state: it would be taken for everything, and then sorted.
    "CREATE INDEX done ON items (ended) WHERE state = 'done'",
    "CREATE INDEX dead ON items (ended, number) WHERE state = 'dead'",
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {VERSION}",
)

_COLUMNS = "number, id, key, payload, type, state, attempts, due, error, result"
_STATES = {"working": State.WORKING, "done": State.DONE, "dead": State.DEAD}


def make(db: Connection) -> None:
    """
    Make the tables, if there is nothing at all.

    @raise ValueError: there is something else.
    """
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if application == APPLICATION:
        if version != VERSION:
            raise ValueError(f"its tables are of version {version}, ours of {VERSION}")
        return
    if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise ValueError("it is another program's database")
    for statement in SCHEMA:
        db.execute(statement)


def itemOf(row: Any, now: float, place: int = 0) -> Item:
    """
    @param row: the L{_COLUMNS} of one item.
    """
    _, id, key, payload, kind, state, attempts, due, error, result = row
    found = _STATES.get(state, State.WAITING)
    wait = max(0.0, due - now) if found is State.WAITING else 0.0
    return Item(id, payload, kind, key, found, attempts, wait, error, result, place)


class Table(Order):
    """
    The items of one database.
    """

    def __init__(self, most: int | None, deadBlocks: bool) -> None:
        """
        @param deadBlocks: whether a dead item holds up the later ones of its key.
        """
        self.most = most
        self._keeps = deadBlocks
        blocking = "state <> 'done'" if deadBlocks else f"state <> 'done' AND {_UNFINISHED}"
        self._first = f"SELECT number, state FROM items WHERE key = ? AND {blocking}"

    # -- how an order is kept

    def firstOf(self, db: Connection, key: str) -> Any:
        """
        See L{Order.firstOf}.
        """
        return db.execute(f"{self._first} ORDER BY number LIMIT 1", (key,)).fetchone()

    def makeReady(self, db: Connection, number: int) -> None:
        """
        See L{Order.makeReady}.
        """
        db.execute("UPDATE items SET state = 'ready' WHERE number = ?", (number,))

    def promoteAll(self, db: Connection) -> None:
        """
        See to every key with a dead item: it may have held up others until now.
        """
        dead = "state = 'dead' AND key IS NOT NULL"
        keys = db.execute(f"SELECT DISTINCT key FROM items WHERE {dead}").fetchall()
        for (key,) in keys:
            self.promote(db, key)

    # -- one item

    def record(self, db: Connection, item: Item, now: float) -> Item:
        """
        See L{terminable.spool.ISpoolStore.record}.
        """
        found = self.look(db, item.id, now)
        if found is not None:
            return found
        self.mustHaveRoom(db)
        number = self._nextNumber(db)
        state = "ready" if self.isFirst(db, item.key, number) else "behind"
        values = (number, item.id, item.key, item.payload, item.contentType, state, now)
        names = "number, id, key, payload, type, state, recorded"
        db.execute(f"INSERT INTO items ({names}) VALUES (?, ?, ?, ?, ?, ?, ?)", values)
        return item

    def _nextNumber(self, db: Connection) -> int:
        return int(db.execute("SELECT coalesce(max(number), 0) + 1 FROM items").fetchone()[0])

    def unfinished(self, db: Connection) -> int:
        """
        See L{Order.unfinished}.
        """
        found = db.execute(f"SELECT count(*) FROM items WHERE {_UNFINISHED}").fetchone()
        return int(found[0])

    def mayTake(self, db: Connection, now: float) -> bool:
        """
        @return: whether there is something to take.
        """
        return self._due(db, now) is not None

    def _due(self, db: Connection, now: float) -> Any:
        ready = "state = 'ready' AND due <= ? ORDER BY number LIMIT 1"
        return db.execute(f"SELECT {_COLUMNS} FROM items WHERE {ready}", (now,)).fetchone()

    def take(self, db: Connection, owner: str, now: float) -> tuple[int, Item] | None:
        """
        @return: the number and the item, now the owner's.
        """
        row = self._due(db, now)
        if row is None:
            return None
        changes = "state = 'working', attempts = attempts + 1, owner = ?"
        db.execute(f"UPDATE items SET {changes} WHERE number = ?", (owner, row[0]))
        row = (*row[:5], "working", row[6] + 1, *row[7:])
        return row[0], itemOf(row, now)

    def _letGo(self, db: Connection, number: int, owner: str, changes: str, *values: Any) -> None:
        """
        @raise HandLost: somebody else has it.
        """
        mine = "number = ? AND state = 'working' AND owner = ?"
        statement = f"UPDATE items SET owner = NULL, {changes} WHERE {mine}"
        if not db.execute(statement, (*values, number, owner)).rowcount:
            raise HandLost("somebody has taken this process for dead, and the item from it")

    def done(
        self, db: Connection, number: int, owner: str, key: str | None, result: Any, now: float
    ) -> None:
        """
        See L{terminable.spool.ITaken.done}.
        """
        changes = "state = 'done', result = ?, error = '', ended = ?"
        self._letGo(db, number, owner, changes, result, now)
        self.promote(db, key)

    def again(self, db: Connection, number: int, owner: str, error: str, due: float) -> None:
        """
        See L{terminable.spool.ITaken.again}.
        """
        self._letGo(db, number, owner, "state = 'ready', error = ?, due = ?", error, due)

    def dead(
        self,
        db: Connection,
        number: int,
        owner: str,
        key: str | None,
        error: str,
        attempts: int,
        now: float,
    ) -> None:
        """
        See L{terminable.spool.ITaken.dead}.
        """
        changes = "state = 'dead', error = ?, attempts = ?, ended = ?"
        self._letGo(db, number, owner, changes, error, attempts, now)
        self.promote(db, key)

    def giveBack(self, db: Connection, number: int, owner: str) -> None:
        """
        See L{terminable.spool.ITaken.giveBack}.
        """
        self._letGo(db, number, owner, "state = 'ready', attempts = attempts - 1")

    # -- those in the hands of somebody who has ended

    def others(self, db: Connection, owner: str) -> list[str]:
        """
        @return: the names of all other owners.
        """
        found = db.execute("SELECT name FROM owners WHERE name <> ?", (owner,)).fetchall()
        return [name for (name,) in found]

    def inherit(self, db: Connection, owner: str) -> int:
        """
        An owner has ended: what it had in hand waits again.

        @return: how many items that were.
        """
        changes = "state = 'ready', owner = NULL"
        found = db.execute(f"UPDATE items SET {changes} WHERE owner = ?", (owner,)).rowcount
        db.execute("DELETE FROM owners WHERE name = ?", (owner,))
        return found

    # -- looking

    def look(self, db: Connection, id: str, now: float) -> Item | None:
        """
        See L{terminable.spool.ISpoolStore.look}.
        """
        row = db.execute(f"SELECT {_COLUMNS} FROM items WHERE id = ?", (id,)).fetchone()
        if row is None:
            return None
        place = 0
        if row[5] in ("ready", "behind"):
            before = f"number <= ? AND {_UNFINISHED} AND state <> 'working'"
            count = db.execute(f"SELECT count(*) FROM items WHERE {before}", row[:1])
            place = count.fetchone()[0]
        return itemOf(row, now, place)

    def progress(self, db: Connection, now: float) -> SpoolProgress:
        """
        See L{terminable.spool.ISpoolStore.progress}.
        """

        def count(which: str, *values: float) -> int:
            found = db.execute(f"SELECT count(*) FROM items WHERE {which}", values)
            return int(found.fetchone()[0])

        first = f"{_UNFINISHED} AND owner IS NULL ORDER BY number LIMIT 1"
        oldest = db.execute(f"SELECT recorded FROM items WHERE {first}").fetchone()
        working = count("owner IS NOT NULL")
        return SpoolProgress(
            waiting=self.unfinished(db) - working,
            working=working,
            done=count("state = 'done'"),
            dead=count("state = 'dead'"),
            oldest=0.0 if oldest is None else max(0.0, now - oldest[0]),
            lastMinute=count("state = 'done' AND ended > ?", now - 60.0),
        )

    # -- what is over

    def deadLetters(self, db: Connection, most: int, now: float) -> list[Item]:
        """
        See L{terminable.spool.ISpoolStore.deadLetters}.
        """
        dead = "state = 'dead' ORDER BY ended, number LIMIT ?"
        rows = db.execute(f"SELECT {_COLUMNS} FROM items WHERE {dead}", (most,)).fetchall()
        return [itemOf(row, now) for row in rows]

    def retryDead(self, db: Connection, id: str, now: float) -> bool:
        """
        See L{terminable.spool.ISpoolStore.retryDead}.
        """
        row = self._dead(db, id)
        if row is None:
            return False
        old, key = row
        # Later ones of its key may be in hand, unless it has held them up.
        number = old if self._keeps else self._nextNumber(db)
        state = "ready" if self.isFirst(db, key, number) else "behind"
        changes = "number = ?, state = ?, recorded = ?"
        anew = "attempts = 0, due = 0, error = '', ended = NULL"
        statement = f"UPDATE items SET {changes}, {anew} WHERE number = ?"
        db.execute(statement, (number, state, now, old))
        return True

    def dropDead(self, db: Connection, id: str) -> bool:
        """
        See L{terminable.spool.ISpoolStore.dropDead}.
        """
        row = self._dead(db, id)
        if row is None:
            return False
        db.execute("DELETE FROM items WHERE number = ?", row[:1])
        self.promote(db, row[1])
        return True

    def _dead(self, db: Connection, id: str) -> Any:
        found = "SELECT number, key FROM items WHERE id = ? AND state = 'dead'"
        return db.execute(found, (id,)).fetchone()

    def prune(self, db: Connection, before: float, most: int) -> int:
        """
        Forget some that were done before a time.
        """
        old = "SELECT number FROM items WHERE state = 'done' AND ended <= ? LIMIT ?"
        return db.execute(f"DELETE FROM items WHERE number IN ({old})", (before, most)).rowcount
