"""
What is served in memory by tests.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol, IPullProducer, IPushProducer
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Site
from zope.interface import implementer

from terminable.testing import MemoryServer
from tests.answers import Shop


class Recorder(Protocol):
    """
    Remembers what it is told.
    """

    heard = b""
    lost: Any = None

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Any = None) -> None:
        self.lost = reason


@implementer(IHalfCloseableProtocol)
class HalfCloseable(Recorder):
    """
    Answers when the client has said everything.
    """

    def readConnectionLost(self) -> None:
        self.transport.write(b"heard " + self.heard)
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        raise NotImplementedError


@implementer(IPushProducer, IPullProducer)
class Producer:
    """
    Produces C{size} bytes at a time; as a push producer, for as long as it is not paused.
    """

    def __init__(self, transport: Any, streaming: bool, times: int) -> None:
        self.transport = transport
        self.streaming = streaming
        self.left = times
        self.calls: list[str] = []
        transport.registerProducer(self, streaming)

    def pauseProducing(self) -> None:
        self.calls.append("pause")

    def resumeProducing(self) -> None:
        self.calls.append("resume")
        if not self.left:
            self.transport.unregisterProducer()
            self.transport.loseConnection()
            return
        self.left -= 1
        self.transport.write(b"x" * 50_000)

    def stopProducing(self) -> None:
        self.calls.append("stop")


class MemoryTestCase(SynchronousTestCase):
    """
    What these tests have in common.
    """

    def serve(self, protocol: Any = Recorder, **options: Any) -> MemoryServer:
        """
        Serve a protocol.
        """
        return MemoryServer(Factory.forProtocol(protocol), **options)

    def site(self, **options: Any) -> MemoryServer:
        """
        Serve a site, whose resource is C{self.shop}.
        """
        self.shop = Shop()
        return MemoryServer(Site(self.shop), **options)
