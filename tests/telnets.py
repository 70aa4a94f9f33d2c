"""
Telnet servers on wires, and the applications behind them.
"""

from __future__ import annotations

from typing import Any

from twisted.conch.insults.insults import TerminalProtocol
from twisted.conch.telnet import StatefulTelnetProtocol, TelnetTransport
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.python.components import registerAdapter
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from terminable.drainers.telnet import TelnetDrainer
from terminable.interfaces import IDrainer, IHintingDrainer
from terminable.policy.schedule import Schedule
from tests.wire import Wire

#: What a user is told.
GOODBYE = b"\r\nThe server is going down.\r\n"


class Watching:
    """
    What a drainer is given when its drain begins.
    """

    def __init__(self, **times: Any) -> None:
        self.clock = Clock()
        self.schedule = Schedule(**times)
        self.called = 0

    def __call__(self) -> None:
        self.called += 1

    def later(self, seconds: float, work: Any, *args: object) -> None:
        self.clock.callLater(seconds, work, *args)


class Shout(StatefulTelnetProtocol):
    """
    Says loudly what it hears.
    """

    state = "Shout"

    def telnet_Shout(self, line: bytes) -> None:
        self.transport.write(line.strip().upper() + b"\n")


@implementer(IDrainer)
class Bank(Shout):
    """
    Knows when a transfer is under way, and has a goodbye of its own.
    """

    busy = False
    drained = 0

    def isBusy(self) -> bool:
        return self.busy

    def drain(self) -> None:
        self.drained += 1
        if not self.busy:
            self.transport.write(b"The bank is closed.\n")
            self.transport.loseConnection()


@implementer(IHintingDrainer)
class Office(Bank):
    """
    The same with a hint, and with a last word if there is one.
    """

    silent = True
    answered = True
    told: Any = None
    word = ""

    def hint(self, idle: Any) -> None:
        self.told = idle

    def describe(self) -> str:
        return "form 27b" if self.busy else ""

    def lastWord(self, retryAfter: int) -> str:
        return self.word


@implementer(IDrainer)
class Game(TerminalProtocol):
    """
    Something on a terminal that knows whether it is busy.
    """

    busy = True

    def isBusy(self) -> bool:
        return self.busy

    def drain(self) -> None:
        self.terminal.write("game over")


class Adapted(Shout):
    """
    One for which somebody else has registered a drainer.
    """


class ForAdapted(Bank):
    """
    That one.
    """

    def __init__(self, adapted: Any) -> None:
        self.adapted = adapted
        self.busy = True


registerAdapter(ForAdapted, Adapted, IDrainer)


class TelnetTestCase(SynchronousTestCase):
    """
    Connects, and makes drainers.
    """

    def connect(self, *application: Any) -> Any:
        """
        Somebody connects.

        @param application: what makes the application, and its arguments.
        @return: the application's protocol.
        """
        factory: Any = Factory()
        factory.protocol = lambda: TelnetTransport(*application)
        self.wire = Wire(factory)
        self.addCleanup(self.wire.close)
        self.telnet = self.wire.protocol
        self.drainer = TelnetDrainer(self.telnet)
        return self.telnet.protocol

    def hint(self, **times: Any) -> Watching:
        """
        The drain begins.
        """
        watching = Watching(**times)
        self.drainer.hint(watching)
        return watching

    def received(self) -> bytes:
        """
        Everything that the client has received.
        """
        self.wire.pump()
        return bytes(self.wire.peer.received)

    def untilOver(self) -> bytes:
        """
        The same when the connection is over.
        """
        self.wire.pumpUntil(lambda: self.wire.peer.over)
        self.assertEqual(self.wire.peer.over, "FIN")
        return bytes(self.wire.peer.received)

    def say(self, text: bytes) -> None:
        """
        The client says something.
        """
        self.wire.peer.send(text)
        self.wire.waitForInput()
        self.wire.pump()
