"""
Listening sockets that exist already, and wait to be listened on again.

They came from another process, or were kept when a service was restarted.  An endpoint
that would bind their address is given them instead, whatever it puts on top: it is
listened on with a reactor that looks here first.
"""

from __future__ import annotations

import copy
import os
import socket
from collections.abc import Iterable
from typing import Any
from weakref import WeakKeyDictionary, ref

from twisted.internet import unix
from twisted.internet.abstract import isIPv6Address
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.lockfile import FilesystemLock
from zope.interface import directlyProvides, providedBy

from terminable import events
from terminable.tracking import internals

_log = Logger()

#: How the name of a socket begins whose port number was chosen by the kernel: whoever
#: asks for any port may have it.
ANY = "any"

#: What a UNIX socket is called whose path leads to something else by now.
STRAY = "stray"


def describe(sock: socket.socket) -> str:
    """
    Where a listening socket listens, for people.
    """
    address = sock.getsockname()
    if isinstance(address, tuple):
        return f"{address[0]}:{address[1]}"
    name = os.fsdecode(address)
    return "unix:" + name.replace("\0", "@")


def _bound(port: int, interface: str, family: int) -> Any:
    """
    What a socket that is bound to this says of itself.
    """
    flags = socket.AI_PASSIVE
    found = socket.getaddrinfo(interface or None, port, family, socket.SOCK_STREAM, 0, flags)
    return found[0][4][:2]


def lock(port: Any) -> None:
    """
    Take the lock of a UNIX socket's path, if the port wants it, and whoever had it has let go.
    """
    if isinstance(port, unix.Port) and port.wantPID and port.lockFile is None and port.connected:
        taken = FilesystemLock(os.fsdecode(port.getHost().name) + ".lock")
        if taken.lock():
            port.lockFile = taken


class OfferedSocket:
    """
    One of them.

    @ivar name: what whoever handed it over calls it.
    @ivar socket: the socket; ours until somebody listens on it.
    @ivar own: whether nobody else has it.
    """

    def __init__(self, name: str, sock: socket.socket, own: bool = False) -> None:
        self.name = name
        self.socket = sock
        self.own = own

    @property
    def inode(self) -> int:
        """
        What tells the socket from all others, whatever its descriptor is.
        """
        return os.fstat(self.socket.fileno()).st_ino

    def isAt(self, port: int, interface: str, family: int) -> bool:
        """
        Whether this is what an endpoint for that address would bind.
        """
        if self.socket.family != family:
            return False
        host, number = self.socket.getsockname()[:2]
        if port == 0 and not self.name.startswith(ANY):
            return False
        try:
            return bool(_bound(port or number, interface, family) == (host, number))
        except OSError:
            return False

    def __repr__(self) -> str:
        return f"<socket {self.name!r} at {describe(self.socket)}>"


class Offered:
    """
    The sockets that wait, in a process.
    """

    def __init__(self, reactor: Any) -> None:
        # It is found by the reactor, and lives no longer than that.
        self._found = ref(reactor)
        self._waiting: list[OfferedSocket] = []
        self._names: dict[int, tuple[int, str]] = {}
        self.claimed: list[str] = []
        #: Whether whoever gave them keeps them: the paths of UNIX sockets stay when we end.
        self.lent = False
        #: Whether whoever gave them still accepts, and nobody is accepted here yet.
        self.early = False
        #: Called with each port that was made out of one of them.
        self.taken: Any = None

    @property
    def _reactor(self) -> Any:
        return self._found()

    def add(self, offers: Iterable[OfferedSocket]) -> None:
        """
        More of them.
        """
        for offer in offers:
            self._waiting.append(offer)
            self.remember(offer.inode, offer.name)

    def remember(self, inode: int, name: str) -> None:
        """
        A socket that came from somebody else keeps its name, and its place among the others.
        """
        self._names.setdefault(inode, (len(self._names), name))

    def __len__(self) -> int:
        return len(self._waiting)

    def nameOf(self, sock: socket.socket) -> tuple[int, str] | None:
        """
        As the how manieth a socket came to this process, and by which name; C{None} if it
        was made here.
        """
        return self._names.get(os.fstat(sock.fileno()).st_ino)

    def isLent(self, sock: socket.socket) -> bool:
        """
        Whether somebody else goes on listening on a socket when we close it.
        """
        return (self.lent or self.early) and self.nameOf(sock) is not None

    def isEarly(self, sock: socket.socket) -> bool:
        """
        Whether it is somebody else who accepts on a socket.
        """
        return self.early and self.nameOf(sock) is not None

    def at(self, port: int, interface: str) -> OfferedSocket | None:
        """
        The socket that an endpoint for this TCP address should be given.
        """
        family = socket.AF_INET6 if isIPv6Address(interface) else socket.AF_INET
        return next((each for each in self._waiting if each.isAt(port, interface, family)), None)

    def atPath(self, path: str) -> OfferedSocket | None:
        """
        The socket that an endpoint for this UNIX path should be given.
        """
        wanted = os.path.abspath(path)
        for each in self._waiting:
            name = each.socket.getsockname()
            if (
                each.socket.family == socket.AF_UNIX
                and os.path.abspath(os.fsdecode(name)) == wanted
            ):
                return each
        return None

    def byDescriptor(self, descriptor: int) -> OfferedSocket | None:
        """
        The socket that has this number.
        """
        return next((each for each in self._waiting if each.socket.fileno() == descriptor), None)

    def listen(self, offer: OfferedSocket, factory: Any) -> Any:
        """
        Listen on one of them.

        @return: the port.
        """
        self._waiting.remove(offer)
        self.claimed.append(offer.name)
        with offer.socket as sock:
            sock.setblocking(False)
            port = self._reactor.adoptStreamPort(sock.fileno(), sock.family, factory)
        internals.share(port, not offer.own)
        return self._took(port)

    def adopted(self, descriptor: int, family: int, factory: Any) -> Any:
        """
        Somebody listens on a descriptor which may be one of them, and will close it then.

        @return: the port.
        """
        port = self._reactor.adoptStreamPort(descriptor, family, factory)
        offer = self.byDescriptor(descriptor)
        if offer is None:
            return port
        self._waiting.remove(offer)
        self.claimed.append(offer.name)
        offer.socket.detach()
        return self._took(port)

    def _took(self, port: Any) -> Any:
        if self.taken is not None:
            self.taken(port)
        return port

    def through(self, endpoint: Any) -> Any:
        """
        The same endpoint, but one that listens on what is offered here where it would
        have bound the same address.
        """
        if not self._waiting:
            return endpoint
        return withReactor(endpoint, self._reactor, self.reactor())

    def reactor(self, reactor: Any = None) -> Any:
        """
        What to listen with instead of C{reactor}, or instead of ours.
        """
        return Adopting(reactor or self._reactor, self) if self._waiting else reactor

    def closeRest(self, offers: Iterable[OfferedSocket] | None = None) -> None:
        """
        Nobody wants those that still wait: whoever connected would wait for ever.

        @param offers: which; by default, all.
        """
        for offer in list(self._waiting if offers is None else offers):
            if offer in self._waiting:
                self._waiting.remove(offer)
                _log.warn(
                    "nobody listens on {offer} any more; it is closed",
                    event=events.PORTS_UNCLAIMED,
                    offer=offer,
                )
                offer.socket.close()


class Adopting:
    """
    A reactor that listens on what is offered, where it can.
    """

    def __init__(self, reactor: Any, offered: Offered) -> None:
        self._reactor = reactor
        self._offered = offered
        directlyProvides(self, providedBy(reactor))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        """
        See C{IReactorTCP.listenTCP}.
        """
        offer = self._offered.at(port, interface)
        if offer is None:
            return self._reactor.listenTCP(port, factory, backlog, interface)
        listening = self._offered.listen(offer, factory)
        # For when it is suspended and resumed: then it is a socket like others.
        listening.backlog = backlog
        return listening

    def listenSSL(
        self,
        port: int,
        factory: Any,
        contextFactory: Any,
        backlog: int = 50,
        interface: str = "",
    ) -> Any:
        """
        See C{IReactorSSL.listenSSL}.
        """
        secure: Any = TLSMemoryBIOFactory(contextFactory, False, factory, self._reactor)
        return self.listenTCP(port, secure, backlog, interface)

    def listenUNIX(
        self, address: str, factory: Any, backlog: int = 50, mode: int = 0o666, wantPID: int = 0
    ) -> Any:
        """
        See C{IReactorUNIX.listenUNIX}.
        """
        offer = self._offered.atPath(address)
        if offer is None:
            return self._reactor.listenUNIX(address, factory, backlog, mode, wantPID)
        port = self._offered.listen(offer, factory)
        port.wantPID, port.backlog, port.mode = wantPID, backlog, mode
        # It was given the mode that ports have if nobody says anything.
        if not address.startswith("\0") and offer.name != STRAY:
            os.chmod(address, mode)
        if offer.own:
            lock(port)
        return port

    def adoptStreamPort(self, descriptor: int, family: int, factory: Any) -> Any:
        """
        See C{IReactorSocket.adoptStreamPort}.
        """
        return self._offered.adopted(descriptor, family, factory)


def withReactor(endpoint: Any, reactor: Any, other: Any) -> Any:
    """
    A copy of an endpoint that uses another reactor; so do the endpoints in it.
    """
    changed = {}
    for name, value in getattr(endpoint, "__dict__", {}).items():
        if value is reactor:
            changed[name] = other
        elif IStreamServerEndpoint.providedBy(value):
            changed[name] = withReactor(value, reactor, other)
    if not changed:
        return endpoint
    replaced = copy.copy(endpoint)
    vars(replaced).update(changed)
    return replaced


def lend(service: Any, offered: Offered) -> None:
    """
    Have somebody else's service, and those in it, listen on what is offered.
    """
    # Whoever has no service need not load them.
    from twisted.application.internet import (
        SSLServer,
        StreamServerEndpointService,
        TCPServer,
        UNIXServer,
    )
    from twisted.application.service import IServiceCollection

    if isinstance(service, StreamServerEndpointService):
        service.endpoint = offered.through(service.endpoint)
    elif isinstance(service, (TCPServer, SSLServer, UNIXServer)):
        service.reactor = offered.reactor(service.reactor)
    if IServiceCollection.providedBy(service):
        for child in service:
            lend(child, offered)


_offered: WeakKeyDictionary[Any, Offered] = WeakKeyDictionary()


def offeredTo(reactor: Any) -> Offered:
    """
    What waits to be listened on with C{reactor}.
    """
    if reactor not in _offered:
        _offered[reactor] = Offered(reactor)
    return _offered[reactor]
