"""
Tables: by C{rich} on a terminal, in plain columns elsewhere.

Needs C{rich} (C{pip install txterminable[progress]}) for the first; without it, plain columns
are shown on terminals, too.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from typing import Any, TextIO


class Column:
    """
    One column of a table.

    @ivar title: what stands above it.
    @ivar right: whether it is aligned to the right, as numbers are.
    @ivar whole: whether it is cut only when there is no other way.
    @ivar wanted: how many columns a terminal must have for this one to be shown.
    """

    def __init__(
        self, title: str, right: bool = False, whole: bool = True, wanted: int = 0
    ) -> None:
        self.title = title
        self.right = right
        self.whole = whole
        self.wanted = wanted


class Paper:
    """
    What people, or programs, read.

    @ivar out: where it goes to.
    @ivar json: whether a program reads it.
    @ivar console: what draws on a terminal; C{None} if it is no terminal, or C{rich} is missing.
    """

    def __init__(self, out: TextIO, json: bool = False) -> None:
        self.out = out
        self.json = json
        self.console = None if json else consoleOn(out)

    def line(self, text: str) -> None:
        """
        Print a line, at once.
        """
        self.out.write(text + "\n")
        self.out.flush()

    def value(self, value: object) -> None:
        """
        Print a value for a program, in one line of ASCII.
        """
        self.line(json.dumps(value))

    def table(self, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
        """
        Print a table.
        """
        if self.console is not None:
            self.console.print(tableOf(columns, rows, self.console.width))
            return
        titles = [column.title for column in columns]
        for line in aligned(columns, [titles, *rows]):
            self.line(line)

    def pairs(self, rows: Sequence[tuple[str, str]]) -> None:
        """
        Print a table of names and values.
        """
        if self.console is not None:
            self.console.print(_grid(rows))
            return
        for line in aligned([Column(""), Column("")], rows):
            self.line(line)


def consoleOn(out: TextIO) -> Any:
    """
    @return: what draws on a terminal by C{rich}; C{None} if C{out} is none on which something
        can be drawn, or C{rich} is missing.
    """
    try:
        if not out.isatty():
            return None
        from rich.console import Console
    except (ImportError, ValueError):
        return None
    console = Console(file=out, highlight=False, markup=False, emoji=False)
    return None if console.is_dumb_terminal else console


def tableOf(columns: Sequence[Column], rows: Sequence[Sequence[str]], most: int) -> Any:
    """
    @param most: how wide the terminal is.
    @return: a table for C{rich}, none of whose cells is wrapped.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    shown = [number for number, column in enumerate(columns) if column.wanted <= most]
    for number in shown:
        column = columns[number]
        justify: Any = "right" if column.right else "left"
        # What may be cut is called wrapped, which its cells are not.
        table.add_column(column.title, justify=justify, no_wrap=column.whole, overflow="ellipsis")
    for row in rows:
        cells = [Text(row[number], no_wrap=True, overflow="ellipsis") for number in shown]
        table.add_row(*cells)
    return table


def _grid(rows: Sequence[tuple[str, str]]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, Text(value))
    return table


def aligned(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[str]:
    """
    @return: a line for each row, with the columns below each other and two blanks between them.
    """
    widths = [max((width(row[index]) for row in rows), default=0) for index in range(len(columns))]
    lines = []
    for row in rows:
        cells = [
            " " * (most - width(cell)) + cell if column.right else cell + " " * (most - width(cell))
            for column, cell, most in zip(columns, row, widths, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def width(text: str) -> int:
    """
    How many columns of a terminal a text takes.
    """
    if text.isascii():
        return len(text)
    return sum(map(_cells, text))


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
