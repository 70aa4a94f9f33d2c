"""
What is called of others may fail, or be odd, and the stop goes on.
"""

from __future__ import annotations

import errno
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from terminable.errors import CannotAttach, InvalidOption, NotServing
from terminable.interfaces import IDrainer
from terminable.policy.phases import Phase
from terminable.progress import ProgressLines
from terminable.terminator import Terminator
from tests.doubles import (
    Boom,
    HandReactor,
    Hinting,
    MemoryEndpoint,
    MemoryFactory,
    MemoryPort,
    Plain,
    Polite,
    World,
    listeningPort,
)


class Unspeakable:
    """
    An address that cannot be written out.
    """

    def __str__(self) -> str:
        raise Boom

    __repr__ = __str__


class AddressTests(SynchronousTestCase):
    """
    A transport has an address that cannot be told.
    """

    def test_deadline(self) -> None:
        """
        The deadline holds all the same.
        """
        world = World(type("Busy", (Hinting,), {"busy": True}), gracePeriod=2)
        transport = world.connect()
        transport._peer = Unspeakable()  # type: ignore[assignment]
        result = world.terminator.terminate()
        world.pass_(2.1)
        self.assertTrue(transport.aborted)
        report = self.successResultOf(result)
        self.assertEqual((report.aborted, report.entries[0].peer), (1, "somebody"))
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)

    def test_left(self) -> None:
        """
        Who leaves is over, and the stop does not wait for him.
        """
        world = World(type("Busy", (Hinting,), {"busy": True}))
        transport = world.connect()
        transport._peer = Unspeakable()  # type: ignore[assignment]
        result = world.terminator.terminate()
        transport.end()
        self.assertEqual(self.successResultOf(result).left, 1)
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)


@implementer(IDrainer)
class Empty(Plain):
    """
    A protocol that knows how to say goodbye, and is a collection with nothing in it.
    """

    drained = 0

    def __len__(self) -> int:
        return 0

    def isBusy(self) -> bool:
        return False

    def drain(self) -> None:
        self.drained += 1
        self.transport.loseConnection()  # type: ignore[union-attr]


class TruthTests(SynchronousTestCase):
    """
    Objects that Python takes for false.
    """

    def test_drainer(self) -> None:
        """
        A protocol without anything in it says goodbye like others, and has its name.
        """
        world = World(Empty)
        world.connect()
        [connection] = world.terminator.connections()
        self.assertEqual(connection.protocolName, "Empty")
        result = world.terminator.terminate()
        world.pass_(1.1)
        self.assertEqual(world.factory.protocols[0].drained, 1)
        self.assertEqual(self.successResultOf(result).idle, 1)


class AbortTests(SynchronousTestCase):
    """
    What is asked about a connection at its deadline fails.
    """

    def test_aborted(self) -> None:
        """
        It is aborted nevertheless, and counted.
        """
        world = World(type("Busy", (Hinting,), {"busy": True}), gracePeriod=2)
        transport = world.connect()
        result = world.terminator.terminate()
        world.pass_(1)

        def fail(*args: object) -> None:
            raise Boom

        [connection] = world.terminator.connections()
        self.patch(type(connection), "entry", fail)
        world.pass_(1.1)
        self.assertTrue(transport.aborted)
        self.assertEqual(self.successResultOf(result).aborted, 1)
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)


class BadGraceTests(SynchronousTestCase):
    """
    A stop is asked for with a grace period that is none.
    """

    def test_nothingHappens(self) -> None:
        """
        Generations that drain on their own go on to do so.
        """
        world = World(Polite, gracePeriod=20)
        port = MemoryPort(world.wrapped, world.clock)
        port.connect(delay=None)
        world.terminator.release()
        [old] = world.terminator.generations
        for wrong in (-1, "x", 10**400):
            self.assertRaises(InvalidOption, world.terminator.terminate, wrong)
        self.assertFalse(old.part)
        self.assertEqual(world.terminator.phase, Phase.RELEASED)


class KeepTests(SynchronousTestCase):
    """
    The ports cannot be kept in a release.
    """

    def test_noDescriptors(self) -> None:
        """
        Whoever has no descriptor left goes on to serve, and may try again.
        """
        reactor = HandReactor()
        terminator = Terminator(reactor)
        factory = MemoryFactory(Plain)
        ports = [listeningPort(reactor, factory) for _ in range(2)]
        for port in ports:
            terminator.attach(port)
        full = OSError(errno.EMFILE, "too many")

        class Full:
            def __init__(self, sock: Any) -> None:
                self._sock = sock

            def __getattr__(self, name: str) -> Any:
                return getattr(self._sock, name)

            def dup(self) -> Any:
                raise full

        real = ports[1].socket
        ports[1].socket = Full(real)
        self.assertRaises(OSError, terminator.release, keep=True)
        self.assertEqual(terminator.phase, Phase.SERVING)
        self.assertEqual(list(terminator.generations), [])
        self.assertTrue(ports[0]._shouldShutdown)
        ports[1].socket = real
        result = terminator.terminate()
        reactor.turn(1.1)
        reactor.turn()
        self.assertEqual(self.successResultOf(result).opened, 0)


class ListenTests(SynchronousTestCase):
    """
    Listening is given up, or ends in nothing.
    """

    def test_cancelledWhileRefused(self) -> None:
        """
        A port that opens after the stop has begun is closed, also if nobody waits for that.
        """
        clock = Clock()
        terminator = Terminator(clock)
        closing: Deferred[None] = Deferred(lambda _: cancelled.append(True))
        cancelled: list[bool] = []

        class Slow(MemoryPort):
            def stopListening(self) -> Any:
                super().stopListening()
                return closing

        endpoint = MemoryEndpoint(clock, Slow)
        endpoint.held = Deferred()
        listening = terminator.listen(endpoint, MemoryFactory(Plain))
        terminator.terminate()
        held, endpoint.held = endpoint.held, None
        held.callback(None)
        self.assertNoResult(listening)
        listening.cancel()
        self.failureResultOf(listening, CancelledError)
        self.assertEqual(cancelled, [])
        closing.callback(None)

    def test_anothersPort(self) -> None:
        """
        A port that another terminator has is none of ours, and changes nothing.
        """
        reactor = HandReactor()
        theirs, ours = Terminator(reactor), Terminator(reactor)
        port = listeningPort(reactor, MemoryFactory(Plain))
        self.addCleanup(port.connectionLost, None)
        theirs.attach(port)
        self.successResultOf(ours.terminate())
        self.assertRaises(CannotAttach, ours.attach, port)
        self.assertEqual(ours.phase, Phase.TERMINATED)

    def test_duringEveryPartOfAStop(self) -> None:
        """
        Nobody may listen from a call during a stop, whichever part of it that is.
        """
        world = World(Polite, gracePeriod=3, quiesce=1)
        endpoint = MemoryEndpoint(world.clock)
        seen: list[Phase] = []

        class Listening:
            def phaseChanged(self, old: Phase, new: Phase) -> None:
                tried = world.terminator.listen(endpoint, MemoryFactory(Plain))
                if new.stopping:
                    case.failureResultOf(tried, NotServing)
                    seen.append(new)

            def portsClosed(self) -> None:
                pass

            def terminated(self, report: Any) -> None:
                pass

        case = self
        world.connect(delay=None)
        world.factory.protocols[0].busy = True
        world.terminator.addObserver(Listening())
        world.terminator.terminate()
        world.pass_(3.5)
        self.assertEqual(seen, [Phase.QUIESCING, Phase.DRAINING, Phase.ABORTING])


class ShowTests(SynchronousTestCase):
    """
    What shows the progress fails.
    """

    def test_goesOn(self) -> None:
        """
        That is logged, the next line comes in its time, and what was shown is hidden at last.
        """
        world = World(type("Busy", (Hinting,), {"busy": True}), gracePeriod=2.5)
        shown: list[str] = []
        hidden: list[bool] = []

        def show(line: str) -> None:
            shown.append(line)
            raise Boom

        lines = ProgressLines(world.clock, world.terminator, show, lambda: hidden.append(True))
        world.terminator.addObserver(lines)
        world.connect()
        world.terminator.terminate()
        world.pass_(5)
        self.assertEqual((len(shown), hidden), (2, [True]))
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 2)
        self.assertEqual(world.clock.getDelayedCalls(), [])
