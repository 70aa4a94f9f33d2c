"""
Pauses of one transport, for several reasons.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from terminable.handover.holding import Hold
from terminable.tracking import pausing
from tests.doubles import MemoryTransport
from tests.wire import Wire


class Hearing(Protocol):
    """
    Remembers what it hears.
    """

    heard = b""

    def dataReceived(self, data: bytes) -> None:
        """
        There is something.
        """
        self.heard += data


class PausingTests(SynchronousTestCase):
    """
    A real transport.
    """

    def setUp(self) -> None:
        self.wire = self.make()
        self.transport = self.wire.transport

    def make(self, tls: bool = False) -> Wire:
        """
        A connection.
        """
        wire = Wire(Factory.forProtocol(Hearing), tls=tls)
        self.addCleanup(wire.close)
        return wire

    def reads(self) -> bool:
        """
        Whether the transport reads; if nobody wants a pause, it is as it was.
        """
        reads = self.transport in self.wire.reactor.readers
        self.assertEqual(reads, not pausing.pausedBy(self.transport))
        if reads:
            self.assertNotIn("pauseProducing", vars(self.transport))
            self.assertNotIn("resumeProducing", vars(self.transport))
        return reads

    def test_one(self) -> None:
        """
        A token pauses, and its return resumes; twice is as good as once.
        """
        for _ in range(2):
            pausing.pause(self.transport, "a")
        self.assertFalse(self.reads())
        self.assertEqual(pausing.pausedBy(self.transport), {"a"})
        for _ in range(2):
            pausing.resume(self.transport, "a")
            self.assertTrue(self.reads())

    def test_several(self) -> None:
        """
        It reads when all have given their tokens back; what nobody took counts nothing.
        """
        for token in ("a", "b", 5):
            pausing.pause(self.transport, token)
        for token in ("a", "nobody", 5):
            pausing.resume(self.transport, token)
            self.assertFalse(self.reads())
        pausing.resume(self.transport, "b")
        self.assertTrue(self.reads())

    def test_application(self) -> None:
        """
        The application's pause is one like any other, whoever comes first.
        """
        transport = self.transport
        transport.pauseProducing()
        pausing.pause(transport, "a")
        self.assertEqual(pausing.pausedBy(transport), {"a", pausing.APPLICATION})
        pausing.resume(transport, "a")
        self.assertFalse(self.reads())
        transport.resumeProducing()
        self.assertTrue(self.reads())
        pausing.pause(transport, "a")
        transport.pauseProducing()
        transport.resumeProducing()
        transport.resumeProducing()
        self.assertFalse(self.reads())
        pausing.resume(transport, "a")
        self.assertTrue(self.reads())

    def test_throughTLS(self) -> None:
        """
        So it is if the application speaks to a layer above.
        """
        wire = self.wire = self.make(tls=True)
        transport = self.transport = wire.transport
        pausing.pause(transport, "a")
        wire.protocol.transport.pauseProducing()
        pausing.resume(transport, "a")
        wire.peer.send(b"x")
        wire.pump()
        self.assertEqual(wire.protocol.heard, b"")
        wire.protocol.transport.resumeProducing()
        wire.pumpUntil(lambda: wire.protocol.heard)
        self.assertTrue(self.reads())

    def test_over(self) -> None:
        """
        When it is over, nothing is left; whoever pauses it then changes nothing.
        """
        pausing.pause(self.transport, "a")
        self.wire.close()
        pausing.forget(self.transport)
        pausing.forget(self.transport)
        for token in ("a", "b"):
            pausing.resume(self.transport, token)
            pausing.pause(self.transport, token)
        self.assertEqual(pausing.pausedBy(self.transport), frozenset())
        self.assertNotIn("pauseProducing", vars(self.transport))

    def test_lost(self) -> None:
        """
        A connection that was told to go is not made to read again.
        """
        pausing.pause(self.transport, "a")
        self.transport.loseConnection()
        pausing.resume(self.transport, "a")
        self.assertNotIn(self.transport, self.wire.reactor.readers)

    def test_onTheMove(self) -> None:
        """
        A pause that begins while the connection is on its way to another process, and ends
        then or later, is not taken for the application's.
        """
        for released in (False, True):
            hold = Hold(self.transport)
            pausing.pause(self.transport, "a")
            self.assertEqual(pausing.pausedBy(self.transport), {"a"})
            if released:
                hold.release()
                self.assertFalse(self.reads())
            pausing.resume(self.transport, "a")
            if not released:
                self.assertNotIn(self.transport, self.wire.reactor.readers)
                hold.release()
            self.assertTrue(self.reads())

    def test_beforeTheMove(self) -> None:
        """
        One that ends meanwhile has ended.
        """
        pausing.pause(self.transport, "a")
        hold = Hold(self.transport)
        pausing.resume(self.transport, "a")
        hold.release()
        self.assertTrue(self.reads())

    @given(st.lists(st.tuples(st.booleans(), st.sampled_from("abc*")), max_size=40))
    def test_anyOrder(self, steps: list[tuple[bool, str]]) -> None:
        """
        Whoever takes and gives back what in whatever order, it reads if and only if nobody
        has a token.
        """
        wanted: set[str] = set()
        transport = self.transport
        for begins, token in steps:
            if token == "*":
                (transport.pauseProducing if begins else transport.resumeProducing)()
            else:
                (pausing.pause if begins else pausing.resume)(transport, token)
            (wanted.add if begins else wanted.discard)(token)
            self.assertEqual(transport in self.wire.reactor.readers, not wanted)
        for token in "abc":
            pausing.resume(transport, token)
        transport.resumeProducing()
        self.assertTrue(self.reads())


class OtherTransportTests(SynchronousTestCase):
    """
    Transports without a reactor.
    """

    def test_producer(self) -> None:
        """
        One that can be paused is.
        """
        transport = StringTransport()
        pausing.pause(transport, "a")
        self.assertEqual(transport.producerState, "paused")
        transport.pauseProducing()
        pausing.resume(transport, "a")
        self.assertEqual(transport.producerState, "paused")
        transport.resumeProducing()
        self.assertEqual(transport.producerState, "producing")

    def test_ownMethods(self) -> None:
        """
        One that has been given methods of its own has them afterwards.
        """
        transport: Any = StringTransport()
        done: list[str] = []
        transport.pauseProducing = pauses = lambda: done.append("pause")
        transport.resumeProducing = resumes = lambda: done.append("resume")
        pausing.pause(transport, "a")
        pausing.resume(transport, "a")
        self.assertEqual(done, ["pause", "resume"])
        self.assertEqual((transport.pauseProducing, transport.resumeProducing), (pauses, resumes))

    def test_cannot(self) -> None:
        """
        Of one that cannot be paused it is known who wants it to be.
        """
        transport: Any = MemoryTransport(Clock())
        pausing.pause(transport, "a")
        self.assertEqual(pausing.pausedBy(transport), {"a"})
        pausing.resume(transport, "a")
        self.assertEqual(pausing.pausedBy(transport), frozenset())
        self.assertFalse(hasattr(transport, "pauseProducing"))
