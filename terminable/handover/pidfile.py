"""
The file in which whoever serves says what its process number is.
"""

from __future__ import annotations

import atexit
import contextlib
import os
from collections.abc import Callable
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
    if _named(path) == os.getpid():
        with contextlib.suppress(OSError):
            os.unlink(path)


def _named(path: str) -> int | None:
    """
    @return: the number of the process that it speaks of, if it can be read.
    """
    try:
        with open(path, encoding="ascii") as written:
            return int(written.read())
    except (OSError, ValueError):
        return None


def follow(path: str, reactor: Any) -> None:
    """
    Say that it is this process, until it ends.
    """
    write(path, os.getpid())
    reactor.addSystemEventTrigger("after", "shutdown", remove, path)


def leave(path: str, reactor: Any, serving: Callable[[], int]) -> None:
    """
    It is somebody else's from now on: C{twistd} would take it away as its last deed, whoever
    it speaks of, and would log an error if it is gone already.

    @param serving: called at the very end: the number of the process that serves by then.
    """
    others: list[int] = []

    def beforeTwistd() -> None:
        named = _named(path)
        if named is not None and named != os.getpid():
            others.append(named)
        elif not os.path.exists(path):
            # Whoever followed us has ended, and has taken it away.
            write(path, os.getpid())

    def afterTwistd() -> None:
        # Nobody serves for us any more if those are gone; somebody may have begun anew.
        for pid in [serving(), *others]:
            if lives(pid):
                write(path, pid)
                return

    reactor.addSystemEventTrigger("after", "shutdown", beforeTwistd)
    atexit.register(afterTwistd)


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
