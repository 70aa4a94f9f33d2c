"""
Somebody who listens as systemd does, and what tells it.
"""

from __future__ import annotations

import shutil
import socket
import tempfile
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from terminable.notifier import Notifier
from terminable.systemd import SystemdObserver
from terminable.terminator import Terminator
from tests.doubles import MemoryFactory, MemoryTransport, Polite, connectTo


class Systemd:
    """
    The socket at which systemd listens.

    @ivar place: what C{NOTIFY_SOCKET} says.
    """

    def __init__(self, case: SynchronousTestCase, abstract: bool = False) -> None:
        directory = tempfile.mkdtemp(prefix="notify-")
        case.addCleanup(shutil.rmtree, directory)
        self.place = f"{'@' if abstract else ''}{directory}/socket"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        case.addCleanup(self.socket.close)
        self.socket.setblocking(False)
        self.socket.bind(self.place.replace("@", "\0"))
        self._messages: list[str] = []

    def read(self) -> None:
        """
        Make room: no more than a few messages wait in the kernel.
        """
        while True:
            try:
                self._messages.append(self.socket.recv(65536).decode())
            except BlockingIOError:
                return

    def heard(self) -> list[str]:
        """
        What has been sent since the last time, one text for each message.
        """
        self.read()
        messages, self._messages = self._messages, []
        return messages

    def fill(self) -> None:
        """
        Let there be no room for one more.
        """
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.setblocking(False)
            other.connect(self.socket.getsockname())
            try:
                while True:
                    other.send(b"X_FULL=1")
            except BlockingIOError:
                return


class LoggingTestCase(SynchronousTestCase):
    """
    Reads the log.
    """

    def setUp(self) -> None:
        self.logged: list[str] = []

        def observe(event: Any) -> None:
            if event.get("log_namespace", "").startswith("terminable"):
                self.logged.append(event["log_format"].format(**event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)


class Server:
    """
    A terminator, and what connects to it.
    """

    def __init__(self, reactor: Any, **settings: Any) -> None:
        self.reactor = reactor
        self.terminator = Terminator(reactor, **settings)
        self.factory = MemoryFactory(Polite)
        self.wrapped = self.terminator.wrap(self.factory)

    def connect(self) -> MemoryTransport:
        """
        Somebody connects, and something is in flight.
        """
        transport = connectTo(self.wrapped, self.reactor)
        self.factory.protocols[-1].busy = True
        return transport


class ObserverTestCase(SynchronousTestCase):
    """
    An observer at a reactor that does not run yet.
    """

    def setUp(self) -> None:
        self.observe()

    def observe(self, **settings: Any) -> None:
        """
        Begin, with these settings of the observer.
        """
        self.reactor = MemoryReactorClock()
        self.systemd = Systemd(self)
        self.observer = SystemdObserver(self.reactor, Notifier(self.systemd.place), **settings)

    def serve(self, waits: bool = False, **settings: Any) -> Server:
        """
        A server that is watched.
        """
        server = Server(self.reactor, **settings)
        self.observer.watch(server.terminator, waits)
        return server

    def serving(self, **settings: Any) -> Server:
        """
        One of which systemd knows that it serves.
        """
        server = self.serve(**settings)
        self.reactor.run()
        self.systemd.heard()
        return server

    def pass_(self, seconds: float) -> None:
        """
        Let time go by in small steps, while systemd reads.
        """
        for _ in range(round(seconds * 8)):
            self.reactor.advance(0.125)
            self.systemd.read()

    def shutdown(self) -> None:
        """
        Somebody has stopped the reactor.
        """
        for call, arguments, keywords in self.reactor.triggers["before"]["shutdown"]:
            call(*arguments, **keywords)

    def asked(self) -> list[int]:
        """
        For how many seconds each time systemd was asked to wait since the last look.
        """
        name = "EXTEND_TIMEOUT_USEC="
        said = [message for message in self.systemd.heard() if message.startswith(name)]
        return [round(int(message.partition("=")[2]) / 1e6) for message in said]
