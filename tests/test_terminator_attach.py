"""
A terminator that takes over ports which listen already; no reactor runs.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from terminable.errors import CannotAttach, NotServing
from terminable.policy.phases import Phase
from terminable.terminator import Terminator
from tests.doubles import MemoryEndpoint, listeningPort
from tests.test_draining_sockets import SocketTestCase


class AttachTests(SocketTestCase):
    """
    Ports that listen already.
    """

    def test_existing(self) -> None:
        """
        Connections that a port has are found, and are ended like those to come.
        """
        self.open()
        self.connected()
        terminator = Terminator(self.reactor)
        terminator.attach(self.port)
        self.assertEqual(len(terminator.connections()), 1)
        self.connected()
        result = terminator.terminate()
        self.go(1.5)
        self.assertEqual(self.successResultOf(result).idle, 2)
        self.assertEqual(len(self.factory.ended), 2)

    def test_once(self) -> None:
        """
        A port has one terminator, until the stop is over.
        """
        first = self.serve()
        second = Terminator(self.reactor)
        self.assertRaises(CannotAttach, second.attach, self.port)
        self.assertIs(second.phase, Phase.SERVING)
        first.terminate()
        self.port.startListening()
        self.address = self.port.socket.getsockname()
        second.attach(self.port)
        self.connected()
        self.assertEqual((len(first.connections()), len(second.connections())), (0, 1))

    def test_toldTwice(self) -> None:
        """
        A connection of which it is told twice is there once.
        """
        terminator = self.serve()
        _, protocol = self.connected()
        terminator.gate.opened(protocol.transport)
        self.assertEqual(len(terminator.connections()), 1)

    def test_tooLate(self) -> None:
        """
        A port that opens only when the stop has begun is closed again.
        """
        terminator = self.serve(gracePeriod=None)
        _, protocol = self.connected()
        reactor = self.reactor
        endpoint = MemoryEndpoint(reactor, lambda factory, clock: listeningPort(reactor, factory))
        endpoint.held = Deferred()
        listening = terminator.listen(endpoint, self.factory)
        result = terminator.terminate()
        endpoint.held.callback(None)
        self.go(1.5)
        self.failureResultOf(listening, NotServing)
        [late] = endpoint.ports
        self.assertFalse(late.connected)
        self.assertEqual(self.successResultOf(result).idle, 1)
        self.assertEqual(self.factory.ended, [protocol])

    def test_suspendedTwice(self) -> None:
        """
        Whoever suspends while the port is about to go waits for it as well.
        """
        terminator = self.serve(settles=True)
        first, second = terminator.suspend(), terminator.suspend()
        self.assertNoResult(first)
        self.go(0.3)
        self.assertIsNone(self.successResultOf(first))
        self.assertIsNone(self.successResultOf(second))

    def test_resumedAtOnce(self) -> None:
        """
        Resumed while the port is about to go, it stays, or comes back at once; nobody
        waits in vain.
        """
        terminator = self.serve(settles=True)
        gone = terminator.suspend()
        terminator.resume()
        self.go(0.5)
        self.successResultOf(gone)
        self.assertIs(terminator.phase, Phase.SERVING)
        self.connected()

    def test_wrappedForAnother(self) -> None:
        """
        A port that serves a wrapped factory is closed with the others; who listens with
        it again has begun to serve again.
        """
        terminator = self.serve()
        wrapped = terminator.wrap(self.factory)
        first = listeningPort(self.reactor, wrapped)
        self.successResultOf(terminator.terminate())
        self.assertFalse(first.connected)
        second = listeningPort(self.reactor, wrapped)
        self.assertIs(terminator.phase, Phase.SERVING)
        self.successResultOf(terminator.terminate())
        self.assertFalse(second.connected)
