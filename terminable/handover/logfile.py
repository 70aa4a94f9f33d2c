"""
A logfile that two processes write for a while.
"""

from __future__ import annotations

import contextlib
import fcntl
import os

from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import implementer

#: Descriptors beyond this are not looked at.
MOST = 256


def share(path: str) -> bool:
    """
    Have whatever this process has opened at C{path} written at the end of the file, also
    if another process has written in the meantime.  Twisted's log files are not opened like
    that, and would overwrite each other's lines.

    @return: whether there is something.
    """
    found = False
    try:
        wanted = os.stat(path)
    except OSError:
        return False
    for descriptor in range(3, MOST):
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(descriptor), wanted):
                flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
                fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_APPEND)
                found = True
    return found


@implementer(ILogObserver)
class Sharing:
    """
    Does so before this process writes its first line, when the file has just been opened.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._shared = False
        globalLogPublisher.addObserver(self)

    def __call__(self, event: LogEvent) -> None:
        """
        Something is about to be written by the observers that came after this one.
        """
        self._shared = self._shared or share(self._path)

    def stop(self) -> None:
        """
        It is open by now, or will not be.  Not for an observer that is called: the next one
        would miss the event.
        """
        globalLogPublisher.removeObserver(self)
        share(self._path)
