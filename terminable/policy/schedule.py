"""
When, and in which words: how long each part of a stop may take.

All times are in seconds.  Nothing here reads a clock: the caller says what time
it is.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from terminable.errors import InvalidOption

#: The idle grace when none is asked for, unless the grace period is shorter.
IDLE_GRACE = 1.0

#: For how long a closing TCP port keeps accepting while the kernel drops new
#: connection requests, so that handshakes that were half done are completed:
#: longer than nearly all round trips.  Bounded by the idle grace.
SETTLE = 0.2

#: What a last word at the deadline may take to leave before the connection is
#: aborted.
LAST_WORD = 0.1

#: How long connections may take to end after they were aborted, in seconds.
GIVE_UP = 1.0

#: RFC 6455, section 7.4.1: "going away", as a server that goes down does.
GOING_AWAY = 1001

#: What a WebSocket may be closed with by an application (RFC 6455, section 7.4, and its
#: registry); 1004 to 1006 and 1015 are never sent.
CLOSE_CODES = frozenset(
    [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, *range(3000, 5000)]
)

#: How much reason fits into a close frame, in bytes (RFC 6455, section 5.5).
CLOSE_REASON = 123

#: When somebody who could not be served may try again, in whole seconds: that is for
#: whoever comes after us to know, but most restarts are over by then.
RETRY_AFTER = 5


def seconds(option: str, value: object) -> float:
    """
    Read a length of time.

    @param option: how the setting is called, for the error message.
    @param value: a number, or a string with a number.
    @raise InvalidOption: not a number, negative, infinite or not a number at all.
    """
    expected = "a number of seconds, 0 or more"
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise InvalidOption(option, value, expected)
    try:
        number = float(value)
    except (OverflowError, ValueError):
        raise InvalidOption(option, value, expected) from None
    if not math.isfinite(number) or number < 0:
        raise InvalidOption(option, value, expected)
    # There is a zero below zero, which would be told as "-0".
    return abs(number)


def above(option: str, value: object, expected: str = "a number of seconds above 0") -> float:
    """
    Read a length of time that is not 0.

    @raise InvalidOption: none, or 0.
    """
    number = seconds(option, value)
    if not number:
        raise InvalidOption(option, value, expected)
    return number


def wholeNumber(value: object) -> bool:
    """
    Whether this is a whole number, which C{True} is for Python alone.
    """
    return isinstance(value, int) and not isinstance(value, bool)


def typedNumber(text: str) -> int | str:
    """
    Read what was typed where a whole number is wanted.

    @return: the number, or the text itself if it spells none.
    """
    # Python reads no more than some thousands of digits.
    with suppress(ValueError):
        return int(text) if text.isascii() and text.isdigit() else text
    return text


def closingCode(option: str, value: object) -> int:
    """
    Read the code that WebSockets are closed with.

    @param value: a number, or a string with a number.
    @raise InvalidOption: no code that may be sent.
    """
    with suppress(ValueError):
        if isinstance(value, (int, str)) and int(value) in CLOSE_CODES:
            return int(value)
    raise InvalidOption(option, value, "a WebSocket close code such as 1001, 1012 or 4000")


def closingReason(option: str, value: object) -> str:
    """
    Read the reason that WebSockets are closed for.

    @raise InvalidOption: no text, or more than fits.
    """
    with suppress(UnicodeEncodeError):
        if isinstance(value, str) and len(value.encode()) <= CLOSE_REASON:
            return value
    raise InvalidOption(option, value, f"a text of at most {CLOSE_REASON} bytes in UTF-8")


@dataclass(frozen=True)
class Times:
    """
    The points in time of one stop, on the reactor's clock.

    @ivar began: when the stop was asked for.
    @ivar quiesced: when the ports begin to close.
    @ivar idleOver: when connections with nothing in flight are lost.
    @ivar deadline: when what is left is aborted; C{None} is never.
    """

    began: float
    quiesced: float
    idleOver: float
    deadline: float | None

    def shortened(self, deadline: float | None) -> Times:
        """
        The same stop with an earlier deadline; a later one (or C{None}) changes
        nothing.  The earlier parts are cut where they would outlast it.
        """
        if deadline is None or (self.deadline is not None and deadline >= self.deadline):
            return self
        return Times(
            self.began,
            min(self.quiesced, deadline),
            min(self.idleOver, deadline),
            deadline,
        )

    def left(self, now: float) -> float | None:
        """
        Seconds until the deadline, never below 0; C{None} if there is none.
        """
        return None if self.deadline is None else max(0.0, self.deadline - now)


@dataclass(frozen=True, init=False)
class Schedule:
    """
    How a stop goes on: how long each part may take, and what WebSockets are told.

    @ivar gracePeriod: from the request to stop until stragglers are aborted; 0
        aborts at once; C{None} waits for ever.
    @ivar idleGrace: how long a connection with nothing in flight is kept for one
        last request; 0 loses it at once.
    @ivar quiesce: how long to go on accepting after the stop was asked for.
    @ivar linger: for how long a peer that takes nothing of the last answer is waited
        for, while what it sends is discarded, before its connection is closed.
    @ivar lingerBytes: how much unread input is discarded at most.
    @ivar stagger: over how long the goodbyes to long-lived connections are spread, so
        that their peers do not all come back in the same moment.
    @ivar closeCode: what WebSockets are closed with: 1001 (going away), 1012 (service
        restart), or a code that the application has agreed upon with its clients.
    @ivar closeReason: the text that goes with it.
    """

    gracePeriod: float | None
    idleGrace: float
    quiesce: float
    linger: float
    lingerBytes: int
    stagger: float
    closeCode: int
    closeReason: str

    def __init__(
        self,
        gracePeriod: float | None = 25.0,
        idleGrace: float | None = None,
        quiesce: float = 0.0,
        linger: float = 2.0,
        lingerBytes: int = 2**20,
        stagger: float = 0.0,
        closeCode: int = GOING_AWAY,
        closeReason: str = "",
    ) -> None:
        """
        @param idleGrace: C{None} is one second, or the whole grace period if that
            is shorter.
        @raise InvalidOption: a time that is no time, an idle grace or quiesce time
            longer than the grace period, or what no close frame may carry.
        """
        if gracePeriod is not None:
            gracePeriod = seconds("gracePeriod", gracePeriod)
        quiesce = seconds("quiesce", quiesce)
        if idleGrace is None:
            idleGrace = IDLE_GRACE if gracePeriod is None else min(IDLE_GRACE, gracePeriod)
        idleGrace = seconds("idleGrace", idleGrace)
        for name, value in (("idleGrace", idleGrace), ("quiesce", quiesce)):
            if gracePeriod is not None and value > gracePeriod:
                raise InvalidOption(
                    name, value, f"no more than the grace period of {gracePeriod:g} seconds"
                )
        if not wholeNumber(lingerBytes) or lingerBytes < 0:
            raise InvalidOption("lingerBytes", lingerBytes, "a whole number of bytes, 0 or more")
        object.__setattr__(self, "gracePeriod", gracePeriod)
        object.__setattr__(self, "idleGrace", idleGrace)
        object.__setattr__(self, "quiesce", quiesce)
        object.__setattr__(self, "linger", seconds("linger", linger))
        object.__setattr__(self, "lingerBytes", lingerBytes)
        object.__setattr__(self, "stagger", seconds("stagger", stagger))
        object.__setattr__(self, "closeCode", closingCode("closeCode", closeCode))
        object.__setattr__(self, "closeReason", closingReason("closeReason", closeReason))

    def within(self, gracePeriod: float | None) -> Schedule:
        """
        The same with another grace period; the parts that no longer fit are cut.

        @raise InvalidOption: the grace period is no time.
        """
        return self.changed(gracePeriod=gracePeriod)

    def changed(self, **settings: Any) -> Schedule:
        """
        The same with some settings changed; a shorter grace period shortens the parts
        that are not given.

        @raise InvalidOption: a setting that cannot be meant.
        @raise TypeError: there is no such setting.
        """
        own = vars(self)
        if settings.get("gracePeriod") is not None:
            limit = seconds("gracePeriod", settings["gracePeriod"])
            short = {name: min(own[name], limit) for name in ("idleGrace", "quiesce")}
            own = {**own, **short}
        return Schedule(**{**own, **settings})

    def window(self, left: float | None) -> float:
        """
        Over how long to spread goodbyes if the deadline is C{left} seconds away (C{None}:
        if there is none): so that there is some time to answer also the last ones.
        """
        return (
            self.stagger if left is None else min(self.stagger, max(left - self.linger, left / 2))
        )

    def times(self, now: float) -> Times:
        """
        The points in time of a stop that is asked for C{now}.
        """
        quiesced = now + self.quiesce
        times = Times(now, quiesced, quiesced + self.idleGrace, None)
        return times if self.gracePeriod is None else times.shortened(now + self.gracePeriod)

    @property
    def settle(self) -> float:
        """
        For how long a port that closes waits for handshakes that are half done.
        """
        return min(SETTLE, self.idleGrace)
