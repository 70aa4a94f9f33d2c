"""
What the admin door tells of a server, and shows.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType, SimpleNamespace
from unittest import mock

from twisted.internet.defer import succeed

from terminable.admin import api as module
from tests.adminasking import AdminTestCase


class TellingTests(AdminTestCase):
    """
    What there is.
    """

    def test_status(self) -> None:
        """
        The status tells how a server stands.
        """
        self.listen()
        self.connect(busy=True)
        self.connect()
        self.clock.advance(2.0)
        status = self.get("/status").json
        oldest = status.pop("oldest")
        self.assertEqual(oldest["doing"], "doing something")
        self.assertEqual((oldest["age"], oldest["state"]), (2.0, "busy"))
        expected = {
            "pid": os.getpid(),
            "name": "here",
            "phase": "serving",
            "since": 1000.0,
            "uptime": 2.0,
            "busy": 1,
            "idle": 1,
            "waiting": 0,
            "left": None,
            "deadline": None,
            "generations": [],
            "throttle": {"held": 0, "refused": 0, "disconnected": 0},
            "ports": [],
            "longestTurn": 0.0,
            "upgrade": None,
            "report": None,
        }
        self.assertEqual({name: status[name] for name in expected}, expected)

    def test_statusOfStop(self) -> None:
        """
        During a stop there is a deadline, and at its end a report.
        """
        self.listen()
        self.connect(busy=True, delay=None)
        self.connect(delay=None, port=4343)
        self.terminator.terminate()
        self.clock.advance(0.5)
        status = self.get("/status").json
        self.assertEqual((status["busy"], status["idle"]), (1, 1))
        self.assertEqual((status["left"], status["deadline"]), (9.5, 1010.0))
        self.assertEqual(status["oldest"]["peer"], "127.0.0.1:4242")
        self.clock.advance(0.5)
        for transport in list(self.terminator.gate.ledger):
            transport.end()
        self.clock.advance(0.1)
        status = self.get("/status").json
        self.assertEqual(
            (status["phase"], status["left"], status["oldest"]), ("terminated", None, None)
        )
        self.assertEqual(status["report"]["opened"], 2)
        self.assertEqual(len(status["report"]["entries"]), 1)
        self.listen()
        self.assertIsNone(self.get("/status").json["report"])

    def test_generations(self) -> None:
        """
        Older generations are counted, and told.
        """
        self.listen()
        self.connect(busy=True, delay=None)
        self.terminator.release()
        self.clock.advance(0.1)
        status = self.get("/status").json
        self.assertEqual(status["generations"], [{"phase": "draining", "busy": 1, "idle": 0}])
        self.assertEqual((status["phase"], status["busy"]), ("starting", 1))
        self.assertEqual(status["oldest"]["peer"], "127.0.0.1:4242")

    def test_openapi(self) -> None:
        """
        The API describes itself, each of its paths.
        """
        told = self.get("/openapi.json").json
        self.assertEqual(told["openapi"], "3.1.0")
        own = {path.decode() for path in self.api._routes}
        self.assertEqual(set(told["paths"]), own - {"/page.css", "/page.js", "/words.js"})

    def test_page(self) -> None:
        """
        The page and its files are there by their names.
        """
        page = self.get("/")
        self.assertEqual(page.headers["content-type"], "text/html; charset=utf-8")
        self.assertEqual(self.get("/page.css").headers["content-type"], "text/css; charset=utf-8")
        script = self.get("/page.js").headers["content-type"]
        self.assertEqual(script, "text/javascript; charset=utf-8")

    def test_noPage(self) -> None:
        """
        Without its files, a line of text stands there.
        """
        nothing = SimpleNamespace(files=lambda name: _Nowhere())
        self.patch(module.importlib, "resources", nothing)
        answer = self.get("/")
        self.assertEqual(answer.headers["content-type"], "text/plain; charset=utf-8")
        self.assertEqual(answer.body, b"starting: 0 busy, 0 idle\n")
        self.assertEqual(self.get("/page.css").code, 404)

    def exchange(self, metrics: ModuleType | None) -> None:
        """
        Have another module, or none, found where the metrics are.
        """
        exchanged = mock.patch.dict(sys.modules, {"terminable.admin.metrics": metrics})
        exchanged.start()
        self.addCleanup(exchanged.stop)

    def test_metrics(self) -> None:
        """
        Metrics are made by whoever makes them.
        """
        metrics = ModuleType("terminable.admin.metrics")
        metrics.counted = lambda watched: succeed(None)  # type: ignore[attr-defined]
        metrics.metricsOf = lambda watched: (b"text/plain", b"a 1\n")  # type: ignore[attr-defined]
        self.exchange(metrics)
        answer = self.get("/metrics")
        self.assertEqual((answer.code, answer.body), (200, b"a 1\n"))
        self.assertEqual(answer.headers["content-type"], "text/plain")

    def test_noMetrics(self) -> None:
        """
        Without the library there are none.
        """
        self.exchange(None)
        answer = self.get("/metrics")
        self.assertEqual(answer.code, 501)
        self.assertIn("prometheus_client", answer.json["error"])


class _Nowhere:
    """
    A folder without files.
    """

    def __truediv__(self, name: str) -> _Nowhere:
        return self

    def read_bytes(self) -> bytes:
        raise FileNotFoundError("gone")
