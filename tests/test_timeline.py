"""
Whether our times fit into those of whoever supervises us.
"""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from terminable import timeline
from terminable.errors import InvalidOption
from terminable.policy.schedule import Schedule
from terminable.timeline import BALANCER_DELAY, STOP_TIMEOUT, warnings
from tests.test_docs import blocks

POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
NOTIFIED = {"NOTIFY_SOCKET": "/run/systemd/notify"}
SERVICE = {"SYSTEMD_EXEC_PID": "4711"}
PAGE = Path(__file__).parent.parent / "docs" / "howto" / "timeline.rst"


def told(environ: dict[str, str], **settings: Any) -> list[str]:
    """
    What is said of these settings, in short.
    """
    kinds = {
        "that this process is ended by force": "forced",
        "Kubernetes ends a pod": "pod",
        "systemd ends a service": "service",
        "says that new clients come": "clients",
        "Kubernetes sends new clients": "podClients",
        "leave nothing": "nothingLeft",
    }
    found = warnings(Schedule(**settings), environ, 4711)
    return [next(kind for words, kind in kinds.items() if words in each) for each in found]


class StoppingTests(SynchronousTestCase):
    """
    Who ends us by force.
    """

    def test_said(self) -> None:
        """
        Cells: what the supervisor waits, against the grace period.
        """
        for limit, grace, expected in (
            ("30", 25.0, []),
            ("26.1", 25.0, []),
            ("26", 25.0, ["forced"]),
            ("25", 25.0, ["forced"]),
            ("0", 25.0, ["forced"]),
            ("0", 0.0, ["forced"]),
            ("2", 0.0, []),
            ("infinity", 10**6, []),
            ("infinity", None, []),
            ("30", None, ["forced"]),
        ):
            environ = {STOP_TIMEOUT: limit}
            self.assertEqual(told(environ, gracePeriod=grace), expected, (limit, grace))

    def test_assumed(self) -> None:
        """
        Cells: what supervisors wait that were not told otherwise.
        """
        calm = {**POD, BALANCER_DELAY: "0"}
        for environ, grace, expected in (
            ({}, 10**6, []),
            ({}, None, []),
            (calm, 25.0, []),
            (calm, 29.0, ["pod"]),
            (calm, None, ["pod"]),
            ({**calm, STOP_TIMEOUT: "65"}, 60.0, []),
            ({**calm, STOP_TIMEOUT: "65"}, 64.0, ["forced"]),
            (SERVICE, 85.0, []),
            (SERVICE, 89.0, ["service"]),
            (SERVICE, None, ["service"]),
            ({"SYSTEMD_EXEC_PID": "4712"}, 89.0, []),
            ({**SERVICE, **NOTIFIED}, 89.0, []),
            ({**SERVICE, STOP_TIMEOUT: "infinity"}, None, []),
        ):
            self.assertEqual(told(environ, gracePeriod=grace), expected, (environ, grace))

    def test_asked(self) -> None:
        """
        Where systemd is asked for more time, any grace period fits.
        """
        for grace in (25.0, 10**6, None):
            environ = {**NOTIFIED, STOP_TIMEOUT: "1"}
            self.assertEqual(told(environ, gracePeriod=grace), [])

    def test_thisProcess(self) -> None:
        """
        The process that is meant is this one, if nobody says so.
        """
        [line] = warnings(Schedule(gracePeriod=100.0), {"SYSTEMD_EXEC_PID": str(os.getpid())})
        self.assertTrue(line.startswith("systemd ends a service after 90 s, unless"))

    def test_advice(self) -> None:
        """
        It says what would fit.
        """
        [line] = warnings(Schedule(gracePeriod=60.0), {STOP_TIMEOUT: "30"})
        self.assertEqual(
            line,
            "TERMINABLE_STOP_TIMEOUT says that this process is ended by force after 30 s, but the "
            "grace period is 60 s, and ending may take 1.1 s more: connections would be cut, and "
            "not be named; let it wait 65 s, or give a grace period of 25 s or less",
        )

    def test_advised(self) -> None:
        """
        Whoever takes one of the advices is not warned again; nobody is told to have no grace
        period.
        """
        for limit, grace in itertools.product((2, 6, 30, 90), (25.0, 60.0, 100.0, None)):
            for line in warnings(Schedule(gracePeriod=grace), {STOP_TIMEOUT: str(limit)}):
                wait = re.search(r"let it wait ([\d.]+) s", line)
                less = re.search(r"grace period of ([\d.]+) s or less", line)
                self.assertEqual(wait is None, grace is None, line)
                self.assertEqual(less is None, limit <= 5, line)
                if wait is not None:
                    self.assertEqual(told({STOP_TIMEOUT: wait[1]}, gracePeriod=grace), [])
                if less is not None:
                    fits = float(less[1])
                    self.assertEqual(told({STOP_TIMEOUT: str(limit)}, gracePeriod=fits), [])


class BalancingTests(SynchronousTestCase):
    """
    Who sends us new clients.
    """

    def test_cells(self) -> None:
        """
        Cells: the time for which they come, against the quiesce time.
        """
        for environ, quiesce, expected in (
            ({}, 0.0, []),
            ({BALANCER_DELAY: "0"}, 0.0, []),
            ({BALANCER_DELAY: "3"}, 0.0, ["clients"]),
            ({BALANCER_DELAY: "3"}, 2.9, ["clients"]),
            ({BALANCER_DELAY: "3"}, 3.0, []),
            ({BALANCER_DELAY: "infinity"}, 3.0, ["clients"]),
            (POD, 0.0, ["podClients"]),
            (POD, 0.1, []),
            ({**POD, BALANCER_DELAY: "0"}, 0.0, []),
            ({**POD, BALANCER_DELAY: "3"}, 2.0, ["clients"]),
        ):
            self.assertEqual(told(environ, quiesce=quiesce), expected, (environ, quiesce))


class OwnTests(SynchronousTestCase):
    """
    Times of our own.
    """

    def test_cells(self) -> None:
        """
        Something has to be left of the grace period.
        """
        for settings, expected in (
            ({"gracePeriod": 10.0, "quiesce": 9.0}, ["nothingLeft"]),
            ({"gracePeriod": 10.0, "quiesce": 10.0}, ["nothingLeft"]),
            ({"gracePeriod": 10.0, "quiesce": 8.9}, []),
            ({"gracePeriod": 10.0, "quiesce": 5.0, "idleGrace": 5.0}, ["nothingLeft"]),
            ({"gracePeriod": 0.5}, []),
            ({"gracePeriod": 0.0}, []),
            ({"gracePeriod": None, "quiesce": 100.0}, []),
        ):
            self.assertEqual(told({}, **settings), expected, settings)

    def test_severalAtOnce(self) -> None:
        """
        All that does not fit is said, a line each.
        """
        environ = {STOP_TIMEOUT: "5", BALANCER_DELAY: "20"}
        found = told(environ, gracePeriod=10.0, quiesce=9.0)
        self.assertEqual(found, ["forced", "clients", "nothingLeft"])


class VariableTests(SynchronousTestCase):
    """
    What stands in the environment.
    """

    def test_bad(self) -> None:
        """
        What is no time is refused, by name.
        """
        for name, text in itertools.product((STOP_TIMEOUT, BALANCER_DELAY), ("", "30s", "-1")):
            error = self.assertRaises(InvalidOption, warnings, Schedule(), {name: text})
            expected = (
                f"{name}: {text!r} given, expected a number of seconds, 0 or more, or infinity"
            )
            self.assertEqual(str(error), expected)

    def test_page(self) -> None:
        """
        The page names both, and has the line that is logged.
        """
        page = " ".join(PAGE.read_text().split())
        [line] = warnings(Schedule(gracePeriod=60.0), {STOP_TIMEOUT: "30"})
        for words in (STOP_TIMEOUT, BALANCER_DELAY, line, "1.1 s"):
            self.assertIn(words, page)
        for time in (timeline.KUBERNETES, timeline.SYSTEMD):
            self.assertIn(f"{time:g} s in a", page)

    def test_example(self) -> None:
        """
        What the page shows in Python says what does not fit.
        """
        self.addCleanup(self.restore, dict(os.environ))
        os.environ[STOP_TIMEOUT] = "30"
        os.environ[BALANCER_DELAY] = "0"
        os.environ.pop("NOTIFY_SOCKET", None)
        said: list[str] = []
        [block] = blocks(PAGE)
        exec(block, {"print": said.append})
        [line] = said
        self.assertIn("ended by force after 30 s, but the grace period is 60 s", line)

    def restore(self, environ: dict[str, str]) -> None:
        """
        The environment as it was.
        """
        os.environ.clear()
        os.environ.update(environ)
