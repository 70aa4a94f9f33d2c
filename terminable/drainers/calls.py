"""
What protocols have in common in which both sides call each other, with any number of
calls open at a time: AMP, Perspective Broker.

Such a protocol has no goodbye: a call is answered, or the connection is lost.  So calls
are served as ever until the end of the idle grace.  After that a new call gets an error
for its answer, so that its caller knows that it was not taken; and the connection is
lost with the last answer to the calls that were there before.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from typing import Any

from zope.interface import implementer

from terminable.drainers.plain import readable
from terminable.interfaces import IDrainWatch, ILastingDrainer

#: What callers are told of a call that was not taken, and of one that was, but was not
#: done when the deadline came.
REFUSED = "the server is going down; this call was not begun"
CUT = "the server is going down; this call was begun, but not done in time"

#: How many calls are worth a place in a report, and how much of a name.
_NAMED = 3
_NAME = 100


@implementer(ILastingDrainer)
class CallDrainer:
    """
    Has every call answered that was there before it was drained, in part or in full.

    @ivar protocol: the connection's protocol.
    @ivar answered: whether a call was answered since the hint.
    @ivar ending: whether new calls are no longer taken.
    @ivar half: what had been received in part when that began; it is still taken.
    """

    silent = False
    lasting = True
    prompt = False

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.answered = False
        self.ending = False
        self.half: Any = None
        self._idle: Any = None
        self._told = False
        self._received: Any = None

    # -- what a protocol has to tell

    def pending(self) -> Collection[object]:
        """
        The peer's calls that are being worked on.
        """
        raise NotImplementedError  # pragma: no cover

    def nameOf(self, call: Any) -> object:
        """
        What one of them is called.
        """
        raise NotImplementedError  # pragma: no cover

    def outstanding(self) -> int:
        """
        How many calls of ours the peer has not answered.
        """
        raise NotImplementedError  # pragma: no cover

    def receiving(self) -> bool:
        """
        Whether something was received in part.
        """
        raise NotImplementedError  # pragma: no cover

    def received(self) -> Any:
        """
        What was received of it, the same object as it will be when it is complete;
        C{None} if that is too little to tell.
        """
        raise NotImplementedError  # pragma: no cover

    def install(self) -> None:
        """
        Have L{called} called for each call that is taken from now on, and L{finished}
        for each that is no longer pending; and if C{ending}, refuse.
        """
        raise NotImplementedError  # pragma: no cover

    def cutShort(self) -> bool:
        """
        Answer all pending calls with an error, and have nothing answered after that.

        @return: whether anybody was told.
        """
        raise NotImplementedError  # pragma: no cover

    # -- what is done with it

    def isBusy(self) -> bool:
        """
        Whether a call is open, of the peer's or of ours, or something was received in
        part.
        """
        return bool(self.pending()) or self.outstanding() > 0 or self.receiving()

    def hint(self, idle: IDrainWatch) -> None:
        """
        There is nothing that a peer could be told before it is drained; be called with
        whatever happens from now on.
        """
        self._idle = idle
        self.install()
        self._received = self.protocol.dataReceived
        self.protocol.dataReceived = self._dataReceived

    def _dataReceived(self, data: bytes) -> Any:
        result = self._received(data)
        self.look()
        return result

    def called(self) -> None:
        """
        A call is taken.
        """
        self.answered = True

    def finished(self) -> None:
        """
        A call is about to be answered, or has no answer and is done.
        """
        self.answered = True
        self.look()

    def look(self) -> None:
        """
        Something has happened; tell if the last call is over, once.
        """
        if self.ending and not self._told and self._idle is not None and not self.isBusy():
            self._told = True
            self._idle()

    def drain(self) -> None:
        """
        Take no more calls, and lose the connection if none is open.
        """
        if not self.ending:
            self.ending = True
            self.half = self.received()
        self._told = not self.isBusy()
        if self._told:
            self.lose()

    def lose(self) -> None:
        """
        Lose the connection.
        """
        self.protocol.transport.loseConnection()

    def describe(self) -> str:
        """
        The calls that are open.
        """
        calls = self.pending()
        parts = [f"call {nameText(self.nameOf(call))}" for call in islice(calls, _NAMED)]
        more = len(calls) - len(parts)
        text = ", ".join(parts) + (f" and {more} more" if more else "")
        return ", ".join(filter(None, (text, *self.alsoOpen())))

    def alsoOpen(self) -> list[str]:
        """
        What is open beside the peer's calls, in words.
        """
        parts = []
        waiting = self.outstanding()
        if waiting:
            parts.append(f"waiting for {waiting} answer{'s' if waiting > 1 else ''}")
        if self.receiving():
            parts.append("part of a message")
        return parts

    def lastWord(self, retryAfter: int) -> str:
        """
        An error for each call that is being worked on.
        """
        self.ending = True
        if not self.cutShort():
            return ""
        self.lose()
        return "error"


def nameText(name: object) -> str:
    """
    What a peer calls something, as it may stand in a log.
    """
    return readable(name[:_NAME]) if isinstance(name, bytes) else "?"
