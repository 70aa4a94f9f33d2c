"""
For work that comes faster than it can be done: it is recorded durably, answered by 202, and
worked off at a steady rate.

PostgreSQL's store is in L{terminable.spool.postgresql}: it needs a driver.
"""

from __future__ import annotations

from terminable.spool.doors import spooled
from terminable.spool.interfaces import ISpoolStore, ITaken
from terminable.spool.items import Item, SpoolAway, SpoolFull, SpoolProgress, State
from terminable.spool.pace import Doubling
from terminable.spool.resource import SpoolResource
from terminable.spool.spool import Spool
from terminable.spool.sqlite import SQLiteStore

__all__ = [
    "Doubling",
    "ISpoolStore",
    "ITaken",
    "Item",
    "SQLiteStore",
    "Spool",
    "SpoolAway",
    "SpoolFull",
    "SpoolProgress",
    "SpoolResource",
    "State",
    "spooled",
]
