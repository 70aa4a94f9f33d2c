"""
Finding out whether an endpoint could be listened on, before anything is started.

Sockets are bound and closed again, and never listen: nobody who waits for the server
to come up mistakes the trial for it.
"""

from __future__ import annotations

import os
import socket
import stat
from typing import Any

from twisted.internet.abstract import isIPv6Address
from twisted.internet.defer import maybeDeferred, succeed
from twisted.internet.endpoints import AdoptedStreamServerEndpoint, serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure
from zope.interface import implementer

from terminable.handover.offered import offeredTo
from terminable.handover.pidfile import lives


@implementer(IListeningPort)
class TriedPort:
    """
    A port that was never opened.
    """

    def startListening(self) -> None:
        """
        Not this one.
        """

    def stopListening(self) -> Any:
        """
        There is nothing to stop.
        """
        return succeed(None)

    def getHost(self) -> IAddress:
        """
        It is nowhere.
        """
        raise NotImplementedError


def _holderOf(lock: str) -> int | None:
    """
    The process that a lock file of Twisted names; C{None} if there is none.
    """
    try:
        return int(os.readlink(lock))
    except (OSError, ValueError):
        return None


def _isSocket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False


class Trial:
    """
    Stands in for a reactor, and only tries what it is asked for.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._offered = offeredTo(reactor)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenTCP(
        self, port: int, factory: object, backlog: int = 50, interface: str = ""
    ) -> TriedPort:
        """
        Bind as Twisted would.

        @raise CannotListenError: it could not.
        """
        if self._offered.at(port, interface) is not None:
            return TriedPort()
        family = socket.AF_INET6 if isIPv6Address(interface) else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((interface, port))
            except OSError as problem:
                raise CannotListenError(interface, port, problem) from None
        return TriedPort()

    def listenSSL(
        self,
        port: int,
        factory: object,
        contextFactory: object,
        backlog: int = 50,
        interface: str = "",
    ) -> TriedPort:
        """
        The same; the certificate has been read by now.
        """
        return self.listenTCP(port, factory, backlog, interface)

    def listenUNIX(
        self, address: str, factory: object, backlog: int = 50, mode: int = 0o666, wantPID: int = 0
    ) -> TriedPort:
        """
        See whether the path could be bound: it is free, or left over and ours to remove.

        @raise CannotListenError: it could not.
        """
        if self._offered.atPath(address) is not None:
            return TriedPort()
        folder = os.path.dirname(os.path.abspath(address))
        if not os.access(folder, os.W_OK | os.X_OK):
            raise CannotListenError(None, address, f"{folder} is no writable directory")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
            try:
                reached = trial.connect_ex(address) == 0
            except OSError as problem:
                # Longer than a path of a socket may be.
                raise CannotListenError(None, address, problem) from None
        holder = _holderOf(f"{address}.lock") if wantPID else None
        left = holder is not None and not lives(holder)
        if reached or (os.path.lexists(address) and not (left and _isSocket(address))):
            raise CannotListenError(None, address, "the path is in use")
        if holder is not None and not left:
            reason = f"{address}.lock says that process {holder} uses the path"
            raise CannotListenError(None, address, reason)
        return TriedPort()

    def adoptStreamPort(self, descriptor: int, family: int, factory: object) -> TriedPort:
        """
        See whether the inherited socket listens.

        @raise OSError: it does not, or is no socket.
        """
        with socket.socket(fileno=os.dup(descriptor)) as inherited:
            if not inherited.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                raise OSError("the inherited socket does not listen")
        return TriedPort()


def listened(trial: Any, endpoint: Any) -> Failure | None:
    """
    Listen on an endpoint by what stands in for its reactor.

    @return: why that failed; C{None} if it did not, or if that cannot be told without waiting.
    """
    results: list[Any] = []
    if isinstance(endpoint, AdoptedStreamServerEndpoint):
        # To listen would close the descriptor, which is needed once more.
        listening = maybeDeferred(
            trial.adoptStreamPort, endpoint.fileno, endpoint.addressFamily, None
        )
    else:
        listening = endpoint.listen(Factory())
    listening.addBoth(results.append)
    return next((result for result in results if isinstance(result, Failure)), None)


def cannotListen(reactor: Any, description: str) -> Failure | None:
    """
    Why an endpoint could not be listened on now.

    @param description: one that L{serverFromString} accepts.
    @return: C{None} if it could, or if that cannot be told without waiting.
    """
    trial = Trial(reactor)
    return listened(trial, serverFromString(trial, description))
