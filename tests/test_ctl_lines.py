"""
What a watcher sees of a stop where nobody looks: lines.
"""

from __future__ import annotations

import io
import json
from typing import Any

from terminable.ctl.columns import Paper
from terminable.ctl.outcomes import DONE
from terminable.ctl.watch import Lines
from tests.ctldoor import CUT_OFF, DRAINING, STATUS, TERMINATED
from tests.test_ctl_watch import WatchTestCase


class LinesTests(WatchTestCase):
    """
    Line by line.
    """

    def printed(self, *told: Any, json: bool = False) -> list[str]:
        out = io.StringIO()
        over = self.begin(Lines(Paper(out, json), lambda: 0.0))
        for status in told:
            self.fake.tell("status", status)
        self.gone()
        self.fake.tell("end", {})
        self.assertEqual(over, [DONE])
        return out.getvalue().splitlines()

    def test_lines(self) -> None:
        """
        A line for each status that is news, with the time, and then the report.
        """
        lines = self.printed(STATUS, DRAINING, DRAINING, TERMINATED, CUT_OFF)
        self.assertEqual(
            [line.partition(" ")[2] for line in lines],
            [
                "serving: 1 busy, 12 idle: GET /slow from 127.0.0.1:4242, 2.5 s",
                "draining: 1 busy, 12 idle, 24.0 s left: GET /slow from 127.0.0.1:4242, 2.5 s",
                "terminated: 0 busy, 0 idle",
                "terminated: 2 idle, 1 finished, 0 left, 1 aborted after 3.2 s",
                "  aborted: GET /slow from 127.0.0.1:4242, 2.5 s, 2.0 kB unsent, told 503",
            ],
        )
        for line in lines:
            self.assertRegex(line, r"^\d\d:\d\d:\d\d ")

    def test_json(self) -> None:
        """
        For programs it is a JSON value a line, and nothing else.
        """
        lines = self.printed(STATUS, CUT_OFF, json=True)
        self.assertEqual([json.loads(line) for line in lines], [STATUS, CUT_OFF])

    def test_nobodyElse(self) -> None:
        """
        The stragglers are not asked for: nobody would see them.
        """
        self.printed(STATUS)
        self.assertNotIn("GET /connections", self.fake.names())

    def test_note(self) -> None:
        """
        What has to be known stands between the others; for programs it does not.
        """
        for json_, expected in ((False, 1), (True, 0)):
            out = io.StringIO()
            lines = Lines(Paper(out, json_), lambda: 0.0)
            lines.note("")
            lines.note("process 101 has taken over")
            lines.stragglers([])
            self.assertEqual(len(out.getvalue().splitlines()), expected)

    def test_broken(self) -> None:
        """
        If nobody reads it any more, that ends the watch.
        """

        class Broken(io.StringIO):
            def write(self, text: str) -> int:
                raise BrokenPipeError

        over = self.begin(Lines(Paper(Broken()), lambda: 0.0))
        self.fake.tell("status", STATUS)
        [failure] = over
        self.assertIsInstance(failure.value, BrokenPipeError)
