"""
Reactors in memory.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IReactorFDSet, IReactorTime
from twisted.internet.protocol import Factory
from twisted.internet.task import LoopingCall
from twisted.protocols.wire import Echo
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from terminable import TerminableService, Terminator
from terminable.testing import MemoryPeer, MemoryReactor, Restless
from terminable.testing.reactor import RESTLESS


class ReactorTests(SynchronousTestCase):
    """
    One reactor.
    """

    def setUp(self) -> None:
        self.reactor = MemoryReactor()
        self.called: list[Any] = []

    def test_interfaces(self) -> None:
        """
        It provides what transports and ports need.
        """
        for each in (IReactorTime, IReactorFDSet):
            verifyObject(each, self.reactor)

    # -- time

    def test_inOrder(self) -> None:
        """
        What is due is called in order, each at its own time.
        """
        for delay in (3.0, 1.0, 2.0, 1.0):
            self.reactor.callLater(
                delay, lambda delay=delay: self.called.append((delay, self.reactor.seconds()))
            )
        self.reactor.advance(2.5)
        self.assertEqual(self.called, [(1.0, 1.0), (1.0, 1.0), (2.0, 2.0)])
        self.assertEqual(self.reactor.seconds(), 2.5)
        self.reactor.advance(0.5)
        self.assertEqual(self.called[-1], (3.0, 3.0))

    def test_again(self) -> None:
        """
        What is scheduled by a call comes at its time as well.
        """
        looping = LoopingCall(lambda: self.called.append(self.reactor.seconds()))
        looping.clock = self.reactor
        looping.start(0.5)
        self.reactor.advance(1.6)
        self.assertEqual(self.called, [0.0, 0.5, 1.0, 1.5])

    def test_cancelled(self) -> None:
        """
        A call may cancel another one that is due with it, or put it off.
        """
        self.reactor.callLater(1.0, lambda: (cancelled.cancel(), delayed.delay(5.0)))
        cancelled = self.reactor.callLater(1.0, self.called.append, "cancelled")
        delayed = self.reactor.callLater(1.0, self.called.append, "delayed")
        self.reactor.callLater(1.0, self.called.append, "last")
        self.reactor.advance(2.0)
        self.assertEqual(self.called, ["last"])
        self.reactor.advance(4.0)
        self.assertEqual(self.called, ["last", "delayed"])

    def test_failing(self) -> None:
        """
        A call that fails is logged, and costs no other anything.
        """
        self.reactor.callLater(1.0, lambda: 1 // 0)
        self.reactor.callLater(1.0, self.called.append, "next")
        self.reactor.advance(1.0)
        self.assertEqual(self.called, ["next"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_restless(self) -> None:
        """
        What has itself called again and again without time passing is noticed, be it by
        hardly letting any pass.
        """
        for delay in (0.0, 1e-9):
            reactor = MemoryReactor()
            looping: list[None] = []

            def again(reactor: Any = reactor, looping: Any = looping, delay: float = delay) -> None:
                looping.append(None)
                reactor.callLater(delay, again)

            again()
            self.assertRaises(Restless, reactor.advance, 1.0)
            self.assertAlmostEqual(len(looping), RESTLESS, -1)

    def test_stepping(self) -> None:
        """
        Many small steps are none too many.
        """
        looping = LoopingCall(self.called.append, None)
        looping.clock = self.reactor
        looping.start(0.0005)
        self.reactor.advance(3.0)
        self.assertGreater(len(self.called), RESTLESS)

    def test_reentered(self) -> None:
        """
        Whoever has it settle while it does, is served by that.
        """
        self.reactor.callLater(1.0, lambda: (self.reactor.settle(), self.called.append(1)))
        self.reactor.callLater(1.0, self.called.append, 2)
        self.reactor.advance(1.0)
        self.assertEqual(self.called, [1, 2])

    def test_running(self) -> None:
        """
        It is running.
        """
        self.reactor.callWhenRunning(self.called.append, 1)
        self.assertEqual(self.called, [1])

    # -- descriptors

    def test_descriptors(self) -> None:
        """
        It knows who wants to read and to write.
        """
        reader, writer = object(), object()
        self.reactor.addReader(reader)
        self.reactor.addReader(reader)
        self.reactor.addWriter(writer)
        self.reactor.addWriter(reader)
        self.assertEqual(self.reactor.getReaders(), [reader])
        self.assertEqual(self.reactor.getWriters(), [writer, reader])
        self.reactor.removeReader(writer)
        self.assertEqual(self.reactor.removeAll(), [reader, writer])
        self.assertEqual(self.reactor.getReaders() + self.reactor.getWriters(), [])

    # -- ports

    def peer(self, port: int, *arguments: Any) -> MemoryPeer:
        """
        Somebody connects.
        """
        made = MemoryPeer(self.reactor.settle, self.reactor.connect(port, *arguments))
        self.reactor.peers.append(made)
        self.reactor.settle()
        return made

    def test_endpoints(self) -> None:
        """
        Endpoints of Twisted listen with it.
        """
        terminator = Terminator(self.reactor, idleGrace=0.0)
        for description in ("tcp:8080", "tcp:8080:interface=\\:\\:1"):
            endpoint = serverFromString(self.reactor, description)
            self.successResultOf(terminator.listen(endpoint, Factory.forProtocol(Echo)))
        for host in ("10.0.0.1", "::1"):
            peer = self.peer(8080, host)
            peer.send(b"hello")
            self.assertEqual(peer.received, b"hello")
        report = terminator.terminate()
        self.reactor.advance(0.0)
        self.assertEqual(self.successResultOf(report).idle, 2)
        self.assertRaises(ConnectionRefusedError, self.reactor.connect, 8080)

    def test_service(self) -> None:
        """
        So does a service.
        """
        service = TerminableService(Terminator(self.reactor, idleGrace=1.0))
        service.listenOn(serverFromString(self.reactor, "tcp:80"), Factory.forProtocol(Echo))
        service.startService()
        peer = self.peer(80)
        stopped = service.stopService()
        assert isinstance(stopped, Deferred)
        self.reactor.advance(0.9)
        self.assertIsNone(peer.ended)
        self.reactor.advance(0.2)
        self.successResultOf(stopped)
        self.assertEqual(peer.ended, "closed")

    def test_taken(self) -> None:
        """
        A port is taken once.
        """
        port = self.reactor.listenTCP(80, Factory.forProtocol(Echo))
        self.assertRaises(CannotListenError, self.reactor.listenTCP, 80, Factory.forProtocol(Echo))
        stopped = port.stopListening()
        self.reactor.advance(0.0)
        self.successResultOf(stopped)
        self.reactor.listenTCP(80, Factory.forProtocol(Echo))

    def test_manyWait(self) -> None:
        """
        No more may wait to be accepted than the port has room for.
        """
        port = self.reactor.listenTCP(80, Factory.forProtocol(Echo), backlog=3)
        port.stopReading()
        for _ in range(3):
            self.peer(80)
        self.assertRaises(TimeoutError, self.peer, 80)

    def test_lostTogether(self) -> None:
        """
        A connection that another one ends in the same turn is not looked at any more.
        """
        made: list[Any] = []

        class Ending(Echo):
            def connectionMade(self) -> None:
                made.append(self)

            def dataReceived(self, data: bytes) -> None:
                for each in made:
                    each.transport.stopReading()

        self.reactor.listenTCP(80, Factory.forProtocol(Ending))
        peers = [self.peer(80) for _ in range(2)]
        for peer in peers:
            peer.socket.send(b"x")
        self.reactor.advance(0.0)
        self.assertEqual([peer.unsent for peer in peers], [0, 1])
