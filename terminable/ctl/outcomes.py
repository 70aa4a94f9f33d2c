"""
What can come of a command, and the exit status for it.
"""

from __future__ import annotations

from terminable.errors import TerminableError

#: It was done.
DONE = 0

#: The server has refused it, or it did not come to what was waited for.
REFUSED = 1

#: The command line cannot be meant.
USAGE = 2

#: There is no server, or it went away before it had answered.
UNREACHABLE = 3

#: The server has stopped, and had to abort somebody.
STRAGGLERS = 4

#: It was ended by a signal, as by ^C.
INTERRUPTED = 130

#: Whoever reads the output went away.
UNREAD = 141


class Refused(TerminableError):
    """
    The server will not, or could not.

    @ivar reason: what it says, one line.
    @ivar status: the HTTP status of its answer; C{None} if this was seen later.
    """

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason, status)
        self.reason = reason
        self.status = status

    def __str__(self) -> str:
        return self.reason if self.status is None else f"{self.reason} ({self.status})"
