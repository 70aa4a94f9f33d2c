"""
Write the figures of a file of results into the project's README, between two markers.

    python benchmarks/readme.py
    python benchmarks/readme.py --check     # 1 if they differ
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.machine import ROOT
from benchmarks.record import RESULTS, Record
from benchmarks.sheets import Sheet, grid

README = ROOT / "README.rst"
BEGIN, END = ".. figures: begin", ".. figures: end"

#: The scenarios whose figures are shown.
SHOWN = ("lost", "idle", "exits", "deadline", "restarts")

#: The columns of the second table: the scenario, the place of its column, and the heading.
SECOND = [
    ("idle", 1, "{} gone, ms"),
    ("exits", 0, "exit, ms"),
    ("deadline", 0, "2 s deadline, s"),
    ("restarts", 0, "restart, {}"),
    ("restarts", 1, "restart, {}"),
    ("restarts", 2, "restart, {}"),
]


def _second(record: Record) -> list[list[str]]:
    """
    Medians of what is not about lost requests.
    """
    columns: list[tuple[Sheet, str, str]] = []
    for name, place, heading in SECOND:
        sheet = record.sheets.get(name)
        if sheet is not None and place < len(sheet.columns):
            column = sheet.columns[place]
            columns.append((sheet, column, heading.format(column)))
    servers = dict.fromkeys(server for sheet, _, _ in columns for server in sheet.cells)
    rows = [["server", *(heading for _, _, heading in columns)]]
    for server in servers:
        rows.append([server, *(_median(sheet, server, column) for sheet, column, _ in columns)])
    return rows


def _median(sheet: Sheet, server: str, column: str) -> str:
    cell = sheet.cells.get(server, {}).get(column)
    if cell is None:
        return "-"
    if not cell.runs:
        return "failed \\*"
    return f"{cell.median:,.{sheet.digits}f}" + (" \\*" if cell.problems else "")


def _escaped(rows: list[list[str]]) -> list[list[str]]:
    return [[cell.replace(" *", " \\*") for cell in row] for row in rows]


def _paragraph(words: str, width: int = 100) -> Iterator[str]:
    line = ""
    for word in words.split():
        if line and len(line) + 1 + len(word) > width:
            yield line
            line = word
        else:
            line = f"{line} {word}".strip()
    yield line


def _conditions(record: Record) -> str:
    known = record.machine
    measured = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    words = f"Measured on {known['system']} {known['kernel']} with {known['cores']} cores and "
    words += f"{known['Python']}: {measured}."
    load = known.get("load before", 0)
    if load > known["cores"] / 2:
        words += f" Others were at work there, with a load of {load:g}: times are rough."
    if "note" in known:
        words += f" {known['note']}"
    if record.missing:
        words += f" Not installed were: {', '.join(record.missing)}."
    return words


def _remarks(record: Record) -> Iterator[str]:
    for name in SHOWN:
        sheet = record.sheets.get(name)
        for remark in sheet.remarks() if sheet is not None else ():
            yield remark.removeprefix("* ") + "."


def section(record: Record) -> str:
    """
    What stands between the markers.
    """
    lost = record.sheets["lost"]
    overTLS = [name for name in lost.columns if "TLS" in name or "HTTP/2" in name]
    plain = [name for name in lost.columns if name not in overTLS]
    lines = [*grid(_escaped(lost.rows(plain))), ""]
    if overTLS:
        lines += ["Over TLS:", "", *grid(_escaped(lost.rows(overTLS))), ""]
    lines += [*_paragraph(_conditions(record)), ""]
    second = _second(record)
    if len(second) > 1:
        lines += ["Medians of what else was measured:", "", *grid(second), ""]
    remarks = list(_remarks(record))
    if remarks:
        lines += ["What the asterisks stand for:", ""]
        for remark in remarks:
            first, *rest = _paragraph(remark, 98)
            lines += [f"- {first}", *(f"  {line}" for line in rest)]
        lines.append("")
    lines += ["The same again, piece by piece; ``python`` is that of ``.venv``::", ""]
    commands = dict.fromkeys(sheet.command for sheet in record.sheets.values())
    lines += [f"    {command}" for command in commands]
    return "\n".join(lines)


def written(text: str, record: Record) -> str:
    """
    A README with the figures of this record.

    @raise ValueError: it has not exactly one place for them.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"expected one {BEGIN!r} and one {END!r}")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n\n{section(record)}\n\n{END}{after}"


def main() -> int:
    """
    The command line.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--results", type=Path, default=RESULTS, help="a file of results")
    options = parser.parse_args()
    text = README.read_text()
    wanted = written(text, Record.load(options.results))
    if not options.check:
        README.write_text(wanted)
    elif wanted != text:
        print("README.rst does not show these results: python benchmarks/readme.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
