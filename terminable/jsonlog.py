"""
The log as JSON, an event a line, for programs that read logs.

Each line is an object with C{time} (UTC, ISO 8601), C{level}, C{message}, C{namespace} and
C{process}; with C{event}, if it has a name (L{terminable.events}), and C{traceback}, if it is a
failure; and with the event's own fields.  What JSON does not know is told as a text.

This is for C{twistd --logger}: C{terminable.jsonlog.standardOutput}.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any, TextIO

from twisted.logger import ILogObserver, LogEvent, Logger, formatEvent
from twisted.python.failure import Failure
from zope.interface import implementer

from terminable import events
from terminable.errors import InvalidOption

#: What Twisted's older way of logging puts into each event, and we tell by other names.
_LEGACY = frozenset(
    ["format", "isError", "message", "time", "system", "why", "failure", "logLevel", "printed"]
)

#: How deep lists in lists are told as such.
_DEPTH = 5

_EXPECTED = "the path of a file that can be written"

_log = Logger()


def plain(value: object, depth: int = _DEPTH) -> Any:
    """
    @return: the same as values that JSON has.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if depth and isinstance(value, Mapping):
        return {_text(key): plain(each, depth - 1) for key, each in value.items()}
    if depth and isinstance(value, (list, tuple, set, frozenset)):
        return [plain(each, depth - 1) for each in value]
    return _text(value)


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:
        return f"<{type(value).__name__} that cannot be told>"


def lineOf(event: LogEvent) -> str:
    """
    @return: an event as an object of JSON, with the end of its line.
    """
    told = {
        "time": _time(event),
        "level": getattr(event.get("log_level"), "name", "info"),
        "event": event.get("event"),
        "message": formatEvent(event),
        "namespace": event.get("log_namespace"),
        "process": os.getpid(),
        "traceback": _traceback(event),
    }
    told = {name: plain(value) for name, value in told.items() if value is not None}
    for name, value in event.items():
        if not name.startswith("log_") and not (name in _LEGACY or name == "event"):
            # A field of somebody's that is called like one of ours.
            told[f"{name}_" if name in told else name] = plain(value)
    return json.dumps(told) + "\n"


def _time(event: LogEvent) -> str:
    try:
        when = datetime.fromtimestamp(event.get("log_time", 0.0), timezone.utc)
    except (TypeError, ValueError, OverflowError, OSError):
        when = datetime.fromtimestamp(0.0, timezone.utc)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _traceback(event: LogEvent) -> str | None:
    failure = event.get("log_failure")
    return str(failure.getTraceback()) if isinstance(failure, Failure) else None


@implementer(ILogObserver)
class JSONLines:
    """
    Writes each event as a line.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        """
        @param write: called with each line.
        """
        self._write = write

    def __call__(self, event: LogEvent) -> None:
        """
        There is an event.
        """
        self._write(lineOf(event))


class LogFile:
    """
    A file to which several processes may append, and which may be moved away: the next
    line goes to a new one then.
    """

    def __init__(self, path: str) -> None:
        """
        @param path: the file; a relative path is meant from where we are now.
        @raise InvalidOption: it cannot be written.
        """
        self.path = _checked(path)
        self._descriptor = -1
        self._identity: tuple[int, int] | None = None
        self._failed = False
        # Whether there was no room for the end of the last line.
        self._torn = False

    def write(self, line: str) -> None:
        """
        Append a line, or have it lost: why is logged, the first time.
        """
        data = (b"\n" if self._torn else b"") + line.encode("utf-8", "backslashreplace")
        try:
            self._follow()
            # In one piece, so that those of other processes do not come in between.
            self._torn = os.write(self._descriptor, data) < len(data)
        except OSError as problem:
            if not self._failed:
                self._failed = True
                _log.error(
                    "lines for {path} are lost: {problem}",
                    event=events.LOG_FAILED,
                    path=self.path,
                    problem=str(problem),
                )
        else:
            self._failed = False

    def _follow(self) -> None:
        try:
            there = os.stat(self.path)
        except FileNotFoundError:
            identity = None
        else:
            identity = (there.st_dev, there.st_ino)
        if identity is None or identity != self._identity:
            self.stop()
            # Nobody waits for whoever reads a pipe.
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK
            self._descriptor = os.open(self.path, flags, 0o666)
            there = os.fstat(self._descriptor)
            self._identity = (there.st_dev, there.st_ino)

    def stop(self) -> None:
        """
        Let go of the file.
        """
        descriptor, self._descriptor, self._identity = self._descriptor, -1, None
        if descriptor >= 0:
            os.close(descriptor)


def _checked(path: object) -> str:
    if not isinstance(path, str) or not path or "\0" in path:
        raise InvalidOption("path", path, _EXPECTED)
    whole = os.path.abspath(path)
    if os.path.exists(whole):
        fine = not os.path.isdir(whole) and os.access(whole, os.W_OK)
    else:
        folder = os.path.dirname(whole)
        fine = os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)
    if not fine or path.endswith(os.sep):
        raise InvalidOption("path", path, _EXPECTED)
    return whole


def jsonLog(path: str) -> JSONLines:
    """
    @param path: a file.
    @return: an observer that appends to it, for C{globalLogPublisher.addObserver}.
    @raise InvalidOption: it cannot be written.
    """
    return JSONLines(LogFile(path).write)


def jsonOutput(out: TextIO) -> JSONLines:
    """
    @return: an observer that writes to a stream.
    """

    def write(line: str) -> None:
        out.write(line)
        out.flush()

    return JSONLines(write)


def standardOutput() -> JSONLines:
    """
    @return: an observer that writes to what is the standard output now.
    """
    return jsonOutput(sys.stdout)
