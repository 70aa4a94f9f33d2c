"""
How figures are kept, and shown.
"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.figures import Figure
from benchmarks.record import FORMAT, Record, machine
from benchmarks.sheets import Cell, Sheet, grid


def sheet(**cells: dict[str, list[float]]) -> Sheet:
    """
    A sheet with a server for each keyword, and its runs by column.
    """
    columns = list(dict.fromkeys(column for found in cells.values() for column in found))
    made = Sheet("lost", "Requests lost", "requests", columns, "python benchmarks/lost.py")
    for server, found in cells.items():
        for column, runs in found.items():
            for value in runs:
                made.add(server, column, value)
    return made


class CellTests(SynchronousTestCase):
    """
    L{Cell}.
    """

    def test_spread(self) -> None:
        """
        Several runs are shown by their minimum, median and maximum.
        """
        self.assertEqual(Cell([30, 1000, 4]).text(0), "4 / 30 / 1,000")

    def test_oneRun(self) -> None:
        """
        A single run is shown by its number.
        """
        self.assertEqual(Cell([2.04]).text(1), "2.0")

    def test_noRuns(self) -> None:
        """
        What has shown nothing has failed, and is marked.
        """
        self.assertEqual(Cell([], ["did not start"]).text(0), "failed *")

    def test_marked(self) -> None:
        """
        Runs with which something is wrong are marked.
        """
        self.assertEqual(Cell([14.0], ["had to be ended"]).text(0), "14 *")


class SheetTests(SynchronousTestCase):
    """
    L{Sheet}.
    """

    def test_rows(self) -> None:
        """
        There is a row for each server, and a dash where it was not measured.
        """
        seen = sheet(plain={"new": [50.0]}, terminable={"new": [0], "TLS": [0, 0]})
        self.assertEqual(
            seen.rows(),
            [
                ["server", "new", "TLS"],
                ["plain", "50", "-"],
                ["terminable", "0", "0 / 0 / 0"],
            ],
        )

    def test_unknownColumn(self) -> None:
        """
        A column that there is not is refused.
        """
        self.assertRaises(ValueError, sheet(plain={"new": [1]}).add, "plain", "old", 1.0)

    def test_remarks(self) -> None:
        """
        Each marked cell is explained, what happened often only once.
        """
        seen = sheet(nginx={"new": [14]})
        for problem in ("late", "late", "early"):
            seen.add("nginx", "new", None, problem)
        self.assertEqual(seen.remarks(), ["* nginx, new: late (2x); early"])

    def test_roundTrip(self) -> None:
        """
        What is written can be read again, and nothing is missing.
        """
        seen = sheet(plain={"new": [3, 50, 4]}, terminable={"new": [0]})
        seen.add("nginx", "new", None, "did not start")
        seen.more = {"counts": {"new": 5}}
        told = seen.toJson()
        self.assertEqual(Sheet.fromJson("lost", told), seen)
        cell = told["cells"]["plain"]["new"]
        three = [cell[word] for word in ("minimum", "median", "maximum")]
        self.assertEqual((three, cell["runs"]), ([3, 4, 50], [3, 50, 4]))

    def test_grid(self) -> None:
        """
        A table of reStructuredText has a rule above, below its heading, and at its end.
        """
        self.assertEqual(
            list(grid([["server", "lost"], ["x", "1 / 2 / 3"]])),
            [
                "======  =========",
                "server  lost",
                "======  =========",
                "x       1 / 2 / 3",
                "======  =========",
            ],
        )


class RecordTests(SynchronousTestCase):
    """
    L{Record}.
    """

    def test_file(self) -> None:
        """
        What is saved is what is loaded, and runs stand side by side in the file.
        """
        path = Path(self.mktemp()) / "deep" / "results.json"
        record = Record(machine(), {"terminable": "0.1.0"}, ["granian"])
        record.add([sheet(plain={"new": [3, 4.5, 50]})])
        record.figures.append(Figure("lost", "0", "0", True))
        record.save(path)
        self.assertEqual(Record.load(path), record)
        self.assertIn("[3, 4.5, 50]", path.read_text())

    def test_otherFormat(self) -> None:
        """
        A file of another format is refused.
        """
        told = {**Record({}, {}).toJson(), "format": FORMAT + 1}
        self.assertRaises(ValueError, Record.fromJson, told)

    def test_machine(self) -> None:
        """
        What is said of a machine names neither its users nor its paths.
        """
        known = machine()
        self.assertGreater(known["cores"], 0)
        self.assertRegex(known["kernel"], r"^\d+\.\d+$")
        self.assertNotIn("/", "".join(map(str, known.values())))
