"""
How many connections are served at the same time, and what becomes of the others: the
settings.  The decisions are in L{terminable.policy.lobby}.
"""

from __future__ import annotations

from dataclasses import dataclass

from terminable.errors import InvalidOption
from terminable.policy.peers import PREFIXES, prefixesOf
from terminable.policy.schedule import RETRY_AFTER, above

#: How many may wait, if nobody says so: most processes may have 1024 files open, and the
#: application needs some of them.
QUEUE = 256

#: How many are refused in words at the same time, if nobody says so.
REFUSALS = 100

#: What may be done when the queue is full: to stop accepting, to refuse in the protocol's
#: words, to reset.
FULL = ("hold", "refuse", "reset")

#: What may become of those who wait when a stop begins.
AT_STOP = ("admit", "refuse")


def _count(option: str, value: object, least: int, unlimited: bool = False) -> None:
    if unlimited and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        expected = f"a whole number, {least} or more"
        raise InvalidOption(option, value, expected + (", or None" if unlimited else ""))


def _word(option: str, value: object, words: tuple[str, ...]) -> None:
    if value not in words:
        raise InvalidOption(option, value, "one of " + ", ".join(words))


def _time(option: str, value: object) -> float | None:
    return None if value is None else above(option, value, "a number of seconds above 0, or None")


@dataclass(frozen=True)
class Admission:
    """
    How many connections are served at the same time, and what becomes of the others.

    @ivar capacity: how many may be inside; C{None} is any number.
    @ivar perPeer: how many of one peer may be inside; C{None} is any number.
    @ivar queue: how many may wait.
    @ivar perPeerQueue: how many of one peer may wait; C{None} is as many as there is room
        for.  Who is over this is refused, whatever C{full} says.
    @ivar wait: after how many seconds of waiting a connection is refused; C{None} is never.
    @ivar stay: after how many seconds inside a connection is aborted; C{None} is never.
    @ivar full: what happens when the queue is full: C{"hold"} stops accepting, so that those
        who come wait in the kernel's queue; C{"refuse"} refuses in the words of the protocol;
        C{"reset"} resets.
    @ivar atStop: what happens to those who wait when a stop begins: C{"admit"} goes on
        admitting them in turn until the deadline, C{"refuse"} refuses them.
    @ivar prefixes: how many leading bits of an IPv4 and of an IPv6 address make one peer.
    @ivar refusals: how many may be refused in words at the same time; the others are lost
        without a word.
    @ivar retryAfter: after how many seconds those who are refused may try again, for the
        protocols that can say so.
    @ivar makeRoom: whether HTTP connections with nothing in flight have to go while others
        wait.
    """

    capacity: int | None = None
    perPeer: int | None = None
    queue: int = QUEUE
    perPeerQueue: int | None = None
    wait: float | None = None
    stay: float | None = None
    full: str = "hold"
    atStop: str = "admit"
    prefixes: tuple[int, int] = PREFIXES
    refusals: int = REFUSALS
    retryAfter: int = RETRY_AFTER
    makeRoom: bool = True

    def __post_init__(self) -> None:
        """
        @raise InvalidOption: a setting that cannot be meant.
        """
        _count("capacity", self.capacity, 1, unlimited=True)
        _count("perPeer", self.perPeer, 1, unlimited=True)
        _count("queue", self.queue, 0)
        _count("perPeerQueue", self.perPeerQueue, 0, unlimited=True)
        _count("refusals", self.refusals, 0)
        _count("retryAfter", self.retryAfter, 0)
        _word("full", self.full, FULL)
        _word("atStop", self.atStop, AT_STOP)
        if not isinstance(self.makeRoom, bool):
            raise InvalidOption("makeRoom", self.makeRoom, "True or False")
        for name, value in (
            ("wait", _time("wait", self.wait)),
            ("stay", _time("stay", self.stay)),
            ("prefixes", prefixesOf(self.prefixes)),
        ):
            object.__setattr__(self, name, value)
