"""
What is logged has names that stay.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twisted.logger import Logger, capturedLogs, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from terminable import events
from terminable.events import EVENTS, TERMINATED, fieldsOf
from terminable.progress import ProgressLines
from tests.doubles import Hinting, World
from tests.test_docs import blocks
from tests.test_ledger import report

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "howto" / "logging.rst"

#: What Twisted adds for its older observers.
LEGACY = {"format", "isError", "message", "time", "system"}

#: How a logger is called, and which level that is.
LEVELS = {name: name for name in ("debug", "info", "warn", "error", "critical")}
LEVELS["failure"] = "critical"


def constants() -> dict[str, str]:
    """
    The names of events, by what they are called here.
    """
    found = {name: value for name, value in vars(events).items() if name.isupper()}
    return {name: value for name, value in found.items() if isinstance(value, str)}


class Call:
    """
    Something is logged.
    """

    def __init__(self, where: str, method: str, call: ast.Call) -> None:
        self.where = f"{where}:{call.lineno}"
        self.level = LEVELS[method]
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        name = given.pop("event", None)
        self.event = constants()[name.attr] if isinstance(name, ast.Attribute) else None
        # More of them may come from elsewhere.
        self.open = None in given
        self.fields = {field for field in given if field not in (None, "failure")}


def calls(source: str, where: str) -> Iterator[Call]:
    """
    Everything that is logged in a module.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            logger = node.func.value
            if isinstance(logger, ast.Name) and logger.id == "_log" and node.func.attr in LEVELS:
                yield Call(where, node.func.attr, node)


def package() -> list[Call]:
    """
    Everything that is logged in the package.
    """
    paths = sorted((ROOT / "terminable").rglob("*.py"))
    found = [calls(path.read_text(), str(path.relative_to(ROOT))) for path in paths]
    return [call for module in found for call in module]


class CodeTests(SynchronousTestCase):
    """
    The code, read.
    """

    def test_named(self) -> None:
        """
        Whatever is logged has a name, but for plain failures and lines that others have made.
        """
        plain = [call for call in package() if call.event is None and call.level != "critical"]
        nameless = [call.where for call in plain if call.fields != {"line"}]
        self.assertEqual(nameless, [])

    def test_fields(self) -> None:
        """
        Each event has the level and the fields that stand in the list.
        """
        seen = set()
        for call in package():
            if call.event is None:
                continue
            seen.add(call.event)
            level, fields = EVENTS[call.event]
            self.assertEqual(call.level, level, call.where)
            told = call.fields - {"progress"} if call.event == events.PROGRESS else call.fields
            if call.open:
                self.assertLessEqual(told, set(fields), call.where)
            else:
                self.assertEqual(told, set(fields), call.where)
        self.assertEqual(seen, set(EVENTS))

    def test_constants(self) -> None:
        """
        No name was given twice, and each is of one form.
        """
        self.assertEqual(sorted(constants().values()), sorted(EVENTS))
        for name in EVENTS:
            self.assertRegex(name, r"\Aterminable(\.[a-z][a-zA-Z]*){1,2}\Z")

    def test_reading(self) -> None:
        """
        What lacks a name, or has another field, would be seen.
        """
        [bare] = calls("_log.warn('x {y}', y=1)", "here")
        self.assertEqual((bare.event, bare.level, bare.fields), (None, "warn", {"y"}))
        [named] = calls("_log.failure('x', f, event=events.PHASE, z=1, **more)", "here")
        self.assertEqual((named.event, named.level), (events.PHASE, "critical"))
        self.assertEqual((named.fields, named.open, named.where), ({"z"}, True, "here:1"))


class PageTests(SynchronousTestCase):
    """
    The page on logs.
    """

    def test_table(self) -> None:
        """
        It has each event, with its level and its fields, and no other.
        """
        rows = re.findall(
            r"^   \* - ``(terminable[\w.]+)``\n     - (\w+)\n     - (.*)\n     - \S",
            PAGE.read_text(),
            re.M,
        )
        told = {
            name: (level, tuple(re.findall(r"``(\w+)``", fields))) for name, level, fields in rows
        }
        self.assertEqual(len(rows), len(told))
        self.assertEqual(told, {name: tuple(each) for name, each in EVENTS.items()})

    def test_example(self) -> None:
        """
        The observer that it shows says who was cut.
        """
        [block] = blocks(PAGE)
        said: list[tuple[object, ...]] = []
        names: dict[str, Any] = {"print": lambda *words: said.append(words)}
        self.addCleanup(lambda: globalLogPublisher.removeObserver(names["alert"]))
        exec(compile(block, str(PAGE), "exec"), names)
        log = Logger()
        for graceful in (True, False):
            log.info("x", event=TERMINATED, graceful=graceful, report=f"graceful {graceful}")
        self.assertEqual(said, [("somebody was cut:", "graceful False")])


class StopTests(SynchronousTestCase):
    """
    The events of one stop.
    """

    def setUp(self) -> None:
        self.world = World(Hinting, gracePeriod=1.5)
        self.world.terminator.addObserver(ProgressLines(self.world.clock, self.world.terminator))

    def logged(self) -> list[dict[str, Any]]:
        """
        What a stop logs that has a name.
        """
        with capturedLogs() as captured:
            self.world.terminator.terminate()
            self.world.pass_(3)
        return [dict(event) for event in captured if "event" in event]

    def test_order(self) -> None:
        """
        Phases, progress and the end are told, with their fields.
        """
        self.world.connect()
        self.world.factory.protocols[0].busy = True
        logged = self.logged()
        names = [event["event"] for event in logged]
        self.assertEqual(names.count(events.PHASE), 4)
        self.assertEqual(names.count(events.PORTS_CLOSED), 1)
        self.assertEqual(names.count(TERMINATED), 1)
        for event in logged:
            told = {name for name in event if not name.startswith("log_")} - LEGACY
            fields = {*EVENTS[event["event"]].fields, "event"}
            self.assertEqual(told - {"progress"}, fields)
        phases = [(each["old"], each["new"]) for each in logged if each["event"] == events.PHASE]
        self.assertEqual(phases[0], ("serving", "quiescing"))
        self.assertEqual(phases[-1], ("aborting", "terminated"))

    def test_progress(self) -> None:
        """
        Progress is told by numbers.
        """
        self.world.connect()
        self.world.factory.protocols[0].busy = True
        [event] = [each for each in self.logged() if each["event"] == events.PROGRESS]
        told = {name: event[name] for name in EVENTS[events.PROGRESS].fields}
        counts = {"busy": 1, "idle": 0, "waiting": 0, "counting": False}
        self.assertEqual(told, {"phase": "draining", **counts, "left": 0.5})

    def test_endless(self) -> None:
        """
        Without a deadline no time is left, and none is told.
        """
        self.world = World(Hinting, gracePeriod=None)
        self.setUpEndless()
        [event] = [each for each in self.logged() if each["event"] == events.PROGRESS][:1]
        self.assertIsNone(event["left"])

    def setUpEndless(self) -> None:
        """
        Somebody is busy.
        """
        self.world.terminator.addObserver(ProgressLines(self.world.clock, self.world.terminator))
        self.world.connect()
        self.world.factory.protocols[0].busy = True
        self.addCleanup(self.world.terminator.abort)

    def test_numbers(self) -> None:
        """
        The end is told with all numbers of the report.
        """
        told = fieldsOf(report(opened=3, before=1, idle=1, aborted=1, seconds=1.23456))
        self.assertEqual(
            told,
            {
                "opened": 3,
                "before": 1,
                "idle": 1,
                "finished": 0,
                "left": 0,
                "aborted": 1,
                "graceful": False,
                "seconds": 1.235,
            },
        )
        self.assertEqual({*told, "report"}, set(EVENTS[TERMINATED].fields))
