"""
The clients' ends of connections are found, and nothing else is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest import mock

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IConnector,
    IListeningPort,
    IReactorFDSet,
    ITransport,
)
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import HTTPConnectionPool
from zope.interface import alsoProvides, implementer

from terminable.testing.halves import Halves, placeOf

HERE = IPv4Address("TCP", "127.0.0.1", 80)
ELSEWHERE = IPv4Address("TCP", "127.0.0.1", 81)


@implementer(ITransport)
class Transport:
    """
    An end of a connection.
    """

    def __init__(self, peer: Any, reactor: Any = None) -> None:
        self.peer = peer
        self.reactor = reactor
        self.protocol: Any = Protocol()
        self.protocol.transport = self
        if reactor is not None:
            reactor.readers.append(self)

    def getPeer(self) -> Any:
        if isinstance(self.peer, Exception):
            raise self.peer
        return self.peer

    def end(self) -> None:
        self.reactor.readers.remove(self)

    loseConnection = abortConnection = end


@implementer(IConnector)
class Connector:
    """
    What has made a client's transport.
    """

    def getDestination(self) -> Any:
        return HERE


@implementer(IReactorFDSet)
class Reactor(Clock):
    """
    A clock, and whoever wants to be told.
    """

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[Any] = []
        self.writers: list[Any] = []

    def getReaders(self) -> list[Any]:
        return self.readers

    def getWriters(self) -> list[Any]:
        return self.writers


class FindingTests(SynchronousTestCase):
    """
    Who leads to a server.
    """

    def setUp(self) -> None:
        self.reactor = Reactor()
        self.halves = Halves(self.reactor, [HERE])

    def test_places(self) -> None:
        """
        Addresses of one port are the same, whatever their kind.
        """
        self.assertEqual(placeOf(IPv6Address("TCP", "::1", 80)), ("::1", 80))
        self.assertEqual(placeOf(UNIXAddress("/a")), (b"/a",))
        self.assertEqual(placeOf(UNIXAddress(None)), ())
        self.assertEqual(placeOf(None), ())

    def test_transports(self) -> None:
        """
        Only clients of the server are found, each once; ports, and those who have no peer, are
        not.
        """
        ours, other = Transport(HERE, self.reactor), Transport(ELSEWHERE, self.reactor)
        self.reactor.writers.extend([ours, other, object(), Transport(ValueError())])
        port = Transport(HERE, self.reactor)
        alsoProvides(port, IListeningPort)
        self.assertEqual(self.halves.transports(), [ours])

    def test_everywhere(self) -> None:
        """
        A port that listens everywhere is reached by any address.
        """
        halves = Halves(self.reactor, [IPv4Address("TCP", "0.0.0.0", 80)])
        self.assertTrue(halves.leadsHere(Transport(HERE)))
        self.assertFalse(halves.leadsHere(Transport(ELSEWHERE)))
        self.assertFalse(halves.leadsHere(Transport(UNIXAddress("/a"))))

    def test_unixSocket(self) -> None:
        """
        So is a UNIX socket, by its path.
        """
        halves = Halves(self.reactor, [UNIXAddress("/a")])
        self.assertTrue(halves.leadsHere(Transport(UNIXAddress("/a"))))
        self.assertFalse(halves.leadsHere(Transport(UNIXAddress(None))))

    def test_connecting(self) -> None:
        """
        Who is not connected yet has a connector that knows where to.
        """
        transport: Any = Transport(ValueError())
        transport.connector = Connector()
        self.assertTrue(self.halves.leadsHere(transport))
        self.assertTrue(self.halves.leadsHere(transport.connector))

    def test_otherReactors(self) -> None:
        """
        A reactor that cannot tell has none.
        """
        halves = Halves(object(), [HERE])
        self.assertEqual((halves.transports(), halves.calls()), ([], []))

    def assertFound(self, function: Callable[..., Any], *details: Any, **keywords: Any) -> None:
        """
        That call is a client's.
        """
        call = self.reactor.callLater(1, function, *details, **keywords)
        self.assertEqual(self.halves.calls(), [call])
        call.cancel()

    def test_calls(self) -> None:
        """
        A timer is a client's if it calls a method of one, or knows one in any way.
        """
        protocol = Transport(HERE).protocol
        heard: list[Any] = []
        self.assertFound(protocol.dataReceived, b"")
        self.assertFound(heard.append, protocol)
        self.assertFound(heard.append, protocol.dataReceived)
        self.assertFound(print, file=protocol.transport)
        self.assertFound(partial(heard.append, protocol))
        self.assertFound(partial(protocol.dataReceived, b""))
        self.assertFound(lambda: heard.append(protocol))
        method = protocol.dataReceived
        self.assertFound(lambda: method(b""))

    def test_othersCalls(self) -> None:
        """
        Those of others are not.
        """
        other = Transport(ELSEWHERE).protocol
        self.reactor.callLater(1, other.dataReceived, b"")
        self.reactor.callLater(1, lambda: later)
        self.reactor.callLater(1, print, "text")
        self.assertEqual(self.halves.calls(), [])
        later = other


class EndTests(SynchronousTestCase):
    """
    Waiting for them.
    """

    def setUp(self) -> None:
        self.reactor = Reactor()
        self.halves = Halves(self.reactor, [HERE])

    def gone(self, patience: float) -> Deferred[list[str]]:
        """
        Wait.
        """
        return Deferred.fromCoroutine(self.halves.gone(patience))

    def test_nobody(self) -> None:
        """
        If there is nobody, nothing is waited for.
        """
        Transport(ELSEWHERE, self.reactor)
        self.assertEqual(self.successResultOf(self.gone(1.0)), [])

    def test_soon(self) -> None:
        """
        It is over as soon as the last one has gone.
        """
        transport = Transport(HERE, self.reactor)
        done = self.gone(1.0)
        self.reactor.advance(0.5)
        self.assertNoResult(done)
        transport.end()
        self.reactor.advance(0.1)
        self.assertEqual(self.successResultOf(done), [])

    def test_leftover(self) -> None:
        """
        Who does not go is named and aborted; others are not touched.
        """
        ours, other = Transport(HERE, self.reactor), Transport(ELSEWHERE, self.reactor)
        call = self.reactor.callLater(9, ours.protocol.dataReceived, b"")
        done = self.gone(1.0)
        self.reactor.pump([0.5, 0.6, 0.1])
        first, second = self.successResultOf(done)
        self.assertTrue(first.startswith("Protocol on <"), first)
        self.assertIn("Protocol.dataReceived", second)
        self.assertEqual(self.reactor.readers, [other])
        call.cancel()

    def test_pool(self) -> None:
        """
        A pool forgets connections that are over, and no others.
        """
        pool: Any = HTTPConnectionPool(self.reactor)  # type: ignore[no-untyped-call]
        over, other = Transport(HERE, self.reactor), Transport(ELSEWHERE, self.reactor)
        for transport in (over, other):
            transport.protocol.state = "QUIESCENT"
            pool._putConnection("key", transport.protocol)
        done = self.gone(300.0)
        self.reactor.advance(1.0)
        self.assertNoResult(done)
        over.protocol.transport = gone = Transport(HERE, self.reactor)
        over.end()
        gone.end = gone.loseConnection = lambda: None  # type: ignore[method-assign]
        self.reactor.readers.remove(gone)
        self.reactor.pump([0.1, 0.1])
        self.assertEqual(self.successResultOf(done), [])
        [left] = self.reactor.getDelayedCalls()
        self.assertIs(left.args[1], other.protocol)

    def test_noWeb(self) -> None:
        """
        Without Twisted's web client there are no pools.
        """
        call = self.reactor.callLater(9, Transport(HERE).protocol.dataReceived, b"")
        with mock.patch.dict(sys.modules):
            del sys.modules["twisted.web.client"]
            self.halves.hurry()
        self.assertEqual(call.getTime(), 9)
