"""
A server and its clients in memory: no socket, no waiting, and the same every time.

What runs is Twisted's own transport and port, and a real L{Terminator}; only the kernel
below them and the time are made up.
"""

from __future__ import annotations

import ssl as standardSSL
from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

from twisted.internet import ssl
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IProtocolFactory
from zope.interface import directlyProvides, providedBy

from terminable.errors import InvalidOption
from terminable.generation import UNSET
from terminable.policy.ledger import Report
from terminable.policy.phases import Phase
from terminable.terminator import Terminator
from terminable.testing.peers import MemoryPeer, trusting
from terminable.testing.reactor import MemoryReactor
from terminable.testing.selfsigned import selfSigned
from terminable.testing.starting import factoryOf
from terminable.tracking.connection import Connection

if TYPE_CHECKING:
    from twisted.web.resource import IResource

#: Where a server listens, without TLS and with it.
PORT = 80
TLS_PORT = 443

#: How many bytes a kernel holds, of what was received and of what is being sent.
BUFFER = 65536


@cache
def certificate() -> ssl.PrivateCertificate:
    """
    A certificate for C{localhost} that nobody else trusts, made once.
    """
    made: ssl.PrivateCertificate = ssl.PrivateCertificate.loadPEM(selfSigned().decode())
    return made


def onClock(thing: Any, reactor: Any) -> None:
    """
    Have a factory or a protocol, and those that it wraps, keep time by C{reactor}, if it can
    be told to: as C{Site} by its attribute C{reactor}, and as what inherits from
    C{twisted.protocols.policies.TimeoutMixin} by its C{callLater}.
    """
    while thing is not None:
        if hasattr(thing, "buildProtocol") and hasattr(thing, "reactor"):
            thing.reactor = reactor
        if hasattr(type(thing), "callLater"):
            thing.callLater = reactor.callLater
        thing = getattr(thing, "wrappedFactory", None) or getattr(thing, "wrappedProtocol", None)


class OnClock:
    """
    A factory whose protocols keep time by a clock; all else is that of the one which it
    wraps.
    """

    wrappedFactory: Any

    def __init__(self, wrappedFactory: Any, reactor: Any) -> None:
        vars(self)["wrappedFactory"] = wrappedFactory
        vars(self)["_clock"] = reactor
        directlyProvides(self, providedBy(wrappedFactory))
        onClock(wrappedFactory, reactor)

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["wrappedFactory"], name)

    def __setattr__(self, name: str, value: object) -> None:
        if name == "__provides__":
            object.__setattr__(self, name, value)
        else:
            setattr(self.wrappedFactory, name, value)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """
        What the factory builds.
        """
        protocol = self.wrappedFactory.buildProtocol(addr)
        onClock(protocol, vars(self)["_clock"])
        return protocol


class MemoryServer:
    """
    A factory that is served in memory, until it is terminated.

    Whatever is done to it or to one of its peers has had all its consequences when the call
    returns, but those for which time must pass.

    @ivar reactor: its clock, and what its transports and ports run on.
    @ivar terminator: what it is ended with.
    @ivar factory: what it was given, or the C{Site} of that.
    @ivar peers: those who have connected, in order.
    """

    def __init__(
        self,
        factory: IProtocolFactory | IResource,
        *,
        reactor: MemoryReactor | None = None,
        certificate: Any = None,
        port: int = PORT,
        tlsPort: int = TLS_PORT,
        **settings: Any,
    ) -> None:
        """
        @param factory: what is to be served; it keeps time by our clock if it can be told to.
            A C{Resource} is served by a C{Site}.
        @param reactor: that of another server, if they are to have their time in common.
        @param certificate: for those who connect with TLS: what C{reactor.listenSSL} would
            take, or C{None} for one that is made.
        @param port: the number of its port, both for IPv4 and for IPv6.
        @param tlsPort: and of that with TLS.
        @param settings: of the L{Terminator}: C{gracePeriod=25.0}, C{limits=[...]},
            C{admission=...}.
        @raise terminable.InvalidOption: no factory, or a setting that cannot be meant.
        """
        self.reactor = reactor or MemoryReactor()
        self.terminator = Terminator(self.reactor, **settings)
        self.factory = factoryOf(factory, self.reactor)
        self.peers: list[MemoryPeer] = []
        self._served = OnClock(self.factory, self.reactor)
        self._certificate = certificate
        self._ports = {False: port, True: tlsPort}
        self._open: set[tuple[bool, bool]] = set()
        self._listen(False, False)

    def __repr__(self) -> str:
        return f"<MemoryServer {self.terminator.phase.value}, {len(self.peers)} peers>"

    def _listen(self, tls: bool, six: bool) -> None:
        """
        Listen in one of four ways, if it does not yet.
        """
        if (tls, six) in self._open:
            return
        interface = "::1" if six else "127.0.0.1"
        if tls:
            options = self._certificate or certificate().options()
            listened = self.reactor.listenSSL(
                self._ports[tls], self._served, options, interface=interface
            )
        else:
            listened = self.reactor.listenTCP(self._ports[tls], self._served, interface=interface)
        self.terminator.attach(listened)
        self._open.add((tls, six))

    # -- clients

    def connect(
        self,
        peer: str = "127.0.0.1",
        *,
        tls: bool | standardSSL.SSLContext = False,
        hostname: str = "localhost",
        alpn: Iterable[str] = (),
        buffer: int = BUFFER,
        stays: bool = False,
        silent: bool = False,
    ) -> MemoryPeer:
        """
        Somebody connects.

        @param peer: where from: an IPv4 or IPv6 address.
        @param tls: whether to speak TLS, trusting everybody; or what to speak it with.
        @param hostname: of the server, for TLS.
        @param alpn: what to propose by ALPN, such as C{"h2"}, if everybody is trusted.
        @param buffer: how many bytes each side's kernel holds of what it has received, and
            of what it sends.
        @param stays: whether it keeps its own side open when the server has ended.
        @param silent: whether it says nothing on its own, not even the hello of TLS.
        @return: the client.
        @raise ConnectionRefusedError: the server does not accept anybody any more.
        @raise TimeoutError: too many wait already.
        @raise terminable.InvalidOption: C{peer} is no address, or C{buffer} no size.
        """
        six = isIPv6Address(peer)
        if not (six or isIPAddress(peer)):
            raise InvalidOption("peer", peer, "an IP address")
        if isinstance(buffer, bool) or not isinstance(buffer, int) or buffer < 1:
            raise InvalidOption("buffer", buffer, "a number of bytes, at least 1")
        secure = tls is not False
        if self.terminator.phase is Phase.SERVING:
            self._listen(secure, six)
        sock = self.reactor.connect(self._ports[secure], peer, buffer)
        made = MemoryPeer(self.reactor.settle, sock, stays)
        self.peers.append(made)
        self.reactor.peers.append(made)
        self.reactor.settle()
        if secure and not silent:
            made.startTLS(trusting(*alpn) if isinstance(tls, bool) else tls, hostname)
        return made

    # -- the server

    def advance(self, seconds: float) -> None:
        """
        Let time pass, from one scheduled call to the next.

        @raise Restless: something goes on and on while no time passes.
        """
        self.reactor.advance(seconds)

    def connections(self) -> list[Connection]:
        """
        Those that the terminator has recorded, oldest first.
        """
        return self.terminator.connections()

    def protocols(self) -> list[Any]:
        """
        The application's protocols of these connections.
        """
        return [each.protocol for each in self.connections()]

    def terminate(self, gracePeriod: float | None = UNSET) -> Deferred[Report]:
        """
        End politely; see L{Terminator.terminate}.

        @return: fires with the report when enough time has passed.
        """
        return self._after(lambda: self.terminator.terminate(gracePeriod))

    def abort(self) -> Deferred[Report]:
        """
        End at once; see L{Terminator.abort}.

        @return: fires with the report.
        """
        return self._after(self.terminator.abort)

    def _after(self, work: Callable[[], Deferred[Report]]) -> Deferred[Report]:
        result = work()
        self.reactor.settle()
        return result
