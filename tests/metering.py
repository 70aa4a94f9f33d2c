"""
A server with limits and one client of its, on a real socket, with a clock that is moved by
hand.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from terminable.terminator import Terminator
from terminable.tracking import pausing
from tests.wire import TLSPeer, Turning, Wire


class Metered:
    """
    One client.

    @ivar protocol: what serves it.
    """

    def __init__(
        self,
        protocol: Any,
        *limits: Any,
        factory: Any = None,
        tls: bool = False,
        beside: Metered | None = None,
        **options: Any,
    ) -> None:
        """
        @param protocol: a class, or what makes one; C{None} if there is a factory.
        @param factory: called with the clock; returns what builds protocols.
        @param beside: another one, of the same server.
        @param options: for the L{Wire}.
        """
        if beside is None:
            self.clock = Turning()
            self.terminator = Terminator(self.clock, limits=limits)
            made = factory(self.clock) if factory else Factory.forProtocol(protocol)
            self.wrapped = self.terminator.wrap(made)
        else:
            self.clock, self.terminator = beside.clock, beside.terminator
            self.wrapped = beside.wrapped
        self.wire = Wire(self.wrapped, tls=tls, reactor=self.clock, **options)
        self.transport = self.wire.transport
        if self.transport.socket.family != socket.AF_UNIX:
            for sock in (self.transport.socket, self.wire.peer.socket):
                # What is written leaves at once, and not when the kernel thinks fit.
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.peer = self.wire.peer
        self.reports: list[Any] = []
        self._seen = 0

    @property
    def protocol(self) -> Any:
        """
        The application's.
        """
        found = self.transport.protocol
        while hasattr(found, "wrappedProtocol"):
            found = found.wrappedProtocol
        return found

    @property
    def counts(self) -> Any:
        """
        What the limits have done.
        """
        return self.terminator.throttle.counts

    @property
    def paused(self) -> bool:
        """
        Whether nothing is read.
        """
        return bool(pausing.pausedBy(self.transport))

    def send(self, data: bytes) -> None:
        """
        The client sends something, in one piece.
        """
        self.peer.send(data)
        self.pump()

    def pump(self) -> None:
        """
        Let happen what happens without time passing.
        """
        self.wire.pump()

    def go(self, seconds: float, step: float = 0.01) -> None:
        """
        Let time go by in small steps.
        """
        for _ in range(round(seconds / step)):
            self.clock.advance(step)
            self.pump()

    def said(self) -> bytes:
        """
        What the server has said since the last time.
        """
        self.pump()
        data: bytes = self.peer.received[self._seen :]
        self._seen += len(data)
        return data

    def leave(self) -> None:
        """
        The client goes.
        """
        if isinstance(self.peer, TLSPeer):
            self.peer.sayGoodbye()
        self.peer.socket.close()
        self.peer.over = "FIN"
        self.wire.pumpUntil(lambda: not self.transport.connected)

    def stop(self) -> None:
        """
        The stop begins.
        """
        self.terminator.terminate().addCallback(self.reports.append)
        self.go(0.01)


class MeterTestCase(SynchronousTestCase):
    """
    Servers with limits.
    """

    def serve(self, protocol: Any, *limits: Any, **options: Any) -> Metered:
        """
        Somebody connects to one.
        """
        made = Metered(protocol, *limits, **options)
        self.addCleanup(made.wire.close)
        return made
