"""
A process that takes over, in the hands of a test.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.logger import globalLogPublisher

from terminable.handover.offered import OfferedSocket, offeredTo
from terminable.handover.takeover import Takeover
from tests.handingover import HandoverTestCase


class TakeoverTestCase(HandoverTestCase):
    """
    A process that takes over.
    """

    def setUp(self) -> None:
        super().setUp()
        self.patch(os, "environ", {"HOME": "/", "LISTEN_FDS": "1"})
        self.path = Path(self.mktemp())
        self.offered = offeredTo(self.reactor)
        self.takeover = Takeover(self.reactor, self.offered, str(self.path))
        ours, theirs = socket.socketpair()
        self.sock = self.listener()
        self.place = self.sock.getsockname()
        self.offered.add([OfferedSocket("web", self.sock)])
        observers = list(globalLogPublisher._observers)
        self.takeover.begin(ours)
        self.sharing = [each for each in globalLogPublisher._observers if each not in observers]
        self.addCleanup(self.unobserve)
        self.spoken, self.answers = self.speak(theirs)

    def unobserve(self) -> None:
        """
        Leave the log alone.
        """
        for each in self.sharing:
            globalLogPublisher.removeObserver(each)

    def listen(self) -> Any:
        """
        Listen on what is offered.
        """
        endpoint = TCP4ServerEndpoint(self.reactor, self.place[1], interface="127.0.0.1")
        listening = self.offered.through(endpoint).listen(self.factory)
        return self.successResultOf(self.takeover.awaits(listening))

    def runs(self) -> None:
        """
        The reactor runs.
        """
        self.reactor.run()
        self.turns()

    def ask(self, command: Any) -> Deferred[Any]:
        """
        Ask the process something.
        """
        asked: Deferred[Any] = self.spoken.callRemote(command)
        self.turns()
        return asked
