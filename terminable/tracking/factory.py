"""
The pair that records every live transport of a wrapped factory, and hides nothing.

The protocol of the pair lives only until its connection is made: it records the
transport, puts the wrapped protocol into its own place, and is forgotten.  From then
on the wrapped protocol has the transport to itself, may be exchanged, and pays
nothing.  The end is told by the transport.
"""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet.interfaces import IAddress, ILoggingContext
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import directlyProvides, providedBy

from terminable.tracking.layers import StandIn, bottomOf, stepAside
from terminable.tracking.transports import Recorder, hookEnd, isRecorded
from terminable.tracking.waiting import Waiting


class Gate(Recorder, Protocol):
    """
    A recorder that can also refuse.
    """

    @property
    def accepting(self) -> bool:
        """
        Whether a new connection would still be served.
        """

    def started(self, factory: Any) -> None:
        """
        Somebody begins to listen with a wrapped factory.
        """


def _prefixOf(wrapped: Any) -> str:
    if ILoggingContext.providedBy(wrapped):
        return str(wrapped.logPrefix())
    return type(wrapped).__name__


class TerminableFactory:
    """
    Wraps any protocol factory, so that its connections are recorded.

    It provides what the wrapped factory provides (ALPN for C{Site}, say); every
    attribute is the wrapped factory's, to read and to set.
    """

    wrappedFactory: Any
    _gate: Gate
    _held: bool

    def __init__(self, wrappedFactory: Any, gate: Gate) -> None:
        own = vars(self)
        own["wrappedFactory"] = wrappedFactory
        own["_gate"] = gate
        own["_held"] = False
        directlyProvides(self, providedBy(wrappedFactory), ILoggingContext)

    def __getattr__(self, name: str) -> Any:
        if name == "wrappedFactory":
            # Being copied, or unpickled: there is none yet.
            raise AttributeError(name)
        return getattr(self.wrappedFactory, name)

    def __setattr__(self, name: str, value: object) -> None:
        if name == "__provides__":
            object.__setattr__(self, name, value)
        else:
            setattr(self.wrappedFactory, name, value)

    def doStart(self) -> None:
        """
        A port begins to use the factory.
        """
        if not self._held:
            self._gate.started(self)
        self.wrappedFactory.doStart()

    def doStop(self) -> None:
        """
        A port no longer uses the factory.
        """
        self.wrappedFactory.doStop()

    def buildProtocol(self, addr: IAddress | None) -> TerminableProtocol | Waiting | None:
        """
        @return: C{None}, which has the connection closed, if the wrapped factory
            says so or if the server is no longer serving.
        """
        if not self._gate.accepting:
            return None
        if getattr(self._gate, "room", None) is not None:
            # It may have to wait.
            return Waiting(self.wrappedFactory, addr, self._gate)
        protocol = self.wrappedFactory.buildProtocol(addr)
        return None if protocol is None else TerminableProtocol(protocol, self._gate)

    def logPrefix(self) -> str:
        """
        The wrapped factory's.
        """
        return _prefixOf(self.wrappedFactory)


class AdmittingFactory(TerminableFactory):
    """
    Stands for the factory of a port whose transports record themselves, so that they ask to
    be admitted.
    """

    def doStart(self) -> None:
        """
        The port begins to use the factory.
        """
        self.wrappedFactory.doStart()


def askAtDoor(port: Any, gate: Gate) -> None:
    """
    Have the connections to come of a port ask to be admitted.
    """
    port.factory = AdmittingFactory(port.factory, gate)


def askNoMore(port: Any) -> None:
    """
    Undo L{askAtDoor}.
    """
    factory = getattr(port, "factory", None)
    if isinstance(factory, AdmittingFactory):
        port.factory = factory.wrappedFactory


def buildAdmitted(factory: Any, addr: IAddress | None) -> Any:
    """
    Build what a port's factory builds, for a connection that was admitted somewhere else.

    @return: C{None} if the factory refuses it.
    """
    gate = vars(factory)["_gate"] if isinstance(factory, TerminableFactory) else None
    if getattr(gate, "room", None) is None:
        return factory.buildProtocol(addr)
    inner = factory.wrappedFactory
    protocol = inner.buildProtocol(addr)
    return None if protocol is None else Waiting(inner, addr, gate, protocol)


def lead(factory: TerminableFactory, gate: Gate) -> None:
    """
    Have the connections to come of a wrapped factory recorded by another gate.
    """
    vars(factory)["_gate"] = gate


def hold(factory: Any) -> None:
    """
    Start a factory once more, for connections that outlive its port.  A gate that records
    it, be it within others (TLS, say), is not told: nobody begins to listen.
    """
    within = factory
    while within is not None and not isinstance(within, TerminableFactory):
        within = getattr(within, "wrappedFactory", None)
    own = {} if within is None else vars(within)
    own["_held"] = True
    try:
        factory.doStart()
    finally:
        own["_held"] = False


class TerminableProtocol(StandIn):
    """
    Stands where a wrapped protocol belongs until there is a connection.

    On transports that do not name their protocol (those of some tests) it cannot
    step aside, and passes everything on for as long as the connection lives.
    """

    transport: Any = None

    def __init__(self, wrappedProtocol: Any, recorder: Recorder) -> None:
        self.wrappedProtocol = wrappedProtocol
        self._recorder = recorder
        directlyProvides(self, providedBy(wrappedProtocol), ILoggingContext)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wrappedProtocol, name)

    def logPrefix(self) -> str:
        """
        The wrapped protocol's.
        """
        return _prefixOf(self.wrappedProtocol)

    def makeConnection(self, transport: Any) -> None:
        """
        Record the transport, step aside, and connect the wrapped protocol.
        """
        bottom = bottomOf(transport)
        if not stepAside(self, self.wrappedProtocol, transport):
            self.transport = transport
        elif not isRecorded(bottom):
            hookEnd(bottom, self._recorder)
        self._recorder.opened(bottom)
        self.wrappedProtocol.makeConnection(transport)

    def dataReceived(self, data: bytes) -> None:
        """
        Pass it on.
        """
        self.wrappedProtocol.dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Pass it on, and record the end.
        """
        bottom = bottomOf(self.transport)
        last = self._recorder.last(bottom)
        try:
            self.wrappedProtocol.connectionLost(reason)
        finally:
            self._recorder.lost(bottom, last)
