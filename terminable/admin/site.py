"""
HTTP/1.1 at the admin door.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.interfaces import IAddress, IProtocolNegotiationFactory
from twisted.web import http
from zope.interface import implementer

from terminable.admin.answers import Answer
from terminable.admin.asked import Asked
from terminable.admin.visitors import ARRIVALS, QUESTIONS, Pace, Visitor, Visitors
from terminable.tracking.layers import bottomOf


@implementer(IProtocolNegotiationFactory)
class AdminSite(http.HTTPFactory):
    """
    Builds what speaks HTTP with visitors.

    @ivar reactor: provides C{IReactorTime}.
    @ivar visitors: those who are connected.
    @ivar pace: how fast questions are answered.
    @ivar arrivals: how fast visitors may come.
    @ivar serve: answers one request.
    @ivar leaving: whether whoever has been answered should connect anew for the next question.
    """

    noisy = False

    def __init__(
        self, reactor: Any, serve: Callable[[Asked], Coroutine[Any, Any, Answer | None]]
    ) -> None:
        # Visitors have times of their own.
        super().__init__(timeout=None, reactor=reactor)  # type: ignore[arg-type]
        self.visitors = Visitors(reactor)
        self.pace = Pace(reactor, QUESTIONS)
        self.arrivals = Pace(reactor, ARRIVALS)
        self.serve = serve
        self.leaving = False

    def logPrefix(self) -> str:
        """
        What the log says of its ports.
        """
        return "Admin door"

    def acceptableProtocols(self) -> list[bytes]:
        """
        See C{IProtocolNegotiationFactory.acceptableProtocols}: one version of HTTP is enough.
        """
        return [b"http/1.1"]

    def startFactory(self) -> None:
        """
        There is no access log: somebody asks every second.
        """

    def stopFactory(self) -> None:
        """
        Nothing was started.
        """

    def log(self, request: http.Request) -> None:
        """
        Nothing is written.
        """

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """
        Somebody has come.
        """
        protocol: Any = super().buildProtocol(addr)
        protocol.requestFactory = lambda channel, queued=0: Asked(channel, self)
        return protocol

    def visitorOf(self, channel: Any) -> Visitor:
        """
        @return: who asks on a channel.
        """
        return self.visitors.of(bottomOf(channel.transport))

    def answered(self, transport: Any) -> None:
        """
        Somebody has been answered.
        """
        self.visitors.waits(bottomOf(transport))
