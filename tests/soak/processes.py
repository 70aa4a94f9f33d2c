"""
The processes of a soak: started, followed, signalled, awaited, and ended with it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from pathlib import Path

from tests.live.processes import awaitCatching


class Process:
    """
    One of ours.

    @ivar pid: its number.
    """

    def __init__(self, pid: int) -> None:
        """
        @raise ProcessLookupError: it has ended, and somebody knows.
        """
        self.pid = pid
        self._descriptor = os.pidfd_open(pid)
        self.told = time.monotonic()

    def send(self, number: int) -> None:
        """
        Send a signal, when it is waited for.
        """
        awaitCatching(self.pid, number)
        self.told = time.monotonic()
        signal.pidfd_send_signal(self._descriptor, number)

    def hasEnded(self, seconds: float = 0.0) -> bool:
        """
        Wait until it has ended, for at most so long.

        @return: whether it has.
        """
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def awaitEnd(self, seconds: float) -> int | None:
        """
        Wait until it has ended; not to be called again then.

        @return: its exit status, negative for a signal; C{None} if somebody else is its parent.
        @raise RuntimeError: it is still there.
        """
        if not self.hasEnded(seconds):
            raise RuntimeError(f"{self.pid} is still there after {seconds:g} s")
        os.close(self._descriptor)
        with contextlib.suppress(ChildProcessError):
            return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return None


def parentOf(pid: int) -> int:
    """
    The parent of a process; 0 if there is no such process.
    """
    try:
        # The name of the program, in parentheses, may hold spaces of its own.
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def descendants() -> list[int]:
    """
    All processes that have come of this one, which adopts those whose parents have ended.
    """
    parents = {int(name): parentOf(int(name)) for name in os.listdir("/proc") if name.isdigit()}
    found = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found - {os.getpid()})


def left() -> list[int]:
    """
    Those who have come of this process and have not ended; nobody must wait for one of them.
    """
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    return descendants()


def endAll() -> None:
    """
    End whoever has come of this process, at once.
    """
    while living := descendants():
        for pid in living:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in living:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
        time.sleep(0.02)
