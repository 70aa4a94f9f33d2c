"""
What the prose says of names, defaults and command lines is so.

The programs that it shows are run in C{tests/live/test_docs.py}.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import shlex
import textwrap
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from twisted.internet.endpoints import serverFromString
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.tap import Options as WebOptions

from terminable import Schedule, Terminator, ports, roll, signals, slices
from terminable.ctl.orders import COMMANDS
from terminable.drainers.http11 import HTTP11Drainer
from terminable.endpoints import ADMISSION, LIMIT, OPTIONS
from terminable.policy import ledger, schedule
from terminable.policy.admission import Admission
from terminable.spool.terms import Terms
from terminable.tap import Options

ROOT = Path(__file__).parent.parent
README = ROOT / "README.rst"
DOCS = ROOT / "docs"

#: Words in the prose that look like one of our options.
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+(?![\w(-])")

#: Options in the prose that belong to somebody else's program.
FOREIGN = {
    *("--listen", "--server", "--stops", "--nodaemon", "--pidfile", "--python", "--full"),
    *("--servers", "--counts", "--count", "--our-stops", "--save", "--plots", "--only"),
    *(
        "--unix-socket",
        "--deploy-hook",
        "--chroot",
        "--logfile",
        "--syslog",
        "--logger",
        "--log-format",
        "--time",
        "--seconds",
    ),
}

#: A row of a table of settings: name, endpoint option, command line option, default, unit.
ROW = re.compile(
    r"^(\w+) +(\w+|\(none\)) +(--[a-z-]+|\(none\)) +(\d+|\(empty\))(?: s| bytes|  )", re.MULTILINE
)


def pages() -> list[Path]:
    """
    Everything that is written in reStructuredText.
    """
    own = [page for page in DOCS.rglob("*.rst") if "_build" not in page.parts]
    return sorted([README, *own, *(ROOT / "terminable").rglob("*.rst")])


def commands() -> Iterator[tuple[str, list[str]]]:
    """
    Every line of a literal block, or of an example, that starts C{twistd}: the words
    after C{-n} or other options of twistd's own.
    """
    units = (DOCS / "deploy").iterdir()
    for page in [*pages(), *(DOCS / "examples").iterdir(), *units]:
        if not page.is_file():
            continue
        for line in page.read_text().splitlines():
            found = re.match(r"(?:    \$? ?|ExecStart=)(?:\S*/)?twistd (.*)", line)
            if found:
                yield f"{page.name}: {line.strip()}", shlex.split(found[1])


def blocks(page: Path) -> Iterator[str]:
    """
    The Python in a page.
    """
    found = re.findall(r"^\.\. code-block:: python\n\n((?:    .*\n|\n)+)", page.read_text(), re.M)
    for block in found:
        yield textwrap.dedent(block).strip()


class DefaultTests(SynchronousTestCase):
    """
    Defaults.
    """

    def setUp(self) -> None:
        self.rows = {row[0]: row for row in ROW.findall(README.read_text())}
        self.schedule = Schedule()
        self.others = {"queue": Admission().queue, "spool-at-once": Terms().atOnce}

    def test_readme(self) -> None:
        """
        The README names every setting, with the default that it has.
        """
        names = list(inspect.signature(Schedule).parameters)
        self.assertEqual(sorted(self.rows), sorted(names))
        for name, row in self.rows.items():
            told = "" if row[3] == "(empty)" else float(row[3])
            self.assertEqual(told, getattr(self.schedule, name), name)

    def test_spelling(self) -> None:
        """
        The README spells each setting as the prefix and the command line do.
        """
        typed = {
            "gracePeriod": "--grace",
            "idleGrace": "--idle-grace",
            "closeCode": "--close-code",
            "closeReason": "--close-reason",
        }
        endpoint = {name: option for option, name in OPTIONS.items()}
        for name, row in self.rows.items():
            self.assertEqual(row[1], endpoint.get(name, "(none)"))
            expected = typed.get(name, f"--{name}") if name in endpoint else "(none)"
            self.assertEqual(row[2], expected)

    def test_commandLine(self) -> None:
        """
        What the command line says of its defaults is what it has.
        """
        options = Options()
        options.parseOptions([])
        self.assertEqual(options.schedule, self.schedule)
        for name, _, _, text in Options.optParameters:
            told = re.search(r"\[default: (\d+)\]", text)
            if told and name in self.others:
                self.assertEqual(int(told[1]), self.others[name], name)
            elif told:
                row = next(row for row in self.rows.values() if row[2] == f"--{name}")
                self.assertEqual(told[1], row[3], name)

    def test_endpointPage(self) -> None:
        """
        The page on the prefix names each of its options, with its default.
        """
        text = (DOCS / "howto" / "endpoint-prefix.rst").read_text()
        told = dict(re.findall(r"^(\w+) +(\d+|\(empty\)) +\w", text, re.MULTILINE))
        defaults = {option: getattr(self.schedule, name) for option, name in OPTIONS.items()}
        expected = {option: f"{value or 0:g}" for option, value in defaults.items()}
        expected["closeReason"] = "(empty)"
        self.assertEqual(told, expected)

    def test_endpointControls(self) -> None:
        """
        It names those of an admission, too, and the limit.
        """
        text = (DOCS / "howto" / "endpoint-prefix.rst").read_text()
        table = text[text.index("option           meaning") :]
        self.assertEqual(re.findall(r"^(\w+) {2,}(?!meaning)\S", table, re.M), [*ADMISSION, LIMIT])
        self.assertIn(f"how many wait, {Admission().queue} if nothing is said", text)

    def test_terminator(self) -> None:
        """
        A terminator has the same defaults.
        """
        self.assertEqual(Terminator(MemoryReactorClock()).schedule, self.schedule)
        for name in inspect.signature(Schedule).parameters:
            given = {name: getattr(self.schedule, name)}
            self.assertEqual(Terminator(MemoryReactorClock(), **given).schedule, self.schedule)


class FigureTests(SynchronousTestCase):
    """
    Figures that are decided in the code.
    """

    def assertSaid(self, page: str, *phrases: str) -> None:
        """
        A page has each of these phrases, however its lines are broken.
        """
        text = " ".join((DOCS / page).read_text().split())
        for phrase in phrases:
            self.assertIn(phrase, text)

    def test_guarantees(self) -> None:
        """
        The guarantees have the limits that are in force.
        """
        self.assertEqual(ports.ACCEPTING, 1.0)
        self.assertSaid(
            "guarantees.rst",
            f"for {schedule.SETTLE:g} s, or the idle grace",
            "accepted for one second at most",
            f"has {schedule.LAST_WORD:g} s for it",
            f"at the latest {schedule.LAST_WORD + schedule.GIVE_UP:g} s after",
            f"slices of {slices.BUDGET * 1000:g} ms",
            f"names the first {ledger.NAMED:,}",
            f"shows {ledger.SHOWN} of each kind",
        )

    def test_decisions(self) -> None:
        """
        The decisions have the figures that were decided on.
        """
        self.assertEqual(roll.ROUND_TRIPS, 4)
        self.assertSaid(
            "decisions/second-chance.rst",
            "kept for four round trips",
            f"no less than {roll.AT_LEAST:g} s and no more than the idle grace",
        )
        self.assertSaid("decisions/syn-filter.rst", f"{schedule.SETTLE:g} s and never longer")
        self.assertSaid("decisions/slices.rst", f"From {slices.MANY} connections on")
        self.assertSaid("decisions/report-names.rst", f"{ledger.NAMED:,} are kept by name")
        self.assertSaid("decisions/report-names.rst", f"{ledger.SHOWN} of each kind")
        self.assertSaid("decisions/second-signal.rst", f"ignored for {signals.ECHO:g} s")
        self.assertEqual((schedule.IDLE_GRACE, slices.BUDGET, signals.ECHO), (1.0, 0.002, 0.1))


class CommandTests(SynchronousTestCase):
    """
    Command lines.
    """

    def test_parse(self) -> None:
        """
        Every command line that the prose shows is understood.
        """
        seen = 0
        for where, words in commands():
            words = [
                word
                for word in words
                if word not in ("-n", "--nodaemon")
                and not word.startswith(("--pidfile=", "--logger="))
            ]
            if words[:1] == ["terminable"]:
                Options().parseOptions(words[1:])
            elif words[:1] == ["web"]:
                self._parseWeb(words[1:])
            else:
                self.assertIn(words[0], ("-y", "-ny", "--python"), where)
            seen += 1
        self.assertGreater(seen, 10)

    def _parseWeb(self, words: list[str]) -> None:
        options = WebOptions()
        options.parseOptions(words)
        for description in options["ports"]:
            serverFromString(MemoryReactorClock(), description)

    def test_prefixes(self) -> None:
        """
        Every endpoint description with our prefix that the prose shows is understood.
        """
        found = {
            description
            for page in pages()
            for description in re.findall(r"\"(terminable:[^\"]+)\"", page.read_text())
        }
        self.assertGreater(len(found), 2)
        for description in found:
            serverFromString(MemoryReactorClock(), description)

    def test_options(self) -> None:
        """
        Every option that the prose names is one that the help explains.
        """
        usage = Options().getUsage() + "".join(each().getUsage() for each in COMMANDS)
        for page in pages():
            for option in set(OPTION.findall(page.read_text())) - FOREIGN:
                self.assertIn(option, usage, page.name)

    def test_allOptions(self) -> None:
        """
        The prose names every option there is.
        """
        prose = "".join(page.read_text() for page in pages())
        own = {f"--{option[0]}" for option in [*Options.optParameters, *Options.optFlags]}
        self.assertEqual({option for option in own | {"--port"} if option not in prose}, set())


class NameTests(SynchronousTestCase):
    """
    Names.
    """

    def test_blocks(self) -> None:
        """
        The Python in the prose compiles, and what it imports is there.
        """
        seen = 0
        for page in pages():
            for block in blocks(page):
                tree = ast.parse(block)
                compile(tree, page.name, "exec")
                for node in ast.walk(tree):
                    if isinstance(node, ast.ImportFrom):
                        self._import(node, page.name)
                seen += 1
        self.assertGreater(seen, 2)

    def _import(self, node: ast.ImportFrom, where: str) -> None:
        module: Any = importlib.import_module(node.module or "")
        for alias in node.names:
            # The reactor is installed by importing it.
            if alias.name != "reactor":
                self.assertTrue(hasattr(module, alias.name), f"{where}: {alias.name}")

    def test_members(self) -> None:
        """
        What the README says of a terminator is one of its methods.
        """
        for name in re.findall(r"terminator\.(\w+)\(", README.read_text()):
            self.assertTrue(hasattr(Terminator, name), name)

    def test_drainers(self) -> None:
        """
        Each drainer's file has its part in the README beside it, and no part is of
        a file that is not there.
        """
        folder = ROOT / "terminable" / "drainers"
        text = (folder / "README.rst").read_text()
        told = set(re.findall(r"^(\w+\.py)\n-+$", text, re.MULTILINE))
        there = {path.name for path in folder.glob("*.py")} - {"__init__.py"}
        self.assertEqual(told, there)

    def test_paths(self) -> None:
        """
        Every file and folder of ours that the prose names is there.
        """
        for page in pages():
            text = page.read_text()
            for path in re.findall(
                r"``((?:terminable|tests|docs|benchmarks|tac|tracking|policy|drainers)/[\w./]*)``",
                text,
            ):
                places = (ROOT / path, ROOT / "terminable" / path)
                self.assertTrue(any(map(Path.exists, places)), f"{page.name}: {path}")

    def test_rooms(self) -> None:
        """
        The design page has a place for every room of the package, and for no other.
        """
        text = (DOCS / "design.rst").read_text()
        told = re.findall(r"^   \* - \d\n     - (.*)$", text, re.MULTILINE)
        package = ROOT / "terminable"
        there = {path.stem for path in package.glob("*.py")} - {"__init__"}
        there |= {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
        self.assertEqual(set(re.findall(r"``([\w/]+)``", " ".join(told))), there)

    def test_everyPageIsReached(self) -> None:
        """
        Every howto and every decision stands in its index.
        """
        for folder in ("howto", "decisions"):
            listed = re.findall(r"^   ([\w-]+)$", (DOCS / folder / "index.rst").read_text(), re.M)
            there = [page.stem for page in (DOCS / folder).glob("*.rst")]
            self.assertEqual(sorted([*listed, "index"]), sorted(there))

    def test_lastWords(self) -> None:
        """
        The statuses that the prose promises at the deadline are those that are sent.
        """
        source = inspect.getsource(inspect.getmodule(HTTP11Drainer))  # type: ignore[arg-type]
        for status in ("503 Service Unavailable", "408 Request Timeout", "Retry-After"):
            self.assertIn(status, source)


class PhaseTableTests(SynchronousTestCase):
    """
    The directive that draws the phases.
    """

    if find_spec("sphinx") is None:
        skip = "Sphinx is not installed"

    def test_everyTransition(self) -> None:
        """
        The drawn table has a row for each cell of the one that runs.
        """
        from docs import phasetable
        from terminable.policy.phases import TABLE, Effect

        self.assertEqual(phasetable.transitions().count("   * -"), len(TABLE) + 1)
        drawn = phasetable.words(Effect)
        for effect in Effect:
            self.assertIn(f"``{effect.name}``", drawn)
