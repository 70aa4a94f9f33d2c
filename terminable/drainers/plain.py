"""
A drainer that only knows L{IDrainer}'s two methods, made complete.
"""

from __future__ import annotations

from zope.interface import implementer

from terminable.interfaces import IDrainer, IDrainWatch, IHintingDrainer, ILastingDrainer

#: How much of what a client has sent is worth a place in a report.
_SHOWN = 200


def readable(data: bytes) -> str:
    """
    What a client has sent, as it may stand in a log.
    """
    text = data[:_SHOWN].decode("ascii", "backslashreplace")
    return "".join(it if it.isprintable() else f"\\x{ord(it):02x}" for it in text)


class NothingToSay:
    """
    What a drainer does that has neither a hint nor a last word, and does not know what
    is in flight.
    """

    answered = False
    lasting = False
    prompt = False

    def hint(self, idle: IDrainWatch) -> None:
        """
        There is no hint.
        """

    def describe(self) -> str:
        """
        Nothing is known.
        """
        return ""

    def lastWord(self, retryAfter: int) -> str:
        """
        There is none.
        """
        return ""


@implementer(ILastingDrainer)
class PlainDrainer(NothingToSay):
    """
    What the terminator asks of everybody, for a drainer that can only say whether
    it is busy, and end: it is told to end as soon as that harms nobody, that is at
    once while something is in flight, and at the end of the idle grace otherwise.
    """

    silent = False
    lasting = True

    def __init__(self, drainer: IDrainer) -> None:
        self._inner = drainer
        self._told = False

    def isBusy(self) -> bool:
        """
        See L{IDrainer.isBusy}.
        """
        return bool(self._inner.isBusy())

    def drain(self) -> None:
        """
        See L{IDrainer.drain}; passed on once.
        """
        if not self._told:
            self._told = True
            self._inner.drain()


def fullDrainer(drainer: IDrainer) -> IHintingDrainer:
    """
    C{drainer} itself if it knows everything that L{IHintingDrainer} asks for, else
    a L{PlainDrainer} around it.
    """
    if IHintingDrainer.providedBy(drainer):
        return drainer
    return PlainDrainer(drainer)
