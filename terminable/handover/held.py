"""
Ports that only keep their sockets open: other processes accept from them.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import tcp
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IListeningPort, IStreamServerEndpoint
from twisted.internet.protocol import Factory

from terminable.errors import InvalidOption
from terminable.handover.following import takeoverOf
from terminable.handover.offered import Adopting, offeredTo, withReactor
from terminable.listener import Listener
from terminable.ports import Ports
from terminable.tracking import internals, sockets


class Nobody(Factory):
    """
    Serves nobody.
    """

    noisy = False

    def logPrefix(self) -> str:
        """
        What the log says of its ports.
        """
        return "Port of the workers"

    def buildProtocol(self, addr: IAddress | None) -> None:
        """
        Nothing.
        """


class Holding(Adopting):
    """
    A reactor whose ports do not accept.
    """

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        """
        See C{IReactorTCP.listenTCP}.
        """
        return self._held(super().listenTCP(port, factory, backlog, interface))

    def listenUNIX(
        self, address: str, factory: Any, backlog: int = 50, mode: int = 0o666, wantPID: int = 0
    ) -> Any:
        """
        See C{IReactorUNIX.listenUNIX}.
        """
        return self._held(super().listenUNIX(address, factory, backlog, mode, wantPID))

    def adoptStreamPort(self, descriptor: int, family: int, factory: Any) -> Any:
        """
        See C{IReactorSocket.adoptStreamPort}.
        """
        return self._held(super().adoptStreamPort(descriptor, family, factory))

    def _held(self, port: Any) -> Any:
        port.stopReading()
        return port


class HeldListener(Listener):
    """
    One of those ports.
    """

    def __init__(self, port: IListeningPort, reactor: Any) -> None:
        super().__init__(port, reactor)
        self._foreign = internals.adopted(port)
        # Closing it must not shut what others accept from.
        internals.share(port)

    def refuseNew(self) -> bool:
        """
        See L{Listener.refuseNew}; this is so for everybody who accepts from the socket.
        """
        if not self.open or self._foreign:
            return False
        self._refusing = sockets.refuseNew(self.port.socket)
        return self._refusing

    def acceptQueued(self) -> bool:
        """
        Others do.
        """
        return True

    def unpause(self) -> None:
        """
        Others accept.
        """


class HeldPorts(Ports):
    """
    All of them.

    @ivar handedOver: whether somebody else has them now.
    """

    def __init__(self, reactor: Any) -> None:
        super().__init__(reactor)
        self.handedOver = False

    def add(self, port: IListeningPort) -> None:
        """
        Take a port that listens.
        """
        self._listeners.append(HeldListener(port, self._reactor))

    def handOver(self) -> None:
        """
        Somebody else keeps all of their sockets: let go of them.
        """
        self.handedOver = True
        super().handOver()

    def sockets(self) -> list[tuple[str, Any]]:
        """
        The names and sockets to be given to others; what we were given ourselves comes
        first, in the same order.
        """
        known = sorted(self.listeners, key=lambda listener: listener.place)
        return [(listener.name, listener.port.socket) for listener in known]

    def listen(self, endpoint: IStreamServerEndpoint) -> Deferred[None]:
        """
        Listen, and do not accept.

        @return: fires when the socket is there, or fails as C{endpoint.listen} does, or with
            L{InvalidOption} if it is none that others could accept from.
        """
        reactor = self._reactor
        held = withReactor(endpoint, reactor, Holding(reactor, offeredTo(reactor)))

        def listens(port: Any) -> None:
            if not isinstance(port, tcp.Port):
                port.stopListening()
                expected = "an endpoint that listens on a TCP or UNIX socket"
                raise InvalidOption("endpoints", endpoint, expected)
            # Not every endpoint says by which reactor it listens.
            takeoverOf(reactor).neverAccept(port)
            self.add(port)

        listening: Deferred[Any] = held.listen(Nobody())
        return listening.addCallback(listens)
