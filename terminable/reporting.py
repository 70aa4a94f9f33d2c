"""
What a stop came to, as a file for a program to read.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from twisted.logger import Logger
from zope.interface import implementer

from terminable import events
from terminable.errors import InvalidOption
from terminable.interfaces import ITerminationObserver
from terminable.policy.ledger import Entry, Report
from terminable.policy.phases import Phase

_EXPECTED = "the path of a file in a directory that is there and can be written"

_log = Logger()


def plainEntry(entry: Entry) -> dict[str, Any]:
    """
    @return: a connection of a report, as values that JSON has.
    """
    return {
        "peer": entry.peer,
        "protocol": entry.protocol,
        "doing": entry.doing,
        "state": entry.state.value,
        "age": round(entry.age, 3),
        "unsent": entry.unsent,
        "outcome": entry.outcome.value,
        "told": entry.told,
    }


def plainReport(report: Report) -> dict[str, Any]:
    """
    @return: a report, as values that JSON has: all that L{Report} has, under the same names.
    """
    return {
        "opened": report.opened,
        "before": report.before,
        "idle": report.idle,
        "finished": report.finished,
        "left": report.left,
        "aborted": report.aborted,
        "seconds": round(report.seconds, 3),
        "graceful": report.graceful,
        "entries": [plainEntry(entry) for entry in report.entries],
    }


@implementer(ITerminationObserver)
class ReportFile:
    """
    Writes each report to the same file, in the place of the one before.

    @ivar path: the file.
    """

    def __init__(self, path: str, now: Callable[[], float] = time.time) -> None:
        """
        @param path: the file; a relative path is meant from where we are now.
        @param now: tells what time it is, in seconds since 1970.
        @raise InvalidOption: no file could be written there.
        """
        self.path = _checked(path)
        self._now = now

    def phaseChanged(self, old: Phase, new: Phase) -> None:
        """
        See L{ITerminationObserver.phaseChanged}.
        """

    def portsClosed(self) -> None:
        """
        See L{ITerminationObserver.portsClosed}.
        """

    def terminated(self, report: Report) -> None:
        """
        See L{ITerminationObserver.terminated}.  Why the file cannot be written is logged.
        """
        about = {
            "version": getattr(sys.modules["terminable"], "__version__", ""),
            "pid": os.getpid(),
            "ended": round(self._now(), 3),
        }
        try:
            replace(self.path, json.dumps({**about, **plainReport(report)}, indent=1) + "\n")
        except OSError as problem:
            _log.error(
                "cannot write the report {path}: {problem}",
                event=events.REPORT_FAILED,
                path=self.path,
                problem=str(problem),
            )


def _checked(path: object) -> str:
    if not isinstance(path, str) or not path or "\0" in path or path.endswith(os.sep):
        raise InvalidOption("path", path, _EXPECTED)
    # What a link leads to is written, and the link stays.
    whole = os.path.realpath(path)
    folder = os.path.dirname(whole)
    fine = os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)
    # Whatever else there is, a device say, is not to be replaced by a file.
    if not fine or (os.path.exists(whole) and not os.path.isfile(whole)):
        raise InvalidOption("path", path, _EXPECTED)
    return whole


def replace(path: str, text: str) -> None:
    """
    Put a text into a file that only its owner may read.  Whoever reads it meanwhile, or after
    the power has failed, finds either the old text or the new one, whole.

    @raise OSError: it cannot be written; the old text is still there.
    """
    folder, name = os.path.split(path)
    # Nobody else may read such a file from the beginning.
    descriptor, temporary = tempfile.mkstemp(prefix=f".{name[:200]}.", dir=folder)
    try:
        with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    _syncFolder(folder)


def _syncFolder(folder: str) -> None:
    # The file is there; only that its name has changed may still be forgotten.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def writeReport(path: str) -> ReportFile:
    """
    Have the reports of a terminator written to a file::

        terminator.addObserver(writeReport("/run/site/report.json"))

    @param path: the file.
    @return: the observer.
    @raise InvalidOption: no file could be written there.
    """
    return ReportFile(path)
