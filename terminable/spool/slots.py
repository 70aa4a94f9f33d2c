"""
Connections to PostgreSQL, each in a thread of its own, whose transactions we begin and end
ourselves: one may stay open while an item is worked on, outside of the thread.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any

from twisted.enterprise import adbapi
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from terminable.errors import InvalidOption
from terminable.spool.interfaces import ITaken
from terminable.spool.items import HandLost, Item, SpoolAway, errorOf
from terminable.spool.tables import Tables

#: How the driver is told to look after its connections: seconds, and milliseconds for
#: C{tcp_user_timeout} (libpq, 34.1.2).  A server that is gone is noticed in half a minute.
CONNECT = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25000,
    "application_name": "terminable spool",
}

#: What each session is set to.  A worker whose machine is gone is noticed by the server in the
#: same time; nobody waits for an answer for ever; work may take as long as it does.
_SESSION = (
    "SET tcp_keepalives_idle = 10",
    "SET tcp_keepalives_interval = 5",
    "SET tcp_keepalives_count = 3",
    "SET statement_timeout = '30s'",
    "SET idle_in_transaction_session_timeout = 0",
    "SET default_transaction_isolation = 'read committed'",
    # What is recorded is on the disk, whatever is usual in this database.
    "SELECT set_config('synchronous_commit', 'on', false) "
    "WHERE current_setting('synchronous_commit') = 'off'",
)

#: psycopg 3, imported where somebody has such a database.
DRIVER = "psycopg"

_NEEDED = "a driver for PostgreSQL: pip install 'txterminable[postgresql]'"


def shown(address: str) -> str:
    """
    @return: an address without its password.
    """
    address = re.sub(r"(password=)[^\s&]*", r"\1...", address)
    return re.sub(r"(://[^/@:]*):[^/@]*@", r"\1:...@", address)


def driver(address: str) -> Any:
    """
    @return: the module of the driver.
    @raise InvalidOption: it is not installed.
    """
    try:
        return import_module(DRIVER)
    except ImportError as problem:
        raise InvalidOption("spool", shown(address), f"{_NEEDED} ({problem})") from None


def settings(address: str) -> dict[str, Any]:
    """
    @return: how to connect; what the address says itself is left to it.
    """
    return {name: value for name, value in CONNECT.items() if f"{name}=" not in address}


def prepare(connection: Any) -> None:
    """
    A connection is new.
    """
    # Transactions begin where we say C{BEGIN}.
    connection.autocommit = True
    for statement in _SESSION:
        connection.execute(statement)


class Held(adbapi.Connection):
    """
    A connection whose transactions are nobody else's business.
    """

    def commit(self) -> None:
        """
        Not now.
        """

    def rollback(self) -> None:
        """
        Whoever began it has done so.
        """


class Line:
    """
    One connection in one thread.
    """

    def __init__(self, reactor: Any, address: str, pool: Callable[..., Any]) -> None:
        """
        @param pool: makes what C{twisted.enterprise.adbapi.ConnectionPool} is.
        """
        self._error = driver(address).Error
        self._pool = pool(
            DRIVER,
            address,
            cp_reactor=reactor,
            cp_min=1,
            cp_max=1,
            cp_openfun=prepare,
            **settings(address),
        )
        self._pool.connectionFactory = Held

    def run(self, step: Callable[[Any], Any], tries: int = 1) -> Deferred[Any]:
        """
        Call C{step} with the connection, in the thread.

        @param tries: how often to do so, if it turns out that the connection was lost.
        @return: fires with what it returns, or fails with L{SpoolAway} if the database has
            failed; a transaction that was open is rolled back then.
        """
        ran: Deferred[Any] = self._pool.runWithConnection(self._run, step, tries)
        return ran.addErrback(self._away)

    def _away(self, failure: Failure) -> Any:
        # No connection could be made.
        if isinstance(failure.value, self._error):
            raise SpoolAway(errorOf(failure.value))
        return failure

    def _run(self, connection: Any, step: Callable[[Any], Any], tries: int) -> Any:
        if connection.closed:
            connection.reconnect()
        try:
            return step(connection)
        except self._error as problem:
            self._rollback(connection)
            if tries == 1 or not connection.closed:
                raise SpoolAway(errorOf(problem)) from None
        except BaseException:
            self._rollback(connection)
            raise
        return self._run(connection, step, tries - 1)

    def _rollback(self, connection: Any) -> None:
        # If this fails, the server does it by itself.
        with contextlib.suppress(self._error):
            connection.execute("ROLLBACK")

    def hangUp(self) -> None:
        """
        Let go of the connection; nobody uses it.
        """
        self._pool.close()


@implementer(ITaken)
class Slot:
    """
    Takes an item, and holds the transaction open in which it is locked.

    @ivar item: the item in hand.
    """

    item: Item

    def __init__(self, line: Line, tables: Tables, free: Callable[[Slot], object]) -> None:
        """
        @param free: called when it has nothing in hand any more.
        """
        self.line = line
        self._tables = tables
        self._free = free
        self._number = 0

    def take(self) -> Deferred[int | None]:
        """
        @return: fires with the number of the item in hand; C{None} if there is none.
        """
        return self.line.run(self._take, tries=2)

    def _take(self, db: Any) -> int | None:
        db.execute("BEGIN")
        found = self._tables.take(db)
        if found is None:
            db.execute("ROLLBACK")
            return None
        self._number, self.item = found
        return self._number

    def begun(self, attempts: int) -> Slot:
        """
        @param attempts: how often its work has begun, this time included.
        @return: what is in hand.
        """
        self.item = replace(self.item, attempts=attempts)
        return self

    def drop(self) -> Deferred[None]:
        """
        It was not taken after all.
        """
        return self.line.run(lambda db: db.execute("ROLLBACK")).addBoth(self._freed)

    def done(self, result: bytes | None) -> Deferred[None]:
        """
        See L{ITaken.done}.
        """
        end, number = self._tables.end, self._number
        return self._finish(lambda db: end(db, number, self.item, "done", "", result))

    def again(self, error: str, delay: float) -> Deferred[None]:
        """
        See L{ITaken.again}.
        """
        return self._finish(lambda db: self._tables.again(db, self._number, error, delay))

    def dead(self, error: str, begun: bool = True) -> Deferred[None]:
        """
        See L{ITaken.dead}.
        """
        end, number = self._tables.end, self._number
        item = replace(self.item, attempts=self.item.attempts - (not begun))
        return self._finish(lambda db: end(db, number, item, "dead", error, None))

    def giveBack(self) -> Deferred[None]:
        """
        See L{ITaken.giveBack}.
        """
        return self._finish(lambda db: self._tables.giveBack(db, self._number))

    def _finish(self, step: Callable[[Any], object]) -> Deferred[None]:
        def commit(db: Any) -> None:
            if db.info.transaction_status.name != "INTRANS":
                raise HandLost("the connection that held it was lost")
            step(db)
            db.execute("COMMIT")

        return self.line.run(commit).addErrback(_lost).addBoth(self._freed)

    def _freed(self, result: Any) -> Any:
        self._free(self)
        return result


def _lost(failure: Failure) -> Any:
    """
    Whatever has failed, the transaction in which the item was ours is over.
    """
    failure.trap(SpoolAway)
    raise HandLost(str(failure.value))
