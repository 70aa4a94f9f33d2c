"""
What the soak calls a finding.
"""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.soak.journal import (
    GRACE,
    SILENT,
    SLACK,
    UNREAD,
    Findings,
    Force,
    Loss,
    Stragglers,
    whileAway,
)
from tests.soak.leaks import BOUNDS, MIB, WARM_UP, Series, slope


def lost(what: str = "lost", **details: Any) -> Loss:
    """
    A loss at 10 s of a request that was written at 9 s.
    """
    given: dict[str, Any] = {"server": "web", "kind": "keep-alive", "why": "it ended"}
    given.update(peer="a:1", opened=8.0, spoke=8.9, began=9.0, when=10.0)
    return Loss(what=what, **{**given, **details})


class FindingTestCase(SynchronousTestCase):
    """
    Has findings.
    """

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.time = 0.0
        self.findings = Findings(Path(folder.name), now=lambda: self.time)
        self.addCleanup(self.findings.close)
        # They are told as they are found.
        told = contextlib.redirect_stdout(io.StringIO())
        told.__enter__()
        self.addCleanup(told.__exit__, None, None, None)

    def judged(self, loss: Loss) -> int:
        """
        @return: how many findings there are after a loss.
        """
        self.findings.lose(loss)
        self.findings.settle("web")
        return len(self.findings.found)

    def report(self, **details: Any) -> dict[str, Any]:
        """
        The report of a stop.
        """
        counts = {"opened": 5, "before": 1, "idle": 1, "finished": 1, "left": 1, "aborted": 1}
        entries = [{"peer": "a:1", "outcome": "aborted"}, {"peer": "b:2", "outcome": "left"}]
        return {**counts, "seconds": GRACE, "entries": entries, **details}


class LossTests(FindingTestCase):
    """
    L{Findings.settle}.
    """

    def test_unexpected(self) -> None:
        """
        Whatever nothing excuses is a finding, and stands in the log.
        """
        self.assertEqual(self.judged(lost()), 1)
        self.assertEqual(self.findings.lost["lost"], 1)
        path = self.findings.directory / "operations.log"
        last = json.loads(path.read_text().splitlines()[-1])
        self.assertEqual((last["what"], last["loss"]["peer"]), ("FINDING", "a:1"))

    def test_others(self) -> None:
        """
        Those of another server are judged when it has settled.
        """
        self.assertEqual(self.judged(lost(server="pool")), 0)
        self.findings.settle("pool")
        self.assertEqual(len(self.findings.found), 1)

    def test_raced(self) -> None:
        """
        Who was silent for most of the idle grace has met its end.
        """
        self.assertEqual(self.judged(lost(opened=1.0, spoke=9.0 - SILENT - 0.1)), 0)
        self.assertEqual(self.findings.excused["lost", "raced"], 1)
        self.assertEqual(self.judged(lost(opened=1.0, spoke=9.0 - SILENT + 0.1)), 1)
        self.assertEqual(self.judged(lost("wrong", opened=1.0, spoke=1.0)), 2)

    def test_away(self) -> None:
        """
        Connections are refused only while nobody listens.
        """
        window = self.findings.window("web", whileAway, began=9.5)
        window.ended = 20.0
        self.assertEqual(self.judged(lost("refused")), 0)
        self.assertEqual(self.judged(lost()), 1)
        self.assertEqual(self.judged(lost("refused", when=9.4)), 2)
        self.assertEqual(self.judged(lost("refused", began=20.1, when=21.0)), 3)

    def test_aborted(self) -> None:
        """
        At an abort, those lose something who are named, or whose request was on its way.
        """
        force = Force(9.0 + UNREAD + 1.0, {"a:1"}, ended=30.0)
        self.findings.window("web", force, began=0.0)
        self.assertEqual(self.judged(lost()), 0)
        self.assertEqual(self.judged(lost(peer="b:2", began=10.5)), 0)
        self.assertEqual(self.judged(lost(peer="b:2")), 1)
        self.assertEqual(self.judged(lost("doubled")), 2)
        self.assertEqual(self.judged(lost(opened=30.1, spoke=30.1, began=31.0, when=32.0)), 3)

    def test_crashed(self) -> None:
        """
        At a crash, those who were served by that process, or had no answer yet.
        """
        self.findings.window("web", Force(9.0, pid=7), began=9.0)
        self.assertEqual(self.judged(lost(pid=7)), 0)
        self.assertEqual(self.judged(lost(pid=0)), 0)
        self.assertEqual(self.judged(lost(pid=8)), 1)

    def test_straggler(self) -> None:
        """
        At a deadline, those who are named.
        """
        self.findings.window("web", Stragglers({"a:1"}), began=0.0)
        self.assertEqual(self.judged(lost()), 0)
        self.assertEqual(self.judged(lost(peer="b:2")), 1)
        self.assertEqual(self.judged(lost("wrong")), 2)

    def test_cut(self) -> None:
        """
        Where everything is being ended, nothing is found.
        """
        self.findings.cut = True
        self.assertEqual(self.judged(lost()), 0)


class ReportTests(FindingTestCase):
    """
    L{Findings.checkReport}.
    """

    def test_fine(self) -> None:
        """
        A report that adds up is fine, and excuses its stragglers.
        """
        self.findings.checkReport("web", self.report())
        self.assertEqual(self.judged(lost()), 0)
        self.assertEqual(self.judged(lost(peer="b:2")), 1)

    def test_sum(self) -> None:
        """
        One that does not add up is a finding.
        """
        self.findings.checkReport("web", self.report(opened=6))
        self.assertEqual(len(self.findings.found), 1)

    def test_late(self) -> None:
        """
        So is one of a stop that has outlasted its deadline.
        """
        self.findings.checkReport("web", self.report(seconds=GRACE + SLACK + 2.0))
        self.assertEqual(len(self.findings.found), 1)

    def test_early(self) -> None:
        """
        So is one that names stragglers before the deadline, unless that was an abort.
        """
        self.findings.checkReport("web", self.report(seconds=3.0), forced=True)
        self.assertEqual(self.findings.found, [])
        self.findings.checkReport("web", self.report(seconds=3.0))
        self.assertEqual(len(self.findings.found), 1)

    def test_drained(self) -> None:
        """
        Those who were drained before a stop keep their own deadline.
        """
        self.findings.drained("web")
        self.findings.checkReport("web", self.report(seconds=3.0))
        self.assertEqual(len(self.findings.found), 1)
        self.time += GRACE + 1.0
        self.findings.checkReport("web", self.report(seconds=3.0))
        self.findings.checkReport("pool", self.report(seconds=3.0))
        self.assertEqual(len(self.findings.found), 2)


class LeakTests(SynchronousTestCase):
    """
    L{Series}.
    """

    def series(self, step: float, what: str = "memory") -> Series:
        """
        Ten samples, ten operations apart, of which one thing grows in steps.
        """
        made = Series("steady")
        for number in range(10 + WARM_UP):
            sample = {**dict.fromkeys(BOUNDS, 50), what: 50 + number * step, "kinds": {}}
            made.add(10 * number, sample)
        return made

    def test_slope(self) -> None:
        """
        One point that stands out does not tilt the line.
        """
        points = [(float(x), 2.0 * x) for x in range(9)]
        points[4] = (4.0, 1000.0)
        self.assertEqual(slope(points), 2.0)
        self.assertEqual(slope([(1.0, 2.0), (1.0, 3.0)]), 0.0)

    def test_steady(self) -> None:
        """
        What stays, or grows within its bounds, is fine.
        """
        self.assertEqual(self.series(0.0).findings(), [])
        self.assertEqual(self.series(0.5 * MIB).findings(), [])

    def test_leak(self) -> None:
        """
        What grows with each operation is a finding that says how.
        """
        [text] = self.series(MIB).findings()
        self.assertIn("steady: memory has grown by 9.0 in 90 operations", text)
        self.assertEqual(len(self.series(1.0, "fds").findings()), 1)

    def test_tooFew(self) -> None:
        """
        A few samples prove nothing.
        """
        series = self.series(MIB)
        del series.samples[WARM_UP + 3 :]
        self.assertEqual(series.findings(), [])

    def test_row(self) -> None:
        """
        The table says the first, the last, and the growth in 1,000 operations.
        """
        self.assertRegex(self.series(MIB).row(), r"^steady +12 .* 0\.0 +11\.0 +100\.0 ")
