"""
What both ends of an AMP channel need so that no connection is lost, or had by two, when the
channel ends.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IUNIXTransport
from twisted.logger import Logger
from twisted.python.failure import Failure

from terminable import events
from terminable.errors import InvalidOption
from terminable.tracking import internals, sockets

_log = Logger()

#: How many descriptors may have come that no command has claimed.
MOST_UNCLAIMED = 256

#: How often reading the last words may fail.
FAILURES = 3


def check(channel: Any) -> None:
    """
    @raise InvalidOption: descriptors cannot be passed on this channel.
    """
    if not IUNIXTransport.providedBy(getattr(channel, "transport", None)):
        raise InvalidOption("channel", channel, "an AMP protocol on a connected UNIX socket")


def atEnd(transport: Any, first: Callable[[], object], then: Callable[[], object]) -> None:
    """
    Have something called when a transport's connection is over: C{first} before, and C{then}
    after its socket is closed and its protocol knows.
    """
    former = transport.connectionLost

    def connectionLost(reason: Failure) -> None:
        first()
        try:
            former(reason)
        finally:
            then()

    transport.connectionLost = connectionLost


def hearLastWords(transport: Any) -> None:
    """
    Read everything that the other process has said, after which it can say no more: what it
    has not confirmed by then it will find that it cannot confirm.
    """
    sock = getattr(transport, "socket", None)
    if sock is None:
        return
    try:
        sock.shutdown(socket.SHUT_RD)
    except OSError:
        return
    # Not the instance's: to abort a connection exchanges that.  What comes is finite.
    read = type(transport).doRead
    failures = 0
    try:
        while failures < FAILURES and sockets.readable(sock):
            why = read(transport)
            if isinstance(why, ConnectionDone):
                return
            # What was said before is still there when the kernel has told of an error.
            failures += why is not None
    except Exception:
        _log.failure("{transport} has said something odd at last", transport=transport)


def guard(channel: Any) -> None:
    """
    Keep descriptors that come on a channel from our children, and from being too many: a peer
    that floods loses the channel.
    """
    receive = channel.fileDescriptorReceived

    def fileDescriptorReceived(descriptor: int) -> None:
        if len(internals.unclaimed(channel)) >= MOST_UNCLAIMED:
            os.close(descriptor)
            if channel.transport.connected:
                _log.warn(
                    "{channel} brings too many descriptors",
                    event=events.PASSING_FLOODED,
                    channel=channel,
                )
                channel.transport.abortConnection()
            return
        os.set_inheritable(descriptor, False)
        receive(descriptor)

    channel.fileDescriptorReceived = fileDescriptorReceived
    atEnd(channel.transport, lambda: None, lambda: closeUnclaimed(channel))


def closeUnclaimed(channel: Any) -> None:
    """
    Close the descriptors that no command has claimed.
    """
    known = internals.unclaimed(channel)
    while known:
        os.close(known.popitem()[1])


class Outflow:
    """
    What a channel has said, as far as it is with the kernel, which will deliver it.
    """

    def __init__(self, transport: Any, told: Callable[[], object]) -> None:
        """
        @param told: called when some more has left, in the middle of writing.
        """
        self._transport = transport
        self._told = told
        self._left = 0
        self._write = transport.writeSomeData
        transport.writeSomeData = self._writeSomeData

    @property
    def end(self) -> int:
        """
        How many bytes will have left when all has that was written until now.
        """
        return self._left + internals.unsentBytes(self._transport)

    def hasLeft(self, end: int) -> bool:
        """
        Whether so many have.
        """
        return self._left >= end

    def _writeSomeData(self, data: Any) -> Any:
        count = self._write(data)
        if isinstance(count, int) and count > 0:
            self._left += count
            self._told()
        return count
