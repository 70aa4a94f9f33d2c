"""
What the processes of the tests for SSH and Telnet serve: factories for C{--factory}.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from twisted.conch.interfaces import ISession
from twisted.conch.ssh.session import SSHSession
from twisted.conch.telnet import StatefulTelnetProtocol, TelnetTransport
from twisted.internet import reactor as _reactor
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.components import registerAdapter
from zope.interface import implementer

from terminable import IDrainer
from tests.live.resources import afterStop
from tests.secureshell import OpenFactory, User

reactor: Any = _reactor
log = Logger()


class ShellUser(User):
    """
    Somebody who may run commands.
    """

    def __init__(self, username: str) -> None:
        super().__init__(username)
        self.channelLookup[b"session"] = SSHSession


@implementer(ISession)
class Commands:
    """
    Runs each command in a process.
    """

    process: Any = None

    def __init__(self, user: ShellUser) -> None:
        pass

    def execCommand(self, protocol: Any, command: bytes) -> None:
        shell = ("/bin/sh", "-c", command.decode())
        self.process = reactor.spawnProcess(protocol, shell[0], shell, {"PATH": "/bin:/usr/bin"})
        log.info("running {command}", command=command.decode())

    def eofReceived(self) -> None:
        self.process.closeStdin()

    def closed(self) -> None:
        with suppress(ProcessExitedAlready):
            self.process.signalProcess("KILL")


registerAdapter(Commands, ShellUser, ISession)


class Shout(StatefulTelnetProtocol):
    """
    Says loudly what it hears.
    """

    state = "Shout"

    def connectionMade(self) -> None:
        self.transport.write(b"Say something.\n")

    def telnet_Shout(self, line: bytes) -> None:
        self.transport.write(line.strip().upper() + b"\n")


@implementer(IDrainer)
class Bank(StatefulTelnetProtocol):
    """
    Transfers money, which is done as many seconds after the stop as it is told, and has a goodbye
    of its own.
    """

    state = "Transfer"
    pending = 0
    closing = False

    def connectionMade(self) -> None:
        self.transport.write(b"How many seconds?\n")

    def telnet_Transfer(self, line: bytes) -> None:
        self.pending += 1
        log.info("a transfer of {seconds} s", seconds=line.strip().decode())
        afterStop(float(line)).addCallback(self.transferred)

    def transferred(self, _: object) -> None:
        self.pending -= 1
        self.transport.write(b"done\n")
        if self.closing and not self.pending:
            self.drain()

    def isBusy(self) -> bool:
        return bool(self.pending)

    def drain(self) -> None:
        self.closing = True
        if not self.pending:
            self.transport.write(b"The bank is closed.\n")
            self.transport.loseConnection()


def makeSSH() -> OpenFactory:
    """
    An SSH server that runs commands for everybody.
    """
    return OpenFactory(ShellUser)


def makeShout() -> Factory[Any]:
    """
    A Telnet server that knows nothing of the end.
    """
    factory: Factory[Any] = Factory()
    factory.protocol = lambda: TelnetTransport(Shout)  # type: ignore[assignment]
    return factory


def makeBank() -> Factory[Any]:
    """
    A Telnet server that decides for itself when to end.
    """
    factory: Factory[Any] = Factory()
    factory.protocol = lambda: TelnetTransport(Bank)  # type: ignore[assignment]
    return factory
