"""
What stands behind the IMAP and FTP servers of these tests, and for those who drain them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.mail.imap4 import MemoryAccount
from twisted.mail.interfaces import IMailboxIMAP, IMessageIMAPFile
from zope.interface import implementer

LETTER = b"Subject: x\r\n\r\nDear reader,\r\n"


class Watch:
    """
    What a drainer is given.

    @ivar idled: how often it has said that its connection is idle.
    """

    schedule = None

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.idled = 0

    def __call__(self) -> None:
        self.idled += 1

    def later(self, seconds: float, work: Callable[..., object], *args: object) -> None:
        """
        Call somebody later.
        """
        self._clock.callLater(seconds, work, *args)


def inTurns(clock: Clock) -> Callable[[Iterable[Any]], Deferred[None]]:
    """
    What C{twisted.mail.imap4.iterateInReactor} does, on another clock.
    """

    def schedule(work: Iterable[Any]) -> Deferred[None]:
        steps, done = iter(work), Deferred[None]()

        def go(last: Any) -> None:
            try:
                result = next(steps)
            except StopIteration:
                done.callback(last)
            except Exception:
                done.errback()
            else:
                if isinstance(result, Deferred):
                    result.addCallback(go)
                else:
                    clock.callLater(0, go, result)

        go(None)
        return done

    return schedule


@implementer(IMessageIMAPFile)
class Letter:
    """
    A message.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content

    def open(self) -> BytesIO:
        """
        See L{IMessageIMAPFile}.
        """
        return BytesIO(self.content)

    def getSize(self) -> int:
        return len(self.content)

    def getUID(self) -> int:
        return 1


@implementer(IMailboxIMAP)
class Box:
    """
    A mailbox.

    @ivar answers: what C{fetch} and C{addMessage} return, in this order; without any
        they are done at once.
    """

    def __init__(self, letters: Iterable[bytes] = (LETTER,)) -> None:
        self.letters = [Letter(content) for content in letters]
        self.answers: list[Deferred[Any]] = []
        self.listeners: list[Any] = []

    def _next(self, result: object) -> Any:
        if self.answers:
            return self.answers.pop(0).addCallback(lambda _: result)
        return succeed(result)

    def fetch(self, messages: Any, uid: bool) -> Any:
        return self._next(list(enumerate(self.letters, 1)))

    def addMessage(self, message: Any, flags: object, date: object) -> Any:
        return self._next(None).addCallback(lambda _: self.letters.append(Letter(message.read())))

    def addListener(self, listener: Any) -> None:
        self.listeners.append(listener)

    def removeListener(self, listener: Any) -> None:
        self.listeners.remove(listener)

    def getFlags(self) -> list[str]:
        return []

    def getHierarchicalDelimiter(self) -> str:
        return "/"

    def getUIDValidity(self) -> int:
        return 1

    def getMessageCount(self) -> int:
        return len(self.letters)

    def getRecentCount(self) -> int:
        return 0

    def isWriteable(self) -> bool:
        return True


class Account(MemoryAccount):
    """
    Somebody's mailboxes.

    @ivar selecting: what C{select} waits for, if for anything.
    """

    selecting: Deferred[Any] | None = None

    def select(self, name: Any, readwrite: int = 1) -> Any:
        """
        Open a mailbox.
        """
        box = super().select(name, readwrite)
        if self.selecting is None:
            return box
        return self.selecting.addCallback(lambda _: box)
