"""
How a worker is started.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from terminable.handover import command as commands
from terminable.handover import environment, logfile
from terminable.handover.successor import Successor, check
from terminable.notifier import environmentOfWorker


class Launcher:
    """
    Makes processes that know that they are workers.
    """

    def __init__(
        self,
        reactor: Any,
        command: Sequence[str] | None,
        environ: Mapping[str, str] | None,
        path: str | None,
        timeout: float,
    ) -> None:
        """
        @param command: the program and its arguments; by default, the command line of this
            process.
        @param environ: their environment; by default, ours at the time.
        @param path: where they are started; by default, where this process was.
        @param timeout: seconds until they must be ready.
        @raise InvalidOption: there is no such program.
        """
        own = commands.own()
        self._reactor = reactor
        self._command = check(own.words if command is None else command)
        self._path = own.directory if path is None else path
        self._environ = environ
        self._timeout = timeout
        self._logfile = own.logfile

    def make(self, sockets: Sequence[tuple[str, Any]], **options: Any) -> Successor:
        """
        @param sockets: what it is to listen on, and the names of these.
        @param options: for the L{Successor}.
        @return: a process that is yet to be started.
        """
        environ = environmentOfWorker(os.environ if self._environ is None else self._environ)
        # It is not the one whose number somebody looks for.
        environ.pop(environment.PIDFILE, None)
        environ[environment.WORKER] = "1"
        logfile.share(self._logfile)
        return Successor(
            self._reactor,
            self._command,
            sockets,
            environ=environ,
            path=self._path,
            timeout=self._timeout,
            **options,
        )
