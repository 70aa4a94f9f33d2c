"""
When: how long each part of a stop may take.

All times are in seconds.  Nothing here reads a clock: the caller says what time
it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

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
    except ValueError:
        raise InvalidOption(option, value, expected) from None
    if not math.isfinite(number) or number < 0:
        raise InvalidOption(option, value, expected)
    return number


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
    How long each part of a stop may take.

    @ivar gracePeriod: from the request to stop until stragglers are aborted; 0
        aborts at once; C{None} waits for ever.
    @ivar idleGrace: how long a connection with nothing in flight is kept for one
        last request; 0 loses it at once.
    @ivar quiesce: how long to go on accepting after the stop was asked for.
    @ivar linger: for how long a peer that takes nothing of the last answer is waited
        for, while what it sends is discarded, before its connection is closed.
    @ivar lingerBytes: how much unread input is discarded at most.
    """

    gracePeriod: float | None
    idleGrace: float
    quiesce: float
    linger: float
    lingerBytes: int

    def __init__(
        self,
        gracePeriod: float | None = 25.0,
        idleGrace: float | None = None,
        quiesce: float = 0.0,
        linger: float = 2.0,
        lingerBytes: int = 2**20,
    ) -> None:
        """
        @param idleGrace: C{None} is one second, or the whole grace period if that
            is shorter.
        @raise InvalidOption: a time that is no time, or an idle grace or quiesce
            time longer than the grace period.
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
        if isinstance(lingerBytes, bool) or not isinstance(lingerBytes, int) or lingerBytes < 0:
            raise InvalidOption("lingerBytes", lingerBytes, "a whole number of bytes, 0 or more")
        object.__setattr__(self, "gracePeriod", gracePeriod)
        object.__setattr__(self, "idleGrace", idleGrace)
        object.__setattr__(self, "quiesce", quiesce)
        object.__setattr__(self, "linger", seconds("linger", linger))
        object.__setattr__(self, "lingerBytes", lingerBytes)

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
