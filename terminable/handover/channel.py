"""
What a process and its successor say to each other.

They are the two ends of a pair of UNIX sockets, and speak AMP: who is asked answers, and
whoever of them ends is noticed by the other at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, connectionDone
from twisted.protocols import amp
from twisted.python.failure import Failure

#: What both must speak.
VERSION = 1


class Refused(Exception):
    """
    What was asked for cannot be done now.
    """


class Ready(amp.Command):
    """
    From the successor: it has started, listens, and waits for L{Serve}.
    """

    arguments = [  # noqa: RUF012 - Twisted reads it from the class
        (b"version", amp.Integer()),
        (b"pid", amp.Integer()),
        (b"listening", amp.ListOf(amp.Unicode())),
    ]
    errors = {Refused: b"REFUSED"}  # noqa: RUF012


class Serve(amp.Command):
    """
    To the successor: accept from now on.  When it has answered, it is the one that serves.
    """


class Main(amp.Command):
    """
    To the successor: whoever supervises us has been told that it is the main process.
    """


class Serves(amp.Command):
    """
    To the predecessor: this process serves now, instead of its successor.
    """

    arguments = [(b"pid", amp.Integer())]  # noqa: RUF012


class Leave(amp.Command):
    """
    To a process that serves by our sockets: drain, and go; within so many seconds, if that is
    said.  It may be told again, to have less time.
    """

    arguments = [(b"gracePeriod", amp.Float(optional=True))]  # noqa: RUF012


class Report(amp.Command):
    """
    From a process that was told to leave: what came of its connections.
    """

    arguments = [(b"report", amp.Unicode())]  # noqa: RUF012


class Ask(amp.Command):
    """
    To a process that serves by our sockets: what would its admin door answer?  What is asked,
    and the answer, are HTTP's; of a long answer there is the beginning, and L{More}.
    """

    arguments = [  # noqa: RUF012
        (b"method", amp.String()),
        (b"target", amp.String()),
        (b"body", amp.String()),
    ]
    response = [  # noqa: RUF012
        (b"code", amp.Integer()),
        (b"number", amp.Integer()),
        (b"size", amp.Integer()),
        (b"piece", amp.String()),
    ]


class More(amp.Command):
    """
    To the same: the piece of an answer that begins at an offset.
    """

    arguments = [(b"number", amp.Integer()), (b"offset", amp.Integer())]  # noqa: RUF012
    response = [(b"piece", amp.String())]  # noqa: RUF012


class Older(amp.Command):
    """
    To the predecessor: how many processes are draining, this one and those before it?
    """

    response = [(b"count", amp.Integer())]  # noqa: RUF012


class EndOldest(amp.Command):
    """
    To the predecessor: the oldest process that is still draining is to end now.
    """


class Channel(amp.AMP):
    """
    One end.

    @ivar locators: who answers what the other end asks.
    """

    def __init__(
        self, lost: Callable[[Failure], object], locators: list[amp.CommandLocator]
    ) -> None:
        """
        @param lost: called when the other end is gone, or says what is no AMP.
        """
        super().__init__()
        self._lost = lost
        self.locators = locators

    def locateResponder(self, name: bytes) -> Any:
        """
        Find out who answers.
        """
        for locator in self.locators:
            responder = locator.locateResponder(name)
            if responder is not None:
                return responder
        return super().locateResponder(name)

    def makeConnection(self, transport: Any) -> None:
        """
        See C{IProtocol.makeConnection}.  Nothing is logged: that there is another process is
        said elsewhere.
        """
        amp.BinaryBoxProtocol.makeConnection(self, transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The other end is gone.
        """
        amp.BinaryBoxProtocol.connectionLost(self, reason)
        self.transport = None
        self._lost(reason)


class Once(Factory):
    """
    Builds the one protocol that there is.
    """

    noisy = False

    def __init__(self, protocol: Channel) -> None:
        self._protocol = protocol

    def buildProtocol(self, addr: IAddress | None) -> Channel:
        """
        This one.
        """
        return self._protocol
