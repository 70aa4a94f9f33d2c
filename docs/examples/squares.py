"""
A protocol that can say, together with an answer, that this answer is the last.

    python squares.py tcp:8000:interface=127.0.0.1
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater, react
from twisted.protocols.basic import LineReceiver
from zope.interface import implementer

from terminable import IHintingDrainer, Terminator


@implementer(IHintingDrainer)
class Squares(LineReceiver):
    """
    C{12} is answered with C{144}, or with C{144 LAST} before the end.
    """

    delimiter = b"\n"
    silent = False

    def connectionMade(self) -> None:
        self.asked: list[bytes] = []
        self.hinted = False

    def lineReceived(self, line: bytes) -> None:
        if self.hinted and self.asked:
            # The answer on its way will say that it is the last.
            return
        self.asked.append(line)
        if len(self.asked) == 1:
            self.work()

    def work(self) -> None:
        deferLater(reactor, 0.5, self.answer)

    def answer(self) -> None:
        number = self.asked.pop(0)
        text = b"%d" % int(number) ** 2 if number.isdigit() else b"what?"
        last = self.hinted and not self.asked
        self.sendLine(text + b" LAST" if last else text)
        if last:
            self.transport.loseConnection()
        elif self.asked:
            self.work()

    def isBusy(self) -> bool:
        """
        Whether a number was received that has not been answered.
        """
        return bool(self.asked)

    def hint(self, idle: Callable[[], None]) -> None:
        """
        The next answer behind which nothing is waiting says LAST.  There is no
        answer after this moment that could not, so C{idle} need not be kept.
        """
        self.hinted = True

    def drain(self) -> None:
        """
        May be called more than once, and while something is in flight: then the
        last answer ends the connection.
        """
        if not self.isBusy():
            self.sendLine(b"BYE")
            self.transport.loseConnection()

    def describe(self) -> str:
        """
        For the progress line and the report.
        """
        return f"SQUARE {self.asked[0].decode('ascii', 'replace')}" if self.asked else ""

    def lastWord(self, retryAfter: int) -> str:
        """
        The deadline has come.
        """
        if not self.asked:
            return ""
        self.sendLine(b"TRY AGAIN IN %d" % retryAfter)
        return "try again"


async def main(reactor, description: str) -> None:
    terminator = Terminator(reactor, gracePeriod=5.0)
    endpoint = serverFromString(reactor, description)
    try:
        port = await terminator.listen(endpoint, Factory.forProtocol(Squares))
    except CannotListenError as problem:
        raise SystemExit(str(problem)) from None
    print("listening on", port.getHost().port, flush=True)
    # The reactor, when it is asked to stop, waits for the Deferred.
    reactor.addSystemEventTrigger(
        "before", "shutdown", lambda: terminator.terminate().addCallback(print)
    )
    await Deferred()


if __name__ == "__main__":
    react(main, sys.argv[1:])
