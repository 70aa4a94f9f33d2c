"""
The report of a stop, as a file.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from terminable import events, reporting
from terminable.errors import InvalidOption
from terminable.interfaces import ITerminationObserver
from terminable.policy.ledger import Entry, Outcome, Report, State
from terminable.policy.phases import Phase
from terminable.reporting import ReportFile, plainEntry, plainReport, replace, writeReport
from tests.doubles import Hinting, World
from tests.test_docs import blocks
from tests.test_ledger import entry, report


class FileTestCase(SynchronousTestCase):
    """
    A directory, and a file in it.
    """

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.path = self.folder / "report.json"

    def there(self) -> Any:
        """
        What stands in the file.
        """
        return json.loads(self.path.read_text())


class PlainTests(SynchronousTestCase):
    """
    A report as JSON has it.
    """

    def test_everything(self) -> None:
        """
        Each part of a report and of its entries is there, by its own name.
        """
        given = report(opened=1, aborted=1, seconds=1.23456, entries=(entry(told="503"),))
        told = plainReport(given)
        self.assertEqual({*told}, {*Report.__dataclass_fields__, "graceful"})
        self.assertEqual({*told["entries"][0]}, {*Entry.__dataclass_fields__})
        self.assertEqual((told["opened"], told["seconds"], told["graceful"]), (1, 1.235, False))
        self.assertEqual(json.loads(json.dumps(told)), told)

    def test_entry(self) -> None:
        """
        What is no text or number in an entry is told by its value.
        """
        told = plainEntry(entry(Outcome.LEFT, state=State.OPENING, age=1.23456, unsent=7))
        self.assertEqual(
            (told["outcome"], told["state"], told["age"], told["unsent"], told["doing"]),
            ("left", "opening", 1.235, 7, "GET /slow"),
        )

    def test_example(self) -> None:
        """
        The example in the documentation has the same form.
        """
        examples = Path(__file__).parent.parent / "docs" / "examples"
        shown = json.loads((examples / "report.json").read_text())
        about = ["version", "pid", "ended"]
        self.assertEqual([*shown], [*about, *plainReport(report())])
        self.assertEqual([*shown["entries"][0]], [*plainEntry(entry())])


class WritingTests(FileTestCase):
    """
    A file with each report.
    """

    def test_isAnObserver(self) -> None:
        """
        It can be told how a stop proceeds, and writes nothing before its end.
        """
        observer = writeReport(str(self.path))
        verifyObject(ITerminationObserver, observer)
        observer.phaseChanged(Phase.SERVING, Phase.DRAINING)
        observer.portsClosed()
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_report(self) -> None:
        """
        The file has the report, and says when and by whom it was made; nothing else is left
        in the directory.
        """
        observer = ReportFile(str(self.path), now=lambda: 1000.12345)
        observer.terminated(report(opened=2, idle=1, aborted=1, entries=(entry(),)))
        there = self.there()
        self.assertEqual((there["ended"], there["pid"]), (1000.123, os.getpid()))
        self.assertRegex(there["version"], r"\A\d+\.\d+\.\d+")
        self.assertEqual((there["opened"], there["idle"], there["aborted"]), (2, 1, 1))
        self.assertEqual([each["peer"] for each in there["entries"]], ["127.0.0.1:4242"])
        self.assertEqual(list(self.folder.iterdir()), [self.path])

    def test_ownerOnly(self) -> None:
        """
        Only its owner may read it, whatever was there before.
        """
        self.path.write_text("old")
        self.path.chmod(0o666)
        writeReport(str(self.path)).terminated(report())
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)

    def test_odd(self) -> None:
        """
        What a peer sends may be in it, whatever it is.
        """
        said = "GET /\udcff\u2028\x00\x1b[2J \U0001f600"
        writeReport(str(self.path)).terminated(report(entries=(entry(doing=said),)))
        self.assertEqual(self.there()["entries"][0]["doing"], said)

    def test_again(self) -> None:
        """
        The next report takes the place of the one before.
        """
        observer = writeReport(str(self.path))
        observer.terminated(report(opened=10**6))
        observer.terminated(report(opened=1))
        self.assertEqual(self.there()["opened"], 1)

    def test_observes(self) -> None:
        """
        Added to a terminator, it writes what the stop came to.
        """
        world = World(Hinting, gracePeriod=0.5)
        world.terminator.addObserver(writeReport(str(self.path)))
        world.connect()
        world.connect(port=99)
        world.factory.protocols[1].busy = True
        world.terminator.terminate()
        world.pass_(2)
        there = self.there()
        self.assertEqual((there["opened"], there["idle"], there["aborted"]), (2, 1, 1))
        self.assertEqual([each["doing"] for each in there["entries"]], ["doing something"])

    def test_page(self) -> None:
        """
        So does the function that the page shows, and the page names all that is written.
        """
        page = Path(__file__).parent.parent / "docs" / "howto" / "reports.rst"
        [block] = blocks(page)
        names: dict[str, Any] = {}
        exec(block.replace("/run/site/report.json", str(self.path)), names)
        world = World(Hinting)
        names["keep"](world.terminator)
        world.terminator.terminate()
        world.pass_(2)
        for key in [*self.there(), *plainEntry(entry())]:
            self.assertIn(f"``{key}``", page.read_text())

    def test_fails(self) -> None:
        """
        If it cannot be written that is logged, the old one stays, and nothing is left.
        """
        observer = writeReport(str(self.path))
        observer.terminated(report(opened=1))

        def full(descriptor: int) -> None:
            raise OSError("no space left")

        self.patch(os, "fsync", full)
        with capturedLogs() as captured:
            observer.terminated(report(opened=2))
        [event] = captured
        self.assertEqual(event["event"], events.REPORT_FAILED)
        told = f"cannot write the report {self.path}: no space left"
        self.assertEqual(formatEvent(event), told)
        self.assertEqual(self.there()["opened"], 1)
        self.assertEqual(list(self.folder.iterdir()), [self.path])

    def test_nothingLeft(self) -> None:
        """
        If not even the temporary file can be taken away, the reason is that of the failure.
        """

        def no(*args: object) -> None:
            raise OSError("no")

        def full(descriptor: int) -> None:
            raise OSError("no space left")

        self.patch(os, "fsync", full)
        self.patch(os, "unlink", no)
        error = self.assertRaises(OSError, replace, str(self.path), "x")
        self.assertEqual(str(error), "no space left")

    def test_synced(self) -> None:
        """
        File and directory are on the disk; where a directory cannot be, the file is.
        """
        kinds: list[bool] = []
        fsync = os.fsync

        def noted(descriptor: int) -> None:
            isFolder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
            kinds.append(isFolder)
            if isFolder:
                raise OSError("not for directories")
            fsync(descriptor)

        self.patch(os, "fsync", noted)
        replace(str(self.path), "{}")
        self.assertEqual((kinds, self.there()), ([False, True], {}))

    def test_noWayIn(self) -> None:
        """
        A directory that cannot be opened is not the file's fault.
        """
        opened = os.open

        def none(path: Any, flags: int, *rest: Any, **more: Any) -> int:
            if os.path.isdir(path):
                raise OSError("no")
            return opened(path, flags, *rest, **more)

        self.patch(reporting.os, "open", none)
        replace(str(self.path), "{}")
        self.assertEqual(self.there(), {})


class CheckTests(FileTestCase):
    """
    What is said at once of a path.
    """

    def assertRefused(self, path: Any) -> None:
        """
        It is, in one line.
        """
        error = self.assertRaises(InvalidOption, writeReport, path)
        self.assertEqual((error.option, error.value), ("path", path))
        self.assertIn("expected the path of a file in a directory that is there", str(error))

    def test_refused(self) -> None:
        """
        What is no path of a file, or leads nowhere, is refused before there is a report.
        """
        for path in ("", 5, None, "a\0b", f"{self.path}/", str(self.folder), "/no/such/report"):
            self.assertRefused(path)

    def test_device(self) -> None:
        """
        Devices, pipes and what leads to them are not replaced by a file.
        """
        pipe = self.folder / "pipe"
        os.mkfifo(pipe)
        link = self.folder / "link"
        link.symlink_to("/dev/null")
        for path in ("/dev/null", str(pipe), str(link)):
            self.assertRefused(path)

    def test_notWritable(self) -> None:
        """
        A directory in which nothing may be written is refused.
        """
        self.patch(os, "access", lambda path, mode: path != str(self.folder))
        self.assertRefused(str(self.path))

    def test_relative(self) -> None:
        """
        A relative path is meant from where we are now, wherever we go.
        """
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        os.chdir(self.folder)
        observer = writeReport("report.json")
        os.chdir("/")
        observer.terminated(report())
        self.assertTrue(self.path.exists())

    def test_link(self) -> None:
        """
        What a link leads to is written, and the link stays.
        """
        link = self.folder / "link"
        link.symlink_to(self.path)
        writeReport(str(link)).terminated(report())
        self.assertTrue(link.is_symlink())
        self.assertEqual(self.there()["opened"], 0)
