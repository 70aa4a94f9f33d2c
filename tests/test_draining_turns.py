"""
Goodbyes that are spread over time.
"""

from __future__ import annotations

from terminable.policy.ledger import State
from terminable.policy.phases import Phase
from terminable.policy.schedule import LAST_WORD
from tests.doubles import Boom, Hinting, Polite
from tests.turns import PLACES, Lasting, Prompt, TurnTestCase


class StaggerTests(TurnTestCase):
    """
    Goodbyes over time.
    """

    def test_lasting(self) -> None:
        """
        Those who live long have their goodbyes spread over the time that was asked for,
        from the end of the idle grace.
        """
        result = self.serve(Lasting, stagger=10).terminator.terminate()
        self.assertMoments(self.moments(12), [1 + 10 * place for place in PLACES])
        self.assertEqual(self.nothingLeft(result).idle, 5)

    def test_others(self) -> None:
        """
        The others all go at the end of the idle grace.
        """
        self.serve(Hinting, stagger=10).terminator.terminate()
        self.assertMoments(self.moments(2), [1.0] * 5)

    def test_notAskedFor(self) -> None:
        """
        So do those who live long if no time was asked for.
        """
        self.serve(Lasting).terminator.terminate()
        self.assertMoments(self.moments(2), [1.0] * 5)

    def test_prompt(self) -> None:
        """
        Those whose goodbye can lose nothing do not wait for the end of the idle grace;
        never is anybody told within the call that asks for the stop.
        """
        world = self.serve(Prompt, stagger=10)
        world.terminator.terminate()
        self.assertEqual([each.drained for each in self.protocols], [0] * 5)
        self.assertMoments(self.moments(10), [10 * place for place in PLACES])

    def test_twoWords(self) -> None:
        """
        A drainer of two words that is busy has its turn from the beginning, an idle one
        from the end of the idle grace.
        """
        self.serve(Polite, stagger=10)
        for protocol in self.protocols[:3]:
            protocol.busy = True
        self.world.terminator.terminate()
        expected = [10 * place for place in PLACES[:3]] + [1 + 10 * place for place in PLACES[3:]]
        self.assertMoments(self.moments(12), expected)

    def test_busy(self) -> None:
        """
        Who is in the middle of something at the end of the idle grace is told then: it
        takes its own time.
        """
        self.serve(Lasting, 3, stagger=10)
        self.protocols[1].busy = True
        self.world.terminator.terminate()
        self.assertMoments(self.moments(8), [1.0, 1.0, 7.18])

    def test_window(self) -> None:
        """
        The deadline is heeded: the last one still has some time to answer.
        """
        self.serve(Lasting, stagger=60, gracePeriod=5, linger=2).terminator.terminate()
        self.assertMoments(self.moments(4), [1 + 2 * place for place in PLACES])
        self.serve(Prompt, stagger=60, gracePeriod=5, linger=2).terminator.terminate()
        self.assertMoments(self.moments(4), [3 * place for place in PLACES])
        self.serve(Prompt, stagger=60, gracePeriod=5, linger=9).terminator.terminate()
        self.assertMoments(self.moments(4), [2.5 * place for place in PLACES])

    def test_withoutDeadline(self) -> None:
        """
        Without a deadline it takes as long as was asked for.
        """
        self.serve(Prompt, stagger=60, gracePeriod=None).terminator.terminate()
        self.assertMoments(self.moments(52), [60 * place for place in PLACES])

    def test_quiesce(self) -> None:
        """
        While the server is only quiescing, nobody has a turn.
        """
        self.serve(Prompt, stagger=10, quiesce=2).terminator.terminate()
        self.assertIsNotNone(self.protocols[0].told)
        self.assertMoments(self.moments(12), [2 + 10 * place for place in PLACES])

    def test_late(self) -> None:
        """
        Who is accepted meanwhile has a turn behind the others.
        """
        world = self.serve(Prompt, 2, stagger=10)
        world.terminator.terminate()
        world.pass_(0.5)
        self.transports.append(world.connect())
        self.assertMoments(self.moments(7), [0.0, 5.68, 2.36])

    def test_goneMeanwhile(self) -> None:
        """
        Whose peer goes before its turn comes is not looked for.
        """
        world = self.serve(Lasting, 3, stagger=10)
        result = world.terminator.terminate()
        world.pass_(2)
        self.transports[2].end()
        self.moments(9)
        self.assertEqual([each.drained for each in self.protocols], [1, 1, 0])
        self.assertEqual(self.nothingLeft(result).idle, 3)

    def test_idleMeanwhile(self) -> None:
        """
        Whatever happens on a connection before its turn comes, it has one turn.
        """
        world = self.serve(Lasting, 3, stagger=10)
        world.terminator.terminate()
        world.pass_(2)
        for busy in (True, False):
            self.protocols[1].busy = busy
            self.protocols[1].told()
            world.pass_(1)
        self.assertEqual(self.protocols[1].drained, 0)
        world.pass_(5)
        self.assertEqual(self.protocols[1].drained, 1)

    def test_exchangedMeanwhile(self) -> None:
        """
        If there is another protocol when the turn comes, it is told all it has to know.
        """
        world = self.serve(Lasting, 2, stagger=10)
        world.terminator.terminate()
        world.pass_(2)
        other = Lasting()
        other.factory = world.factory
        self.transports[1].protocol.wrappedProtocol = other
        other.makeConnection(self.transports[1])
        world.pass_(6)
        self.assertEqual((other.drained, self.protocols[1].drained), (1, 0))
        self.assertIsNotNone(other.told)

    def test_deadlineBroughtForward(self) -> None:
        """
        The deadline may be brought forward while some wait for their turn: they are ended
        then, with a last word if they have one, and were not aborted.
        """
        world = self.serve(Lasting, 3, stagger=20)
        self.protocols[1].word = "bye"
        result = world.terminator.terminate()
        world.pass_(2)
        world.terminator.terminate(gracePeriod=1)
        world.pass_(1 + LAST_WORD + 0.02)
        self.assertEqual([each.drained for each in self.protocols], [1, 0, 0])
        self.assertFalse(any(each.aborted for each in self.transports))
        self.assertEqual(self.nothingLeft(result).idle, 3)

    def test_abort(self) -> None:
        """
        So they are by an abort.
        """
        world = self.serve(Prompt, 3, stagger=20)
        result = world.terminator.terminate()
        world.pass_(2)
        world.terminator.abort()
        world.pass_(0.02)
        report = self.nothingLeft(result)
        self.assertEqual((report.idle, report.aborted), (2, 1))

    def test_unanswered(self) -> None:
        """
        Who was told and whose peer does not go is aborted at the deadline.
        """
        world = self.serve(Prompt, 2, gracePeriod=3)
        result = world.terminator.terminate()
        world.pass_(2)
        self.transports[0].end()
        world.pass_(1.1)
        report = self.nothingLeft(result)
        self.assertEqual((report.idle, report.aborted), (1, 1))
        self.assertIs(report.stragglers[0].state, State.IDLE)

    def test_byChoice(self) -> None:
        """
        A drain by choice spreads its own as it was told; in a stop that begins meanwhile
        they keep their turns.
        """
        world = self.serve(Lasting, 4)
        chosen = self.transports[:3]
        world.terminator.drain(lambda each: each.transport in chosen, stagger=10)
        world.pass_(2)
        self.assertEqual([each.drained for each in self.protocols], [1, 0, 0, 0])
        world.terminator.terminate()
        self.assertMoments(self.moments(9), [0.0, 5.18, 1.36, 1.0])
        self.assertIs(world.terminator.phase, Phase.TERMINATED)

    def test_stopMeanwhile(self) -> None:
        """
        So do those whose goodbye is prompt; nobody is told twice.
        """
        world = self.serve(Prompt, 3)
        world.terminator.drain(stagger=10)
        world.pass_(0.5)
        world.terminator.terminate()
        self.assertMoments(self.moments(6), [0.0, 5.68, 1.86])

    def test_later(self) -> None:
        """
        What a drainer wants to be done later is done, unless its connection is over by
        then; what it raises is logged.
        """
        world = self.serve(Hinting, 2)
        world.terminator.terminate()
        done: list[int] = []
        for number in (0, 1):
            self.protocols[number].busy = True
            self.protocols[number].told.later(2, done.append, number)
        self.protocols[1].told.later(2, divmod, 1, 0)
        world.pass_(1.5)
        self.transports[0].end()
        world.pass_(1)
        self.assertEqual(done, [1])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_failing(self) -> None:
        """
        Who cannot say whether it lives long, or fails when its turn comes, costs the others
        nothing.
        """

        def fail() -> None:
            raise Boom

        class Failing(Prompt):
            fails = False

            @property
            def lasting(self) -> bool:  # type: ignore[override]
                return not self.fails or fail() is None

        world = self.serve(Failing, 5, stagger=10, gracePeriod=13)
        self.protocols[2].drain = fail
        self.protocols[4].fails = True
        result = world.terminator.terminate()
        found = self.moments(9)
        self.assertMoments([found[0], found[1], found[3]], [10 * PLACES[n] for n in (0, 1, 3)])
        world.pass_(4.2)
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 2)
        self.assertEqual((self.nothingLeft(result).aborted, self.transports[4].over), (5, True))
