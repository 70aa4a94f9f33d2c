"""
What stands where a protocol belongs that is not built yet, and what the kernel says of who waits.
"""

from __future__ import annotations

import math
import select
import socket
import struct
import time
from typing import Any

from twisted.internet.protocol import Protocol
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from terminable.admission.makingroom import Idle
from terminable.interfaces import IHintingDrainer
from terminable.policy.admission import Admission
from terminable.terminator import Terminator
from terminable.tracking import lingering, sockets
from terminable.tracking.layers import canStepAside, isEmpty, layers, stepAside
from terminable.tracking.waiting import Waiting, innermost
from tests.doubles import Clock, MemoryFactory, Plain, connectTo
from tests.wire import Wire, connectedPair


class WaitingTests(SynchronousTestCase):
    """
    L{Waiting}.
    """

    def setUp(self) -> None:
        self.terminator = Terminator(Clock(), admission=Admission(capacity=1))
        self.wrapped: Any = self.terminator.wrap(MemoryFactory(Plain))

    def test_drainer(self) -> None:
        """
        It is its own drainer: busy, with nothing to announce.
        """
        waiting = Waiting(self.wrapped, None, self.terminator.gate)
        verifyObject(IHintingDrainer, waiting)
        self.assertTrue(waiting.isBusy())
        self.assertEqual(waiting.describe(), "waiting to be admitted")
        self.assertEqual(repr(waiting), "<Waiting local>")
        waiting.drain()
        waiting.hint(lambda: None)  # type: ignore[arg-type]
        self.assertEqual(waiting.lastWord(5), "")

    def test_innermost(self) -> None:
        """
        The application's protocol is found within wrappers; there is none when it is over.
        """
        protocol = Protocol()
        waiting = Waiting(self.wrapped, None, self.terminator.gate)
        self.assertIsNone(innermost(waiting))
        waiting.wrappedProtocol = protocol
        self.assertIs(innermost(waiting), protocol)

    def test_empty(self) -> None:
        """
        Its connection has no application yet, and does not linger.
        """
        wire = Wire(self.wrapped)
        self.addCleanup(wire.close)
        other = Wire(self.wrapped)
        self.addCleanup(other.close)
        self.assertFalse(isEmpty(layers(wire.transport)))
        self.assertTrue(isEmpty(layers(other.transport)))
        lingering.install(other.transport, Clock(), self.terminator.schedule)
        self.assertNotIn("loseConnection", vars(other.transport))

    def test_lostAtOnce(self) -> None:
        """
        Who is turned away while the connection begins is lost when its beginning is over:
        what is around may not be done with it.
        """
        nobody = Admission(capacity=1, queue=0, full="refuse", refusals=0)
        terminator = Terminator(Clock(), admission=nobody)
        wrapped: Any = terminator.wrap(MemoryFactory(Plain))
        for lost in (False, True):
            wire = Wire(wrapped)
            self.addCleanup(wire.close)
            self.assertEqual((wire.transport.connected, wire.transport.disconnecting), (1, lost))

    def test_refusedUncounted(self) -> None:
        """
        What somebody asks who is refused is not charged to him.
        """
        met: list[Any] = []
        self.patch(self.terminator.throttle, "meet", met.append)
        wire = Wire(self.wrapped)
        self.addCleanup(wire.close)
        self.assertEqual(met, [wire.transport])
        self.terminator.gate.admitted(wire.transport, refused=True)
        self.assertEqual(met, [wire.transport])

    def test_noPlace(self) -> None:
        """
        On a transport that does not name its protocol it stays, and passes everything on.
        """
        transport = StringTransport()
        waiting = Waiting(self.wrapped, None, self.terminator.gate)
        self.assertFalse(canStepAside(waiting, transport))
        self.assertFalse(stepAside(waiting, Protocol(), transport))

    def test_failingEnd(self) -> None:
        """
        A protocol that fails at the end of its connection is recorded all the same.
        """
        transport = connectTo(self.wrapped, Clock())

        def fail(reason: object) -> None:
            raise ZeroDivisionError

        transport.protocol.wrappedProtocol.connectionLost = fail
        self.assertRaises(ZeroDivisionError, transport.end)
        self.assertEqual(self.terminator.connections(), [])

    def test_refusesNobodyWhoIsDone(self) -> None:
        """
        A generation that has ended refuses before anybody waits.
        """
        self.terminator.terminate()
        self.assertIsNone(self.wrapped.buildProtocol(None))


class KernelTests(SynchronousTestCase):
    """
    What the kernel knows.
    """

    def pair(self, family: int = socket.AF_INET) -> tuple[socket.socket, socket.socket]:
        client, served = connectedPair(family)
        self.addCleanup(client.close)
        self.addCleanup(served.close)
        return client, served

    def arrives(self, served: socket.socket) -> None:
        select.select([served], [], [], 5)

    def test_there(self) -> None:
        """
        Somebody who has said something, or nothing, is there.
        """
        for family in (socket.AF_INET, socket.AF_UNIX):
            client, served = self.pair(family)
            self.assertFalse(sockets.gone(served))
            client.send(b"x")
            self.arrives(served)
            self.assertFalse(sockets.gone(served))

    def test_ended(self) -> None:
        """
        Somebody who has ended is gone when everything was read.
        """
        for family in (socket.AF_INET, socket.AF_UNIX):
            client, served = self.pair(family)
            client.send(b"x")
            client.close()
            self.arrives(served)
            self.assertFalse(sockets.gone(served))
            served.recv(10)
            self.assertTrue(sockets.gone(served))

    def test_reset(self) -> None:
        """
        Somebody who has reset is gone, whatever he had sent; so is a closed socket.
        """
        client, served = self.pair()
        client.send(b"x")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        self.arrives(served)
        self.assertTrue(sockets.gone(served))
        served.close()
        self.assertTrue(sockets.gone(served))

    def test_quiet(self) -> None:
        """
        How long nobody has spoken; for ever, where nobody knows.
        """
        began = time.monotonic()
        client, served = self.pair()
        client.send(b"x")
        self.arrives(served)
        self.assertLess(sockets.quiet(served), time.monotonic() - began + 0.1)
        self.assertEqual(sockets.quiet(self.pair(socket.AF_UNIX)[0]), math.inf)


class IdleTests(SynchronousTestCase):
    """
    L{Idle}.
    """

    def test_unknown(self) -> None:
        """
        Those whom nobody records any more, or who are gone, are passed over.
        """
        terminator = Terminator(Clock())
        inside = [(object(), 0.0), (object(), 0.0)]
        self.assertEqual(Idle().among(inside, {inside[0][0]: terminator.gate}, 10.0, 5), [])
