"""
How the benchmarks print what they measured.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.common import KINDS


def spread(values: Sequence[float], digits: int = 0) -> str:
    """
    Minimum / median / maximum.
    """
    if not values:
        return "-"
    three = (min(values), statistics.median(values), max(values))
    return " / ".join(f"{value:.{digits}f}" for value in three)


def table(rows: Sequence[Sequence[object]]) -> str:
    """
    Rows of words in columns; the first row is the heading.
    """
    words = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*words, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in words
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


@dataclass
class Figure:
    """
    One line of the table that L{run <run>} prints.

    @ivar good: whether the figure is as wanted, or C{None} if nothing is asked
        of it.
    """

    what: str
    figure: str
    wanted: str = ""
    good: bool | None = None

    def row(self) -> list[str]:
        verdict = {None: "", True: "yes", False: "NO"}[self.good]
        return [self.what, self.figure, self.wanted, verdict]


HEADING = ["what", "figure", "wanted", "met"]


def arguments(description: str | None, **defaults: Any) -> argparse.ArgumentParser:
    """
    A parser with the options that all programs here have.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--server", choices=KINDS, default="terminable")
    parser.add_argument("--json", action="store_true", help="print JSON, no table")
    parser.set_defaults(**defaults)
    return parser


def figureTable(figures: Sequence[Figure]) -> str:
    """
    A line for each figure.
    """
    return table([HEADING, *(figure.row() for figure in figures)])


def show(result: Any, figures: Sequence[Figure], asJson: bool) -> None:
    """
    Print what was measured.
    """
    if asJson:
        print(json.dumps(result, indent=2, default=str))
    else:
        print(figureTable(figures))


def exitStatus(figures: Sequence[Figure]) -> int:
    """
    1 if any figure is not as wanted.
    """
    return int(any(figure.good is False for figure in figures))
