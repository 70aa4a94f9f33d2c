"""
The two processes between which connections are passed, each with a reactor of its own.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet import unix
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure
from twisted.web.server import Site

from terminable.handover.movable import ConnectionMoved
from terminable.handover.taking import Taking
from terminable.terminator import Terminator
from terminable.tracking import internals
from tests.attacks.stage import StageReactor
from tests.doubles import Boom
from tests.passages import Counting, Page

#: What an application may do when it is asked for its state, or given one.
DEEDS: dict[str, Callable[[Any], Any]] = {
    "none": lambda protocol: None,
    "nonsense": lambda protocol: 7,
    "lose": lambda protocol: protocol.transport.loseConnection(),
    "abort": lambda protocol: protocol.transport.abortConnection(),
    "write": lambda protocol: protocol.transport.write(b"back\n"),
}

_names = iter(range(10**9))


class Lines(Factory):
    """
    Builds protocols that count lines.

    @ivar deeds: what they do when, those that are there and those that are built.
    @ivar refuses: whether none are built.
    @ivar lost: the transports that they have lost.
    """

    noisy = False

    def __init__(self, name: str) -> None:
        self.name = name
        self.deeds: dict[str, str] = {}
        self.refuses = False
        self.lost: list[Any] = []

    def buildProtocol(self, addr: Any) -> Any:
        if self.refuses:
            return None
        made = Counting(self.name)
        made.onSave = lambda: self._do("save", made, made.state)
        made.onRestore = lambda: self._do("restore", made)
        made.onMade = lambda: self._do("made", made)
        return made

    def _do(self, moment: str, made: Any, usual: Callable[[], Any] = lambda: None) -> Any:
        deed = self.deeds.get(moment)
        if deed is None:
            return usual()
        if deed in ("lose", "abort"):
            self.lost.append(made.transport)
        if deed == "raise":
            raise Boom
        return DEEDS[deed](made)


def recorded(base: Any, made: list[Any]) -> Any:
    """
    A server transport class that keeps its instances, and how they ended.
    """

    class Server(base):  # type: ignore[misc]
        ended: Any = None

        def __init__(self, *args: Any, **keywords: Any) -> None:
            base.__init__(self, *args, **keywords)
            made.append(self)

        def connectionLost(self, reason: Failure) -> None:
            self.ended = reason.value
            base.connectionLost(self, reason)

    return Server


class Process:
    """
    One of the two.

    @ivar transports: those of the connections that it has had, in their order.
    @ivar serves: whether it takes what it is passed.
    @ivar confirmed: how many it has confirmed.
    @ivar channels: those on which it takes.
    """

    def __init__(self, name: str, web: bool) -> None:
        self.reactor = StageReactor()
        self.terminator = Terminator(self.reactor)
        self.page = Page(name)
        self.lines = Lines(name)
        self.address = f"\0passage-{os.getpid()}-{next(_names)}"
        self.transports: list[Any] = []
        self.serves = True
        self.confirmed = 0
        self.channels: list[tuple[Taking, Any]] = []
        factory: Any = Site(self.page, reactor=self.reactor) if web else self.lines
        self.port: Any = unix.Port(self.address, factory, reactor=self.reactor)  # type: ignore[arg-type]
        self.port.transport = recorded(self.port.transport, self.transports)
        self.port.startListening()
        self.terminator.attach(self.port)

    def portFor(self, host: Any) -> Any:
        """
        See L{Taking}.
        """
        return self.port if self.serves else None

    def count(self) -> int:
        """
        See L{Taking}; it is asked at each confirmation.
        """
        self.confirmed += 1
        return len(self.terminator.connections())

    @property
    def passed(self) -> int:
        """
        How many of its connections another process has.
        """
        return sum(hasMoved(each) for each in self.transports)

    def behave(self) -> None:
        """
        Do nothing odd any more.
        """
        self.lines.deeds.clear()
        self.lines.refuses = False
        self.serves = True
        self.answer()

    def answer(self) -> None:
        """
        Answer what waits.
        """
        while self.page.waiting:
            # Not if the connection was lost.
            with contextlib.suppress(RuntimeError):
                self.page.answer()

    def kill(self) -> None:
        """
        All of its descriptors are closed, and that is all.
        """
        for taking, channel in self.channels:
            for adoption in taking._coming:
                if adoption._sock is not None:
                    adoption._sock.close()
            for number in internals.unclaimed(channel).values():
                os.close(number)
        for transport in [*self.transports, self.port, *(it.transport for _, it in self.channels)]:
            sock = getattr(transport, "socket", None)
            if sock is not None:
                socket.socket.close(sock)

    def end(self) -> list[str]:
        """
        Stop listening.

        @return: what is left over.
        """
        self.port.stopListening()
        for _ in range(5):
            self.reactor.turn()
        connections = self.terminator.connections()
        return [
            *(f"left over: {call}" for call in self.reactor.getDelayedCalls()),
            *(f"still read: {it}" for it in self.reactor.readers),
            *(f"still written: {it}" for it in self.reactor.writers),
            *(f"still there: {it}" for it in connections),
        ]


def hasMoved(transport: Any) -> bool:
    """
    Whether another process has the connection.
    """
    return isinstance(transport.ended, ConnectionMoved)
