"""
What the control command prints.
"""

from __future__ import annotations

import builtins
import io
import os
import re
import time
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from terminable.ctl.columns import Column, Paper, aligned, consoleOn, tableOf, width
from terminable.ctl.views import (
    CONNECTIONS,
    connectionRows,
    showConnections,
    showStatus,
    statusRows,
)
from tests.ctldoor import CUT_OFF, DRAINING, SLOW, STATUS, Terminal

try:
    import rich
except ImportError:
    rich = None  # type: ignore[assignment]

#: What is left of the columns where there is less room, and the words of one connection.
NARROW = [*("ID", "PEER", "STATE", "AGE", "SILENT"), *("UNSENT", "DOING")]
BUSY = [
    *("7", "127.0.0.1:4242", "busy", "2.5", "s", "2.4", "s"),
    *("80", "B", "1.2", "kB", "0", "B", "GET", "/slow"),
]

STREAMS = {**SLOW, "state": "busy", "doing": "", "streams": [{"id": 1, "doing": "GET /\x1b"}]}
LIST = {"total": 40, "busy": 1, "idle": 39, "connections": [SLOW, STREAMS]}


def linesOf(out: io.StringIO) -> list[str]:
    """
    What can be read on a terminal; nothing but colours is to be left out.
    """
    return re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue()).splitlines()


def terminalOf(columns: int) -> Any:
    """
    A terminal that is so wide.
    """
    return mock.patch.dict(
        os.environ, {"TERM": "xterm", "COLUMNS": str(columns), "LINES": "24", "NO_COLOR": "1"}
    )


class ColumnTests(SynchronousTestCase):
    """
    Plain columns.
    """

    def test_aligned(self) -> None:
        """
        Columns stand below each other, numbers at the right; nothing trails.
        """
        columns = [Column("A"), Column("B", right=True), Column("C")]
        self.assertEqual(
            aligned(columns, [["name", "1", "x"], ["n", "100", ""]]),
            ["name    1  x", "n     100"],
        )
        self.assertEqual(aligned(columns, []), [])

    def test_width(self) -> None:
        """
        Some characters take two columns, and some none.
        """
        self.assertEqual([width("ab"), width("\u4e2d"), width("e\u0301")], [2, 4 // 2, 1])


class PaperTests(SynchronousTestCase):
    """
    Where it is printed.
    """

    def printed(self, **settings: Any) -> tuple[Paper, io.StringIO]:
        out = io.StringIO()
        return Paper(out, **settings), out

    def test_file(self) -> None:
        """
        A file gets plain columns, however long their lines are.
        """
        paper, out = self.printed()
        self.assertIsNone(paper.console)
        paper.table([Column("A"), Column("B", wanted=999)], [["1", "x" * 200]])
        self.assertEqual(out.getvalue(), f"A  B\n1  {'x' * 200}\n")

    def test_pairs(self) -> None:
        """
        So are names and values.
        """
        paper, out = self.printed()
        paper.pairs([("phase", "serving"), ("a", "b")])
        self.assertEqual(out.getvalue(), "phase  serving\na      b\n")

    def test_value(self) -> None:
        """
        A program gets JSON, in one line of ASCII.
        """
        paper, out = self.printed(json=True)
        paper.value({"a": "\xe9\n\x1b"})
        self.assertEqual(out.getvalue(), '{"a": "\\u00e9\\n\\u001b"}\n')

    def test_noConsole(self) -> None:
        """
        Nothing is drawn on what is no terminal, is one no more, cannot be drawn on, or is for
        programs.
        """
        self.assertIsNone(consoleOn(io.StringIO()))
        over = io.StringIO()
        over.close()
        self.assertIsNone(consoleOn(over))
        with mock.patch.dict(os.environ, {"TERM": "dumb"}):
            self.assertIsNone(consoleOn(Terminal()))
        self.assertIsNone(Paper(Terminal(), json=True).console)

    def test_withoutRich(self) -> None:
        """
        Nor is it without C{rich}.
        """
        load = builtins.__import__

        def without(name: str, *arguments: Any) -> Any:
            if name.partition(".")[0] == "rich":
                raise ImportError(name)
            return load(name, *arguments)

        self.patch(builtins, "__import__", without)
        with terminalOf(80):
            paper = Paper(Terminal())
        self.assertIsNone(paper.console)
        paper.table([Column("A")], [["1"]])
        self.assertEqual(paper.out.getvalue(), "A\n1\n")  # type: ignore[attr-defined]


class TerminalTests(SynchronousTestCase):
    """
    On a terminal.
    """

    if rich is None:
        skip = "rich is not installed"

    def draw(self, columns: int, *rows: list[str]) -> list[str]:
        with terminalOf(columns):
            out = Terminal()
            Paper(out).table(CONNECTIONS, rows)
        return linesOf(out)

    def test_narrow(self) -> None:
        """
        On 80 columns some are left out; what is too long is cut, what people do first, and
        nothing is wrapped.
        """
        [row] = connectionRows({**SLOW, "doing": "GET /" + "x" * 200})
        lines = self.draw(80, list(row))
        self.assertEqual(lines[0].split(), NARROW)
        self.assertEqual(len(lines), 2)
        self.assertIn("127.0.0.1:4242", lines[1])
        self.assertTrue(lines[1].rstrip().endswith("\N{HORIZONTAL ELLIPSIS}"))
        self.assertLessEqual(max(map(len, lines)), 80)

    def test_wide(self) -> None:
        """
        Where there is room all are shown.
        """
        [row] = connectionRows(SLOW)
        lines = self.draw(140, list(row))
        self.assertEqual(lines[0].split(), [column.title for column in CONNECTIONS])
        self.assertIn("1.2 kB", lines[1])

    def test_tiny(self) -> None:
        """
        Even where there is hardly any room nothing is wrapped.
        """
        [row] = connectionRows(SLOW)
        lines = self.draw(20, list(row))
        self.assertEqual(len(lines), 2)
        self.assertLessEqual(max(map(len, lines)), 20)

    def test_literally(self) -> None:
        """
        Nothing in a cell is taken for markup.
        """
        self.assertIn("[bold]x", self.draw(80, ["1", "[bold]x", *[""] * 7])[1])
        self.assertTrue(tableOf(CONNECTIONS, [], 80).columns)

    def test_pairs(self) -> None:
        """
        Values that are too long go on below each other.
        """
        with terminalOf(20):
            out = Terminal()
            Paper(out).pairs([("name", "x" * 20)])
        lines = [line.rstrip() for line in linesOf(out)]
        self.assertEqual(lines, ["name  " + "x" * 14, "      " + "x" * 6])


class StatusTests(SynchronousTestCase):
    """
    How a server stands.
    """

    def rows(self, status: Any) -> dict[str, str]:
        return dict(statusRows(status, time.gmtime))

    def test_serving(self) -> None:
        """
        What there is to say of a server that serves.
        """
        self.assertEqual(
            self.rows(STATUS),
            {
                "server": "site, process 100",
                "version": "0.1.0",
                "phase": "serving since 1970-01-02 00:00:00",
                "up for": "2 h 5 min",
                "connections": "1 busy, 12 idle, 0 waiting",
                "oldest": "GET /slow from 127.0.0.1:4242, 2.5 s",
                "ports": "tcp 127.0.0.1:8080",
                "longest turn": "12.0 ms",
            },
        )

    def test_everything(self) -> None:
        """
        What is said only if there is something to say.
        """
        rows = self.rows(
            {
                **DRAINING,
                "generations": [{"phase": "draining", "busy": 1, "idle": 0}],
                "throttle": {"held": 1, "refused": 2, "disconnected": 0},
                "upgrade": "under way",
            }
        )
        self.assertEqual(rows["left"], "24.0 s")
        self.assertEqual(rows["released"], "draining: 1 busy, 0 idle")
        self.assertEqual(rows["limits"], "1 held, 2 refused, 0 disconnected")
        self.assertEqual(rows["ports"], "-")
        self.assertEqual(rows["upgrade"], "under way")

    def test_workers(self) -> None:
        """
        Where one door answers for several processes, each has a line.
        """
        status = {
            "workers": [
                {"pid": 7, "state": "serving", "busy": 1, "idle": 2, "waiting": 0},
                {"pid": 8, "state": "starting", "busy": None, "idle": None, "waiting": None},
                {"pid": 9, "state": "serving", "busy": 3, "idle": 0, "waiting": 0},
                {},
            ],
            "missing": [9],
            "restarts": 2,
            "restart": "done",
        }
        rows = statusRows(status, time.gmtime)
        self.assertEqual(
            [value for name, value in rows if name == "worker"],
            [
                "7 serving, 1 busy, 2 idle, 0 waiting",
                "8 starting",
                "9 serving, 3 busy, 0 idle, 0 waiting, no answer",
                "- -",
            ],
        )
        self.assertEqual(dict(rows)["crashed"], "2, and replaced")
        self.assertEqual(dict(rows)["restart"], "done")

    def test_nothing(self) -> None:
        """
        A server that tells nothing is shown, too.
        """
        rows = self.rows({})
        self.assertEqual(
            (rows["server"], rows["phase"], rows["connections"]), ("-, process -", "-", "-")
        )
        self.assertEqual(self.rows({"generations": [{}]})["released"], "-: ")

    def test_report(self) -> None:
        """
        The report stands below it.
        """
        out = io.StringIO()
        showStatus(Paper(out), CUT_OFF)
        lines = out.getvalue().splitlines()
        self.assertTrue(lines[-2].startswith("terminated: 2 idle"), lines)
        self.assertTrue(lines[-1].startswith("  aborted: GET /slow"), lines)
        showStatus(Paper(out), STATUS)
        self.assertIn("longest turn", out.getvalue().splitlines()[-1])


class ConnectionTests(SynchronousTestCase):
    """
    Who is connected.
    """

    def test_list(self) -> None:
        """
        A line for each, and one for each of its streams, then how many there are.
        """
        out = io.StringIO()
        showConnections(Paper(out), LIST)
        lines = out.getvalue().splitlines()
        self.assertEqual(len(lines), 5)
        self.assertEqual(lines[0].split(), [column.title for column in CONNECTIONS])
        self.assertEqual(
            lines[1].split(),
            BUSY,
        )
        self.assertTrue(lines[2].endswith("HTTPChannel"))
        self.assertTrue(lines[3].strip().endswith(r"stream  1: GET /\x1b"), lines[3])
        self.assertEqual(lines[4], "2 of 40 shown; all: 1 busy, 39 idle")

    def test_none(self) -> None:
        """
        If there is none, that is all.
        """
        out = io.StringIO()
        showConnections(Paper(out), {"total": 0, "busy": 0, "idle": 0, "connections": []})
        self.assertEqual(out.getvalue(), "0 of 0 shown; all: 0 busy, 0 idle\n")

    def test_waiting(self) -> None:
        """
        Those that wait to be admitted are counted, if there are any.
        """
        out = io.StringIO()
        showConnections(Paper(out), {"busy": 2, "idle": 1, "waiting": 1, "pid": 7})
        self.assertEqual(
            out.getvalue(), "0 of 0 shown; all: 2 busy, 1 idle, 1 waiting; process 7\n"
        )

    def test_unknown(self) -> None:
        """
        What is not known is a dash.
        """
        [row] = connectionRows({})
        self.assertEqual(row, ("-",) * 9)

    def test_streamUnknown(self) -> None:
        """
        So it is of a stream.
        """
        [_, row] = connectionRows({"streams": [{}]})
        self.assertEqual(row[-2:], ("stream", "-: -"))
