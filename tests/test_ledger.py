"""
Who is connected, and what came of them.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from terminable.policy import ledger as module
from terminable.policy.ledger import SHOWN, Entry, Ledger, Outcome, Progress, Report, State
from terminable.policy.phases import Phase


def entry(outcome: Outcome = Outcome.ABORTED, **details: Any) -> Entry:
    """
    One that is busy with something, unless told otherwise.
    """
    given = {
        "peer": "127.0.0.1:4242",
        "protocol": "HTTPChannel",
        "doing": "GET /slow",
        "state": State.BUSY,
        "age": 8.24,
        "unsent": 0,
    }
    return Entry(**{**given, **details}, outcome=outcome)


def report(**details: Any) -> Report:
    """
    One about nobody, unless told otherwise.
    """
    names = ("opened", "before", "idle", "finished", "left", "aborted")
    given = {**dict.fromkeys(names, 0), "seconds": 0.0, "entries": ()}
    return Report(**{**given, **details})


class EntryTests(SynchronousTestCase):
    """
    One connection in a report.
    """

    def test_whatItWasDoing(self) -> None:
        """
        It says what was in flight, from whom, and since when.
        """
        self.assertEqual(str(entry()), "GET /slow from 127.0.0.1:4242, 8.2 s")

    def test_whenThatIsNotKnown(self) -> None:
        """
        Where that cannot be told, state and protocol stand for it.
        """
        text = str(entry(doing="", state=State.OPENING, protocol="Echo"))
        self.assertEqual(text, "opening Echo from 127.0.0.1:4242, 8.2 s")

    def test_unsentAndTold(self) -> None:
        """
        Bytes that did not arrive, and the last word, are named.
        """
        text = str(entry(unsent=1000).withWord("503"))
        self.assertEqual(text, "GET /slow from 127.0.0.1:4242, 8.2 s, 1000 bytes unsent, told 503")

    def test_withWord(self) -> None:
        """
        The word goes onto a copy; all else stays.
        """
        first = entry()
        self.assertEqual(first.withWord("408"), entry(told="408"))
        self.assertEqual(first.told, "")


class ReportTests(SynchronousTestCase):
    """
    What a stop came to.
    """

    def test_text(self) -> None:
        """
        It counts, and names those who were aborted.
        """
        straggler = entry(doing="GET /export", peer="10.1.2.3:99", age=31.0)
        text = str(report(idle=312, finished=17, aborted=1, seconds=25.04, entries=(straggler,)))
        self.assertEqual(
            text,
            "312 idle, 17 finished, 1 aborted after 25.0 s; "
            "aborted: GET /export from 10.1.2.3:99, 31.0 s",
        )

    def test_others(self) -> None:
        """
        Those who left, and those who never spoke, are named apart from those aborted.
        """
        left = entry(Outcome.LEFT, doing="GET /a")
        new = entry(Outcome.IDLE, doing="", state=State.NEW)
        text = str(report(idle=1, left=1, entries=(left, new)))
        self.assertEqual(
            text,
            "1 idle, 0 finished, 1 left, 0 aborted after 0.0 s; also ended: "
            "GET /a from 127.0.0.1:4242, 8.2 s | "
            "new HTTPChannel from 127.0.0.1:4242, 8.2 s",
        )

    def test_many(self) -> None:
        """
        The text names no more than a screenful of each kind; the entries name all.
        """
        entries = tuple(entry(doing=f"GET /{n}") for n in range(SHOWN + 5))
        text = str(report(aborted=len(entries), entries=entries))
        self.assertEqual(text.count("GET /"), SHOWN)
        self.assertTrue(text.endswith(" | and 5 more"), text)
        exact = str(report(aborted=SHOWN, entries=entries[:SHOWN]))
        self.assertNotIn("more", exact)

    def test_graceful(self) -> None:
        """
        A stop was graceful if nobody was aborted, whoever left by himself.
        """
        self.assertTrue(report(left=3).graceful)
        self.assertFalse(report(aborted=1).graceful)

    def test_stragglers(self) -> None:
        """
        The stragglers are the entries that were aborted.
        """
        aborted, left = entry(), entry(Outcome.LEFT)
        self.assertEqual(report(entries=(aborted, left)).stragglers, (aborted,))


class ProgressTests(SynchronousTestCase):
    """
    How far a stop is.
    """

    def test_text(self) -> None:
        """
        It counts, says how much time is left, and names the oldest busy connection.
        """
        progress = Progress(Phase.DRAINING, 3, 120, 21.42, entry())
        self.assertEqual(
            str(progress),
            "draining: 3 busy, 120 idle, 21.4 s left: GET /slow from 127.0.0.1:4242, 8.2 s",
        )

    def test_nothingToTell(self) -> None:
        """
        Where there is no deadline and nobody busy, neither is mentioned.
        """
        progress = Progress(Phase.QUIESCING, 0, 5, None, None)
        self.assertEqual(str(progress), "quiescing: 0 busy, 5 idle")

    def test_waiting(self) -> None:
        """
        Those who wait to be admitted are neither; while some have not been looked at, nothing is
        said that may be wrong.
        """
        progress = Progress(Phase.DRAINING, 3, 4, 1.0, None, waiting=5)
        self.assertEqual(str(progress), "draining: 3 busy, 4 idle, 5 waiting, 1.0 s left")
        progress = Progress(Phase.DRAINING, 3, 4, 1.0, None, waiting=5, counting=True)
        expected = "draining: 7 connections, still being counted, 5 waiting, 1.0 s left"
        self.assertEqual(str(progress), expected)


class LedgerTests(SynchronousTestCase):
    """
    The account of one server.
    """

    def setUp(self) -> None:
        self.ledger: Ledger[str] = Ledger()

    def test_open(self) -> None:
        """
        A connection is counted when it is opened, once.
        """
        self.assertTrue(self.ledger.open("a", 5.0))
        self.assertFalse(self.ledger.open("a", 6.0))
        self.assertEqual(self.ledger.opened, 1)
        self.assertEqual(self.ledger.live, {"a": 5.0})

    def test_container(self) -> None:
        """
        A ledger is as long as there are live connections, holds them, and gives them
        oldest first, also while they end.
        """
        for key in "bca":
            self.ledger.open(key, 0.0)
        seen = []
        for key in self.ledger:
            seen.append(key)
            self.ledger.end(key)
        self.assertEqual(seen, ["b", "c", "a"])
        self.assertEqual(len(self.ledger), 0)
        self.assertNotIn("a", self.ledger)

    def test_before(self) -> None:
        """
        What ended before the stop was asked for is that, busy or not.
        """
        for key in "ab":
            self.ledger.open(key, 0.0)
        self.ledger.sawBusy("b")
        outcomes = [self.ledger.end("a"), self.ledger.end("b", True)]
        self.assertEqual(outcomes, [Outcome.BEFORE, Outcome.BEFORE])

    def test_outcomes(self) -> None:
        """
        From then on it is idle, finished, left or aborted, by the marks that it got.
        """
        for key in "abcde":
            self.ledger.open(key, 0.0)
        self.ledger.beginStop(1.0)
        for key in "bc":
            self.ledger.sawBusy(key)
        for key in "de":
            self.ledger.sawAbort(key)
        outcomes = [self.ledger.end(key, key in "ce") for key in "abcde"]
        self.assertEqual(
            outcomes,
            [Outcome.IDLE, Outcome.FINISHED, Outcome.LEFT, Outcome.ABORTED, Outcome.ABORTED],
        )
        told = self.ledger.report(3.5)
        self.assertEqual(told, report(opened=5, idle=1, finished=1, left=1, aborted=2, seconds=2.5))

    def test_abortedBeforeTheStop(self) -> None:
        """
        An abort counts as one even if no stop was asked for.
        """
        self.ledger.open("a", 0.0)
        self.ledger.sawAbort("a")
        self.assertIs(self.ledger.end("a"), Outcome.ABORTED)

    def test_endedTwice(self) -> None:
        """
        Who is not live cannot end, and gets no marks.
        """
        self.ledger.open("a", 0.0)
        self.ledger.end("a")
        self.ledger.sawBusy("a")
        self.ledger.sawAbort("a")
        self.assertIsNone(self.ledger.end("a"))
        self.assertEqual(self.ledger.busy, 0)
        self.ledger.open("a", 1.0)
        self.assertIs(self.ledger.end("a"), Outcome.BEFORE)
        self.assertEqual(self.ledger.report(0.0), report(opened=2, before=2))

    def test_busy(self) -> None:
        """
        The busy ones are known for as long as they live.
        """
        for key in "abc":
            self.ledger.open(key, 0.0)
        for key in "aab":
            self.ledger.sawBusy(key)
        self.assertEqual(self.ledger.busy, 2)
        self.assertEqual(set(self.ledger.busyKeys()), {"a", "b"})
        self.ledger.end("a")
        self.assertEqual(set(self.ledger.busyKeys()), {"b"})

    def test_stopBeginsOnce(self) -> None:
        """
        A stop takes as long as since it was first asked for; without one it takes no
        time.
        """
        self.assertEqual(self.ledger.report(10.0).seconds, 0.0)
        self.ledger.beginStop(1.0)
        self.ledger.beginStop(5.0)
        self.assertEqual(self.ledger.report(10.0).seconds, 9.0)

    def test_names(self) -> None:
        """
        The report names connections in the order in which they were put there.
        """
        first, second = entry(doing="1"), entry(doing="2")
        for key in "ab":
            self.ledger.open(key, 0.0)
        self.ledger.name("a", first)
        self.ledger.name("b", second)
        self.assertEqual(self.ledger.report(0.0).entries, (first, second))

    def test_namedOnce(self) -> None:
        """
        What is said last of a connection counts, and only if that is what comes of it; of one
        that has ended nothing is said any more.
        """
        self.ledger.beginStop(0.0)
        for key in "abc":
            self.ledger.open(key, 0.0)
            self.ledger.name(key, entry(outcome=Outcome.IDLE))
        self.ledger.sawAbort("a")
        aborted = entry(outcome=Outcome.ABORTED)
        self.ledger.name("a", aborted)
        self.ledger.name("a", entry(outcome=Outcome.IDLE))
        self.ledger.sawBusy("b")
        for key in "abc":
            self.ledger.end(key)
            self.ledger.name(key, entry())
        report = self.ledger.report(0.0)
        self.assertEqual(report.entries, (aborted, entry(outcome=Outcome.IDLE)))

    def test_noEndOfNames(self) -> None:
        """
        So many are named and no more, however many there are.
        """
        self.patch(module, "NAMED", 3)
        for key in "abcde":
            self.ledger.open(key, 0.0)
            self.ledger.name(key, entry())
        self.assertEqual(len(self.ledger.report(0.0).entries), 3)

    @given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans())))
    def test_reportsDoNotChange(self, marks: list[tuple[bool, bool, bool, bool]]) -> None:
        """
        The outcome is decided by abort, then unfinished, then busy, for every
        combination of marks.
        """
        ledger: Ledger[int] = Ledger()
        ledger.beginStop(0.0)
        for key, (busy, aborted, unfinished, again) in enumerate(marks):
            ledger.open(key, 0.0)
            for _ in range(1 + again):
                if busy:
                    ledger.sawBusy(key)
                if aborted:
                    ledger.sawAbort(key)
            expected = (
                Outcome.ABORTED
                if aborted
                else Outcome.LEFT
                if unfinished
                else Outcome.FINISHED
                if busy
                else Outcome.IDLE
            )
            self.assertIs(ledger.end(key, unfinished), expected)

    def test_settledTooLate(self) -> None:
        """
        What is to come of somebody who is over, or was never there, changes nothing.
        """
        ledger: Ledger[str] = Ledger()
        ledger.open("a", 0.0)
        ledger.beginStop(0.0)
        ledger.end("a")
        before = ledger.report(1.0)
        ledger.settle("a", Outcome.ABORTED)
        ledger.settle("b", Outcome.ABORTED)
        self.assertEqual(ledger.report(1.0), before)


class Accounts(RuleBasedStateMachine):
    """
    A ledger, used in any way, beside the plainest account there could be.
    """

    keys = st.integers(0, 5)

    def __init__(self) -> None:
        super().__init__()
        self.ledger: Ledger[int] = Ledger()
        self.live: set[int] = set()
        self.opened = 0
        self.outcomes: list[Outcome] = []
        self.stopping = False

    @rule(key=keys)
    def open(self, key: int) -> None:
        assert self.ledger.open(key, 0.0) is (key not in self.live)
        self.opened += key not in self.live
        self.live.add(key)

    @rule(key=keys)
    def sawBusy(self, key: int) -> None:
        self.ledger.sawBusy(key)

    @rule(key=keys)
    def sawAbort(self, key: int) -> None:
        self.ledger.sawAbort(key)

    @rule()
    def beginStop(self) -> None:
        self.ledger.beginStop(0.0)
        self.stopping = True

    @rule(key=keys, unfinished=st.booleans())
    def end(self, key: int, unfinished: bool) -> None:
        outcome = self.ledger.end(key, unfinished)
        assert (outcome is None) is (key not in self.live)
        if outcome is not None:
            assert not (self.stopping and outcome is Outcome.BEFORE)
            self.live.remove(key)
            self.outcomes.append(outcome)

    @invariant()
    def totalsAddUp(self) -> None:
        told = self.ledger.report(0.0)
        ended = told.before + told.idle + told.finished + told.left + told.aborted
        assert ended + len(self.ledger) == told.opened == self.opened
        for outcome in Outcome:
            assert getattr(told, outcome.value) == self.outcomes.count(outcome)
        assert set(self.ledger) == self.live
        assert set(self.ledger.busyKeys()) <= self.live


class AccountTests(SynchronousTestCase):
    """
    The ledger along random paths.
    """

    def test_countedOnce(self) -> None:
        """
        At any time, what has ended and what is live add up to what was opened, each
        connection counted once.
        """
        run_state_machine_as_test(Accounts)
