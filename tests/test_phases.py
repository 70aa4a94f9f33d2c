"""
The phase table, cell by cell, and along random paths.
"""

from __future__ import annotations

from itertools import pairwise, product

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from terminable.policy.phases import TABLE, Effect, Event, Phase, diagram, step

#: Where each event leads to from each phase; a dot is "nothing happens", an equals
#: sign is "the same phase, with effects, or none that are needed".
EXPECTED = """
                SERVING   SUSPENDED RELEASED  QUIESCING  DRAINING   ABORTING   TERMINATED
    LISTEN      SERVING   .         SERVING   .          .          .          SERVING
    SUSPEND     SUSPENDED .         .         .          .          .          .
    RESUME      .         SERVING   .         .          .          .          .
    TERMINATE   QUIESCING QUIESCING QUIESCING .          .          .          .
    QUIESCED    .         .         .         DRAINING   .          .          .
    IDLE_OVER   .         .         .         .          DRAINING   .          .
    EMPTY       .         .         .         TERMINATED TERMINATED TERMINATED .
    DEADLINE    .         .         .         ABORTING   ABORTING   .          .
    ABORT       ABORTING  ABORTING  ABORTING  ABORTING   ABORTING   ABORTING   .
    GIVE_UP     .         .         .         .          .          TERMINATED .
"""

#: What is done on the way; what is not named here has no effect.
EFFECTS = {
    "SERVING SUSPEND": "SUSPEND_PORTS",
    "SERVING TERMINATE": "HINT",
    "SERVING ABORT": "CLOSE_PORTS ABORT_ALL",
    "SUSPENDED TERMINATE": "HINT",
    "SUSPENDED ABORT": "CLOSE_PORTS ABORT_ALL",
    "RELEASED TERMINATE": "HINT",
    "RELEASED ABORT": "CLOSE_PORTS ABORT_ALL",
    "QUIESCING QUIESCED": "DRAIN_PORTS DRAIN",
    "QUIESCING DEADLINE": "CLOSE_PORTS LAST_WORDS",
    "QUIESCING ABORT": "CLOSE_PORTS ABORT_ALL",
    "QUIESCING EMPTY": "REPORT",
    "DRAINING IDLE_OVER": "LOSE_IDLE",
    "DRAINING EMPTY": "REPORT",
    "DRAINING DEADLINE": "CLOSE_PORTS LAST_WORDS",
    "DRAINING ABORT": "CLOSE_PORTS ABORT_ALL",
    "ABORTING ABORT": "ABORT_ALL",
    "ABORTING EMPTY": "REPORT",
    "ABORTING GIVE_UP": "REPORT",
    "TERMINATED LISTEN": "RESET",
}


def cells() -> dict[tuple[Phase, Event], Phase | None]:
    """
    The expected table, read: C{None} where nothing happens.
    """
    head, *rows = [line.split() for line in EXPECTED.strip().splitlines()]
    return {
        (Phase[phase], Event[event]): None if cell == "." else Phase[cell]
        for event, *row in rows
        for phase, cell in zip(head, row, strict=True)
    }


phases = st.sampled_from(Phase)
events = st.lists(st.sampled_from(Event), max_size=40)
stops = st.sampled_from([Event.TERMINATE, Event.ABORT])


def walk(phase: Phase, happening: list[Event]) -> tuple[Phase, list[Effect]]:
    """
    Where a sequence of events leads to, and everything that was done on the way.
    """
    done: list[Effect] = []
    for event in happening:
        phase, effects = step(phase, event)
        done.extend(effects)
    return phase, done


class TableTests(SynchronousTestCase):
    """
    Each pair of a phase and an event.
    """

    def test_everyPairIsExpected(self) -> None:
        """
        This test says something about every phase and every event.
        """
        self.assertEqual(set(cells()), set(product(Phase, Event)))

    def test_nextPhase(self) -> None:
        """
        Every pair leads to the expected phase, and one that is not in the table stays.
        """
        for (phase, event), after in cells().items():
            found, _ = step(phase, event)
            self.assertIs(found, after or phase, (phase, event))

    def test_effects(self) -> None:
        """
        Every pair has the expected effects in the expected order, and no other.
        """
        for phase, event in product(Phase, Event):
            expected = EFFECTS.get(f"{phase.name} {event.name}", "").split()
            _, found = step(phase, event)
            self.assertEqual([effect.name for effect in found], expected, (phase, event))

    def test_tableHoldsNothingElse(self) -> None:
        """
        The table has no pair of which nothing is expected.
        """
        self.assertEqual(set(TABLE), {pair for pair, after in cells().items() if after})

    def test_everyEffectIsUsed(self) -> None:
        """
        There is no effect that nothing causes.
        """
        used = {effect for _, effects in TABLE.values() for effect in effects}
        self.assertEqual(used, set(Effect))

    def test_stopping(self) -> None:
        """
        A stop is under way from the moment that it was asked for until it is over.
        """
        self.assertEqual(
            [phase.name for phase in Phase if phase.stopping],
            ["QUIESCING", "DRAINING", "ABORTING"],
        )


class PathTests(SynchronousTestCase):
    """
    Random sequences of events.
    """

    @given(events, stops, events)
    def test_alwaysEnds(self, before: list[Event], stop: Event, after: list[Event]) -> None:
        """
        Whatever happens before and after a stop was asked for, the deadline and
        then giving up end it.
        """
        phase, _ = walk(Phase.SERVING, before)
        after = [event for event in after if event is not Event.LISTEN]
        phase, _ = walk(phase, [stop, *after, Event.DEADLINE, Event.GIVE_UP])
        self.assertIs(phase, Phase.TERMINATED)

    @given(events, stops, events)
    def test_emptyEndsIt(self, before: list[Event], stop: Event, after: list[Event]) -> None:
        """
        Once the deadline has come, it is over as soon as nobody is connected.
        """
        phase, _ = walk(Phase.SERVING, before)
        after = [event for event in after if event is not Event.LISTEN]
        phase, _ = walk(phase, [stop, *after, Event.DEADLINE, Event.EMPTY])
        self.assertIs(phase, Phase.TERMINATED)

    @given(events)
    def test_nothingAfterTheEnd(self, after: list[Event]) -> None:
        """
        After the end nothing has an effect, until somebody listens again.
        """
        after = [event for event in after if event is not Event.LISTEN]
        self.assertEqual(walk(Phase.TERMINATED, after), (Phase.TERMINATED, []))

    @given(phases, events)
    def test_oneReportForEachAccount(self, phase: Phase, happening: list[Event]) -> None:
        """
        Between two reports there is always a new account, and the other way round.
        """
        _, done = walk(phase, happening)
        marks = [it for it in done if it in (Effect.REPORT, Effect.RESET)]
        for first, second in pairwise(marks):
            self.assertIsNot(first, second)

    @given(events)
    def test_noWayBack(self, happening: list[Event]) -> None:
        """
        A stop only goes forward.
        """
        order = [Phase.QUIESCING, Phase.DRAINING, Phase.ABORTING, Phase.TERMINATED]
        phase = Phase.QUIESCING
        for event in happening:
            if event is Event.LISTEN:
                continue
            after, _ = step(phase, event)
            self.assertGreaterEqual(order.index(after), order.index(phase))
            phase = after

    @given(events, stops)
    def test_reportIsTheLastEffect(self, happening: list[Event], stop: Event) -> None:
        """
        A stop that is over has handed out its report, and did nothing after that.
        """
        happening = [event for event in happening if event is not Event.LISTEN]
        phase, done = walk(Phase.SERVING, [stop, *happening])
        self.assertEqual(Effect.REPORT in done, phase is Phase.TERMINATED)
        self.assertNotIn(Effect.REPORT, done[:-1])


class DiagramTests(SynchronousTestCase):
    """
    The picture in the documentation.
    """

    def test_everyTransition(self) -> None:
        """
        It has an arrow for every pair of phases that the table connects, labelled
        with the events.
        """
        picture = diagram()
        self.assertIn('    DRAINING -> TERMINATED [label="empty"];', picture)
        self.assertIn('    ABORTING -> TERMINATED [label="empty, give_up"];', picture)
        arrows = {(before, after) for (before, _), (after, _) in TABLE.items()}
        self.assertEqual(picture.count(" -> "), len(arrows))

    def test_isAGraph(self) -> None:
        """
        It is one whole graph in Graphviz's language.
        """
        lines = diagram().splitlines()
        self.assertEqual((lines[0], lines[-1]), ("digraph phases {", "}"))
