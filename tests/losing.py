"""
How connections are lost step by step, for the tests of lingering.
"""

from __future__ import annotations

import socket
from functools import partial
from typing import Any

from twisted.internet import _producer_helpers, tcp
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Cooperator
from twisted.python.failure import Failure
from zope.interface import implementer

from terminable.policy.schedule import Schedule
from terminable.tracking import lingering
from terminable.tracking.transports import recording
from tests.wire import Recording, Turning, Wire

LINGER = 2.0
SIZE = 2_000_000
ended = Failure(ConnectionDone())


@implementer(IHalfCloseableProtocol)
class App(Protocol):
    """
    Remembers what it was told, and whether that was from within its own call.
    """

    def __init__(self) -> None:
        self.received = b""
        self.halves = 0
        self.lost: list[Failure] = []
        self.calling = False
        self.nested = False

    def lose(self) -> None:
        """
        Lose the connection.
        """
        self.calling = True
        self.transport.loseConnection()
        self.calling = False

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def readConnectionLost(self) -> None:
        self.halves += 1

    def writeConnectionLost(self) -> None:
        self.halves += 1

    def connectionLost(self, reason: Failure = ended) -> None:
        self.lost.append(reason)
        self.nested = self.nested or self.calling


class LingeringMixin:
    """
    What holds for a connection on which L{lingering.install} was called, and for one
    on a port of ours on which it was not.
    """

    tls = False
    installed = True

    def wire(self: Any, schedule: Schedule | None = None, **options: Any) -> Wire:
        """
        A connection.
        """
        schedule = schedule or Schedule(linger=LINGER)
        clock = Turning()
        recorder = Recording()
        recorder.decide = lambda transport: lingering.flushed(transport, clock, schedule)
        kind = tcp.Server if self.installed else recording(tcp.Server, recorder)
        factory = Factory.forProtocol(App)
        wire = Wire(factory, tls=self.tls, kind=kind, reactor=clock, **options)
        self.addCleanup(wire.close)
        if self.installed:
            lingering.install(wire.transport, clock, schedule)
        return wire

    def over(self, wire: Wire) -> str | None:
        """
        How the connection has ended for the peer.
        """
        if self.tls and wire.peer.over == "FIN":
            assert wire.peer.notified, "no close_notify"
        over: str | None = wire.peer.over
        return over

    def leave(self, wire: Wire) -> None:
        """
        The peer has read everything and goes.
        """
        if self.tls:
            wire.peer.sayGoodbye()
        else:
            wire.peer.socket.shutdown(socket.SHUT_WR)

    def readSlowly(self, wire: Wire, step: int = 60_000, pause: float = LINGER * 0.9) -> None:
        """
        The peer takes C{step} bytes, then pauses, until it has the answer.
        """
        while len(wire.peer.received) < SIZE and not wire.peer.over:
            wire.pumpUntil(lambda: wire.peer.readSome(step), 0)
            wire.reactor.advance(pause)

    def flush(self, wire: Wire) -> None:
        """
        The peer reads as little as it takes until everything has left this process.
        """
        while not wire.reactor.getDelayedCalls():
            wire.pump(0)
            wire.peer.readSome(1000)

    def check(self: Any, wire: Wire) -> None:
        """
        The connection is over for both, and the protocol knows it once.
        """
        wire.pumpUntil(lambda: not wire.transport.connected)
        wire.pumpUntil(lambda: wire.peer.over)
        app: Any = wire.protocol
        self.assertEqual(len(app.lost), 1)
        self.assertFalse(app.nested)
        self.assertEqual(wire.reactor.getDelayedCalls(), [])
        self.assertNotIn(wire.transport, [*wire.reactor.readers, *wire.reactor.writers])


class EveryMixin(LingeringMixin):
    """
    In every case.
    """

    def test_aLongAnswerArrives(self: Any) -> None:
        """
        Two million bytes reach a slow reader although its input was never read, with
        large and with small kernel buffers.
        """
        for size in (0, 65536):
            wire = self.wire(sendBuffer=size)
            wire.peer.send(b"unread" * 1000)
            wire.waitForInput()
            wire.protocol.transport.write(b"x" * SIZE)
            wire.protocol.lose()
            self.readSlowly(wire)
            self.assertEqual(len(wire.peer.received), SIZE)
            self.leave(wire)
            self.check(wire)
            self.assertEqual(self.over(wire), "FIN")
            # A TLS peer that takes its time to say goodbye has been left without it.
            clean = wire.protocol.lost[0].check(ConnectionDone)
            self.assertTrue(clean or self.tls, wire.protocol.lost)

    def test_inputDuringIt(self: Any) -> None:
        """
        Nor does it matter what comes while it is being read.
        """
        wire = self.wire(sendBuffer=65536)
        wire.protocol.transport.write(b"x" * SIZE)
        wire.protocol.lose()
        for _ in range(5):
            wire.peer.send(b"more" * 1000)
            wire.pump(0)
            wire.peer.readSome(20_000)
        self.readSlowly(wire)
        self.assertEqual(len(wire.peer.received), SIZE)
        self.assertEqual(wire.protocol.received, b"")

    def test_nothingToWaitFor(self: Any) -> None:
        """
        A peer that reads, has nothing in flight and goes is not waited for.
        """
        wire = self.wire()
        wire.protocol.transport.write(b"answer")
        wire.pumpUntil(lambda: wire.peer.received)
        wire.protocol.lose()
        wire.pump()
        self.leave(wire)
        self.check(wire)
        self.assertEqual((wire.peer.received, self.over(wire)), (b"answer", "FIN"))

    def test_twice(self: Any) -> None:
        """
        Losing it again, at any stage, changes nothing.
        """
        wire = self.wire(sendBuffer=65536)
        wire.peer.send(b"unread")
        wire.waitForInput()
        wire.protocol.transport.write(b"x" * SIZE)
        for _ in range(3):
            wire.protocol.lose()
            wire.pump(0)
        self.readSlowly(wire)
        wire.protocol.lose()
        self.leave(wire)
        self.check(wire)
        self.assertEqual(len(wire.peer.received), SIZE)

    def test_pulledToItsEnd(self: Any) -> None:
        """
        A registered producer is waited for, and what it produces arrives.
        """
        wire = self.wire()
        wire.peer.send(b"unread")
        wire.waitForInput()
        rest = [b"%d" % number * 50_000 for number in range(6)]

        class Pulled:
            def resumeProducing(self) -> None:
                wire.protocol.transport.write(rest.pop(0))
                if not rest:
                    wire.protocol.transport.unregisterProducer()

            def stopProducing(self) -> None:
                rest.clear()

        everything = b"".join(rest)
        cooperator = Cooperator(scheduler=partial(wire.reactor.callLater, 0))
        self.patch(_producer_helpers, "cooperate", cooperator.cooperate)
        wire.protocol.transport.registerProducer(Pulled(), False)
        wire.protocol.lose()
        wire.pumpUntil(lambda: len(wire.peer.received) == len(everything))
        self.leave(wire)
        self.check(wire)
        self.assertEqual(wire.peer.received, everything)
