"""
What is recorded, and how it stands: no database, no clock.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from uuid import uuid4

from terminable.errors import InvalidOption, TerminableError

#: How long an id and a key may be, in characters.
LONGEST = 255

#: How much of an error is recorded, in characters.
ERROR = 1000

#: What a payload is if nobody says.
OCTETS = "application/octet-stream"


class SpoolFull(TerminableError):
    """
    The spool holds as many items as it may.

    @ivar most: how many that are.
    """

    def __init__(self, most: int) -> None:
        super().__init__(f"the spool holds {most} items already")
        self.most = most


class SpoolAway(TerminableError):
    """
    The spool's database cannot be asked now: it is not reached, or it refuses.  Nothing was
    recorded, as far as is known; an item with an id of its own may be added again.
    """


class HandLost(SpoolAway):
    """
    The item in hand is no longer ours: the database has given it to somebody else, or will.
    """


class State(Enum):
    """
    How an item stands.
    """

    WAITING = "waiting"
    WORKING = "working"
    DONE = "done"
    DEAD = "dead"


@dataclass(frozen=True)
class Item:
    """
    One piece of work.

    @ivar id: what it is asked for by.
    @ivar payload: what was given.
    @ivar contentType: what that is, as in HTTP's C{Content-Type}.
    @ivar key: items of the same key are done one after the other, in the order in which they
        were recorded; C{None} if it depends on no other.
    @ivar state: how it stands.
    @ivar attempts: how often its work has begun, this time included.
    @ivar due: the seconds until it is tried again; 0 if it only waits for its turn.
    @ivar error: why its last attempt failed; an empty string if none has.
    @ivar result: what its work came to; C{None} if that was nothing, or it is not done.
    @ivar place: how many have to begin before it and itself, 1 or more; 0 unless it waits and
        was looked up.
    """

    id: str
    payload: bytes = b""
    contentType: str = OCTETS
    key: str | None = None
    state: State = State.WAITING
    attempts: int = 0
    due: float = 0.0
    error: str = ""
    result: bytes | None = None
    place: int = 0

    def sameAs(self, other: Item) -> bool:
        """
        @return: whether both ask for the same.
        """
        mine = (self.payload, self.contentType, self.key)
        return mine == (other.payload, other.contentType, other.key)


@dataclass(frozen=True)
class SpoolProgress:
    """
    How a spool stands, whoever works on it.

    @ivar waiting: items that nobody works on.
    @ivar working: items in hand.
    @ivar done: items that are done and remembered.
    @ivar dead: items that were given up.
    @ivar oldest: the seconds since the oldest waiting item was recorded; 0 if none waits.
    @ivar lastMinute: how many were done in the last 60 seconds.
    """

    waiting: int
    working: int
    done: int
    dead: int
    oldest: float
    lastMinute: int

    def __str__(self) -> str:
        return (
            f"{self.waiting} waiting, {self.working} working, {self.done} done, "
            f"{self.dead} dead, oldest {self.oldest:.0f} s, {self.lastMinute}/min"
        )


def _named(option: str, value: object, most: int = LONGEST) -> str:
    if isinstance(value, str) and 0 < len(value) <= most and value.isprintable():
        return value
    raise InvalidOption(option, value, f"1 to {most} printable characters")


def newItem(
    payload: bytes | str,
    key: str | None = None,
    id: str | None = None,
    contentType: str = OCTETS,
) -> Item:
    """
    @param payload: bytes, or text, which is recorded as UTF-8.
    @param id: its own name; by default a random one.
    @return: what is to be recorded.
    @raise InvalidOption: something cannot be recorded.
    """
    if isinstance(payload, str):
        payload = payload.encode()
    if not isinstance(payload, bytes):
        raise InvalidOption("payload", payload, "bytes or text")
    return Item(
        id=uuid4().hex if id is None else _named("id", id),
        payload=payload,
        contentType=_named("contentType", contentType),
        key=None if key is None else _named("key", key),
    )


def resultOf(value: object) -> bytes | None:
    """
    @param value: what somebody's work returned.
    @return: what is recorded of it: bytes as they are, text as UTF-8, C{None} as nothing,
        anything else as JSON.
    @raise TypeError: there is no JSON for it.
    @raise ValueError: it contains itself.
    """
    if value is None or isinstance(value, bytes):
        return value
    return (value if isinstance(value, str) else json.dumps(value)).encode()


def errorOf(problem: BaseException) -> str:
    """
    @return: what is recorded of an error, on one line of at most L{ERROR} characters.
    """
    text = " ".join(f"{type(problem).__name__}: {problem}".split())
    # No NUL: PostgreSQL's texts hold none.
    return text.replace("\0", "?")[:ERROR]
