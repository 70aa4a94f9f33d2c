"""
What real processes write: lines of JSON, and reports.
"""

from __future__ import annotations

import json
import signal
import stat
import sys
from pathlib import Path
from typing import Any

from benchmarks.restartprocesses import Family
from terminable import events
from terminable.events import EVENTS
from terminable.timeline import BALANCER_DELAY, STOP_TIMEOUT
from tests.live.clients import HOST, Address
from tests.live.processes import LiveTestCase, eventually, freePort, heard
from tests.live.working import WorkersTestCase

#: Nothing is said of times, wherever these tests run.
CALM = {BALANCER_DELAY: "0", STOP_TIMEOUT: "infinity"}


def linesIn(text: str) -> list[dict[str, Any]]:
    """
    Lines of JSON, each of which is an object.
    """
    return [dict(json.loads(line)) for line in text.splitlines()]


def named(lines: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """
    Those with this name.
    """
    return [line for line in lines if line.get("event") == name]


class JSONTests(LiveTestCase):
    """
    --log-json.
    """

    def assertStop(self, lines: list[dict[str, Any]]) -> None:
        """
        The events of a stop are there, in order, with the fields that are promised.
        """
        phases = [line["new"] for line in named(lines, events.PHASE)]
        self.assertEqual(phases, ["quiescing", "draining", "terminated"])
        [end] = named(lines, events.TERMINATED)
        self.assertEqual((end["opened"], end["finished"], end["graceful"]), (1, 1, True))
        self.assertTrue(end["message"].startswith("terminated: 0 idle, 1 finished"))
        self.assertEqual(len(named(lines, events.PORTS_CLOSED)), 1)
        for line in lines:
            if "event" in line:
                level, fields = EVENTS[line["event"]]
                self.assertEqual(line["level"], level)
                self.assertLessEqual({*fields}, {*line})

    def test_instead(self) -> None:
        """
        On the standard output there is nothing but JSON, from the first line to the last.
        """
        server, address = self.serve("--log-json", "-", env=CALM)
        peer = address.connect()
        peer.ask("/later?stopped=1.3")
        server.awaitLog("asked for")
        server.send()
        self.assertEqual(peer.answer().status, 200)
        server.gone()
        lines = linesIn(server.log())
        self.assertStop(lines)
        self.assertIn("starting up", lines[0]["message"])
        self.assertEqual(lines[-1]["message"], "Server Shut Down.")
        self.assertEqual({line["process"] for line in lines}, {server.process.pid})
        progress = named(lines, events.PROGRESS)[0]
        self.assertEqual((progress["busy"], progress["phase"]), (1, "draining"))

    def test_beside(self) -> None:
        """
        A file of JSON stands beside the log, with the same texts; one that is moved away is
        begun anew.
        """
        path = self.directory() / "log.jsonl"
        server, address = self.serve("--log-json", str(path))
        address.connect().get("/sync")
        self.assertTrue(eventually(lambda: "asked for" in path.read_text()))
        path.rename(path.with_name("old"))
        server.terminate()
        server.gone()
        [end] = named(linesIn(path.read_text()), events.TERMINATED)
        self.assertEqual(end["message"], f"terminated: {server.report()}")
        self.assertIn("asked for", path.with_name("old").read_text())

    def test_logger(self) -> None:
        """
        Any other plugin logs JSON by C{twistd}'s own option.
        """
        port = freePort()
        words = ["--logger=terminable.jsonlog.standardOutput", "web", "--path", "."]
        server = self.start(*words, "--listen", f"terminable:tcp:{port}:interface={HOST}")
        server.terminate()
        server.gone()
        [end] = named(linesIn(server.log()), events.TERMINATED)
        self.assertEqual(end["opened"], 0)

    def test_twist(self) -> None:
        """
        C{twist} has a form of its own, with the same names and fields.
        """
        port = freePort()
        twist = str(Path(sys.executable).with_name("twist"))
        words = ["--log-format=json", "--log-file=-", "terminable", "--port", str(port)]
        server = self.start(*words, program=(sys.executable, twist))
        server.terminate()
        server.gone()
        records = [json.loads(each) for each in server.log().split("\x1e")[1:]]
        [end] = named(records, events.TERMINATED)
        self.assertEqual((end["opened"], end["aborted"], end["graceful"]), (0, 0, True))

    def test_times(self) -> None:
        """
        Times that do not fit are told when the server starts.
        """
        server, _ = self.serve("--log-json", "-", env={**CALM, STOP_TIMEOUT: "10"})
        [warning] = named(linesIn(server.log()), events.TIMELINE)
        self.assertIn("ended by force after 10 s", warning["advice"])


class ReportTests(LiveTestCase):
    """
    --report.
    """

    def test_straggler(self) -> None:
        """
        The report is there, for its owner alone, also where the exit status tells that
        somebody was aborted.
        """
        path = self.directory() / "report.json"
        options = ["--report", str(path), "--fail-on-straggler", "--grace", "0.5"]
        server, address = self.serve(*options)
        peer = address.connect()
        peer.ask("/later?seconds=60")
        server.awaitLog("asked for")
        server.terminate()
        server.gone()
        self.assertEqual(server.status, 1)
        report = json.loads(path.read_text())
        self.assertEqual((report["pid"], report["aborted"]), (server.process.pid, 1))
        [entry] = report["entries"]
        self.assertEqual((entry["doing"], entry["peer"]), ("GET /later?seconds=60", peer.name))
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertEqual([*path.parent.iterdir()], [path])

    def test_secondSignal(self) -> None:
        """
        It is there after a second signal, too.
        """
        path = self.directory() / "report.json"
        server, address = self.serve("--report", str(path))
        peer = address.connect()
        peer.ask("/later?seconds=60")
        server.awaitLog("asked for")
        server.terminate()
        server.awaitLog("draining: 1 busy")
        server.send(signal.SIGTERM)
        server.gone()
        [entry] = json.loads(path.read_text())["entries"]
        self.assertEqual((entry["outcome"], entry["peer"]), ("aborted", peer.name))


class WorkersTests(WorkersTestCase):
    """
    Several processes.
    """

    def test_oneReport(self) -> None:
        """
        Workers log into one file, a whole line each, and their report is one.
        """
        directory = self.directory()
        path, log = directory / "report.json", directory / "log.jsonl"
        server, family, address = self.work(3, "--report", str(path), "--log-json", str(log))
        workers = self.workers(server, family)
        self.awaitAnswers(address, workers)
        server.terminate()
        server.gone()
        self.assertAllGone(server, family, address)
        report = json.loads(path.read_text())
        self.assertEqual(report["pid"], server.process.pid)
        ends = ("before", "idle", "finished", "left", "aborted")
        self.assertEqual(sum(report[name] for name in ends), report["opened"])
        self.assertGreaterEqual(report["opened"], 3)
        lines = linesIn(log.read_text())
        self.assertEqual({line["process"] for line in lines}, workers | {server.process.pid})
        [end] = named(lines, events.TERMINATED)
        self.assertEqual((end["process"], end["opened"]), (server.process.pid, report["opened"]))
        self.assertEqual({line["pid"] for line in named(lines, events.WORKER_READY)}, workers)


class UpgradeTests(WorkersTestCase):
    """
    One process after the other.
    """

    def test_bothReport(self) -> None:
        """
        The process that is followed writes its report, and so does its successor in the end;
        both log into one file.
        """
        directory = self.directory()
        path, log = directory / "report.json", directory / "log.jsonl"
        pidfile = directory / "pid"
        address = Address(port=freePort())
        words = ["--report", str(path), "--log-json", str(log), "--port", address.description]
        content = ["--class", "tests.live.resources.Root"]
        server = self.start(f"--pidfile={pidfile}", "terminable", *words, *content)
        family = Family(server.process.pid)
        self.addCleanup(family.end)
        peer = address.connect()
        peer.ask("/upload", "POST", "Content-Length: 1\r\n")
        self.assertTrue(heard(address.port))
        server.send(signal.SIGUSR2)
        # Who it is, is known while the one that has started it lives.
        server.awaitLog("serves now")
        family.look()
        peer.send(b"x")
        self.assertEqual(peer.answer().status, 200)
        server.gone()
        first = json.loads(path.read_text())
        self.assertEqual((first["pid"], first["opened"]), (server.process.pid, 1))
        successor = int(pidfile.read_text())
        self.assertEqual(address.connect().get("/sync").status, 200)
        family.send(successor, signal.SIGTERM)
        self.assertTrue(eventually(lambda: json.loads(path.read_text())["pid"] == successor))
        lines = linesIn(log.read_text())
        [serving] = named(lines, events.UPGRADE_SERVING)
        [taking] = named(lines, events.UPGRADE_TAKING)
        self.assertEqual((serving["pid"], taking["pid"]), (successor, successor))
