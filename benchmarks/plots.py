"""
A picture of each scenario: medians as bars, from the least to the most as a line.

    python benchmarks/plots.py benchmarks/results/comparison.json benchmarks/results

Needs C{matplotlib}, from the extra C{benchmarks}.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import Any

from benchmarks.record import Record
from benchmarks.sheets import Cell, Sheet

OURS, THEIRS = ("#0b6e4f", "#3fa34d", "#8cc084", "#bcd8b7"), ("#33415c", "#5c677d", "#979dac")


class NoPlots(Exception):
    """
    What draws is not installed.
    """


def _library() -> Any:
    try:
        import matplotlib
    except ImportError:
        raise NoPlots("not installed: matplotlib, from the extra benchmarks") from None
    # No display; letters stay letters, and the same figures give the same file.
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "benchmarks"})
    return __import__("matplotlib.pyplot").pyplot


def _bar(axes: Any, place: float, height: float, cell: Cell, colour: str, label: str) -> None:
    least, most = min(cell.runs), max(cell.runs)
    axes.barh(place, cell.median, height, color=colour, label=label)
    axes.plot([least, most], [place, place], color="black", linewidth=1)
    axes.annotate(
        f"{cell.median:,.0f}" if cell.median >= 100 else f"{cell.median:.3g}",
        (most, place),
        xytext=(3, 0),
        textcoords="offset points",
        va="center",
        fontsize=6,
    )


def draw(sheet: Sheet, path: Path) -> None:
    """
    Draw one scenario.

    @raise NoPlots: the library is not installed.
    """
    plt = _library()
    servers = list(sheet.cells)
    rows = len(servers) * len(sheet.columns)
    figure, axes = plt.subplots(figsize=(8, 1.2 + 0.16 * rows + 0.1 * len(servers)))
    height = 0.85 / len(sheet.columns)
    for row, server in enumerate(servers):
        colours = OURS if server.startswith("terminable") else THEIRS
        for number, column in enumerate(sheet.columns):
            cell = sheet.cells[server].get(column)
            if cell is not None and cell.runs:
                place = row + (number + 0.5) * height - 0.425
                _bar(axes, place, height * 0.9, cell, colours[number % len(colours)], column)
    axes.set_yticks(range(len(servers)), servers)
    # Also where nothing was measured; the first is at the top.
    axes.set_ylim(len(servers) - 0.5, -0.5)
    axes.margins(x=0.12)
    inOrder = textwrap.fill("; ".join(sheet.columns), 100)
    axes.set_title(f"{sheet.title} ({sheet.unit}); from above:\n{inOrder}", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    plt.close(figure)


def drawAll(record: Record, directory: Path) -> list[Path]:
    """
    Draw all scenarios of a record.

    @return: the files.
    @raise NoPlots: the library is not installed.
    """
    directory.mkdir(parents=True, exist_ok=True)
    drawn = []
    for name, sheet in record.sheets.items():
        drawn.append(directory / f"{name}.svg")
        draw(sheet, drawn[-1])
    return drawn


def main() -> int:
    """
    The command line.
    """
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    for path in drawAll(Record.load(Path(sys.argv[1])), Path(sys.argv[2])):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
