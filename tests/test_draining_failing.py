"""
What drainers and transports that fail cost, and what the report says of them.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from twisted.python.components import registerAdapter
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from terminable.drainers.plain import NothingToSay
from terminable.interfaces import IDrainer, IHintingDrainer
from terminable.policy.ledger import Outcome, State
from tests.doubles import Boom, Hinting, Keeping, Plain, Polite, World


class FailingTests(SynchronousTestCase):
    """
    Drainers that fail: each costs its own connection alone.
    """

    def check(self, *methods: str, busy: bool = True) -> World:
        """
        One whose C{methods} fail, among others that are fine.
        """

        def fail(*details: Any) -> Any:
            raise Boom

        world = World(Hinting, gracePeriod=2)
        transports = [world.connect(port=number) for number in (1, 2, 3)]
        for protocol in world.factory.protocols:
            protocol.busy = busy
        for method in methods:
            setattr(world.factory.protocols[1], method, fail)
        result = world.terminator.terminate()
        world.pass_(1.5)
        self.assertEqual(world.factory.protocols[2].drained, 1)
        for index in (0, 2):
            world.factory.protocols[index].finish()
        world.clock.advance(0)
        self.assertEqual([it.over for it in transports], [True, False, True])
        self.assertNoResult(result)
        world.pass_(0.6)
        self.assertTrue(transports[1].over)
        self.report = self.successResultOf(result)
        self.assertEqual(self.report.opened, 3)
        self.assertGreater(len(self.flushLoggedErrors(Boom)), 0)
        self.assertEqual(world.clock.getDelayedCalls(), [])
        return world

    def test_isBusy(self) -> None:
        """
        Who cannot say whether it is busy is taken for busy, and aborted at the deadline.
        """
        self.check("isBusy")
        self.assertEqual((self.report.finished, self.report.aborted), (2, 1))

    def test_hint(self) -> None:
        """
        Who cannot be hinted at goes on.
        """
        self.check("hint")
        self.assertEqual((self.report.finished, self.report.aborted), (2, 1))

    def test_drain(self) -> None:
        """
        Who cannot be drained stays until the deadline.
        """
        self.check("drain")
        self.assertEqual((self.report.finished, self.report.aborted), (2, 1))

    def test_drainIdle(self) -> None:
        """
        So does one with nothing in flight.
        """
        self.check("drain", busy=False)
        self.assertEqual((self.report.idle, self.report.aborted), (2, 1))

    def test_everything(self) -> None:
        """
        Who can do nothing at all is aborted, and named as well as it can be.
        """
        self.check("isBusy", "hint", "drain", "describe", "lastWord")
        [entry] = self.report.stragglers
        self.assertEqual((entry.peer, entry.doing), ("127.0.0.1:2", ""))

    def test_silent(self) -> None:
        """
        Who cannot even say whether it has anything to say is ended like one that has not.
        """

        class Failing(Hinting):
            @property
            def silent(self) -> bool:  # type: ignore[override]
                raise Boom

        world = World(Failing, gracePeriod=2)
        idle, busy = world.connect(), world.connect()
        world.factory.protocols[1].busy = True
        result = world.terminator.terminate()
        world.pass_(1.1)
        self.assertEqual((idle.over, busy.over), (True, False))
        world.pass_(1)
        report = self.successResultOf(result)
        self.assertEqual((report.idle, report.aborted, busy.aborted), (1, 1, True))
        self.assertGreater(len(self.flushLoggedErrors(Boom)), 0)

    def test_plain(self) -> None:
        """
        It is the same for those who know two words only.
        """

        class Failing(Polite):
            def drain(self) -> None:
                raise Boom

        world = World(Failing, gracePeriod=1)
        world.connect()
        world.factory.protocols[0].busy = True
        result = world.terminator.terminate()
        world.pass_(1.1)
        self.assertEqual(self.successResultOf(result).aborted, 1)
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)

    def test_lookedAtLater(self) -> None:
        """
        One that fails when it is looked at for another time leaves the rest in order.
        """
        world = World(Keeping, gracePeriod=5)
        world.connect()
        [protocol] = world.factory.protocols
        protocol.busy = True
        result = world.terminator.terminate()
        world.pass_(2)
        protocol.busy = False

        def fail() -> None:
            raise Boom

        protocol.drain = fail
        protocol.told()
        world.pass_(0.1)
        world.pass_(3)
        report = self.successResultOf(result)
        self.assertEqual((report.aborted, world.clock.getDelayedCalls()), (1, []))
        self.flushLoggedErrors(Boom)

    def test_abortConnection(self) -> None:
        """
        A transport that cannot even be aborted does not hold up the end.
        """

        def fail() -> None:
            raise Boom

        world = World(gracePeriod=1)
        first, second = world.connect(), world.connect()
        first.abortConnection = fail  # type: ignore[method-assign]
        for protocol in world.factory.protocols:
            protocol.busy = True
        result = world.terminator.terminate()
        world.pass_(2.2)
        self.assertTrue(second.aborted)
        self.assertEqual(self.successResultOf(result).aborted, 2)
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)


class WorseTests(SynchronousTestCase):
    """
    What is not even an C{Exception}: a cancelled task, say.
    """

    def check(self, stop: str, *methods: str) -> None:
        def fail(*details: Any) -> Any:
            raise asyncio.CancelledError

        world = World(Hinting, gracePeriod=2)
        for _ in range(3):
            world.connect()
        for protocol in world.factory.protocols:
            protocol.busy = True
            for method in methods:
                setattr(protocol, method, fail)
        result = getattr(world.terminator, stop)()
        world.pass_(3.5)
        self.assertEqual(self.successResultOf(result).opened, 3)
        self.assertEqual(world.clock.getDelayedCalls(), [])
        self.assertGreater(len(self.flushLoggedErrors(asyncio.CancelledError)), 0, (stop, methods))

    def test_everywhere(self) -> None:
        """
        It costs no more than other exceptions do, whoever raises it.
        """
        for stop in ("terminate", "abort"):
            for method in ("isBusy", "describe"):
                self.check(stop, method)
        for method in ("hint", "drain", "lastWord"):
            self.check("terminate", method)

    def test_answered(self) -> None:
        """
        Who cannot even say whether he has answered is counted all the same.
        """

        class Evasive(Hinting):
            @property
            def answered(self) -> bool:
                raise Boom

        world = World(Evasive)
        world.connect()
        result = world.terminator.terminate()
        world.pass_(1.1)
        self.assertEqual(self.successResultOf(result).idle, 1)
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)

    def test_goneAfterItsLastWord(self) -> None:
        """
        Who goes by himself after his last word is left in peace, while others are cut
        off.
        """
        world = World(Hinting, gracePeriod=1)
        first, second = world.connect(), world.connect()
        for protocol in world.factory.protocols:
            protocol.busy = True
            protocol.word = "503"
        result = world.terminator.terminate()
        world.clock.advance(1)
        first.end()
        world.clock.advance(1)
        self.assertEqual((first.disconnecting, second.disconnecting), (False, True))
        self.assertEqual(self.successResultOf(result).aborted, 2)

    def test_goneInTheSameTurn(self) -> None:
        """
        Who is lost while another one is being aborted is not aborted any more.
        """
        world = World()
        first, second = world.connect(), world.connect()

        def isBusy() -> bool:
            second.end()
            return True

        world.factory.protocols[0].isBusy = isBusy
        result = world.terminator.abort()
        world.clock.advance(0)
        self.assertEqual((first.aborted, second.aborted), (True, False))
        self.assertEqual(self.successResultOf(result).opened, 2)


class Adapted(Plain):
    """
    A protocol whose drainer is somebody else's adapter.
    """


@implementer(IHintingDrainer)
class Remembering(NothingToSay):
    """
    An adapter with something to remember, silent though it is.
    """

    silent = True
    made: ClassVar[list[Any]] = []

    def __init__(self, protocol: Any) -> None:
        self.made.append(protocol)

    def isBusy(self) -> bool:
        return False

    def drain(self) -> None:
        """
        Never called: it is silent.
        """


class AdapterTests(SynchronousTestCase):
    """
    Drainers that are adapters.
    """

    def test_keptForAnIdleConnection(self) -> None:
        """
        The adapter is made once for a stop, also if its connection is idle.
        """
        registerAdapter(Remembering, Adapted, IDrainer)
        world = World(Adapted)
        world.connect()
        result = world.terminator.terminate()
        world.pass_(1.1)
        self.assertEqual(self.successResultOf(result).idle, 1)
        self.assertEqual(Remembering.made, world.factory.protocols)


class NewTests(SynchronousTestCase):
    """
    The report's names.
    """

    def test_leftAfterAWhile(self) -> None:
        """
        Who left is named with what it was doing.
        """
        world = World(Hinting)
        transport = world.connect(port=7)
        world.factory.protocols[0].busy = True
        result = world.terminator.terminate()
        world.clock.advance(3)
        transport.end()
        [entry] = self.successResultOf(result).entries
        self.assertEqual(
            (entry.outcome, entry.state, entry.doing, entry.peer, entry.age),
            (Outcome.LEFT, State.BUSY, "doing something", "127.0.0.1:7", 3.0),
        )
