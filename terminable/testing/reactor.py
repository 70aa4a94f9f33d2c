"""
A reactor in memory: time is a clock that is moved by hand, and the network a dictionary.
"""

from __future__ import annotations

import itertools
import math
import select
import socket
import sys
from typing import Any, Protocol

from twisted.internet import tcp
from twisted.internet.abstract import isIPv6Address
from twisted.internet.base import DelayedCall
from twisted.internet.interfaces import IHalfCloseableDescriptor, IReactorFDSet
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from terminable.testing.kernel import MemoryListener, MemorySocket
from terminable.testing.unreal import Name

_log = Logger()

#: How many turns there may be in one moment: whoever wants more is busy doing nothing, or
#: sends without an end to somebody who reads at once.
RESTLESS = 5_000

#: How long a moment is, in seconds: some schedule their next step by less.
MOMENT = 0.001

#: The first port of those who connect, and how many there are.
_FIRST, _MANY = 49152, 16384

_BROKEN = select.POLLERR | select.POLLHUP


class Restless(RuntimeError):
    """
    Something is done again and again without time passing, and nothing comes of it.
    """


class Turning(Protocol):
    """
    Somebody at the other end of a connection.
    """

    def turn(self) -> bool:
        """
        Do what can be done.

        @return: whether that was anything.
        """


class MemoryPort(tcp.Port):
    """
    A TCP port of Twisted's, on a socket in memory.
    """

    def createInternetSocket(self) -> socket.socket:
        """
        Not one of the kernel's.
        """
        reactor: Any = self.reactor
        return MemoryListener(reactor.network, self.addressFamily)


@implementer(IReactorFDSet)
class MemoryReactor(Clock):
    """
    A clock that can be listened with, whose connections live in memory.  They move on when
    something happens to them, and when time passes; nothing happens by itself.

    It does what Twisted's reactors do by C{epoll}, in the order in which they do it: calls
    that are due, then what can be read and written.

    @ivar network: who listens, by address family and port.
    @ivar peers: those who act on the other ends of connections.
    """

    def __init__(self) -> None:
        super().__init__()
        self.network: dict[tuple[int, int], MemoryListener] = {}
        self.peers: list[Turning] = []
        # In order, and without anybody twice.
        self._readers: dict[Any, None] = {}
        self._writers: dict[Any, None] = {}
        self._numbers = itertools.cycle(range(_FIRST, _FIRST + _MANY))
        self._settling = False

    # -- time

    def callWhenRunning(self, callable: Any, *args: object, **kw: object) -> None:
        """
        It is running: call something now.
        """
        callable(*args, **kw)

    def advance(self, amount: float) -> None:
        """
        Let time pass: from one scheduled call to the next, each followed by all that comes
        of it.

        @param amount: how many seconds.
        @raise Restless: something does not come to an end.
        """
        until = self.rightNow + amount
        self.settle()
        since, steps = self.rightNow, 0
        while (following := self._next()) <= until:
            self.rightNow = max(self.rightNow, following)
            if self.rightNow - since >= MOMENT:
                since, steps = self.rightNow, 0
            steps += 1
            self._tire(steps)
            self.settle()
        self.rightNow = until

    def _tire(self, count: int) -> None:
        if count > RESTLESS:
            raise Restless(f"no end after {RESTLESS} turns at {self.rightNow:g} s")

    def settle(self) -> None:
        """
        Let everything happen that can, without time passing.

        @raise Restless: something does not come to an end.
        """
        if self._settling:
            # Whoever does it goes on until nothing is left.
            return
        self._settling = True
        try:
            turns = 0
            while self._turn():
                turns += 1
                self._tire(turns)
        finally:
            self._settling = False

    def _turn(self) -> bool:
        self._callDue()
        moved = False
        for descriptor in list({**self._readers, **self._writers}):
            moved |= self._see(descriptor)
        for peer in list(self.peers):
            moved |= peer.turn()
        return moved or self._next() <= self.rightNow

    def _next(self) -> float:
        return min((call.getTime() for call in self.calls), default=math.inf)

    def _callDue(self) -> None:
        """
        As with every reactor, what is scheduled by these calls waits for the next turn, and
        one that fails costs nobody else anything.
        """
        due = [call for call in self.calls if call.getTime() <= self.rightNow]
        for call in sorted(due, key=DelayedCall.getTime):
            # One before it may have cancelled it, or put it off.
            if call.active() and call.getTime() <= self.rightNow:
                self.calls.remove(call)
                call.called = 1
                try:
                    call.func(*call.args, **call.kw)
                except Exception:
                    _log.failure("{call} failed", call=call)

    # -- the other ends

    def connect(self, port: int, host: str = "127.0.0.1", size: int = 65536) -> MemorySocket:
        """
        Somebody connects.

        @param port: where to.
        @param host: where from, an IPv4 or IPv6 address.
        @param size: how many bytes each side's kernel holds of what was received, and of
            what is being sent.
        @return: its socket.
        @raise ConnectionRefusedError: nobody listens there.
        @raise TimeoutError: too many wait there to be accepted.
        """
        six = isIPv6Address(host)
        listening = self.network.get((socket.AF_INET6 if six else socket.AF_INET, port))
        if listening is None:
            raise ConnectionRefusedError(f"nobody listens on port {port}")
        number = next(self._numbers)
        name: Name = (host, number, 0, 0) if six else (host, number)
        return listening.arrive(self.seconds, name, size)

    # -- listening

    def listenTCP(
        self, port: int, factory: Any, backlog: int = 50, interface: str = ""
    ) -> MemoryPort:
        """
        Listen.

        @param interface: where; of it, only counts whether it is an IPv6 address.
        @raise twisted.internet.error.CannotListenError: somebody else does, there.
        """
        made = MemoryPort(port, factory, backlog, interface, self)
        made.startListening()
        return made

    def listenSSL(
        self, port: int, factory: Any, contextFactory: Any, backlog: int = 50, interface: str = ""
    ) -> MemoryPort:
        """
        The same with TLS.
        """
        wrapped = TLSMemoryBIOFactory(contextFactory, False, factory, self)
        return self.listenTCP(port, wrapped, backlog, interface)

    # -- descriptors

    def addReader(self, reader: Any) -> None:
        """
        See C{IReactorFDSet}.
        """
        self._readers[reader] = None

    def addWriter(self, writer: Any) -> None:
        """
        See C{IReactorFDSet}.
        """
        self._writers[writer] = None

    def removeReader(self, reader: Any) -> None:
        """
        See C{IReactorFDSet}.
        """
        self._readers.pop(reader, None)

    def removeWriter(self, writer: Any) -> None:
        """
        See C{IReactorFDSet}.
        """
        self._writers.pop(writer, None)

    def removeAll(self) -> list[Any]:
        """
        See C{IReactorFDSet}.
        """
        removed = list({**self._readers, **self._writers})
        self._readers.clear()
        self._writers.clear()
        return removed

    def getReaders(self) -> list[Any]:
        """
        See C{IReactorFDSet}.
        """
        return list(self._readers)

    def getWriters(self) -> list[Any]:
        """
        See C{IReactorFDSet}.
        """
        return list(self._writers)

    def _see(self, descriptor: Any) -> bool:
        """
        Look at one descriptor.

        @return: whether anything has happened to it.
        """
        reads, writes = descriptor in self._readers, descriptor in self._writers
        if not (reads or writes):
            # Whoever came before it has had it removed; a reactor would not look, either.
            return False
        wanted = select.POLLIN * reads | select.POLLOUT * writes | _BROKEN
        found = descriptor.socket.events() & wanted
        if not found:
            return False
        why, reading = self._do(descriptor, found)
        if why is not None:
            self._lost(descriptor, why, reading)
        return True

    def _do(self, descriptor: Any, found: int) -> tuple[Any, bool]:
        """
        @return: why it is over, if it is, and whether that came of reading.
        """
        if found & _BROKEN and not found & select.POLLIN:
            # It does not read; there would be something to be read, if only the end.
            return CONNECTION_LOST, False
        why, reading = None, False
        try:
            if found & select.POLLIN:
                why, reading = descriptor.doRead(), True
            if why is None and found & select.POLLOUT:
                why, reading = descriptor.doWrite(), False
        except BaseException:
            _log.failure("{descriptor} failed", descriptor=descriptor)
            why = sys.exc_info()[1]
        return why, reading

    def _lost(self, descriptor: Any, why: BaseException, reading: bool) -> None:
        self.removeReader(descriptor)
        failure = Failure(why)
        if reading and why is CONNECTION_DONE and IHalfCloseableDescriptor.providedBy(descriptor):
            descriptor.readConnectionLost(failure)
        else:
            self.removeWriter(descriptor)
            descriptor.connectionLost(failure)
