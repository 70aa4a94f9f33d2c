"""
The service of another plugin, ended politely.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Any

from twisted.application.service import IService
from twisted.internet.error import CannotListenError

from terminable.content import reasonOf
from terminable.handover.offered import lend, offeredTo
from terminable.policy.phases import Phase
from terminable.ports import listeningPorts
from terminable.service import TerminableService
from terminable.terminator import Terminator
from terminable.tracking import transports


class HostingService(TerminableService):
    """
    Runs another plugin's service, and ends its ports without its knowing.
    """

    def __init__(
        self,
        terminator: Terminator,
        reactor: Any,
        guest: IService,
        name: str = "plugin",
        pidfile: str | None = None,
    ) -> None:
        """
        @param name: what the guest is called on the command line.
        @param pidfile: what C{twistd} leaves behind when a start fails in one line.
        """
        super().__init__(terminator)
        self._reactor = reactor
        self._name = name
        self._pidfile = pidfile
        lend(guest, offeredTo(reactor))
        guest.setServiceParent(self)

    def privilegedStartService(self) -> None:
        """
        Have the guest do what needs rights, its ports in most cases.

        @raise SystemExit: with one line, if it cannot listen.
        """
        self._try(super().privilegedStartService)

    def startService(self) -> None:
        """
        Start the guest, and take over its ports as soon as it has them.

        @raise SystemExit: with one line, if it cannot listen.
        """
        self._try(super().startService)
        self._reactor.callWhenRunning(self.takePorts)

    def _try(self, start: Callable[[], object]) -> None:
        try:
            start()
        except CannotListenError as problem:
            if self._pidfile:
                with contextlib.suppress(OSError):
                    os.unlink(self._pidfile)
            raise SystemExit(f"terminable: -- {self._name}: {reasonOf(problem)}") from None

    def takePorts(self) -> None:
        """
        Attach to every port of this process that nobody has attached to.
        """
        if self.running and self.terminator.phase is Phase.SERVING:
            for port in listeningPorts(self._reactor):
                if transports.canAttach(port):
                    self.terminator.attach(port)

    def stopService(self) -> Any:
        """
        Drain, also the ports that were opened since, then stop the guest.
        """
        self.takePorts()
        return super().stopService()
