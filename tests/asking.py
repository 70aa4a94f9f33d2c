"""
Connections whose applications want to know when they are to end.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import tcp
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from terminable.policy.ledger import Report
from terminable.terminator import Terminator
from terminable.tracking.transports import recording
from tests.wire import Turning, Wire


class AskingTestCase(SynchronousTestCase):
    """
    Connections of a terminator, on sockets that are driven by hand.
    """

    #: Whether a port of ours has accepted them, or a factory is wrapped.
    own = False

    def begin(self) -> None:
        """
        Somebody serves.
        """
        self.reactor = Turning()
        self.terminator = Terminator(self.reactor)

    def serve(self, factory: Any) -> Wire:
        """
        Somebody serves, and has a connection.
        """
        self.begin()
        return self.connect(factory)

    def connect(self, factory: Any, **options: Any) -> Wire:
        """
        One more connection.
        """
        if self.own:
            options["kind"] = recording(tcp.Server, self.terminator.gate)
        else:
            factory = self.terminator.wrap(factory)
        wire = Wire(factory, reactor=self.reactor, **options)
        self.addCleanup(wire.close)
        if "tls" not in options:
            # Whatever stood there while it was connected.
            wire.protocol = wire.transport.protocol
        return wire

    def stop(self) -> Deferred[Report]:
        """
        The drain begins, and whoever asked has been told.
        """
        result = self.terminator.terminate()
        self.reactor.advance(0)
        return result

    def callers(self, wire: Wire) -> bool:
        """
        Whether anybody is to be told about a connection.
        """
        return wire.transport in self.terminator.gate.drain.callers
