"""
Servers that are replaced by processes which nobody here has started.

Only the standard library is needed, so that tests may import this as well.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import select
import signal
import time
from collections.abc import Iterator
from pathlib import Path

#: From C{linux/prctl.h}.
_PR_SET_CHILD_SUBREAPER = 36

#: Seconds between two looks at a log; and at all processes of this machine, which costs more.
_GLANCE = 0.01
_LOOK = 0.1


@contextlib.contextmanager
def adoptingOrphans() -> Iterator[None]:
    """
    Make this process the parent of those whose parents end before them, so that it hears
    how they end themselves.
    """
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    try:
        yield
    finally:
        prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def _parents() -> dict[int, int]:
    """
    The parent of each process of this machine.
    """
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                # The name of the program, in parentheses, may hold spaces of its own.
                words = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
                found[int(name)] = int(words[1])
    return found


class Family:
    """
    A process that we started, and those that came of it, as far as somebody has looked while
    their parents lived.  They are signalled by descriptors: a number that is given to
    another process meanwhile does no harm.
    """

    def __init__(self, pid: int) -> None:
        """
        @param pid: the first; whoever started it asks for its exit status.
        """
        self._first = pid
        self._known = {pid: os.pidfd_open(pid)}
        self._statuses: dict[int, int | None] = {}

    def look(self) -> None:
        """
        Get to know those who are new.
        """
        parents = _parents()
        found = True
        while found:
            found = [pid for pid, of in parents.items() if of in self._known and self._isNew(pid)]
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    self._known[pid] = os.pidfd_open(pid)
                del parents[pid]

    def _isNew(self, pid: int) -> bool:
        return pid not in self._known and pid != os.getpid()

    def living(self) -> list[int]:
        """
        Those who have not ended.
        """
        self.look()
        return [pid for pid in self._known if not self._ended(pid)]

    def _ended(self, pid: int, seconds: float = 0.0) -> bool:
        poll = select.poll()
        poll.register(self._known[pid], select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def send(self, pid: int, number: int) -> None:
        """
        Send a signal.

        @raise RuntimeError: that process is not of this family.
        @raise ProcessLookupError: it has ended.
        """
        self.look()
        if pid not in self._known:
            raise RuntimeError(f"{pid} is none of our processes")
        signal.pidfd_send_signal(self._known[pid], number)

    def awaitEnd(self, pid: int, seconds: float) -> int | None:
        """
        Wait until a process has ended.

        @return: its exit status, negative for a signal; C{None} of the first process and of
            those that are not our children.
        @raise RuntimeError: it is still there after so many seconds.
        """
        if not self._ended(pid, seconds):
            raise RuntimeError(f"{pid} is still there after {seconds} s")
        if pid not in self._statuses:
            self._statuses[pid] = self._reap(pid)
        return self._statuses[pid]

    def _reap(self, pid: int) -> int | None:
        if pid == self._first:
            return None
        try:
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        except ChildProcessError:
            return None

    def end(self) -> None:
        """
        End whoever is left, at once, and forget them all.
        """
        while living := self.living():
            for pid in living:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self._known[pid], signal.SIGKILL)
                self._ended(pid, 5.0)
        for pid, descriptor in self._known.items():
            self.awaitEnd(pid, 0.0)
            os.close(descriptor)
        self._known.clear()


class Tail:
    """
    What is written to a log from now on.
    """

    def __init__(self, path: Path, family: Family) -> None:
        """
        @param family: who writes it; looked at while somebody waits.
        """
        self._path, self._family = path, family
        self._offset = path.stat().st_size
        self._rest = ""

    def awaitLine(self, pattern: str, seconds: float, failed: str = "^$") -> re.Match[str]:
        """
        Wait for a line.

        @param pattern: what is searched for in each line that was not read before.
        @param failed: what such a line says if the other one will not come.
        @raise RuntimeError: no such line came, or every process has ended.
        """
        deadline = time.monotonic() + seconds
        looked = 0.0
        read: list[str] = []
        while True:
            if (now := time.monotonic()) > looked + _LOOK:
                looked, living = now, self._family.living()
            for line in self._lines():
                read.append(line)
                if found := re.search(pattern, line):
                    return found
                if re.search(failed, line):
                    raise RuntimeError(line)
            if not living or now > deadline:
                # Access log lines say nothing about it.
                said = [line for line in read if '"GET ' not in line][-20:]
                raise RuntimeError(f"{pattern!r} never came after:\n" + "\n".join(said))
            time.sleep(_GLANCE)

    def _lines(self) -> Iterator[str]:
        """
        Complete lines; each is read once, and those behind the one that was sought stay.
        """
        with open(self._path, "rb") as log:
            log.seek(self._offset)
            for line in log:
                if not line.endswith(b"\n"):
                    return
                self._offset += len(line)
                yield line.decode(errors="replace").rstrip()
