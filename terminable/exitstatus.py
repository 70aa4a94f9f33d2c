"""
An exit status that says whether a stop was graceful.

C{twistd} ends by the signal that stopped it, or with 0.  A door that was told so
(C{--fail-on-straggler}) says more.
"""

from __future__ import annotations

import atexit
import os
import sys
from typing import Any

from zope.interface import implementer

from terminable.interfaces import ITerminationObserver
from terminable.policy.ledger import Report
from terminable.policy.phases import Phase
from terminable.tracking import internals

#: What a process whose stop was not graceful exits with.
FAILED = 1


@implementer(ITerminationObserver)
class ExitStatus:
    """
    Has the process exit with 0 after a graceful stop, and with 1 after another.

    Made early, it is the last of what Python does at exit.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self.status = 0
        atexit.register(self.leave)

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
        See L{ITerminationObserver.terminated}.
        """
        internals.forgetExitSignal(self._reactor)
        if not report.graceful:
            self.status = FAILED

    def leave(self) -> None:
        """
        Exit with another status than Python would.
        """
        if self.status:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            os._exit(self.status)
