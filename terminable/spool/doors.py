"""
A spool by its address alone.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

from terminable.spool.interfaces import ISpoolStore
from terminable.spool.items import Item
from terminable.spool.resource import SpoolResource
from terminable.spool.spool import Spool
from terminable.spool.sqlite import SQLiteStore

#: How the address of a PostgreSQL database begins (libpq, 34.1.1.2).
_POSTGRESQL = ("postgresql://", "postgres://")

_RESOURCE = frozenset(signature(SpoolResource).parameters) - {"spool"}


def storeOf(reactor: Any, path: str) -> ISpoolStore:
    """
    @param path: a file for SQLite, or C{postgresql://...}.
    @return: the store there; nothing has been looked at.
    @raise terminable.InvalidOption: the driver for it is not installed.
    """
    if path.startswith(_POSTGRESQL):
        # Only who has such a database needs its driver.
        from terminable.spool.postgresql import PostgreSQLStore

        return PostgreSQLStore(reactor, path)
    return SQLiteStore(reactor, path)


def spooled(
    reactor: Any, path: str, work: Callable[[Item], Any] | None, **settings: Any
) -> tuple[Spool, SpoolResource]:
    """
    A spool, and what serves it on the web.

    @param path: a file for SQLite, or C{postgresql://user@host/database}.
    @param work: as for L{Spool}.
    @param settings: of L{Spool} and of L{SpoolResource}.
    @return: the service, to be started before the resource is served, and stopped after.
    @raise terminable.InvalidOption: a setting that cannot be meant, or a database that cannot
        be used now.
    """
    store = storeOf(reactor, path)
    store.check()
    own = {name: settings.pop(name) for name in _RESOURCE & set(settings)}
    spool = Spool(reactor, store, work, **settings)
    return spool, SpoolResource(spool, **own)
