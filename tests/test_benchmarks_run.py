"""
What is run, how often, and what is drawn of it.
"""

from __future__ import annotations

import dataclasses
import inspect
import io
import re
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import plots, run, sidebyside
from benchmarks.figures import exitStatus
from benchmarks.peers import nginx
from benchmarks.peers.base import Peer
from benchmarks.peers.terminable import WITHOUT_TIMERS
from benchmarks.record import Record
from benchmarks.sheets import Sheet

from .test_benchmarks_peers import peer
from .test_benchmarks_sheets import sheet

NGINX = dataclasses.replace(nginx.PEER, version=lambda: "1.22")
ROOT = Path(__file__).parent.parent


def options(**settings: Any) -> Namespace:
    """
    Those of the command line, with some of them changed.
    """
    return Namespace(**{**vars(run._parser().parse_args([])), **settings})


class ScenarioTests(SynchronousTestCase):
    """
    L{run.SCENARIOS}.
    """

    def chosen(self, **settings: Any) -> Namespace:
        """
        What a scenario is given.
        """
        given: list[Namespace] = []

        def measure(chosen: Namespace) -> run.Shown:
            given.append(chosen)
            return [], []

        scenario = run.Scenario(measure, {"stops": 1, "servers": "terminable"}, {"stops": 9})
        self.patch(run, "SCENARIOS", {"some": scenario})
        run.measured("some", options(**settings))
        return given[0]

    def test_quick(self) -> None:
        """
        A quick run has the options for that.
        """
        self.assertEqual(vars(self.chosen()), {"stops": 1, "servers": "terminable"})

    def test_full(self) -> None:
        """
        In a full one, some differ.
        """
        self.assertEqual(vars(self.chosen(full=True)), {"stops": 9, "servers": "terminable"})

    def test_asked(self) -> None:
        """
        What was asked for goes before either.
        """
        given = self.chosen(full=True, stops=2, servers="nginx")
        self.assertEqual(vars(given), {"stops": 2, "servers": "nginx"})

    def test_options(self) -> None:
        """
        Each program gets, quick and full, every option that it looks at.
        """
        for name, scenario in run.SCENARIOS.items():
            closure = inspect.getclosurevars(scenario.measure)
            measure: Callable[..., Any] = closure.nonlocals.get("measure", scenario.measure)
            module = inspect.getmodule(measure)
            assert isinstance(module, ModuleType)
            if module is run:
                module = sys.modules[f"benchmarks.{name}"]
            looked = set(re.findall(r"options\.(\w+)", inspect.getsource(module.measure)))
            given = {"servers", *scenario.quick, *scenario.full}
            self.assertEqual(looked - given - {"fail_on_straggler"}, set(), name)

    def test_failing(self) -> None:
        """
        A scenario that fails is a goal that is missed, and the others go on.
        """

        def fail(chosen: Namespace) -> run.Shown:
            raise RuntimeError("did not start")

        fine = run.Scenario(lambda chosen: ([sheet(terminable={"new": [0]})], []), {}, {})
        self.patch(run, "SCENARIOS", {"bad": run.Scenario(fail, {}, {}), "good": fine})
        self.patch(sys, "stderr", io.StringIO())
        record = run.measureAll(options(only="bad,good", json=True))
        self.assertEqual([figure.good for figure in record.figures], [False, True])
        self.assertEqual(exitStatus(record.figures), 1)
        self.assertEqual(list(record.sheets), ["lost"])

    def test_unknown(self) -> None:
        """
        A scenario that there is not is refused, before anything is measured.
        """
        told = io.StringIO()
        self.patch(sys, "stderr", told)
        self.patch(sys, "argv", ["run.py", "--only", "lost,found"])
        self.assertRaises(SystemExit, run.main)
        self.assertIn("--only found: expected names out of lost, ", told.getvalue())


class CommandTests(SynchronousTestCase):
    """
    What the programs share.
    """

    def test_repeating(self) -> None:
        """
        A command names its program and its settings.
        """
        command = sidebyside.repeating("lost", stops=3, our_stops=20)
        self.assertEqual(command, "python benchmarks/lost.py --stops 3 --our-stops 20")

    def asked(self, servers: str, usual: list[Peer], *also: Peer) -> list[str]:
        """
        Who is measured.
        """
        self.patch(sidebyside, "_said", {"missing"})
        return [each.name for each in sidebyside.servers(options(servers=servers), usual, also)]

    def test_servers(self) -> None:
        """
        Without names, the usual ones are measured that are installed; by name, others too.
        """
        usual = [NGINX, peer("missing", "")]
        self.assertEqual(self.asked("", usual, WITHOUT_TIMERS), ["nginx"])
        self.assertEqual(
            self.asked(WITHOUT_TIMERS.name, usual, WITHOUT_TIMERS), [WITHOUT_TIMERS.name]
        )
        self.assertEqual(self.asked("aiohttp,nginx", usual), ["nginx"])

    def test_nobody(self) -> None:
        """
        A name that nobody has ends the program with one line, and nothing is measured.
        """
        told = io.StringIO()
        self.patch(sys, "stderr", told)
        self.assertEqual(sidebyside.run(self.fail, options(servers="apache")), 2)
        self.assertIn("--servers apache: expected names out of", told.getvalue())

    def test_failed(self) -> None:
        """
        Of what failed, the first line is kept, which names no place; the rest is only told.
        """
        told = io.StringIO()
        self.patch(sys, "stderr", told)
        seen = sheet(nginx={"new": [1]})
        reason = RuntimeError("the server did not start:\n/somewhere: no rights")
        sidebyside.failed(seen, "nginx", "new", reason)
        self.assertEqual(seen.cell("nginx", "new").problems, ["the server did not start"])
        self.assertIn("/somewhere: no rights", told.getvalue())

    def test_wordless(self) -> None:
        """
        What has no words fails by its name.
        """
        self.patch(sys, "stderr", io.StringIO())
        seen = sheet(nginx={"new": [1]})
        sidebyside.failed(seen, "nginx", "new", TimeoutError())
        self.assertEqual(seen.cell("nginx", "new").problems, ["TimeoutError"])

    def test_targets(self) -> None:
        """
        The Makefile runs programs, with options, that there are.
        """
        text = (ROOT / "Makefile").read_text()
        for path in re.findall(r"benchmarks/\w[\w/]*\.py", text):
            self.assertTrue((ROOT / path).exists(), path)
        known = run._parser().format_help()
        for option in re.findall(r"run\.py (--.*?)\|\|", text.replace("\\\n", " ")):
            for word in re.findall(r"--\w+", option):
                self.assertIn(word, known)


class PlotTests(SynchronousTestCase):
    """
    L{plots}.
    """

    def record(self) -> Record:
        """
        One with two scenarios; in one of them, something failed.
        """
        found = Record({}, {})
        lost = sheet(nginx={"new": [1, 50, 3], "TLS": [4]}, terminable={"new": [0]})
        lost.add("granian", "new", None, "did not start")
        found.sheets = {"lost": lost, "exits": Sheet("exits", "Exit", "ms", ["busy"], "python x")}
        found.sheets["exits"].add("nginx", "busy", 9.5)
        return found

    def test_absent(self) -> None:
        """
        Without the library, it is said which, and how to get it.
        """
        # What stands there as None cannot be imported.
        self.addCleanup(sys.modules.update, dict(sys.modules))
        self.addCleanup(sys.modules.pop, "matplotlib", None)
        sys.modules["matplotlib"] = None  # type: ignore[assignment]
        directory = Path(self.mktemp())
        reason = self.assertRaises(plots.NoPlots, plots.drawAll, self.record(), directory)
        self.assertIn("matplotlib, from the extra benchmarks", str(reason))

    def test_drawn(self) -> None:
        """
        There is a picture for each scenario, which names all servers, and is the same each time.
        """
        pictures = []
        for _ in range(2):
            directory = Path(self.mktemp())
            try:
                drawn = plots.drawAll(self.record(), directory)
            except plots.NoPlots as reason:
                self.skipTest(str(reason))
            self.assertEqual([path.name for path in drawn], ["lost.svg", "exits.svg"])
            pictures.append(drawn[0].read_text())
        self.assertEqual(*pictures)
        for name in ("nginx", "terminable", "granian", "Requests lost"):
            self.assertIn(name, pictures[0])
