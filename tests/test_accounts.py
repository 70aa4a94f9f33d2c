"""
The account of a server, and of the drains by choice within it.
"""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.trial.unittest import SynchronousTestCase

from terminable.policy.accounts import Accounts
from terminable.policy.ledger import Entry, Ledger, Outcome, Report, State


def entry(doing: str, outcome: Outcome = Outcome.ABORTED) -> Entry:
    """
    One connection in a report.
    """
    return Entry("peer", "Protocol", doing, State.BUSY, 1.0, 0, outcome)


def counts(report: Report) -> tuple[int, ...]:
    """
    Everything that is counted.
    """
    names = ("opened", "before", "idle", "finished", "left", "aborted")
    return tuple(getattr(report, name) for name in names)


class AccountsTests(SynchronousTestCase):
    """
    L{Accounts}.
    """

    def setUp(self) -> None:
        self.accounts: Accounts[str] = Accounts()
        self.over: list[str] = []
        for now, key in enumerate("abcd"):
            self.accounts.open(key, now)

    def choose(self, keys: str, name: str = "part", now: float = 10.0) -> Ledger[str]:
        """
        Drain some.
        """
        return self.accounts.choose(keys, now, lambda: self.over.append(name))

    def test_chosen(self) -> None:
        """
        What is chosen has an account of its own, in which its stop has begun, with the
        times of the whole; it is live in both.
        """
        part = self.choose("bd")
        self.assertEqual(part.live, {"b": 1, "d": 3})
        self.assertEqual(len(self.accounts), 4)
        self.assertTrue(part.stopping)
        self.assertFalse(self.accounts.stopping)
        self.assertEqual(counts(part.report(12.5)), (2, 0, 0, 0, 0, 0))
        self.assertEqual(part.report(12.5).seconds, 2.5)

    def test_whoIsThere(self) -> None:
        """
        Nobody is chosen who is not there, or who has been chosen before.
        """
        self.choose("ab")
        self.assertEqual(list(self.choose("bcx").live), ["c"])
        self.assertEqual(list(self.choose("abcx").live), [])

    def test_over(self) -> None:
        """
        The part is over when the last of it has ended, which is told once; the others have
        nothing to do with it.
        """
        self.choose("ab")
        self.accounts.end("c")
        self.accounts.end("a")
        self.assertEqual(self.over, [])
        self.accounts.end("b")
        self.assertEqual(self.over, ["part"])
        self.assertIsNone(self.accounts.end("b"))
        self.accounts.end("d")
        self.assertEqual(self.over, ["part"])

    def test_outcomes(self) -> None:
        """
        For the part, what came of each is what it would be for a whole server; for the
        server they were there before its stop.
        """
        part = self.choose("abcd")
        for key in "bcd":
            self.accounts.sawBusy(key)
        self.assertTrue(self.accounts.sawAbort("d"))
        self.accounts.end("a")
        self.accounts.end("b")
        self.accounts.end("c", True, lambda: entry("c", Outcome.LEFT))
        self.accounts.end("d", True, lambda: entry("d", Outcome.LEFT))
        self.assertEqual(counts(part.report(11.0)), (4, 0, 1, 1, 1, 1))
        self.assertEqual([each.doing for each in part.report(11.0).entries], ["c"])
        self.assertEqual(counts(self.accounts.report(11.0)), (4, 4, 0, 0, 0, 0))
        self.assertEqual(self.accounts.report(11.0).entries, ())

    def test_stopMeanwhile(self) -> None:
        """
        When the whole server stops before they have ended, they are in both accounts, by
        name too.
        """
        part = self.choose("ab")
        self.accounts.beginStop(20.0)
        for key in "abc":
            self.accounts.sawBusy(key)
            self.accounts.name(key, entry(key))
            self.assertTrue(self.accounts.sawAbort(key))
            self.accounts.end(key)
        self.accounts.end("d")
        self.assertEqual(counts(part.report(21.0)), (2, 0, 0, 0, 0, 2))
        self.assertEqual([each.doing for each in part.report(21.0).entries], ["a", "b"])
        whole = self.accounts.report(21.0)
        self.assertEqual(counts(whole), (4, 0, 1, 0, 0, 3))
        self.assertEqual([each.doing for each in whole.stragglers], ["a", "b", "c"])

    def test_names(self) -> None:
        """
        Before the stop of the whole server, only those who were not chosen are named in
        its account.
        """
        part = self.choose("a")
        self.accounts.name("a", entry("a"))
        self.accounts.name("b", entry("b"))
        self.assertEqual([each.doing for each in part.report(0.0).entries], ["a"])
        self.assertEqual([each.doing for each in self.accounts.report(0.0).entries], ["b"])

    def test_abortIsNewsOnce(self) -> None:
        """
        That one is aborted is news once, whether it was chosen or not.
        """
        self.choose("a")
        self.accounts.beginStop(20.0)
        for key in "ab":
            self.assertEqual([self.accounts.sawAbort(key) for _ in range(2)], [True, False])
        self.assertFalse(self.accounts.sawAbort("x"))

    def test_abandoned(self) -> None:
        """
        Those that do not end are waited for no longer: their account is closed, they stay
        in that of the server, and may end there one day.
        """
        part = self.choose("abc")
        self.accounts.sawAbort("a")
        self.accounts.sawAbort("b")
        self.accounts.end("c")
        self.accounts.abandon(["a", "b", "d", "x"])
        self.assertEqual(self.over, ["part"])
        self.assertEqual(counts(part.report(12.0)), (3, 0, 1, 0, 0, 2))
        self.assertEqual(list(self.accounts), ["a", "b", "d"])
        self.assertTrue(self.accounts.sawAbort("a"))
        self.assertIs(self.accounts.end("b"), Outcome.BEFORE)
        self.accounts.beginStop(20.0)
        self.accounts.end("a")
        self.accounts.end("d")
        self.assertEqual(counts(self.accounts.report(21.0)), (4, 2, 1, 0, 0, 1))

    def test_abortedBeforeTheStop(self) -> None:
        """
        Who is being aborted when the whole server stops, and ends after that, was aborted
        for the server too, which names him.
        """
        part = self.choose("ab")
        for key in "ab":
            self.accounts.sawBusy(key)
        self.accounts.name("a", entry("a"))
        self.accounts.sawAbort("a")
        self.accounts.beginStop(20.0)
        self.accounts.end("a", True, lambda: entry("a", Outcome.LEFT))
        self.accounts.end("b")
        for report in (part.report(21.0), self.accounts.report(21.0)):
            self.assertEqual((report.finished, report.left, report.aborted), (1, 0, 1))
            self.assertEqual([each.doing for each in report.entries], ["a"])
            self.assertEqual(report.entries, report.stragglers)

    def test_abortedAgainAfterTheStop(self) -> None:
        """
        Nor is anybody counted as aborted and not named, who was aborted before and in the
        stop, and never ends.
        """
        self.choose("a")
        self.accounts.name("a", entry("a"))
        self.accounts.sawAbort("a")
        self.accounts.beginStop(20.0)
        for _ in range(2):
            if self.accounts.sawAbort("a"):
                self.accounts.name("a", entry("a"))
            self.accounts.abandon(["a"])
        self.accounts.end("a")
        report = self.accounts.report(21.0)
        self.assertEqual((report.aborted, len(report.stragglers)), (1, 1))


class Books(RuleBasedStateMachine):
    """
    Random connections, choices and stops.
    """

    def __init__(self) -> None:
        super().__init__()
        self.accounts: Accounts[int] = Accounts()
        self.parts: list[tuple[Ledger[int], int, list[None]]] = []
        self.now = 0.0
        self.live: list[int] = []
        self.chosen: set[int] = set()
        self.opened = 0

    @rule()
    def open(self) -> None:
        """
        One more.
        """
        self.opened += 1
        self.now += 1
        self.live.append(self.opened)
        assert self.accounts.open(self.opened, self.now)

    @rule(data=st.data())
    def choose(self, data: Any) -> None:
        """
        A drain of some, of whom others may know already.
        """
        keys = data.draw(st.lists(st.integers(1, self.opened + 1), unique=True))
        over: list[None] = []
        part = self.accounts.choose(keys, self.now, lambda: over.append(None))
        news = [key for key in keys if key in self.live and key not in self.chosen]
        assert list(part.live) == news
        self.chosen.update(news)
        if news:
            self.parts.append((part, len(news), over))

    @precondition(lambda self: self.live)
    @rule(data=st.data(), what=st.sampled_from(["busy", "abort", "end", "leave", "abandon"]))
    def happen(self, data: Any, what: str) -> None:
        """
        Something happens to one of them.
        """
        key = data.draw(st.sampled_from(self.live))
        if what == "busy":
            self.accounts.sawBusy(key)
        elif what == "abort":
            self.abort(key)
        elif what == "abandon":
            self.abort(key)
            self.accounts.abandon([key])
            self.chosen.discard(key)
        else:
            self.live.remove(key)
            self.chosen.discard(key)
            left = entry(str(key), Outcome.LEFT)
            assert self.accounts.end(key, what == "leave", lambda: left) is not None

    def abort(self, key: int) -> None:
        """
        Abort one, which is named if it is news.
        """
        if self.accounts.sawAbort(key):
            self.accounts.name(key, entry(str(key)))

    @rule()
    def stop(self) -> None:
        """
        The whole server stops.
        """
        self.now += 1
        self.accounts.beginStop(self.now)

    @invariant()
    def addUp(self) -> None:
        """
        Every connection is counted once in each account that it is in.
        """
        self.check(self.accounts, self.opened, len(self.live))
        for part, count, over in self.parts:
            self.check(part, count, len(part))
            assert len(over) == (not part.live), (part, over)
            assert part.report(self.now).before == 0
        assert set().union(*(part.live for part, _, _ in self.parts)) == self.chosen
        assert sum(len(part) for part, _, _ in self.parts) == len(self.chosen)

    def check(self, account: Ledger[int], opened: int, live: int) -> None:
        """
        The totals of one account.
        """
        report = account.report(self.now)
        _, *ended = counts(report)
        assert (report.opened, len(account)) == (opened, live)
        assert sum(ended) == opened - live
        assert account.busy <= live
        assert report.aborted <= len(report.stragglers)


class BooksTests(SynchronousTestCase):
    """
    Totals.
    """

    def test_addUp(self) -> None:
        """
        Whatever happens, the totals of the whole and of each part add up, who was aborted
        is named, each part is over once, and nobody is in two parts.
        """
        run_state_machine_as_test(
            Books, settings=settings(deadline=None, max_examples=100, stateful_step_count=40)
        )
