"""
The README shows what stands in the file of results, and nothing else.
"""

from __future__ import annotations

import json
import re
import statistics
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import readme
from benchmarks.record import RESULTS, Record

from .test_benchmarks_sheets import sheet

ROOT = Path(__file__).parent.parent


def record() -> Record:
    """
    A small one, with all that the README shows.
    """
    found = Record(
        {"system": "Linux", "kernel": "6.1", "cores": 2, "Python": "CPython 3.11.7"},
        {"nginx": "1.22"},
        ["granian"],
    )
    made = sheet(nginx={"new": [1, 50, 3]}, terminable={"new": [0, 0, 0]})
    late = sheet(nginx={"gone": [14]})
    late.add("nginx", "gone", None, "had to be ended")
    late.add("terminable", "gone", None, "cut")
    found.sheets = {"lost": made, "idle": made, "exits": made, "deadline": late, "restarts": made}
    return found


class WrittenTests(SynchronousTestCase):
    """
    What is written between the markers.
    """

    def test_around(self) -> None:
        """
        What stands around the markers stays.
        """
        text = f"above\n\n{readme.BEGIN}\nold\n{readme.END}\n\nbelow\n"
        new = readme.written(text, record())
        self.assertTrue(new.startswith("above\n") and new.endswith("\nbelow\n"))
        self.assertNotIn("old", new)
        self.assertEqual(readme.written(new, record()), new)

    def test_markers(self) -> None:
        """
        Without the markers, or with two of them, nothing is written.
        """
        for text in ("", f"{readme.BEGIN} {readme.BEGIN} {readme.END}"):
            self.assertRaises(ValueError, readme.written, text, record())

    def test_conditions(self) -> None:
        """
        It says where it was measured, with whom, and who was not there.
        """
        text = " ".join(readme.section(record()).split())
        for words in ("Linux 6.1 with 2 cores", "nginx 1.22", "Not installed were: granian."):
            self.assertIn(words, text)

    def test_busyMachine(self) -> None:
        """
        It says if the machine had other things to do, and what else is to be known.
        """
        seen = record()
        self.assertNotIn("rough", readme.section(seen))
        seen.machine.update({"load before": 2.5, "note": "Two runs."})
        text = " ".join(readme.section(seen).split())
        self.assertIn("with a load of 2.5: times are rough. Two runs.", text)

    def test_partly(self) -> None:
        """
        Scenarios that were not measured are left out.
        """
        partly = record()
        partly.sheets = {name: partly.sheets[name] for name in ("lost", "exits")}
        text = readme.section(partly)
        self.assertIn("exit, ms", text)
        self.assertNotIn("deadline", text)
        del partly.sheets["exits"]
        self.assertNotIn("Medians", readme.section(partly))

    def test_overTLS(self) -> None:
        """
        What is over TLS has a table of its own.
        """
        seen = record()
        seen.sheets["lost"] = sheet(nginx={"new": [1], "new, TLS": [2], "HTTP/2": [3]})
        lines = readme.section(seen).splitlines()
        self.assertEqual(lines[1].split(), ["server", "new"])
        table = lines[lines.index("Over TLS:") + 2 :]
        self.assertEqual(table[1].split(), ["server", "new,", "TLS", "HTTP/2"])
        self.assertEqual(table[3].split(), ["nginx", "2", "3"])

    def test_medians(self) -> None:
        """
        The second table has medians, marked where something was wrong.
        """
        lines = readme.section(record()).splitlines()
        row = next(line for line in lines[6:] if line.startswith("nginx "))
        self.assertEqual(row.split(), ["nginx", "3", "14", "\\*", "3"])
        self.assertTrue(any(line == "- nginx, gone: had to be ended." for line in lines))


class ResultsTests(SynchronousTestCase):
    """
    The results in the repository.
    """

    def setUp(self) -> None:
        """
        Read them.
        """
        self.record = Record.load(RESULTS)
        self.text = readme.README.read_text()

    def test_agree(self) -> None:
        """
        The README is what C{python benchmarks/readme.py} would write.
        """
        self.assertEqual(readme.written(self.text, self.record), self.text)

    def test_spreads(self) -> None:
        """
        The numbers that are printed of lost requests are those of the runs in the file.
        """
        lost = self.record.sheets["lost"]
        lines = self.text.splitlines()
        for server, cells in lost.cells.items():
            rows = "\n".join(line for line in lines if line.startswith(f"{server}  "))
            for cell in filter(lambda cell: cell.runs, cells.values()):
                three = (min(cell.runs), statistics.median(cell.runs), max(cell.runs))
                self.assertIn(" / ".join(f"{value:,.0f}" for value in three), rows)

    def test_told(self) -> None:
        """
        The medians and extremes in the file are those of its runs.
        """
        told = json.loads(RESULTS.read_text())
        self.assertEqual(self.record.toJson(), told)

    def test_commands(self) -> None:
        """
        Each scenario names the command that repeats it, with options that its program has; the
        README shows it.
        """
        for name, each in self.record.sheets.items():
            pattern = r"python (benchmarks/\w+\.py)((?: --[\w-]+ [\w,.]+)*)"
            found = re.fullmatch(pattern, each.command)
            assert found, f"{name}: {each.command}"
            sources = (ROOT / found[1]).read_text()
            sources += (ROOT / "benchmarks" / "sidebyside.py").read_text()
            for option in re.findall(r"--[\w-]+", found[2]):
                self.assertIn(f'"{option}"', sources, name)
            self.assertIn(f"    {each.command}\n", self.text)

    def test_everybody(self) -> None:
        """
        Whoever was measured has a version in the file, and nobody has a path of a machine.
        """
        self.assertLessEqual({"terminable", "plain Twisted"}, set(self.record.versions))
        self.assertNotRegex(RESULTS.read_text(), r"/(?:home|root|tmp|usr|work|opt)/")
