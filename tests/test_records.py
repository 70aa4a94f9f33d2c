"""
The options for what is recorded of a server.
"""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

from twisted.application.app import ServerOptions
from twisted.application.service import Application, IService, IServiceCollection
from twisted.logger import ILogObserver, capturedLogs, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from terminable import events, records, tap
from terminable.handover.following import takeoverOf
from terminable.handover.workers import Workers
from terminable.jsonlog import JSONLines
from terminable.policy.phases import Phase
from terminable.records import Output, RecordOptions
from terminable.reporting import ReportFile
from terminable.service import TerminableService
from terminable.tap import makeService
from terminable.timeline import BALANCER_DELAY, STOP_TIMEOUT
from tests.test_ledger import report
from tests.test_tap import TapTestCase


class RecordTestCase(TapTestCase):
    """
    A command line, a directory, and an output.
    """

    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.out = io.StringIO()
        self.patch(sys, "stdout", self.out)
        self.observers: list[Any] = []
        self.patch(records, "globalLogPublisher", self)
        for name in (STOP_TIMEOUT, BALANCER_DELAY, "KUBERNETES_SERVICE_HOST"):
            if name in os.environ:
                self.addCleanup(os.environ.__setitem__, name, os.environ.pop(name))

    def addObserver(self, observer: Any) -> None:
        """
        Stands for Twisted's publisher.
        """
        self.observers.append(observer)

    def make(self, *words: str, twistd: Any = None) -> Any:
        """
        The service of a command line.
        """
        options = self.parse("--port", self.free(), *words)
        options.parent = twistd
        return makeService(options)

    def lines(self) -> list[dict[str, Any]]:
        """
        What was written to the output.
        """
        return [json.loads(line) for line in self.out.getvalue().splitlines()]


class ReportTests(RecordTestCase):
    """
    --report.
    """

    def test_none(self) -> None:
        """
        Without it nothing is written.
        """
        self.assertIsNone(self.parse().report)

    def test_written(self) -> None:
        """
        The terminator's report goes to the file.
        """
        path = self.folder / "report.json"
        service = self.make("--report", str(path))
        service.terminator.terminate()
        self.assertEqual(json.loads(path.read_text())["opened"], 0)

    def test_bad(self) -> None:
        """
        A path that leads nowhere is refused before anything listens, as it was typed.
        """
        told = self.refused("--report", "/no/such/report")
        self.assertIn("--report: '/no/such/report' given, expected the path of a file in", told)

    def test_workers(self) -> None:
        """
        Of several workers there is one report, by the process above.
        """
        path = self.folder / "report.json"
        self.patch(tap, "supervise", lambda *words, **more: None)
        workers = self.make("--workers", "2", "--report", str(path))
        self.assertIsInstance(workers, Workers)
        workers.tell("terminated", report(opened=5))
        self.assertEqual(json.loads(path.read_text())["opened"], 5)

    def test_worker(self) -> None:
        """
        A worker writes none.
        """
        path = self.folder / "report.json"
        self.patch(takeoverOf(self.theReactor()), "worker", True)
        service = self.make("--workers", "2", "--report", str(path))
        service.terminator.terminate()
        self.assertFalse(path.exists())

    def theReactor(self) -> Any:
        """
        The one that services are made for.
        """
        from twisted.internet import reactor

        return reactor

    def test_isAnObserver(self) -> None:
        """
        It is one like those of others, and also there with an exit status.
        """
        path = str(self.folder / "report.json")
        observers: list[Any] = []
        self.patch(tap, "ExitStatus", lambda reactor: "status")
        self.patch(tap.Terminator, "addObserver", lambda self, each: observers.append(each))
        self.make("--report", path, "--fail-on-straggler")
        self.assertIsInstance(observers[-1], ReportFile)
        self.assertIn("status", observers)


class FileTests(RecordTestCase):
    """
    --log-json, into a file.
    """

    def test_none(self) -> None:
        """
        Without it nobody observes.
        """
        service = self.make()
        self.assertIsInstance(service, TerminableService)
        self.assertEqual((self.observers, self.parse().lines), ([], None))

    def test_beside(self) -> None:
        """
        The file is written beside twistd's own log.
        """
        path = self.folder / "log"
        service = self.make("--log-json", str(path), twistd=ServerOptions())
        self.assertIsInstance(service, TerminableService)
        [observer] = self.observers
        observer({"log_format": "hello"})
        self.assertEqual(json.loads(path.read_text())["message"], "hello")

    def test_workers(self) -> None:
        """
        The process above the workers writes to it as well.
        """
        self.patch(tap, "supervise", lambda *words, **more: None)
        self.make("--workers", "2", "--log-json", str(self.folder / "log"))
        self.assertEqual(len(self.observers), 1)

    def test_bad(self) -> None:
        """
        A path that leads nowhere is refused before anything listens, as it was typed.
        """
        told = self.refused("--log-json", "/no/such/log")
        expected = "the path of a file that can be written, or -"
        self.assertIn(f"--log-json: '/no/such/log' given, expected {expected}", told)


class OutputTests(RecordTestCase):
    """
    --log-json, to the standard output.
    """

    def twistd(self, *words: str) -> ServerOptions:
        """
        The command line of C{twistd}.
        """
        options = ServerOptions()
        options["nodaemon"] = True
        for word in words:
            options[word] = "given"
        return options

    def test_instead(self) -> None:
        """
        C{twistd}'s application gets an observer that is used in the place of its own.
        """
        service = self.make("--log-json", "-", twistd=self.twistd())
        self.assertIsInstance(service, Output)
        application = Application("x")
        service.setServiceParent(application)
        observer = application.getComponent(ILogObserver)
        observer({"log_format": "hello"})
        self.assertEqual([line["message"] for line in self.lines()], ["hello"])
        self.assertEqual(list(IServiceCollection(application)), [service])
        self.assertIsInstance(next(iter(service)), TerminableService)
        self.assertEqual(self.observers, [])

    def test_started(self) -> None:
        """
        The server is started and stopped as ever.
        """
        outer = self.make("--log-json", "-", twistd=self.twistd())
        [inner] = list(outer)
        application = Application("x")
        outer.setServiceParent(application)
        service = IService(application)
        service.privilegedStartService()
        service.startService()
        self.assertTrue(inner.running)
        service.stopService()
        self.assertFalse(inner.running)
        self.assertIsNot(inner.terminator.phase, Phase.SERVING)
        # Nothing is left on the reactor.
        inner.terminator.abort()

    def test_beside(self) -> None:
        """
        A log that C{twistd} was told to write elsewhere is written as well.
        """
        for word in ("logfile", "logger", "syslog"):
            self.observers.clear()
            service = self.make("--log-json", "-", twistd=self.twistd(word))
            self.assertIsInstance(service, TerminableService)
            self.assertEqual(len(self.observers), 1, word)

    def test_otherProgram(self) -> None:
        """
        So it is where it is not C{twistd} that serves.
        """
        self.make("--log-json", "-", twistd={})
        [observer] = self.observers
        observer({"log_format": "hello"})
        self.assertEqual([line["message"] for line in self.lines()], ["hello"])

    def test_worker(self) -> None:
        """
        Workers share an output: each line of theirs has the number of the process.
        """
        from twisted.internet import reactor

        self.patch(takeoverOf(reactor), "worker", True)
        service = self.make("--workers", "2", twistd=self.twistd())
        application = Application("x")
        service.setServiceParent(application)
        observer = application.getComponent(ILogObserver)
        observer({"log_format": "hello", "log_namespace": "here", "log_time": 0.0})
        observer({"log_format": "{a} [b]", "a": "one\ntwo", "log_system": "there"})
        observer({"log_format": ""})
        first, second, third = self.out.getvalue().splitlines()
        self.assertRegex(first, rf"^1970-01-01T\S+ \[{os.getpid()} here#-\] hello$")
        self.assertEqual((second, third), (f"- [{os.getpid()} there] one", "\ttwo [b]"))

    def test_workerElsewhere(self) -> None:
        """
        What C{twistd} was told of its log holds for workers too.
        """
        from twisted.internet import reactor

        self.patch(takeoverOf(reactor), "worker", True)
        for word in ("logfile", "logger", "syslog"):
            service = self.make("--workers", "2", twistd=self.twistd(word))
            self.assertIsInstance(service, TerminableService)
        twistd = self.twistd()
        twistd["nodaemon"] = False
        self.assertIsInstance(self.make("--workers", "2", twistd=twistd), TerminableService)
        twistd = self.twistd()
        twistd["logfile"] = "-"
        service = self.make("--workers", "2", "--log-json", "-", twistd=twistd)
        application = Application("x")
        service.setServiceParent(application)
        self.assertIsInstance(application.getComponent(ILogObserver), JSONLines)

    def test_daemon(self) -> None:
        """
        A daemon has no output.
        """
        twistd = self.twistd()
        twistd["nodaemon"] = False
        with self.assertRaises(SystemExit) as caught:
            self.make("--log-json", "-", twistd=twistd)
        told = "terminable: --log-json: '-' given, expected a file: a daemon has no output"
        self.assertEqual(caught.exception.code, told)


class TimesTests(RecordTestCase):
    """
    Whether the times fit.
    """

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(os.environ.pop, STOP_TIMEOUT, None)
        os.environ[STOP_TIMEOUT] = "10"

    def warned(self, *words: str) -> list[Any]:
        """
        What is logged of it.
        """
        with capturedLogs() as captured:
            self.make(*words)
        return [event for event in captured if event.get("event") == events.TIMELINE]

    def test_warned(self) -> None:
        """
        What does not fit is logged when the service is made, also where there are workers.
        """
        self.patch(tap, "supervise", lambda *words, **more: None)
        for words in ((), ("--workers", "2")):
            [event] = self.warned(*words)
            self.assertIn("ended by force after 10 s", event["advice"])
        self.assertEqual(self.warned("--grace", "5"), [])

    def test_worker(self) -> None:
        """
        A worker is told when to end, and compares nothing.
        """
        from twisted.internet import reactor

        self.patch(takeoverOf(reactor), "worker", True)
        self.assertEqual(self.warned(), [])

    def test_bad(self) -> None:
        """
        An environment that cannot be meant is refused by name.
        """
        os.environ[STOP_TIMEOUT] = "soon"
        self.assertIn(f"terminable: {STOP_TIMEOUT}: 'soon' given, expected", self.refused())

    def test_inTheFile(self) -> None:
        """
        A log in a file begins with it.
        """
        path = self.folder / "log"
        self.addObserver = globalLogPublisher.addObserver  # type: ignore[method-assign]
        options = self.parse("--port", self.free(), "--log-json", str(path))
        self.addCleanup(globalLogPublisher.removeObserver, options.lines)
        makeService(options)
        self.assertIn(events.TIMELINE, path.read_text())


class ProseTests(SynchronousTestCase):
    """
    What is written of them.
    """

    def test_named(self) -> None:
        """
        Each option stands in the pages.
        """
        howto = Path(__file__).parent.parent / "docs" / "howto"
        prose = "".join((howto / f"{page}.rst").read_text() for page in ("logging", "reports"))
        for name, *_ in RecordOptions.optParameters:
            self.assertIn(f"--{name} ", prose)
