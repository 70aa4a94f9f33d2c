"""
Limits: how much of what is allowed to whom, and what becomes of those who want more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from itertools import pairwise
from typing import Any

from terminable.errors import InvalidOption
from terminable.policy.peers import PREFIXES, peerOf, prefixesOf
from terminable.policy.rates import amount, rate
from terminable.policy.schedule import seconds


class Of(Enum):
    """
    What is counted.
    """

    RECEIVED = "received"
    SENT = "sent"
    MESSAGES = "messages"


class Per(Enum):
    """
    Who has a rate of their own.
    """

    CONNECTION = "connection"
    PEER = "peer"
    ALL = "all"


class Action(Enum):
    """
    What is done about those who want more than their rate.
    """

    #: Read no further until they may; TCP slows them down.
    BACKPRESSURE = "backpressure"
    #: Handle the message later, as late as the rate says.
    DELAY = "delay"
    #: Say that it is too much, and ignore the message.
    QUOTA = "quota"
    #: Say that it is too much, and lose the connection a moment later.
    DISCONNECT = "disconnect"


#: What can be done about what is counted.
POSSIBLE = {
    Of.RECEIVED: (Action.BACKPRESSURE, Action.DISCONNECT),
    Of.SENT: (Action.BACKPRESSURE,),
    Of.MESSAGES: tuple(Action),
}

#: What is said to those over their quota, where the protocol has no words of its own.
WORDS = "QUOTA_EXCEEDED"

#: So that they may be the reason by which a WebSocket is closed (RFC 6455, section 5.5).
LONGEST = 123

#: How long a connection lives on after it was told why it goes, in seconds.
WARNING = 1.0

#: How many bytes may be read or written at once by those who have to wait for them: what
#: comes in so many seconds, within bounds.
_PORTION = 0.02
_PORTIONS = (1, 2**16)

_STEPS = "steps such as backpressure,quota@5,disconnect@10, of {}, seconds rising"


@dataclass(frozen=True)
class Step:
    """
    @ivar action: what is done about whoever is over the limit.
    @ivar after: from the time on that this has lasted for so many seconds.
    """

    action: Action
    after: float = 0.0

    def __str__(self) -> str:
        return f"{self.action.value}@{_digits(self.after)}" if self.after else self.action.value


def _step(part: Any) -> Step:
    """
    @raise ValueError: it is none.
    """
    if isinstance(part, str):
        name, at, after = part.strip().partition("@")
        return Step(Action(name), seconds("over", after) if at else 0.0)
    if isinstance(part, Step):
        return Step(Action(part.action), seconds("over", part.after))
    return Step(Action(part))


def steps(of: Of, value: object) -> tuple[Step, ...]:
    """
    Read what is done, one step after the other.

    @param value: a text such as C{backpressure,quota@5}, an L{Action}, a L{Step}, or
        several of these.
    @raise InvalidOption: nothing that could be done about what is counted.
    """
    possible = POSSIBLE[of]
    parts: Any = value.split(",") if isinstance(value, str) else value
    try:
        found = [_step(part) for part in ([parts] if isinstance(parts, (Action, Step)) else parts)]
    except (TypeError, ValueError):
        found = []
    rising = all(one.after < later.after for one, later in pairwise(found))
    if not found or found[0].after or not rising or any(s.action not in possible for s in found):
        names = ", ".join(action.value for action in possible)
        raise InvalidOption("over", value, _STEPS.format(names))
    return tuple(found)


def _one(option: str, value: object, kind: type[Any]) -> Any:
    try:
        return kind(value)
    except ValueError:
        names = " or ".join(each.value for each in kind)
        raise InvalidOption(option, value, names) from None


def _line(words: object) -> str:
    fits = isinstance(words, str) and 0 < len(words.encode("utf-8", "replace")) <= LONGEST
    if not fits or not str(words).isprintable():
        raise InvalidOption("words", words, f"a line of text, of at most {LONGEST} bytes")
    return str(words)


def _digits(number: float) -> str:
    """
    A number as L{rate} and L{amount} read it.
    """
    whole = f"{Decimal(repr(number)):f}"
    return whole.removesuffix(".0")


@dataclass(frozen=True, init=False, eq=False)
class Limit:
    """
    How much is allowed to whom.

    @ivar of: what is counted: bytes received or sent, or messages received.
    @ivar rate: how much a second.
    @ivar burst: how much at once, after a quiet time.
    @ivar per: whose rate it is: that of each connection, of each peer with all of its
        connections, or of all together.
    @ivar over: what becomes of those who want more: steps, by how long they have.
    @ivar words: what is said to them where the protocol has no words of its own.
    @ivar warning: seconds between being told and being disconnected.
    @ivar prefixes: how many leading bits of an IPv4 and of an IPv6 address make a peer.
    @ivar shared: where the rate is kept if other processes are to be counted too.
    """

    of: Of
    rate: float
    burst: float
    per: Per
    over: tuple[Step, ...]
    words: str
    warning: float
    prefixes: tuple[int, int]
    shared: Any

    def __init__(
        self,
        *,
        received: object = None,
        sent: object = None,
        messages: object = None,
        burst: object = None,
        per: object = Per.CONNECTION,
        over: object = Action.BACKPRESSURE,
        words: str = WORDS,
        warning: float = WARNING,
        prefixes: object = PREFIXES,
        shared: Any = None,
    ) -> None:
        """
        One of C{received}, C{sent} and C{messages} is given: a number per second, or a text
        such as C{2MB/s} or C{600/min}.

        @param burst: by default what the rate allows in a second, and at least one.
        @param per: C{connection}, C{peer} or C{all}.
        @param over: C{backpressure}, C{delay}, C{quota} or C{disconnect}, or several with
            the seconds after which each begins: C{backpressure,quota@5,disconnect@10}.
        @param words: a line of text.
        @param prefixes: two numbers, or their text.
        @param shared: provides C{take(key, amount)} as L{terminable.sharing.SharedQuota}
            does; for messages only.
        @raise InvalidOption: what cannot be meant.
        """
        wanted = {Of.RECEIVED: received, Of.SENT: sent, Of.MESSAGES: messages}
        given = {of: value for of, value in wanted.items() if value is not None}
        if len(given) != 1:
            expected = "one of received, sent and messages"
            raise InvalidOption("limit", " and ".join(of.value for of in given), expected)
        [(of, value)] = given.items()
        units = rate(of.value, value)
        most = max(1.0, units) if burst is None else amount("burst", burst)
        if most < 1.0:
            raise InvalidOption("burst", burst, "room for a message, or a byte: 1 or more")
        if shared is not None and of is not Of.MESSAGES:
            raise InvalidOption("shared", of.value, "a limit of messages")
        whose = _one("per", per, Per)
        if shared is not None and whose is Per.CONNECTION:
            raise InvalidOption("per", per, "peer or all: no other process has this connection")
        if shared is not None and not callable(getattr(shared, "take", None)):
            raise InvalidOption("shared", shared, "something with a method take(key, amount)")
        own = {
            "of": of,
            "rate": units,
            "burst": most,
            "per": whose,
            "over": steps(of, over),
            "words": _line(words),
            "warning": seconds("warning", warning),
            "prefixes": prefixesOf(prefixes),
            "shared": shared,
        }
        for name, setting in own.items():
            object.__setattr__(self, name, setting)

    def action(self, overFor: float) -> Action:
        """
        What is to be done about somebody who has been over the limit for so many seconds.
        """
        current = self.over[0]
        for step in self.over[1:]:
            if overFor < step.after:
                break
            current = step
        return current.action

    def peer(self, host: str | None) -> str:
        """
        What the peer is called that has an address.
        """
        return peerOf(host, self.prefixes)

    @property
    def portion(self) -> int:
        """
        How many bytes to wait for, where there are none.
        """
        least, most = _PORTIONS
        return int(max(least, min(most, self.burst, self.rate * _PORTION)))

    def __str__(self) -> str:
        over = ",".join(map(str, self.over))
        much = f"{self.of.value}={_digits(self.rate)}/s:burst={_digits(self.burst)}"
        return f"{much}:per={self.per.value}:over={over}"


#: What may be typed, and what it is called here.
_TYPED = ("received", "sent", "messages", "burst", "per", "over", "words", "warning", "prefixes")


def limit(text: str, **settings: Any) -> Limit:
    """
    Read a limit as it is typed.

    @param text: C{messages=10/s:burst=20:per=peer:over=backpressure,quota@5}.  A colon that
        is part of a setting has a backslash before it.
    @param settings: more than can be typed.
    @raise InvalidOption: what cannot be meant.
    """
    given = dict(settings)
    for part in re.split(r"(?<!\\):", text):
        name, equals, value = part.partition("=")
        if not equals or name not in _TYPED or name in given:
            expected = f"settings with colons between them, of {', '.join(_TYPED)}, each once"
            raise InvalidOption("limit", part, expected)
        given[name] = value.replace("\\:", ":")
    return Limit(**given)
