"""
The log, as lines of JSON in a file.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from twisted.logger import Logger, LogPublisher, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from terminable import events, jsonlog
from terminable.errors import InvalidOption
from terminable.jsonlog import JSONLines, LogFile, jsonLog


class FileTestCase(SynchronousTestCase):
    """
    A directory, and a log in it.
    """

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.path = self.folder / "log.jsonl"


class FileTests(FileTestCase):
    """
    A file of lines.
    """

    def open(self) -> LogFile:
        """
        One more that writes to it.
        """
        file = LogFile(str(self.path))
        self.addCleanup(file.stop)
        return file

    def test_append(self) -> None:
        """
        Several append, and nothing is made before there is a line.
        """
        one, other = self.open(), self.open()
        self.assertFalse(self.path.exists())
        one.write("a\n")
        other.write("b\n")
        one.write("c\n")
        self.assertEqual(self.path.read_text(), "a\nb\nc\n")

    def test_moved(self) -> None:
        """
        When the file was moved away, taken away, or exchanged, a new one is begun.
        """
        file = self.open()
        file.write("a\n")
        self.path.rename(self.folder / "old")
        file.write("b\n")
        self.assertEqual(self.path.read_text(), "b\n")
        self.path.unlink()
        self.path.write_text("")
        file.write("c\n")
        self.assertEqual(self.path.read_text(), "c\n")
        self.assertEqual((self.folder / "old").read_text(), "a\n")

    def test_surrogates(self) -> None:
        """
        Half a character is no reason to fail.
        """
        file = self.open()
        file.write("\udcff\n")
        self.assertEqual(self.path.read_bytes(), b"\\udcff\n")

    def test_fails(self) -> None:
        """
        Lines that cannot be written are lost; that is logged once, until one could be, and
        nobody else is told of it by an exception.
        """
        file = self.open()
        write, full = os.write, [True]

        def mayFail(descriptor: int, data: bytes) -> int:
            if full[0]:
                raise OSError("no space left")
            return write(descriptor, data)

        self.patch(jsonlog.os, "write", mayFail)
        with capturedLogs() as captured:
            for line in ("a\n", "b\n"):
                file.write(line)
            full[0] = False
            file.write("c\n")
            full[0] = True
            file.write("d\n")
        self.assertEqual([event["event"] for event in captured], [events.LOG_FAILED] * 2)
        self.assertEqual(captured[0]["problem"], "no space left")
        self.assertEqual(self.path.read_text(), "c\n")

    def test_failsInItsOwnLog(self) -> None:
        """
        The line that says so, which goes to the same file, is lost too.
        """
        file = self.open()
        publisher = LogPublisher(JSONLines(file.write))
        self.patch(jsonlog, "_log", Logger("x", observer=publisher))
        self.path.mkdir()
        publisher({"log_format": "x"})
        self.path.rmdir()
        publisher({"log_format": "y"})
        [line] = self.path.read_text().splitlines()
        self.assertEqual(json.loads(line)["message"], "y")

    def test_torn(self) -> None:
        """
        If there was room for half a line, the next one begins anew.
        """
        file = self.open()
        write, room = os.write, [2]
        self.patch(jsonlog.os, "write", lambda descriptor, data: write(descriptor, data[: room[0]]))
        file.write("abc\n")
        room[0] = 100
        file.write("def\n")
        file.write("ghi\n")
        self.assertEqual(self.path.read_text(), "ab\ndef\nghi\n")

    def test_tornTwice(self) -> None:
        """
        Also if that happens again and again.
        """
        file = self.open()
        write = os.write
        self.patch(jsonlog.os, "write", lambda descriptor, data: write(descriptor, data[:-1]))
        file.write("abc\n")
        file.write("def\n")
        self.assertEqual(self.path.read_text(), "abc\ndef")
        self.patch(jsonlog.os, "write", write)
        file.write("ghi\n")
        self.assertEqual(self.path.read_text(), "abc\ndef\nghi\n")

    def test_pipe(self) -> None:
        """
        A pipe that nobody reads holds nobody up.
        """
        os.mkfifo(self.path)
        file = self.open()
        with capturedLogs() as captured:
            file.write("a\n")
        self.assertEqual(captured[0]["event"], events.LOG_FAILED)
        reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        file.write("b\n")
        self.assertEqual(os.read(reader, 10), b"b\n")

    def test_device(self) -> None:
        """
        It may be a device.
        """
        LogFile("/dev/null").write("a\n")


class CheckTests(FileTestCase):
    """
    What is said at once of a path.
    """

    def assertRefused(self, path: Any) -> None:
        """
        It is, in one line.
        """
        error = self.assertRaises(InvalidOption, jsonLog, path)
        self.assertEqual((error.option, error.value), ("path", path))
        self.assertEqual(error.expected, "the path of a file that can be written")

    def test_refused(self) -> None:
        """
        What is no path of a file, or leads nowhere, is refused.
        """
        for path in ("", 5, None, "a\0b", f"{self.path}/", str(self.folder), "/no/such/log"):
            self.assertRefused(path)

    def test_rights(self) -> None:
        """
        So is a file, or a directory, that cannot be written.
        """
        self.patch(os, "access", lambda path, mode: False)
        self.assertRefused(str(self.path))
        self.path.write_text("")
        self.assertRefused(str(self.path))

    def test_relative(self) -> None:
        """
        A relative path is meant from where we are now, wherever we go.
        """
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)
        observer = jsonLog("log.jsonl")
        os.chdir("/")
        observer({"log_format": "x"})
        self.assertEqual(json.loads(self.path.read_text())["message"], "x")
