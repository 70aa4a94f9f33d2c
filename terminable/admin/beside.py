"""
A port beside those of a server: no terminator records or ends its connections, and a
successor of this process is given it like the others.
"""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Any

from twisted.application.service import MultiService, Service
from twisted.internet import tcp, unix
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IProtocolFactory, IReactorCore, IStreamServerEndpoint
from twisted.logger import Logger

from terminable import events
from terminable.errors import InvalidOption
from terminable.handover.doorway import peerUser
from terminable.handover.following import takeoverOf
from terminable.handover.offered import offeredTo
from terminable.handover.upgrading import upgradeOf
from terminable.policy.phases import Phase
from terminable.policy.schedule import Schedule
from terminable.ports import Ports
from terminable.tracking import lingering, transports

_log = Logger()

#: How long a peer may take for the end of its last answer, in seconds.
LINGER = 1.0

#: What a UNIX socket gets: it is for its owner.
MODE = 0o600


def isOwner(sock: socket.socket) -> bool:
    """
    Whether the other end of a UNIX socket is a process of our user, or of root.  Where the
    kernel does not say, the mode of the path has to do.
    """
    if not hasattr(socket, "SO_PEERCRED"):  # pragma: no cover - not on Linux
        return True
    return peerUser(sock) in (0, os.geteuid())


class BesideService(Service):
    """
    What listens on such a port.
    """

    def beFirstOf(self, parent: MultiService) -> None:
        """
        Have C{parent} start this service before all others, and stop it after them.
        """
        self.setServiceParent(parent)
        parent.services.remove(self)
        parent.services.insert(0, self)


class Beside:
    """
    One such port.

    @ivar port: the port; C{None} while there is none.
    @ivar ports: the same, as an upgrade knows ports.
    @ivar phase: always that of a server that serves: this port never hinders an upgrade.
    @ivar live: the transports of those who are connected.
    """

    phase = Phase.SERVING

    def __init__(
        self,
        reactor: Any,
        endpoint: IStreamServerEndpoint,
        factory: IProtocolFactory,
        *,
        private: bool = True,
    ) -> None:
        """
        @param private: whether a UNIX socket is for its owner alone: it gets mode 0600, and
            processes of other users are refused.
        """
        self._reactor = reactor
        self._endpoint = endpoint
        self._factory = factory
        self._private = private
        self._schedule = Schedule(linger=LINGER)
        self._gone: Deferred[None] | None = None
        self._call: Any = None
        self.port: Any = None
        self.ports = Ports(reactor)
        self.live: set[Any] = set()

    # -- as a service has it

    def listen(self) -> Deferred[None]:
        """
        Listen.

        @return: fires when the port is open, or fails as C{endpoint.listen} does, or with
            L{InvalidOption} if that is no TCP or UNIX port.
        """
        if IReactorCore.providedBy(self._reactor):
            upgradeOf(self._reactor).add(self)
        endpoint = offeredTo(self._reactor).through(self._endpoint)
        listening: Deferred[Any] = maybeDeferred(endpoint.listen, self._factory)
        listening.addCallback(self._listens)
        return takeoverOf(self._reactor).awaits(listening)

    def _listens(self, port: Any) -> None:
        if not isinstance(port, tcp.Port):
            port.stopListening()
            expected = "an endpoint that listens on a TCP or UNIX socket"
            raise InvalidOption("endpoint", self._endpoint, expected)
        transports.attach(port, self)
        self.ports.add(port)
        if self._private and isinstance(port, unix.Port):
            _makePrivate(port, stray=any(each.isStray for each in self.ports.listeners))
        self.port = port

    @property
    def listening(self) -> bool:
        """
        Whether somebody can connect.
        """
        return self.ports.open

    def stop(self, patience: float) -> Deferred[None]:
        """
        Close the port, and lose the connections.

        @param patience: for how many seconds those who do not go are waited for.
        @return: fires when nobody is connected any more.
        """
        self.ports.closeNow()
        gone: Deferred[None] = Deferred()
        self._gone = gone
        for transport in list(self.live):
            transport.loseConnection()
        self._call = self._reactor.callLater(patience, self._abort)
        self._look()
        return gone

    def _abort(self) -> None:
        for transport in list(self.live):
            transport.abortConnection()

    def _look(self) -> None:
        if self._gone is not None and not self.live:
            gone, self._gone = self._gone, None
            if self._call.active():
                self._call.cancel()
            self.ports.release()
            self.port = None
            gone.callback(None)

    # -- as an upgrade has it

    def connections(self) -> list[Any]:
        """
        None that could move to another process.
        """
        return []

    def abort(self) -> None:
        """
        This port ends with its service.
        """

    # -- as a recorder of connections

    def opened(self, transport: Any) -> None:
        """
        Somebody has come.
        """
        self.live.add(transport)
        sock = transport.getHandle()
        if self._private and sock.family == socket.AF_UNIX and not isOwner(sock):
            _log.warn(
                "a process of user {user} is refused",
                event=events.ADMIN_REFUSED,
                user=peerUser(sock),
            )
            # The protocol is just being connected.
            self._reactor.callLater(0, transport.abortConnection)
        else:
            self.came(transport)

    def came(self, transport: Any) -> None:
        """
        Somebody has come who may; for subclasses.
        """

    def went(self, transport: Any) -> None:
        """
        Somebody has gone; for subclasses.
        """

    def whenDraining(self, transport: Any) -> Deferred[None]:
        """
        Never.
        """
        return Deferred()

    def forget(self, transport: Any, asked: Deferred[None]) -> None:
        """
        Nobody was remembered.
        """

    def flushed(self, transport: Any) -> object:
        """
        Everything is written: have it arrive.
        """
        return lingering.flushed(transport, self._reactor, self._schedule)

    def last(self, transport: Any) -> None:
        """
        Nothing has to be known of it.
        """

    def lost(self, transport: Any, last: Any) -> None:
        """
        Somebody has gone.
        """
        self.live.discard(transport)
        self.went(transport)
        self._look()


def _makePrivate(port: unix.Port, stray: bool) -> None:
    name = port.getHost().name
    port.mode = MODE
    if name and not stray and not name.startswith(b"\0"):
        # It may be that of whoever supervises us, who has said what it is to be.
        with contextlib.suppress(PermissionError):
            os.chmod(name, MODE)
