"""
What was measured: for each scenario a sheet, with a row for each server, and a cell for each way
to measure it.  Every single run is kept.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Cell:
    """
    One server, measured in one way.

    @ivar runs: what each run has shown; a run that failed shows nothing.
    @ivar problems: what went wrong, a sentence for each such run.
    """

    runs: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def median(self) -> float:
        """
        The median of the runs, of which there has to be one.
        """
        return statistics.median(self.runs)

    def text(self, digits: int) -> str:
        """
        Minimum, median and maximum; one number if they are the same run.
        """
        marked = " *" if self.problems else ""
        if not self.runs:
            return "failed" + marked
        shown = [min(self.runs), self.median, max(self.runs)]
        if len(self.runs) == 1:
            shown = self.runs
        return " / ".join(f"{value:,.{digits}f}" for value in shown) + marked


@dataclass
class Sheet:
    """
    One scenario.

    @ivar name: of the scenario, in one word.
    @ivar title: in some words.
    @ivar unit: of all numbers in it.
    @ivar columns: in which ways it was measured.
    @ivar command: what repeats it.
    @ivar digits: how many of them are shown behind the point.
    @ivar more: what else is worth to be kept.
    """

    name: str
    title: str
    unit: str
    columns: list[str]
    command: str
    digits: int = 0
    cells: dict[str, dict[str, Cell]] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)

    def cell(self, server: str, column: str) -> Cell:
        """
        The cell of a server, in a column; made if there is none.

        @raise ValueError: there is no such column.
        """
        if column not in self.columns:
            raise ValueError(f"no column {column!r} in {self.columns}")
        return self.cells.setdefault(server, {}).setdefault(column, Cell())

    def add(self, server: str, column: str, value: float | None, problem: str = "") -> None:
        """
        Note a run.

        @param value: what it has shown, C{None} if nothing.
        @param problem: what went wrong, if something did.
        """
        cell = self.cell(server, column)
        if value is not None:
            cell.runs.append(round(value, 4))
        if problem:
            cell.problems.append(problem)

    def rows(self, columns: Sequence[str] = ()) -> list[list[str]]:
        """
        The heading, and a row for each server.

        @param columns: only these.
        """
        columns = columns or self.columns
        rows = [["server", *columns]]
        for server, cells in self.cells.items():
            filled = {name: cell.text(self.digits) for name, cell in cells.items()}
            rows.append([server, *(filled.get(name, "-") for name in columns)])
        return rows

    def remarks(self) -> list[str]:
        """
        What is meant by the asterisks, a line for each cell that has one.
        """
        return [
            f"* {server}, {column}: {_often(cell.problems)}"
            for server, cells in self.cells.items()
            for column, cell in cells.items()
            if cell.problems
        ]

    def toJson(self) -> dict[str, Any]:
        """
        All of it, with medians and extremes, as it is written to files.
        """
        cells = {
            server: {column: _told(cell) for column, cell in found.items()}
            for server, found in self.cells.items()
        }
        return {
            "title": self.title,
            "command": self.command,
            "unit": self.unit,
            "digits": self.digits,
            "columns": self.columns,
            "cells": cells,
            "more": self.more,
        }

    @classmethod
    def fromJson(cls, name: str, told: Mapping[str, Any]) -> Sheet:
        """
        What was written by L{toJson}.
        """
        sheet = cls(
            name,
            told["title"],
            told["unit"],
            list(told["columns"]),
            told["command"],
            told["digits"],
            more=dict(told["more"]),
        )
        for server, cells in told["cells"].items():
            for column, cell in cells.items():
                kept = sheet.cell(server, column)
                kept.runs, kept.problems = list(cell["runs"]), list(cell["problems"])
        return sheet


def _often(problems: Sequence[str]) -> str:
    counted = {text: problems.count(text) for text in dict.fromkeys(problems)}
    return "; ".join(f"{text} ({often}x)" if often > 1 else text for text, often in counted.items())


def _told(cell: Cell) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if cell.runs:
        three = (min(cell.runs), cell.median, max(cell.runs))
        told = dict(zip(("minimum", "median", "maximum"), three, strict=True))
    return {**told, "runs": cell.runs, "problems": cell.problems}


def grid(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """
    The lines of a table of reStructuredText; the first row is the heading.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = "  ".join("=" * width for width in widths)
    for number, row in enumerate(rows):
        if number < 2:
            yield rule
        yield "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
    yield rule
