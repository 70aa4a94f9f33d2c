"""
A protocol of one's own whose messages are held to a rate: each byte is a message.

    python metered.py tcp:8007
    printf 'abcdef' | nc 127.0.0.1 8007
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from twisted.internet import task
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory, Protocol
from zope.interface import implementer

from terminable import ICounted, Terminator, watch


@implementer(ICounted)
class Shout(Protocol):
    """
    Answers each letter in upper case.
    """

    def eachMessage(self, message: Callable[..., object]) -> None:
        """
        From now on, each message is given to C{message}, with what is to handle it.
        """
        self.message = message

    def dataReceived(self, data: bytes) -> None:
        for letter in data.strip():
            self.message(self.letterReceived, bytes([letter]))

    def letterReceived(self, letter: bytes) -> None:
        self.transport.write(letter.upper())

    def quotaExceeded(self, seconds: float) -> None:
        """
        One was too many, and was not handled.
        """
        self.transport.write(b"!")


async def main(reactor, description: str) -> None:
    """
    Two letters at once, then ten a second; after a second of more, they are refused.
    """
    terminator = Terminator(reactor, limits=["messages=10/s:burst=2:over=delay,quota@1"])
    watch(reactor, terminator)
    endpoint = serverFromString(reactor, description)
    port = await terminator.listen(endpoint, Factory.forProtocol(Shout))
    print("listening on", port.getHost().port, flush=True)
    await Deferred()


task.react(main, sys.argv[1:])
