"""
What is wanted of us.  Nothing is wanted of the others, but that they show that clients can fail.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from benchmarks.figures import Figure
from benchmarks.sheets import Cell, Sheet

#: Wanted of a crowd of this size: ended in so many times what a plain loop in Python takes.
CROWD, TIMES = 10_000, 1.5

#: How much longer one connection of a larger crowd may take.
GROWTH = 1.2

#: Milliseconds of a turn, of that part of it which is our own, and from the last answer to the
#: end of the process.
TURN, OWN, EXIT = 10.0, 5.0, 10.0

#: Seconds of the grace that hostile clients are up against, and how much later is not late.
DEADLINE, HAIR = 2.0, 0.2

PYTHON = "plain Python loop"


def _ours(sheet: Sheet) -> Iterator[tuple[str, str, Cell]]:
    for server, cells in sheet.cells.items():
        if server.startswith("terminable"):
            for column, cell in cells.items():
                yield server, column, cell


def _atMost(sheet: Sheet, limit: float, what: str, worst: Callable[[Any], float]) -> list[Figure]:
    """
    A figure for each cell of ours.
    """
    found = []
    for server, column, cell in _ours(sheet):
        good = bool(cell.runs) and not cell.problems and worst(cell.runs) <= limit
        text = cell.text(sheet.digits) + f" in {len(cell.runs)} run" + "s" * (len(cell.runs) != 1)
        wanted = f"{limit:g}" if not limit else f"<= {limit:g} {sheet.unit}"
        found.append(Figure(f"{what}, {server}: {column}", text, wanted, good))
    return found


def lost(sheet: Sheet) -> list[Figure]:
    """
    None of ours; and some of Twisted's, else the clients prove nothing.
    """
    found = _atMost(sheet, 0, "lost", max)
    plain = sheet.cells.get("plain Twisted")
    if plain:
        total = sum(sum(cell.runs) for cell in plain.values())
        found.append(Figure("lost, plain Twisted: all", f"{total:.0f}", "> 0", total > 0))
    return found


def idle(sheet: Sheet) -> list[Figure]:
    """
    Against the plain loop, and larger crowds against smaller ones.
    """
    found = []
    floor = sheet.cells.get(PYTHON, {})
    for server, column, cell in _ours(sheet):
        count = sheet.more["counts"][column]
        if count == CROWD and cell.runs and column in floor:
            times = cell.median / floor[column].median
            text = f"{cell.text(0)} ms, {times:.2f} times the plain loop"
            good = times <= TIMES and not cell.problems
            found.append(Figure(f"idle, {server}: {column}", text, f"<= {TIMES:g} times", good))
        if count > CROWD and cell.runs:
            found += _growth(sheet, server, column, cell)
    return found


def _growth(sheet: Sheet, server: str, column: str, cell: Cell) -> list[Figure]:
    counts = sheet.more["counts"]
    smaller = next((name for name, count in counts.items() if count == CROWD), None)
    before = sheet.cells[server].get(smaller or "")
    if before is None or not before.runs:
        return []
    each, eachBefore = cell.median / counts[column], before.median / CROWD
    text = f"{each * 1000:.0f} us a connection, {each / eachBefore:.2f} times that of {smaller}"
    good = each <= GROWTH * eachBefore and not cell.problems
    return [Figure(f"idle, {server}: {column}", text, f"<= {GROWTH:g} times", good)]


def stalls(sheet: Sheet) -> list[Figure]:
    """
    For protocols without timers; what twisted.web's cost is shown.
    """
    found = _atMost(sheet, TURN, "longest stall", statistics.median)
    for figure in found:
        if "no timers" not in figure.what:
            figure.wanted, figure.good = "", None
    return found


def turns(sheet: Sheet) -> list[Figure]:
    """
    What we do ourselves in one turn.
    """
    return _atMost(sheet, OWN, "longest turn of ours", statistics.median)


def deadline(sheet: Sheet) -> list[Figure]:
    """
    Not later than the deadline.
    """
    return _atMost(sheet, DEADLINE + HAIR, "deadline", max)


def exits(sheet: Sheet) -> list[Figure]:
    """
    Soon after the last answer.
    """
    return _atMost(sheet, EXIT, "exit after the last answer", statistics.median)


def restarts(sheet: Sheet) -> list[Figure]:
    """
    Nothing fails.
    """
    return _atMost(sheet, 0, "failed at a restart", max)


GOALS: Mapping[str, Callable[[Sheet], list[Figure]]] = {
    "lost": lost,
    "idle": idle,
    "stalls": stalls,
    "turns": turns,
    "exits": exits,
    "deadline": deadline,
    "restarts": restarts,
}


def figures(sheets: Mapping[str, Sheet]) -> list[Figure]:
    """
    What is wanted of each scenario that was measured.
    """
    return [
        figure for name, sheet in sheets.items() if name in GOALS for figure in GOALS[name](sheet)
    ]
