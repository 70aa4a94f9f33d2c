"""
What a spool needs of a database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from terminable.spool.items import Item, SpoolProgress


class ITaken(Interface):
    """
    An item in hand.  One of its methods is called, once; again only if that failed with
    L{terminable.spool.SpoolAway}.  Each returns a Deferred that fires when it is committed, or
    fails with L{terminable.spool.items.HandLost} if the item is no longer ours.
    """

    item = Attribute("The L{terminable.spool.Item}; its C{attempts} include this one.")

    def done(result: bytes | None) -> Deferred[None]:
        """
        It is done.
        """

    def again(error: str, delay: float) -> Deferred[None]:
        """
        It failed, and is to be tried again after so many seconds.
        """

    def dead(error: str, begun: bool = True) -> Deferred[None]:
        """
        It is given up.

        @param begun: C{False} if this attempt was none.
        """

    def giveBack() -> Deferred[None]:
        """
        It was not this item's fault that it is not done: the attempt does not count.
        """


class ISpoolStore(Interface):
    """
    Where items are recorded.  What a Deferred fires for is committed, and outlives this
    process; each fails with L{terminable.spool.SpoolAway} if the database cannot be asked.

    Several processes may use the same database.  An item that is in the hands of one is not
    given to another while that one lives; when it has ended, by whatever, it is.
    """

    def check() -> None:
        """
        Look whether the database can be used, and change nothing.  May take seconds.

        @raise terminable.InvalidOption: it cannot.
        """

    def start(most: int | None, deadBlocks: bool) -> None:
        """
        Begin; make what is not there yet.  May take seconds.

        @param most: how many unfinished items to hold; C{None} for as many as come.
        @param deadBlocks: whether a dead item holds up the later ones of its key.
        @raise terminable.InvalidOption: the database cannot be used.
        """

    def stop() -> Deferred[None]:
        """
        Do what was asked for until now, then let go of the database.
        """

    def record(item: Item) -> Deferred[Item]:
        """
        @return: fires with the item, or with the one that has been recorded by this id before.
            It fails with L{terminable.spool.SpoolFull} if there is no room.
        """

    def take() -> Deferred[ITaken | None]:
        """
        Take the first item that is due in hand.  An item with a key is taken only when all
        earlier ones of that key are done or dead.

        @return: fires with C{None} if there is none now.
        """

    def look(id: str) -> Deferred[Item | None]:
        """
        @return: fires with the item, and its place if it waits; C{None} if there is none.
        """

    def progress() -> Deferred[SpoolProgress]:
        """
        @return: fires with how many there are of what.
        """

    def deadLetters(most: int) -> Deferred[list[Item]]:
        """
        @return: fires with the items that were given up, the oldest first.
        """

    def retryDead(id: str) -> Deferred[bool]:
        """
        Have a dead item wait again, as if it had never been tried: behind all others of its
        key, or at its old place if it has held these up.

        @return: fires with C{False} if no dead item has this id.
        """

    def dropDead(id: str) -> Deferred[bool]:
        """
        Forget a dead item.

        @return: fires with C{False} if no dead item has this id.
        """

    def prune(age: float) -> Deferred[int]:
        """
        Forget items that were done so many seconds ago, or earlier.

        @return: fires with the number of those forgotten.
        """
