"""
The statements for PostgreSQL: each function is one step of a transaction, in a thread.

An unfinished item is C{ready}, or C{behind} an earlier one of its key.  Who works on one holds
the lock of its row, and an advisory lock by which others see that, in a transaction that lasts
as long as the work.  Whoever touches the order of a key holds an advisory lock for that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from zlib import crc32

from terminable.errors import InvalidOption
from terminable.spool.items import Item, SpoolProgress, State
from terminable.spool.order import Order

#: What the comment on the table of items says.
COMMENT = "terminable spool 1"

#: So many advisory locks stand for all keys: PostgreSQL has room for some thousands.
_KEYS = 1024

#: Advisory locks have two numbers of 31 bits; these make the first ones.
_LOCKS = ("schema", "keys", "working")

_UNFINISHED = "state IN ('ready', 'behind')"
_NOW = "extract(epoch FROM clock_timestamp())::float8"
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,40}")


def _number(text: str) -> int:
    return crc32(text.encode()) & 0x7FFFFFFF


def keyLock(key: str) -> int:
    """
    @return: the number of the advisory lock for a key.
    """
    return crc32(key.encode()) % _KEYS


class Tables(Order):
    """
    The items of one spool in a database.
    """

    def __init__(self, name: str) -> None:
        """
        @param name: what the tables' names begin with.
        @raise InvalidOption: they would be none.
        """
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise InvalidOption("name", name, "small letters, digits and _, 41 at most")
        self.items, self.tries = f"{name}_items", f"{name}_tries"
        self._schema, self._keys, self._working = (_number(f"{name} {each}") for each in _LOCKS)
        self._keeps = False
        self._columns = (
            "i.number, i.id, i.key, i.payload, i.type, i.state, coalesce(t.attempts, i.attempts), "
            f"greatest(0, i.due - {_NOW}), i.error, i.result"
        )
        self._all = f"{self.items} i LEFT JOIN {self.tries} t USING (number)"

    # -- making

    def make(self, db: Any, most: int | None, deadBlocks: bool) -> None:
        """
        Make what is not there.  Several may do so at the same time.

        @raise ValueError: there is something else.
        """
        self.most, self._keeps = most, deadBlocks
        self._lock(db, self._schema, 0)
        if db.execute("SELECT to_regclass(%s)", (self.items,)).fetchone()[0] is None:
            for statement in self._statements():
                db.execute(statement)
        query = "SELECT obj_description(to_regclass(%s), 'pg_class')"
        (comment,) = db.execute(query, (self.items,)).fetchone()
        if comment != COMMENT:
            raise ValueError(f"its table {self.items} is not of this version of a spool")
        # They may have held up others until now.
        dead = "state = 'dead' AND key IS NOT NULL"
        keys = f"SELECT DISTINCT key FROM {self.items} WHERE {dead}"
        found = [key for (key,) in db.execute(keys).fetchall()]
        self.lockKeys(db, found)
        for key in found:
            self.promote(db, key)

    def _statements(self) -> Iterable[str]:
        items = self.items
        yield f"""CREATE TABLE {items} (
            number bigserial PRIMARY KEY,
            id text NOT NULL UNIQUE,
            key text,
            payload bytea NOT NULL,
            type text NOT NULL,
            state text NOT NULL,
            attempts integer NOT NULL DEFAULT 0,
            due float8 NOT NULL DEFAULT 0,
            recorded float8 NOT NULL DEFAULT {_NOW},
            ended float8,
            error text NOT NULL DEFAULT '',
            result bytea
        )"""
        # Not a column: whoever works on an item holds the lock of its row.
        yield f"CREATE TABLE {self.tries} (number bigint PRIMARY KEY, attempts integer NOT NULL)"
        yield f"CREATE INDEX {items}_ready ON {items} (number) WHERE state = 'ready'"
        yield f"CREATE INDEX {items}_waiting ON {items} (number) WHERE {_UNFINISHED}"
        yield f"CREATE INDEX {items}_keys ON {items} (key, number) WHERE state <> 'done'"
        # Not one index on the state: it would be taken for everything, and then sorted.
        yield f"CREATE INDEX {items}_done ON {items} (ended) WHERE state = 'done'"
        yield f"CREATE INDEX {items}_dead ON {items} (ended, number) WHERE state = 'dead'"
        yield f"COMMENT ON TABLE {items} IS '{COMMENT}'"

    # -- how an order is kept

    def _lock(self, db: Any, kind: int, number: int) -> None:
        db.execute("SELECT pg_advisory_xact_lock(%s, %s)", (kind, number))

    def lockKeys(self, db: Any, keys: Iterable[str | None]) -> None:
        """
        Have the order of some keys to ourselves until the transaction ends.
        """
        # In the same order as everybody else: nobody waits in a circle.
        for number in sorted({keyLock(key) for key in keys if key is not None}):
            self._lock(db, self._keys, number)

    def firstOf(self, db: Any, key: str) -> Any:
        """
        See L{Order.firstOf}.
        """
        blocking = "state <> 'done'" if self._keeps else f"state <> 'done' AND {_UNFINISHED}"
        query = f"SELECT number, state FROM {self.items} WHERE key = %s AND {blocking}"
        return db.execute(f"{query} ORDER BY number LIMIT 1", (key,)).fetchone()

    def makeReady(self, db: Any, number: int) -> None:
        """
        See L{Order.makeReady}.
        """
        db.execute(f"UPDATE {self.items} SET state = 'ready' WHERE number = %s", (number,))

    def _nextNumber(self, db: Any) -> int:
        query = "SELECT nextval(pg_get_serial_sequence(%s, 'number'))"
        return int(db.execute(query, (self.items,)).fetchone()[0])

    # -- recording

    def record(self, db: Any, item: Item) -> Item:
        """
        See L{terminable.spool.ISpoolStore.record}.  The key is locked.
        """
        known = f"SELECT 1 FROM {self.items} WHERE id = %s"
        if db.execute(known, (item.id,)).fetchone() is not None:
            return self.look(db, item.id) or item
        self.mustHaveRoom(db)
        number = self._nextNumber(db)
        state = "ready" if self.isFirst(db, item.key, number) else "behind"
        values = (number, item.id, item.key, item.payload, item.contentType, state)
        names = "number, id, key, payload, type, state"
        statement = f"INSERT INTO {self.items} ({names}) VALUES (%s, %s, %s, %s, %s, %s)"
        if db.execute(f"{statement} ON CONFLICT (id) DO NOTHING", values).rowcount:
            return item
        # Somebody else has recorded it in this moment.
        return self.look(db, item.id) or item

    def unfinished(self, db: Any) -> int:
        """
        See L{Order.unfinished}.
        """
        query = f"SELECT count(*) FROM {self.items} WHERE {_UNFINISHED}"
        return int(db.execute(query).fetchone()[0])

    # -- in hand

    def take(self, db: Any) -> tuple[int, Item] | None:
        """
        Lock the first item that is due, until the transaction ends.
        """
        due = f"state = 'ready' AND due <= {_NOW} ORDER BY number LIMIT 1"
        locked = f"SELECT * FROM {self.items} WHERE {due} FOR UPDATE SKIP LOCKED"
        mark = f"pg_try_advisory_xact_lock_shared({self._working}, {_low('i.number')})"
        query = f"WITH i AS MATERIALIZED ({locked}) SELECT {self._columns}, {mark} FROM i"
        query = f"{query} LEFT JOIN {self.tries} t USING (number)"
        row = db.execute(query).fetchone()
        return None if row is None else (row[0], itemOf(row[:-1], State.WORKING))

    def tried(self, db: Any, number: int) -> int:
        """
        Count an attempt, for ever: not in the transaction in which it is made.

        @return: which one it is.
        """
        count = f"INSERT INTO {self.tries} AS t (number, attempts) VALUES (%s, 1)"
        again = "ON CONFLICT (number) DO UPDATE SET attempts = t.attempts + 1 RETURNING attempts"
        return int(db.execute(f"{count} {again}", (number,)).fetchone()[0])

    def end(self, db: Any, number: int, item: Item, state: str, error: str, result: Any) -> None:
        """
        It is done, or dead.
        """
        self.lockKeys(db, [item.key])
        changes = f"state = %s, error = %s, result = %s, attempts = %s, ended = {_NOW}"
        values = (state, error, result, item.attempts, number)
        db.execute(f"UPDATE {self.items} SET {changes} WHERE number = %s", values)
        db.execute(f"DELETE FROM {self.tries} WHERE number = %s", (number,))
        self.promote(db, item.key)

    def again(self, db: Any, number: int, error: str, delay: float) -> None:
        """
        See L{terminable.spool.ITaken.again}.
        """
        changes = f"error = %s, due = {_NOW} + %s"
        values = (error, delay, number)
        db.execute(f"UPDATE {self.items} SET {changes} WHERE number = %s", values)

    def giveBack(self, db: Any, number: int) -> None:
        """
        See L{terminable.spool.ITaken.giveBack}.
        """
        fewer = "SET attempts = attempts - 1 WHERE number = %s"
        db.execute(f"UPDATE {self.tries} {fewer}", (number,))

    # -- looking

    def _held(self) -> str:
        """
        A part of a query: the advisory locks of all items in hand.
        """
        here = "(SELECT oid FROM pg_database WHERE datname = current_database())"
        which = f"locktype = 'advisory' AND database = {here} AND classid = {self._working}"
        return f"SELECT objid FROM pg_locks WHERE {which} AND objsubid = 2 AND granted"

    def look(self, db: Any, id: str) -> Item | None:
        """
        See L{terminable.spool.ISpoolStore.look}.
        """
        held = f"{_low('i.number')}::oid IN ({self._held()})"
        query = f"SELECT {self._columns}, {held} FROM {self._all} WHERE i.id = %s"
        row = db.execute(query, (id,)).fetchone()
        if row is None:
            return None
        if row[5] in ("done", "dead"):
            return itemOf(row[:-1], State(row[5]))
        if row[-1]:
            return itemOf(row[:-1], State.WORKING)
        before = f"{_UNFINISHED} AND number <= %s"
        where = f"{before} AND {_low('number')}::oid NOT IN ({self._held()})"
        count = db.execute(f"SELECT count(*) FROM {self.items} WHERE {where}", row[:1])
        return itemOf(row[:-1], State.WAITING, int(count.fetchone()[0]))

    def progress(self, db: Any) -> SpoolProgress:
        """
        See L{terminable.spool.ISpoolStore.progress}.
        """
        query = f"SELECT state, count(*) FROM {self.items} GROUP BY state"
        counts = dict(db.execute(query).fetchall())
        held = f"{_low('number')}::oid IN ({self._held()})"
        lasting = f"SELECT {held}, count(*), {_NOW} - min(recorded) FROM {self.items}"
        rows = db.execute(f"{lasting} WHERE {_UNFINISHED} GROUP BY 1").fetchall()
        found = {held: (number, age) for held, number, age in rows}
        lately = f"state = 'done' AND ended > {_NOW} - 60"
        last = db.execute(f"SELECT count(*) FROM {self.items} WHERE {lately}").fetchone()[0]
        waiting, oldest = found.get(False, (0, 0.0))
        working, _ = found.get(True, (0, 0.0))
        done, dead = counts.get("done", 0), counts.get("dead", 0)
        return SpoolProgress(waiting, working, done, dead, max(0.0, oldest), last)

    # -- what is over

    def deadLetters(self, db: Any, most: int) -> list[Item]:
        """
        See L{terminable.spool.ISpoolStore.deadLetters}.
        """
        dead = "i.state = 'dead' ORDER BY i.ended, i.number LIMIT %s"
        query = f"SELECT {self._columns} FROM {self._all} WHERE {dead}"
        return [itemOf(row, State.DEAD) for row in db.execute(query, (most,)).fetchall()]

    def _dead(self, db: Any, id: str) -> Any:
        query = f"SELECT number, key FROM {self.items} WHERE id = %s AND state = 'dead'"
        row = db.execute(query, (id,)).fetchone()
        if row is not None:
            self.lockKeys(db, row[1:])
            # Whoever had the lock may have been at the same item.
            row = db.execute(f"{query} FOR UPDATE", (id,)).fetchone()
        return row

    def retryDead(self, db: Any, id: str) -> bool:
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
        changes = f"number = %s, state = %s, recorded = {_NOW}"
        anew = "attempts = 0, due = 0, error = '', ended = NULL"
        statement = f"UPDATE {self.items} SET {changes}, {anew} WHERE number = %s"
        db.execute(statement, (number, state, old))
        return True

    def dropDead(self, db: Any, id: str) -> bool:
        """
        See L{terminable.spool.ISpoolStore.dropDead}.
        """
        row = self._dead(db, id)
        if row is None:
            return False
        db.execute(f"DELETE FROM {self.items} WHERE number = %s", row[:1])
        self.promote(db, row[1])
        return True

    def prune(self, db: Any, age: float, most: int) -> int:
        """
        Forget some that were done so many seconds ago.
        """
        old = f"state = 'done' AND ended <= {_NOW} - %s LIMIT %s"
        numbers = f"SELECT number FROM {self.items} WHERE {old}"
        statement = f"DELETE FROM {self.items} WHERE number IN ({numbers})"
        return int(db.execute(statement, (age, most)).rowcount)


def _low(number: str) -> str:
    """
    The second number of an advisory lock for an item: the low 31 bits.
    """
    return f"({number} & 2147483647)::int"


def itemOf(row: Any, state: State, place: int = 0) -> Item:
    """
    @param row: the columns of one item.
    """
    _, id, key, payload, kind, _, attempts, due, error, result = row
    wait = due if state is State.WAITING else 0.0
    return Item(id, payload, kind, key, state, attempts, wait, error, result, place)
