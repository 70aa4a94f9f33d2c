"""
A chat whose protocol says goodbye in its own words.

    python chat.py tcp:8000:interface=127.0.0.1
"""

from __future__ import annotations

import sys

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater, react
from twisted.protocols.basic import LineReceiver
from zope.interface import implementer

from terminable import IDrainer, Terminator


@implementer(IDrainer)
class Chat(LineReceiver):
    """
    Answers each line after a while.
    """

    delimiter = b"\n"

    def connectionMade(self) -> None:
        self.unanswered = 0
        self.leaving = False

    def lineReceived(self, line: bytes) -> None:
        if self.leaving:
            return
        self.unanswered += 1
        deferLater(reactor, 0.5, self.answer, line)

    def answer(self, line: bytes) -> None:
        self.unanswered -= 1
        self.sendLine(b"you said " + line)
        if self.leaving:
            self.leave()

    def isBusy(self) -> bool:
        """
        Whether a line was received that has not been answered.
        """
        return self.unanswered > 0

    def drain(self) -> None:
        """
        Take no more lines, and go with the last answer.
        """
        self.leaving = True
        self.leave()

    def leave(self) -> None:
        if not self.isBusy():
            self.sendLine(b"BYE restarting")
            self.transport.loseConnection()


async def main(reactor, description: str) -> None:
    terminator = Terminator(reactor, gracePeriod=5.0)
    endpoint = serverFromString(reactor, description)
    try:
        port = await terminator.listen(endpoint, Factory.forProtocol(Chat))
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
