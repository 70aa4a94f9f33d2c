"""
The options for what is recorded of a server: its reports, and its log as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.application.app import ServerOptions
from twisted.application.service import IService, MultiService
from twisted.logger import ILogObserver, Logger, globalLogPublisher

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


class JSONOutput(MultiService):
    """
    Services of an application that logs to the standard output, as lines of JSON, in the
    place of C{twistd}'s own.
    """

    def setServiceParent(self, parent: Any) -> None:
        """
        C{twistd} has made its application, and opens its log next.
        """
        parent.setComponent(ILogObserver, standardOutput())
        super().setServiceParent(parent)


def logged(options: Any, service: IService) -> IService:
    """
    Have a server log to the standard output, if the command line says so.

    @return: the service to be given to C{twistd}.
    @raise InvalidOption: there is no output.
    """
    return _toOutput(options.parent, service) if options["log-json"] == OUTPUT else service


def _toOutput(twistd: Any, service: IService) -> IService:
    if not isinstance(twistd, ServerOptions):
        globalLogPublisher.addObserver(standardOutput())
        return service
    if not twistd.get("nodaemon", True):
        raise InvalidOption("--log-json", OUTPUT, "a file: a daemon has no output")
    if any(twistd.get(name) for name in ("logfile", "logger", "syslog")):
        # Its own log is elsewhere, and wanted.
        globalLogPublisher.addObserver(standardOutput())
        return service
    instead = JSONOutput()
    service.setServiceParent(instead)
    return instead


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
