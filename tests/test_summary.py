"""
Reports as texts.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from terminable.policy.ledger import Entry, Outcome, Report, State
from terminable.policy.summary import MOST, fromText, toText


def entry(peer: str, outcome: Outcome = Outcome.LEFT, doing: str = "GET /") -> Entry:
    """
    A connection.
    """
    return Entry(peer, "HTTPChannel", doing, State.BUSY, 1.25, 7, outcome, "503")


def report(*entries: Entry) -> Report:
    """
    A report with these entries.
    """
    return Report(9, 1, 2, 3, 2, 1, 1.5, entries)


class SummaryTests(SynchronousTestCase):
    """
    There and back.
    """

    def test_same(self) -> None:
        """
        What comes out is what went in; stragglers come first.
        """
        left, aborted = entry("änne"), entry("\udcff", Outcome.ABORTED)
        text = toText(report(left, aborted))
        self.assertTrue(text.isascii())
        self.assertEqual(fromText(text), (report(aborted, left), 0))

    def test_bounded(self) -> None:
        """
        The text is never longer than a value in AMP may be: the entries that did not fit are
        counted, and no straggler is among them while there are others.
        """
        others = [entry(f"peer {number}") for number in range(5000)]
        cut = [entry(f"cut {number}", Outcome.ABORTED) for number in range(100)]
        text = toText(report(*others, *cut))
        self.assertLessEqual(len(text), MOST)
        told, more = fromText(text)
        self.assertEqual(len(told.entries) + more, 5100)
        self.assertEqual(len(told.stragglers), 100)
        self.assertGreater(len(told.entries), 300)

    def test_huge(self) -> None:
        """
        An entry that would need all of the room is left out, others are not.
        """
        told, more = fromText(toText(report(entry("a", doing="x" * MOST), entry("b"))))
        self.assertEqual((told.entries, more), ((entry("b"),), 1))

    def test_bad(self) -> None:
        """
        What is no such text is refused, in whatever way.
        """
        good = json.loads(toText(report(entry("a"))))
        plain = good["entries"][0]

        def changed(**what: Any) -> str:
            return json.dumps({**good, **what})

        def exchanged(place: int, value: Any) -> str:
            return changed(entries=[[*plain[:place], value, *plain[place + 1 :]]])

        for text in (
            "",
            "[]",
            "7",
            "{}",
            "[" * 100_000,
            changed(opened=-1),
            changed(opened=True),
            changed(opened="1"),
            changed(seconds=-0.1),
            changed(seconds=True),
            changed(seconds="1"),
            changed(seconds=float("nan")),
            changed(more=None),
            changed(entries=7),
            changed(entries=[7]),
            changed(entries=[[]]),
            changed(entries=[plain[1:]]),
            exchanged(0, 7),
            exchanged(4, "asleep"),
            exchanged(5, "lost"),
            exchanged(5, []),
            exchanged(7, 1.5),
        ):
            self.assertRaises(ValueError, fromText, text)
