"""
Those who are connected to the admin door: few, and none for long without a purpose.
"""

from __future__ import annotations

from typing import Any

from terminable.policy.rates import Bucket

#: How many there may be.
MOST = 200

#: Seconds that one may be connected without asking anything, and that a question may take to
#: come in full.
SILENT = 15.0
SLOW = 10.0

#: How many may come, and how many questions are answered, in a second; and how many at once
#: after a quiet time.  The others wait: it is not the door that this server is for.
ARRIVALS = 10.0
QUESTIONS = 25.0
BURST = 100.0


class Visitor:
    """
    One connection.

    @ivar busy: whether a question is being answered.
    """

    def __init__(self, reactor: Any, transport: Any) -> None:
        self._reactor = reactor
        self._transport = transport
        self._call: Any = None
        self.busy = False
        self.waits()

    def waits(self) -> None:
        """
        Nothing has been asked, or nothing more.
        """
        self.busy = False
        self._within(SILENT, self.lose)

    def asks(self, tooSlow: Any) -> None:
        """
        A question has begun.

        @param tooSlow: called if it does not come in time.
        """
        self._within(SLOW, tooSlow)

    def hasAsked(self) -> None:
        """
        The question is there.
        """
        self.busy = True
        self.over()

    def _within(self, seconds: float, late: Any) -> None:
        self.over()
        self._call = self._reactor.callLater(seconds, late)

    def lose(self) -> None:
        """
        End the connection at once.
        """
        self._transport.abortConnection()

    def over(self) -> None:
        """
        There is nothing to wait for any more.
        """
        call, self._call = self._call, None
        if call is not None and call.active():
            call.cancel()


class Pace:
    """
    Has things happen no faster than at a rate, in the order in which they were wanted.
    """

    def __init__(self, reactor: Any, rate: float) -> None:
        """
        @param rate: how many in a second.
        """
        self._reactor = reactor
        self._bucket = Bucket(rate, BURST, reactor.seconds())

    def wait(self) -> float:
        """
        One more.

        @return: after how many seconds it may happen.
        """
        now = self._reactor.seconds()
        wait = self._bucket.wait(1.0, now)
        # It may go below zero: the next one waits longer.
        self._bucket.spend(1.0)
        return wait

    def debt(self) -> float:
        """
        @return: after how many seconds something may happen at once again.
        """
        return self._bucket.wait(0.0, self._reactor.seconds())


class Visitors:
    """
    All of them.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._all: dict[Any, Visitor] = {}

    def __len__(self) -> int:
        return len(self._all)

    def of(self, transport: Any) -> Visitor:
        """
        @return: the one on a connection, which is new if we have not seen him.
        """
        known = self._all.get(transport)
        if known is None:
            known = self._all[transport] = Visitor(self._reactor, transport)
        return known

    def come(self, transport: Any) -> None:
        """
        One more.  If there are too many, the one that has been silent for longest has to go;
        if all are busy, the new one.
        """
        if len(self._all) >= MOST:
            silent = (key for key, each in self._all.items() if not each.busy)
            self.refuse(next(silent, transport))
        if len(self._all) < MOST:
            self.of(transport)

    def refuse(self, transport: Any) -> None:
        """
        Somebody has to go; in a moment, as he may just be coming.
        """
        lose = self.of(transport).lose
        self.gone(transport)
        self._reactor.callLater(0, lose)

    def waits(self, transport: Any) -> None:
        """
        Somebody has been answered.
        """
        if transport in self._all:
            # Those who have been silent for longest come first.
            known = self._all[transport] = self._all.pop(transport)
            known.waits()

    def gone(self, transport: Any) -> None:
        """
        One less.
        """
        known = self._all.pop(transport, None)
        if known is not None:
            known.over()
