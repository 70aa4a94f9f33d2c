"""
Server transports that record themselves, and ports that already listen.
"""

from __future__ import annotations

import gc
from typing import Any

from twisted.internet import reactor, tcp, unix
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.error import ConnectionDone
from twisted.internet.main import CONNECTION_DONE
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from terminable.errors import CannotAttach
from terminable.tracking.transports import (
    attach,
    canAttach,
    detach,
    hookEnd,
    isRecorded,
    recording,
)
from tests.wire import Recording, Wire

ended = Failure(ConnectionDone())


class Told(Protocol):
    """
    Asks, when its connection is lost, who else knows of it.
    """

    recorder: Recording
    live: Any = None

    def connectionLost(self, reason: Failure = ended) -> None:
        self.live = list(self.recorder.live)


class RecordingTests(SynchronousTestCase):
    """
    L{recording}.
    """

    def setUp(self) -> None:
        self.recorder = Recording()
        self.kind = recording(tcp.Server, self.recorder)

    def wire(self, factory: Any = None) -> Wire:
        """
        A recorded connection.
        """
        wire = Wire(factory or Factory.forProtocol(Protocol), kind=self.kind)
        self.addCleanup(wire.close)
        return wire

    def test_recordedFromItsFirstMoment(self) -> None:
        """
        A transport is recorded when it exists, before its protocol is connected.
        """
        known: list[Any] = []
        recorder = self.recorder

        class Looks(Protocol):
            def connectionMade(self) -> None:
                known.extend(recorder.live)

        wire = self.wire(Factory.forProtocol(Looks))
        self.assertEqual(known, [wire.transport])
        self.assertEqual(recorder.seen, [wire.transport])

    def test_goneAfterItsProtocolWasTold(self) -> None:
        """
        It is recorded until its protocol knows of the end.
        """
        factory = Factory.forProtocol(Told)
        wire = self.wire(factory)
        wire.protocol.recorder = self.recorder
        wire.peer.socket.close()
        wire.pumpUntil(lambda: not wire.transport.connected, 0)
        self.assertEqual(wire.protocol.live, [wire.transport])
        self.assertEqual((self.recorder.live, self.recorder.ended), ([], [wire.transport]))

    def test_goneAlthoughItsProtocolFails(self) -> None:
        """
        An exception in the protocol's C{connectionLost} is its own affair.
        """

        class Broken(Protocol):
            def connectionLost(self, reason: Failure = ended) -> None:
                raise ZeroDivisionError

        wire = self.wire(Factory.forProtocol(Broken))
        self.assertRaises(ZeroDivisionError, wire.transport.connectionLost, ended)
        self.assertEqual(self.recorder.live, [])

    def test_asksBeforeItCloses(self) -> None:
        """
        When everything is written, the recorder decides whether to close.
        """
        asked: list[Any] = []

        def stay(transport: Any) -> None:
            asked.append(transport)

        self.recorder.decide = stay
        wire = self.wire()
        wire.transport.loseConnection()
        wire.pump()
        self.assertEqual(asked, [wire.transport])
        self.assertTrue(wire.transport.connected)
        self.recorder.decide = lambda transport: CONNECTION_DONE
        wire.transport.startWriting()
        wire.pump()
        self.assertFalse(wire.transport.connected)

    def test_looksLikeWhatItWas(self) -> None:
        """
        Name, module and documentation are those of the class before.
        """
        for base in (tcp.Server, unix.Server):
            made = recording(base, self.recorder)
            self.assertTrue(issubclass(made, base))
            for name in ("__name__", "__qualname__", "__module__", "__doc__"):
                self.assertEqual(getattr(made, name), getattr(base, name))

    def test_isRecorded(self) -> None:
        """
        Recorded classes and their instances are told from others.
        """
        self.assertTrue(isRecorded(self.kind))
        self.assertTrue(isRecorded(self.wire().transport))
        other = Wire(Factory.forProtocol(Protocol))
        self.addCleanup(other.close)
        self.assertFalse(isRecorded(tcp.Server))
        self.assertFalse(isRecorded(other.transport))


class HookEndTests(SynchronousTestCase):
    """
    L{hookEnd}.
    """

    def setUp(self) -> None:
        self.recorder = Recording()
        self.wire = Wire(Factory.forProtocol(Told))
        self.wire.protocol.recorder = self.recorder
        self.addCleanup(self.wire.close)

    def hook(self) -> Any:
        """
        The transport, hooked.
        """
        self.recorder.opened(self.wire.transport)
        hookEnd(self.wire.transport, self.recorder)
        return self.wire.transport

    def test_theEndIsTold(self) -> None:
        """
        The recorder is told after the protocol, and nothing is left on the transport.
        """
        transport = self.hook()
        transport.connectionLost(ended)
        self.assertEqual(self.wire.protocol.live, [transport])
        self.assertEqual(self.recorder.ended, [transport])
        self.assertNotIn("connectionLost", vars(transport))

    def test_theEndOnTheWireIsTold(self) -> None:
        """
        The same when the peer goes.
        """
        transport = self.hook()
        self.wire.peer.socket.close()
        self.wire.pumpUntil(lambda: not transport.connected, 0)
        self.assertEqual(self.recorder.ended, [transport])

    def test_somebodyElsesHookIsKept(self) -> None:
        """
        What somebody has put there before is called as before.
        """
        called: list[Failure] = []
        transport = self.wire.transport
        original = transport.connectionLost

        def former(reason: Failure) -> None:
            called.append(reason)
            original(reason)

        transport.connectionLost = former
        self.hook().connectionLost(ended)
        self.assertEqual(called, [ended])
        self.assertFalse(transport.connected)
        self.assertEqual(self.recorder.ended, [transport])

    def test_twoRecorders(self) -> None:
        """
        Two who record the same connection are both told, once.
        """
        transport = self.hook()
        other = Recording()
        other.opened(transport)
        hookEnd(transport, other)
        transport.connectionLost(ended)
        self.assertEqual((self.recorder.ended, other.ended), ([transport], [transport]))

    def test_exceptionsPass(self) -> None:
        """
        An exception in the protocol's C{connectionLost} is its own affair.
        """
        del self.wire.protocol.recorder
        transport = self.hook()
        self.assertRaises(AttributeError, transport.connectionLost, ended)
        self.assertEqual(self.recorder.ended, [transport])


class Accepting(Factory[Protocol]):
    """
    Collects its protocols.
    """

    def __init__(self) -> None:
        self.built: list[Protocol] = []
        self.more: Deferred[None] = Deferred()

    def buildProtocol(self, addr: Any) -> Protocol:
        factory = self

        class Counted(Protocol):
            def connectionMade(self) -> None:
                factory.built.append(self)
                factory.more.callback(None)

        return Counted()


class AttachTests(TestCase):
    """
    L{attach}, on ports of the running reactor.
    """

    def setUp(self) -> None:
        self.recorder = Recording()
        self.factory = Accepting()
        self.reactor: Any = reactor
        self.port = self.reactor.listenTCP(0, self.factory, interface="127.0.0.1")
        self.addCleanup(self.port.stopListening)

    def connect(self) -> Deferred[None]:
        """
        One more client.
        """
        from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol

        self.factory.more = Deferred()
        number = self.port.getHost().port
        made: Any = connectProtocol(
            TCP4ClientEndpoint(self.reactor, "127.0.0.1", number), Protocol()
        )
        made.addCallback(lambda client: self.addCleanup(client.transport.abortConnection))
        return made.addCallback(lambda _: self.factory.more)  # type: ignore[no-any-return]

    @inlineCallbacks
    def test_recordsFromNowOn(self) -> Any:
        """
        Every connection accepted from now on is recorded.
        """
        attach(self.port, self.recorder)
        yield self.connect()
        yield self.connect()
        self.assertEqual(self.recorder.live, [it.transport for it in self.factory.built])
        for protocol in self.factory.built:
            protocol.transport.connectionLost(ended)
        self.assertEqual(self.recorder.live, [])

    @inlineCallbacks
    def test_findsThoseThatAreThere(self) -> Any:
        """
        Connections that existed before are recorded, paused ones too, those of other
        ports and those that are over are not.
        """
        other = self.reactor.listenTCP(0, self.factory, interface="127.0.0.1")
        self.addCleanup(other.stopListening)
        for _ in range(3):
            yield self.connect()
        mine, self.port = self.port, other
        yield self.connect()
        over, paused, reading, elsewhere = [it.transport for it in self.factory.built]
        over.connectionLost(ended)
        paused.pauseProducing()
        attach(mine, self.recorder)
        self.assertCountEqual(self.recorder.live, [paused, reading])
        reading.connectionLost(ended)
        self.assertEqual(self.recorder.live, [paused])
        paused.connectionLost(ended)
        elsewhere.connectionLost(ended)
        self.assertEqual(self.recorder.live, [])

    def test_looksForNobodyOnAFreshPort(self) -> None:
        """
        A port that has accepted nobody yet is attached to without a search.
        """
        self.patch(gc, "get_objects", lambda: self.fail("searched"))
        attach(self.port, self.recorder)
        self.assertTrue(isRecorded(self.port.transport))

    def test_onlyOnce(self) -> None:
        """
        A port that is recorded already is refused, and the line says what it is.
        """
        attach(self.port, self.recorder)
        self.assertFalse(canAttach(self.port))
        error = self.assertRaises(CannotAttach, attach, self.port, Recording())
        self.assertIn("is recorded already", str(error))

    def test_somethingElse(self) -> None:
        """
        What is no TCP or UNIX port is refused.
        """
        self.assertFalse(canAttach(object()))
        self.assertRaises(CannotAttach, attach, object(), self.recorder)

    @inlineCallbacks
    def test_detach(self) -> Any:
        """
        After L{detach} nobody else is recorded, and the port is as it was before.
        """
        before = self.port.transport
        attach(self.port, self.recorder)
        detach(self.port)
        self.assertIs(self.port.transport, before)
        yield self.connect()
        self.assertEqual(self.recorder.seen, [])
        self.assertTrue(canAttach(self.port))
        self.factory.built[0].transport.connectionLost(ended)

    def test_detachWhatWasNeverAttached(self) -> None:
        """
        It does no harm where nothing was attached, or is no port at all.
        """
        before = self.port.transport
        detach(self.port)
        detach(object())
        self.assertIs(self.port.transport, before)
