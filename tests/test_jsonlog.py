"""
The log, as lines of JSON.
"""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import ILogObserver, Logger, LogLevel, capturedLogs
from twisted.python import log as legacy
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from terminable import events, jsonlog
from terminable.jsonlog import JSONLines, jsonOutput, lineOf, plain
from tests.doubles import Boom


class Unprintable:
    """
    Fails when it is to be told.
    """

    def __str__(self) -> str:
        raise Boom


class LineTestCase(SynchronousTestCase):
    """
    A logger whose events become lines.
    """

    def setUp(self) -> None:
        self.lines: list[str] = []
        self.log = Logger("site.shop", observer=JSONLines(self.lines.append))

    def told(self) -> dict[str, Any]:
        """
        What the only line says.
        """
        [line] = self.lines
        self.assertEqual((line.count("\n"), line[-1]), (1, "\n"))
        told = json.loads(line, parse_constant=self.fail)
        assert isinstance(told, dict)
        return told


class LineTests(LineTestCase):
    """
    One event.
    """

    def test_isAnObserver(self) -> None:
        """
        It is one of Twisted's.
        """
        verifyObject(ILogObserver, JSONLines(self.lines.append))

    def test_plain(self) -> None:
        """
        An event has a time, a level, a text, a place, a process, and its own fields; nothing
        that is Twisted's own.
        """
        self.log.warn("{count} of {kind}", count=3, kind="x")
        told = self.told()
        self.assertRegex(told.pop("time"), r"\A20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")
        self.assertEqual(
            told,
            {
                "level": "warn",
                "message": "3 of x",
                "namespace": "site.shop",
                "process": os.getpid(),
                "count": 3,
                "kind": "x",
            },
        )

    def test_time(self) -> None:
        """
        The time is that of the event, in UTC.
        """
        told = json.loads(lineOf({"log_time": 86400.1239}))
        self.assertEqual(told["time"], "1970-01-02T00:00:00.123Z")

    def test_named(self) -> None:
        """
        The name of one of ours stands before its text.
        """
        self.log.info("{old}, now {new}", event=events.PHASE, old="serving", new="draining")
        told = self.told()
        self.assertEqual((told["event"], told["new"]), ("terminable.phase", "draining"))
        self.assertEqual([*told][:4], ["time", "level", "event", "message"])

    def test_failure(self) -> None:
        """
        A failure has its traceback, in the same line.
        """
        try:
            raise Boom("bang")
        except Boom:
            self.log.failure("it {what}", what="broke")
        told = self.told()
        self.assertEqual(
            (told["level"], told["message"], told["what"]), ("critical", "it broke", "broke")
        )
        self.assertTrue(told["traceback"].startswith("Traceback"))
        self.assertIn("Boom: bang", told["traceback"])

    def test_fieldsLikeOurs(self) -> None:
        """
        Fields of an application that are called like ours are told by another name.
        """
        event = {"level": "high", "process": 7, "namespace": "theirs", "log_level": LogLevel.info}
        told = json.loads(lineOf({**event, "log_namespace": "ours"}))
        self.assertEqual((told["level"], told["process"]), ("info", os.getpid()))
        self.assertEqual((told["level_"], told["process_"]), ("high", 7))
        self.assertEqual((told["namespace"], told["namespace_"]), ("ours", "theirs"))

    def test_ourFields(self) -> None:
        """
        No field of an event of ours is called like a key of each line.
        """
        told = {*json.loads(lineOf({"event": "x", "log_namespace": "y"})), "traceback"}
        for name, (_, fields) in events.EVENTS.items():
            self.assertFalse(told & {*fields}, name)

    def test_legacy(self) -> None:
        """
        What is logged in Twisted's older way is told by the same keys.
        """
        with capturedLogs() as captured:
            legacy.msg("hello", system="here", shop=5)
        told = json.loads(lineOf(captured[0]))
        self.assertEqual((told["message"], told["shop"], told["level"]), ("hello", 5, "info"))
        self.assertFalse({"system", "isError", "format", "message_"} & {*told})

    def test_bare(self) -> None:
        """
        An event that somebody has made by hand may lack everything.
        """
        told = json.loads(lineOf({}))
        self.assertEqual((told["time"][:4], told["level"], told["message"]), ("1970", "info", ""))

    def test_odd(self) -> None:
        """
        Or have what is something else, where Twisted has its own.
        """
        for when in ("soon", 1e300, float("nan"), None):
            told = json.loads(lineOf({"log_time": when, "log_level": 5, "log_failure": []}))
            self.assertEqual(told["time"], "1970-01-01T00:00:00.000Z")
            self.assertEqual((told["level"], "traceback" in told), ("info", False))

    def test_levels(self) -> None:
        """
        Each level has its name.
        """
        for level in LogLevel.iterconstants():
            self.log.emit(level, "x")
        told = [json.loads(line)["level"] for line in self.lines]
        self.assertEqual(told, ["debug", "info", "warn", "error", "critical"])


class ValueTests(LineTestCase):
    """
    What a field may be.
    """

    def test_known(self) -> None:
        """
        What JSON knows is told as it is; bytes are text.
        """
        for value in (None, True, 5, 1.5, "x", [1, ["y"]], {"a": {"b": [None]}}):
            self.assertEqual(plain(value), value)
        self.assertEqual(plain((1, 2)), [1, 2])
        self.assertEqual(plain({3}), [3])
        self.assertEqual(plain(b"x\xff"), "x\\xff")
        self.assertEqual(plain({5: 1, None: 2}), {"5": 1, "None": 2})

    def test_others(self) -> None:
        """
        What it does not know is a text.
        """
        self.assertEqual(plain(float("nan")), "nan")
        self.assertEqual(plain(float("-inf")), "-inf")
        self.assertEqual(plain(Path("/run")), "/run")
        self.assertEqual(plain(Failure(Boom("x")))[:8], "[Failure")
        self.assertEqual(plain(Unprintable()), "<Unprintable that cannot be told>")

    def test_deep(self) -> None:
        """
        What holds itself has an end.
        """
        endless: list[Any] = []
        endless.append(endless)
        self.assertEqual(plain(endless), [[[[["[[...]]"]]]]])

    @given(
        st.dictionaries(
            st.text(),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
                lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
                max_leaves=10,
            ),
            max_size=3,
        )
    )
    def test_anything(self, fields: dict[str, Any]) -> None:
        """
        Whatever the fields are, the line is one object of JSON.
        """
        line = lineOf({**fields, "log_time": 0.0, "log_format": "x"})
        told = json.loads(line, parse_constant=self.fail)
        self.assertEqual((told["message"], line.count("\n")), ("x", 1))


class OutputTests(SynchronousTestCase):
    """
    A stream of lines.
    """

    def test_stream(self) -> None:
        """
        Each line is there at once.
        """
        out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        jsonOutput(out)({"log_format": "x"})
        raw: Any = out.buffer
        self.assertEqual(json.loads(raw.getvalue())["message"], "x")

    def test_standardOutput(self) -> None:
        """
        It is the standard output of the moment in which it was asked for.
        """
        first, second = io.StringIO(), io.StringIO()
        self.patch(sys, "stdout", first)
        observer = jsonlog.standardOutput()
        self.patch(sys, "stdout", second)
        observer({"log_format": "x"})
        self.assertEqual(json.loads(first.getvalue())["message"], "x")
        self.assertEqual(second.getvalue(), "")
