"""
The file in which whoever serves says what its process number is.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.logger import Logger

from terminable import events

_log = Logger()


def write(path: str, pid: int) -> None:
    """
    Say that it is the process C{pid}, at once and as a whole; unless that has ended.
    """
    if not lives(pid):
        return
    try:
        partial = f"{path}.{os.getpid()}"
        with open(partial, "w", encoding="ascii") as written:
            written.write(str(pid))
        os.replace(partial, path)
    except OSError as problem:
        _log.warn(
            "cannot write the pidfile {path}: {problem}",
            event=events.PIDFILE_FAILED,
            path=path,
            problem=problem,
        )


def remove(path: str) -> None:
    """
    Take it away, if it speaks of this process.
    """
    try:
        with open(path, encoding="ascii") as written:
            ours = written.read().strip() == str(os.getpid())
        if ours:
            os.unlink(path)
    except (OSError, ValueError):
        # It was taken away, or is somebody else's.
        return


def follow(path: str, reactor: Any) -> None:
    """
    Say that it is this process, until it ends.
    """
    write(path, os.getpid())
    reactor.addSystemEventTrigger("after", "shutdown", remove, path)


def lives(pid: int) -> bool:
    """
    Whether there is such a process.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        # Somebody else's by now.
        return True
    return True
