"""
The phase table in motion.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from terminable.machine import Machine
from terminable.policy.phases import Effect, Event, Phase
from terminable.policy.schedule import Schedule, Times
from tests.doubles import Boom


class MachineTestCase(SynchronousTestCase):
    """
    A machine whose effects are written down, and may do something more.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.done: list[Any] = []
        self.also: dict[Effect, Callable[[], object]] = {}
        self.machine = Machine(self.clock, {effect: self._effect(effect) for effect in Effect})
        self.machine.observers.append(self)

    def phaseChanged(self, old: Phase, new: Phase) -> None:
        """
        We are an observer.
        """
        self.done.append((old, new))

    def _effect(self, effect: Effect) -> Callable[[], object]:
        def carryOut() -> None:
            self.done.append(effect)
            self.also.get(effect, lambda: None)()

        return carryOut

    def times(self, **times: Any) -> None:
        self.machine.times = Schedule(**times).times(self.clock.seconds())


class MachineTests(MachineTestCase):
    """
    Events in, effects out.
    """

    def test_begins(self) -> None:
        """
        A machine begins by serving, with nothing to come.
        """
        self.assertIs(self.machine.phase, Phase.SERVING)
        self.assertIsNone(self.machine.times)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_effectsInOrder(self) -> None:
        """
        An event has its effects in the table's order; then the change is told.
        """
        self.machine.feed(Event.ABORT)
        self.assertEqual(
            self.done,
            [Effect.CLOSE_PORTS, Effect.ABORT_ALL, (Phase.SERVING, Phase.ABORTING)],
        )

    def test_nothingToDo(self) -> None:
        """
        An event that means nothing now has no effect, and no change is told.
        """
        self.machine.feed(Event.EMPTY)
        self.assertEqual(self.done, [])

    def test_consequencesWait(self) -> None:
        """
        An event that an effect causes waits until the other effects are carried out,
        and whoever is told of changes is told after all of them.
        """
        self.also[Effect.CLOSE_PORTS] = lambda: self.machine.feed(Event.EMPTY)
        self.machine.feed(Event.ABORT)
        self.assertEqual(
            self.done,
            [
                Effect.CLOSE_PORTS,
                Effect.ABORT_ALL,
                Effect.REPORT,
                (Phase.SERVING, Phase.ABORTING),
                (Phase.ABORTING, Phase.TERMINATED),
            ],
        )

    def test_anEffectThatFails(self) -> None:
        """
        An effect that fails is logged; the others are carried out, and the phase
        changes all the same.
        """

        def fail() -> None:
            raise Boom

        self.also[Effect.CLOSE_PORTS] = fail
        self.machine.feed(Event.ABORT)
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)
        self.assertIs(self.machine.phase, Phase.ABORTING)
        self.assertIn(Effect.ABORT_ALL, self.done)
        self.machine.feed(Event.EMPTY)
        self.assertIs(self.machine.phase, Phase.TERMINATED)


class NewsTests(MachineTestCase):
    """
    Telling others.
    """

    def test_atOnce(self) -> None:
        """
        When nothing is going on, news are told at once.
        """
        self.machine.later(lambda: self.done.append("news"))
        self.assertEqual(self.done, ["news"])

    def test_whenEverythingIsInOrder(self) -> None:
        """
        News of an effect are told when the phase has changed.
        """
        self.also[Effect.HINT] = lambda: self.machine.later(
            lambda: self.done.append(self.machine.phase)
        )
        self.machine.feed(Event.TERMINATE)
        self.assertEqual(self.done[-1], Phase.QUIESCING)

    def test_newsThatFail(self) -> None:
        """
        What somebody raises who is told is logged; the others are told.
        """

        def fail() -> None:
            raise Boom

        self.also[Effect.HINT] = lambda: self.machine.later(fail)
        self.machine.feed(Event.TERMINATE)
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)
        self.assertEqual(self.done, [Effect.HINT, (Phase.SERVING, Phase.QUIESCING)])

    def test_newsMayAskForMore(self) -> None:
        """
        Whoever is told may cause another event; all is told in the order in which it
        happened.
        """
        self.also[Effect.HINT] = lambda: self.machine.later(lambda: self.machine.feed(Event.ABORT))
        self.machine.feed(Event.TERMINATE)
        self.assertEqual(
            self.done,
            [
                Effect.HINT,
                (Phase.SERVING, Phase.QUIESCING),
                Effect.CLOSE_PORTS,
                Effect.ABORT_ALL,
                (Phase.QUIESCING, Phase.ABORTING),
            ],
        )


class TimerTests(MachineTestCase):
    """
    What happens in time.
    """

    def test_everythingInTime(self) -> None:
        """
        The quiesce time, the idle grace and the grace period end when they should, and
        leave no delayed call behind.
        """
        self.times(gracePeriod=10, idleGrace=2, quiesce=3)
        self.machine.feed(Event.TERMINATE)
        phases = []
        for _ in range(11):
            self.clock.advance(1)
            phases.append((self.clock.seconds(), self.machine.phase, len(self.done)))
        self.assertEqual(phases[1][1], Phase.QUIESCING)
        self.assertEqual(phases[2][1], Phase.DRAINING)
        self.assertNotIn(Effect.LOSE_IDLE, self.done[: phases[3][2]])
        self.assertIn(Effect.LOSE_IDLE, self.done[: phases[4][2]])
        self.assertEqual(phases[8][1], Phase.DRAINING)
        self.assertEqual(phases[9][1], Phase.ABORTING)
        self.assertIn(Effect.LAST_WORDS, self.done)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_noTimeAtAll(self) -> None:
        """
        What is already over happens at once.
        """
        self.times(gracePeriod=10, idleGrace=0, quiesce=0)
        self.machine.feed(Event.TERMINATE)
        self.assertIs(self.machine.phase, Phase.DRAINING)
        self.assertIn(Effect.LOSE_IDLE, self.done)

    def test_noGraceAtAll(self) -> None:
        """
        A grace period of 0 aborts at once, and nothing is drained first.
        """
        self.times(gracePeriod=0)
        self.machine.feed(Event.TERMINATE)
        self.assertIs(self.machine.phase, Phase.ABORTING)
        self.assertNotIn(Effect.DRAIN, self.done)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_noDeadline(self) -> None:
        """
        Without a deadline the drain goes on for as long as it takes.
        """
        self.times(gracePeriod=None)
        self.machine.feed(Event.TERMINATE)
        self.clock.pump([1.0] * 5)
        self.assertIs(self.machine.phase, Phase.DRAINING)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_setAnew(self) -> None:
        """
        Times that are set anew replace those before.
        """
        self.times(gracePeriod=10)
        self.machine.feed(Event.TERMINATE)
        assert isinstance(self.machine.times, Times)
        self.machine.times = self.machine.times.shortened(2.0)
        self.machine.setTimers()
        self.clock.advance(2)
        self.assertIs(self.machine.phase, Phase.ABORTING)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_feedLater(self) -> None:
        """
        An event may be made to happen after some time.
        """
        self.machine.feed(Event.ABORT)
        self.machine.feedLater(1.0, Event.GIVE_UP)
        self.clock.advance(0.5)
        self.assertIs(self.machine.phase, Phase.ABORTING)
        self.clock.advance(0.5)
        self.assertIs(self.machine.phase, Phase.TERMINATED)

    def test_feedLaterFromAnEffect(self) -> None:
        """
        What an effect has arranged to happen is not forgotten when the phase changes
        with it.
        """
        self.also[Effect.ABORT_ALL] = lambda: self.machine.feedLater(1.0, Event.GIVE_UP)
        self.times(gracePeriod=10)
        self.machine.feed(Event.ABORT)
        self.clock.advance(1)
        self.assertIs(self.machine.phase, Phase.TERMINATED)

    def test_stopTimers(self) -> None:
        """
        Everything that was to come can be called off, and it may be called off twice.
        """
        self.times(gracePeriod=10, quiesce=1)
        self.machine.feed(Event.TERMINATE)
        self.assertEqual(len(self.clock.getDelayedCalls()), 2)
        self.machine.stopTimers()
        self.machine.stopTimers()
        self.assertEqual(self.clock.getDelayedCalls(), [])
