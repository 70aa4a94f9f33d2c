"""
The options for what is recorded of a server: its reports, and its log as JSON.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from twisted.application.app import ServerOptions
from twisted.application.service import IService, MultiService
from twisted.logger import (
    FileLogObserver,
    ILogObserver,
    LogEvent,
    Logger,
    formatEventAsClassicLogText,
    globalLogPublisher,
)

from terminable import events
from terminable.errors import InvalidOption
from terminable.jsonlog import JSONLines, jsonLog, standardOutput
from terminable.policy.schedule import Schedule
from terminable.reporting import ReportFile, writeReport
from terminable.timeline import warnings

#: What stands for the standard output.
OUTPUT = "-"

_log = Logger()


class RecordOptions:
    """
    What C{Options} has for it.
    """

    optParameters = [  # noqa: RUF012 - Twisted reads it from the class
        [
            "report",
            None,
            None,
            "Write the report of a stop to this file, as JSON. [off if not given]",
        ],
        [
            "log-json",
            None,
            None,
            "Log to this file, or - for the output, as lines of JSON. [off if not given]",
        ],
    ]


def reportOf(options: Mapping[str, Any]) -> ReportFile | None:
    """
    @return: what writes the reports; C{None} if nobody wants them.
    @raise InvalidOption: named as it was typed.
    """
    if options["report"] is None:
        return None
    try:
        return writeReport(options["report"])
    except InvalidOption as problem:
        raise InvalidOption("--report", problem.value, problem.expected) from None


def linesOf(options: Mapping[str, Any]) -> JSONLines | None:
    """
    @return: what logs to a file; C{None} if there is none.
    @raise InvalidOption: named as it was typed.
    """
    if options["log-json"] in (None, OUTPUT):
        return None
    try:
        return jsonLog(options["log-json"])
    except InvalidOption as problem:
        raise InvalidOption("--log-json", problem.value, f"{problem.expected}, or -") from None


def numbered() -> ILogObserver:
    """
    @return: an observer that writes to what is the standard output now, as C{twistd} does, but
        with the number of this process in each line.
    """

    def line(event: LogEvent) -> str | None:
        # As Twisted writes it: a time, and who speaks in brackets.
        time, bracket, rest = (formatEventAsClassicLogText(event) or "").partition(" [")
        return f"{time}{bracket}{os.getpid()} {rest}" if bracket else None

    return FileLogObserver(sys.stdout, line)


class Output(MultiService):
    """
    Services of an application that logs to the standard output by an observer of ours, in the
    place of C{twistd}'s own.
    """

    def __init__(self, observer: Callable[[], Any]) -> None:
        """
        @param observer: makes it.
        """
        super().__init__()
        self._observer = observer

    def setServiceParent(self, parent: Any) -> None:
        """
        C{twistd} has made its application, and opens its log next.
        """
        parent.setComponent(ILogObserver, self._observer())
        super().setServiceParent(parent)


def logged(options: Any, service: IService, worker: bool = False) -> IService:
    """
    Have a server log to the standard output as JSON, if the command line says so; and a worker,
    if that is where it logs, with its number in each line: others write there as well.

    @return: the service to be given to C{twistd}.
    @raise InvalidOption: there is no output.
    """
    twistd, json = options.parent, options["log-json"] == OUTPUT
    if not (json or worker):
        return service
    if json and isinstance(twistd, ServerOptions) and not twistd.get("nodaemon", True):
        raise InvalidOption("--log-json", OUTPUT, "a file: a daemon has no output")
    if _logsToOutput(twistd):
        outer = Output(standardOutput if json else numbered)
        service.setServiceParent(outer)
        return outer
    if json:
        # Its own log is elsewhere, and wanted.
        globalLogPublisher.addObserver(standardOutput())
    return service


def _logsToOutput(twistd: Any) -> bool:
    if not isinstance(twistd, ServerOptions) or not twistd.get("nodaemon", True):
        return False
    elsewhere = twistd.get("logger") or twistd.get("syslog")
    return not elsewhere and twistd.get("logfile") in (None, "", OUTPUT)


def begin(lines: JSONLines | None, schedule: Schedule | None, environ: Mapping[str, str]) -> None:
    """
    Log from now on, and begin with what does not fit into the times of whoever supervises us.

    @param lines: what logs to a file.
    @param schedule: how long a stop may take; C{None} if that is not ours to compare.
    @raise InvalidOption: the environment says what cannot be meant.
    """
    if lines is not None:
        globalLogPublisher.addObserver(lines)
    for warning in warnings(schedule, environ) if schedule is not None else ():
        # Not "warning": to Twisted, an event with a field of that name is one of Python's.
        _log.warn("{advice}", event=events.TIMELINE, advice=warning)
