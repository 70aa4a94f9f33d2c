"""
A report as a text of bounded size, for another process.

Rules:
 - the counts are always there; entries are, as far as they fit: stragglers first;
 - those that did not fit are counted.
"""

from __future__ import annotations

import json
from typing import Any

from terminable.policy.ledger import Entry, Outcome, Report, State

#: Characters of the text, at most, each of them one byte: a value in AMP has no more than
#: 65,535.
MOST = 60_000

_COUNTS = ("opened", "before", "idle", "finished", "left", "aborted")
_WORDS = ("peer", "protocol", "doing", "told")


def _plain(entry: Entry) -> list[Any]:
    return [
        entry.peer,
        entry.protocol,
        entry.doing,
        entry.told,
        entry.state.value,
        entry.outcome.value,
        round(entry.age, 3),
        entry.unsent,
    ]


def toText(report: Report, most: int = MOST) -> str:
    """
    @param most: how many characters there may be.
    @return: the report, in ASCII.
    """
    head = {name: getattr(report, name) for name in _COUNTS}
    room = most - 300
    others = [entry for entry in report.entries if entry.outcome is not Outcome.ABORTED]
    chosen = []
    for entry in (*report.stragglers, *others):
        plain = _plain(entry)
        size = len(json.dumps(plain)) + 2
        if size <= room:
            room -= size
            chosen.append(plain)
    more = len(report.entries) - len(chosen)
    return json.dumps({**head, "seconds": report.seconds, "entries": chosen, "more": more})


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is no count")
    return value


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e12:
        raise ValueError(f"{value!r} is no time")
    return float(value)


def _entry(plain: list[Any]) -> Entry:
    *words, state, outcome, age, unsent = plain
    if len(words) != len(_WORDS) or not all(isinstance(word, str) for word in words):
        raise ValueError(f"{words!r} are no words of an entry")
    peer, protocol, doing, told = words
    return Entry(
        peer,
        protocol,
        doing,
        State(state),
        _seconds(age),
        _count(unsent),
        Outcome(outcome),
        told,
    )


def fromText(text: str) -> tuple[Report, int]:
    """
    @return: the report, and how many entries did not fit into the text.
    @raise ValueError: this is no such text.
    """
    try:
        plain = json.loads(text)
        counts = {name: _count(plain[name]) for name in _COUNTS}
        entries = tuple(_entry(each) for each in plain["entries"])
        seconds, more = _seconds(plain["seconds"]), _count(plain["more"])
    except (LookupError, TypeError, RecursionError) as problem:
        raise ValueError(f"no report: {problem!r}") from None
    return Report(**counts, seconds=seconds, entries=entries), more
