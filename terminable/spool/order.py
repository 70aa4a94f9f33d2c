"""
What tables of items have in common, whichever database they are in: the order of items with
the same key, and how many there may be.
"""

from __future__ import annotations

from typing import Any

from terminable.spool.items import SpoolFull


class Order:
    """
    The items of one spool.

    @ivar most: how many unfinished items there may be; C{None} for as many as come.
    """

    most: int | None = None
    _count: int | None = None

    def begin(self) -> None:
        """
        A transaction begins: what was counted in others holds no more.
        """
        self._count = None

    # -- what each database says in its own way

    def unfinished(self, db: Any) -> int:
        """
        @return: how many items are neither done nor dead.
        """
        raise NotImplementedError  # pragma: no cover

    def firstOf(self, db: Any, key: str) -> Any:
        """
        @return: number and state of the first item of a key that holds up later ones; C{None}
            if there is none.
        """
        raise NotImplementedError  # pragma: no cover

    def makeReady(self, db: Any, number: int) -> None:
        """
        One is not behind any more.
        """
        raise NotImplementedError  # pragma: no cover

    # -- what follows

    def isFirst(self, db: Any, key: str | None, number: int) -> bool:
        """
        @return: whether no earlier item of the key has to be waited for.
        """
        first = None if key is None else self.firstOf(db, key)
        return first is None or bool(first[0] >= number)

    def promote(self, db: Any, key: str | None) -> None:
        """
        One of the key has ended: the next one is not behind any more.
        """
        first = None if key is None else self.firstOf(db, key)
        if first is not None and first[1] == "behind":
            self.makeReady(db, first[0])

    def mustHaveRoom(self, db: Any) -> None:
        """
        @raise SpoolFull: there are as many as may be.
        """
        if self.most is None:
            return
        if self._count is None:
            self._count = self.unfinished(db)
        if self._count >= self.most:
            raise SpoolFull(self.most)
        self._count += 1
