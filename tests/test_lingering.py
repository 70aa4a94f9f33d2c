"""
Losing a connection so that what was written arrives.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.main import CONNECTION_DONE
from twisted.internet.protocol import Factory
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Site

from terminable.policy.schedule import Schedule
from terminable.tracking import lingering, sockets
from terminable.tracking.layers import tlsLayer, unsent
from tests.answers import Shop
from tests.losing import LINGER, SIZE, App, EveryMixin
from tests.wire import TLSPeer, Turning, Wire, certificate


class OwnPortTests(EveryMixin, SynchronousTestCase):
    """
    Without TLS, on a port of ours, at any time.
    """

    installed = False


class EncryptedTests(EveryMixin, SynchronousTestCase):
    """
    With TLS, during a drain.
    """

    tls = True

    def test_silenceEndsIt(self) -> None:
        """
        A peer that never answers our close_notify is left.
        """
        wire = self.wire()
        wire.protocol.transport.write(b"answer")
        wire.protocol.lose()
        wire.pumpUntil(lambda: wire.peer.notified)
        wire.reactor.advance(LINGER * 0.99)
        self.assertTrue(wire.transport.connected)
        wire.reactor.advance(LINGER * 0.02)
        self.check(wire)

    def test_thePeerHasSaidGoodbye(self) -> None:
        """
        If the peer has said goodbye already, nobody is waited for.
        """
        wire = self.wire()
        wire.peer.sayGoodbye()
        wire.waitForInput()
        wire.read()
        self.assertTrue(wire.transport.disconnecting)
        wire.protocol.lose()
        self.assertEqual(wire.reactor.getDelayedCalls(), [])
        self.check(wire)

    def test_progressInThisProcess(self) -> None:
        """
        A peer that has not even been sent everything is waited for.
        """
        wire = self.wire(sendBuffer=65536)
        wire.protocol.transport.write(b"x" * SIZE)
        wire.protocol.lose()
        wire.pump(0)
        for _ in range(5):
            wire.reactor.advance(LINGER * 2)
            self.assertTrue(wire.transport.connected)
        self.readSlowly(wire)
        self.assertEqual(len(wire.peer.received), SIZE)

    def test_nothingIsDelivered(self) -> None:
        """
        What comes after C{loseConnection}, decrypted or not, reaches nobody.
        """
        wire = self.wire()
        app: Any = wire.protocol

        def received(data: bytes) -> None:
            app.received += data
            app.lose()

        app.dataReceived = received
        wire.peer.socket.sendall(wire.peer.encrypt(b"one") + wire.peer.encrypt(b"two"))
        wire.pumpUntil(lambda: app.received)
        wire.peer.send(b"three")
        wire.pump()
        self.assertEqual(app.received, b"one")

    def test_withoutPatience(self) -> None:
        """
        With no time to linger nothing is delivered either, everything that was written
        leaves, and nobody spins meanwhile.
        """
        wire = self.wire(Schedule(linger=0.0), sendBuffer=65536)
        wire.protocol.transport.write(b"x" * SIZE)
        wire.protocol.lose()
        wire.peer.send(b"late")
        wire.pump(0)
        self.assertEqual(wire.protocol.received, b"")
        now = wire.reactor.seconds()
        self.assertEqual([c for c in wire.reactor.getDelayedCalls() if c.getTime() <= now], [])
        wire.pumpUntil(lambda: len(wire.peer.received) == SIZE)


class InstallTests(SynchronousTestCase):
    """
    L{lingering.install}, where there is something to think of.
    """

    schedule = Schedule(linger=LINGER)

    def wire(self, **options: Any) -> Wire:
        """
        A connection.
        """
        wire = Wire(Factory.forProtocol(App), **options)
        self.addCleanup(wire.close)
        return wire

    def test_leavesTestsAlone(self) -> None:
        """
        A transport that is no descriptor is left as it is.
        """
        transport = StringTransport()
        before = dict(vars(transport))
        lingering.install(transport, Turning(), self.schedule)
        self.assertEqual(vars(transport), before)

    def test_notWanted(self) -> None:
        """
        With no time to linger, a plain connection is left as it is.
        """
        wire = self.wire()
        lingering.install(wire.transport, wire.reactor, Schedule(linger=0.0))
        self.assertNotIn("loseConnection", vars(wire.transport))

    def test_leavingAlready(self) -> None:
        """
        A connection that was told to go before lingers as well.
        """
        for tls in (False, True):
            wire = self.wire(tls=tls, sendBuffer=65536)
            wire.peer.send(b"unread")
            wire.waitForInput()
            wire.protocol.transport.write(b"x" * 500_000)
            wire.protocol.transport.loseConnection()
            lingering.install(wire.transport, wire.reactor, self.schedule)
            lingering.install(wire.transport, wire.reactor, self.schedule)
            wire.pumpUntil(lambda wire=wire: len(wire.peer.received) == 500_000)
            self.assertTrue(wire.transport.connected)
            wire.reactor.pump([LINGER] * 3)
            self.assertEqual(len(wire.protocol.lost), 1)
            self.assertEqual(wire.protocol.received, b"")

    def test_overAlready(self) -> None:
        """
        Losing what is over does nothing.
        """
        wire = self.wire()
        lingering.install(wire.transport, wire.reactor, self.schedule)
        lose = wire.transport.loseConnection
        wire.close()
        lose()
        lose()
        self.assertEqual(len(wire.protocol.lost), 1)
        self.assertEqual(wire.reactor.getDelayedCalls(), [])

    def test_unfinishedHandshake(self) -> None:
        """
        A handshake that is not over is dropped at once, as ever.
        """
        options = certificate().options()
        inner = Factory.forProtocol(App)
        clock = Turning()
        outer = TLSMemoryBIOFactory(options, False, inner, clock=clock)
        wire = Wire(outer, reactor=clock)
        self.addCleanup(wire.close)
        lingering.install(wire.transport, wire.reactor, self.schedule)
        wire.transport.protocol.wrappedProtocol.transport.loseConnection()
        wire.pumpUntil(lambda: not wire.transport.connected)
        self.assertEqual(wire.reactor.getDelayedCalls(), [])

    def test_startTLSAfterwards(self) -> None:
        """
        A connection that starts TLS after it was installed says goodbye through TLS.
        """
        wire = self.wire()
        lingering.install(wire.transport, wire.reactor, self.schedule)
        wire.transport.startTLS(certificate().options())
        peer = TLSPeer(wire.peer.socket)
        wire.peer = peer
        wire.pumpUntil(lambda: peer._shaken and wire.transport.protocol._handshakeDone)
        wire.protocol.transport.write(b"answer")
        wire.protocol.transport.loseConnection()
        wire.pumpUntil(lambda: peer.notified)
        self.assertEqual(peer.received, b"answer")
        wire.reactor.pump([LINGER] * 2)
        self.assertEqual(len(wire.protocol.lost), 1)


class FlushedTests(SynchronousTestCase):
    """
    L{lingering.flushed}: to stay, or to close.
    """

    def decide(self, wire: Any, schedule: Schedule | None = None) -> object:
        """
        What it decides.
        """
        schedule = schedule or Schedule(linger=LINGER)
        return lingering.flushed(wire.transport, wire.reactor, schedule)

    def wire(self, **options: Any) -> Wire:
        """
        A connection whose peer has sent something.
        """
        wire = Wire(Factory.forProtocol(App), **options)
        self.addCleanup(wire.close)
        wire.peer.send(b"unread")
        wire.waitForInput()
        return wire

    def test_unreadInput(self) -> None:
        """
        With unread input one stays, unless there is no time for it.
        """
        self.assertIsNone(self.decide(self.wire()))
        self.assertIs(self.decide(self.wire(), Schedule(linger=0.0)), CONNECTION_DONE)
        self.assertIsNone(self.decide(self.wire(tls=True)))

    def test_nothingToStayFor(self) -> None:
        """
        Without unread input and a slow peer one closes, and so does what has no socket.
        """
        wire = self.wire()
        wire.pump()
        self.assertIs(self.decide(wire), CONNECTION_DONE)
        wire.close()
        self.assertIs(self.decide(wire), CONNECTION_DONE)

    def test_slowPeer(self) -> None:
        """
        What the kernel could not even send is a reason to stay: what the peer may
        still send would throw it away.
        """
        wire = self.wire(sendBuffer=65536)
        wire.pump()
        wire.transport.write(b"x" * SIZE)
        wire.pump(0)
        self.assertIsNone(self.decide(wire))


class LoseIdleTests(SynchronousTestCase):
    """
    L{lingering.loseIdle}.
    """

    def wire(self, factory: Any = None, **options: Any) -> Wire:
        """
        A connection.
        """
        wire = Wire(factory or Factory.forProtocol(App), **options)
        self.addCleanup(wire.close)
        return wire

    def lose(self, wire: Wire) -> None:
        tls = tlsLayer(wire.transport)
        taking = bool(unsent(wire.transport))
        lingering.loseIdle(wire.transport, tls, taking, wire.reactor, Schedule(linger=LINGER))

    def test_plain(self) -> None:
        """
        It is over at once, cleanly.
        """
        wire = self.wire()
        self.lose(wire)
        self.assertTrue(wire.protocol.lost[0].check(ConnectionDone))
        wire.pumpUntil(lambda: wire.peer.over)
        self.assertEqual(wire.peer.over, "FIN")

    def test_unsent(self) -> None:
        """
        What was still to be written is written first, through TLS with its goodbye, and
        has time to arrive.
        """
        for tls in (False, True):
            wire = self.wire(tls=tls)
            wire.protocol.transport.write(b"answer")
            self.lose(wire)
            wire.pumpUntil(lambda wire=wire: wire.peer.received == b"answer")
            wire.pump()
            self.assertTrue(not tls or wire.peer.notified)
            for _ in range(3):
                wire.reactor.advance(LINGER)
                wire.pump()
            wire.pumpUntil(lambda wire=wire: not wire.transport.connected)
            wire.pumpUntil(lambda wire=wire: wire.peer.over)
            self.assertEqual((wire.peer.over, len(wire.protocol.lost)), ("FIN", 1))

    def test_encryptedWeb(self) -> None:
        """
        An idle HTTPS connection ends with close_notify, although the channel has
        registered itself as a producer, and does not wait for the peer's.
        """
        wire = self.wire(Site(Shop()), tls=True)
        self.assertIsNotNone(wire.transport.producer)
        wire.pumpUntil(lambda: not sockets.unacknowledged(wire.transport.socket))
        self.lose(wire)
        wire.pumpUntil(lambda: not wire.transport.connected, 0)
        wire.pumpUntil(lambda: wire.peer.over)
        self.assertEqual((wire.peer.over, wire.peer.notified), ("FIN", True))

    def test_unfinishedHandshake(self) -> None:
        """
        A TLS connection that never said hello is over at once.
        """
        options = certificate().options()
        outer = TLSMemoryBIOFactory(options, False, Factory.forProtocol(App), clock=Turning())
        wire = self.wire(outer)
        self.lose(wire)
        self.assertFalse(wire.transport.connected)

    def test_overAlready(self) -> None:
        """
        TLS may end the connection by itself; nothing is told twice.
        """
        wire = self.wire(tls=True)
        tls = wire.transport.protocol
        tls.unregisterProducer = wire.close
        self.lose(wire)
        self.assertEqual(len(wire.protocol.lost), 1)

    def test_finishedAlready(self) -> None:
        """
        What is over stays over.
        """
        wire = self.wire()
        self.lose(wire)
        lingering.finish(wire.transport)
        self.assertEqual(len(wire.protocol.lost), 1)

    def test_inMemory(self) -> None:
        """
        A transport of a test is lost in its own way.
        """
        transport = StringTransport()
        lingering.loseIdle(transport, None, True, Turning(), Schedule())
        self.assertTrue(transport.disconnecting)
