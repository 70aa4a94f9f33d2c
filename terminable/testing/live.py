"""
Real servers in tests, which leave nothing behind.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from twisted.application.service import IService
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, DeferredLock, maybeDeferred
from twisted.internet.task import deferLater
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.threadable import isInIOThread

from terminable.errors import InvalidOption
from terminable.generation import UNSET
from terminable.policy.ledger import Report
from terminable.policy.schedule import LAST_WORD, seconds
from terminable.terminator import Terminator
from terminable.testing.halves import Halves
from terminable.testing.starting import (
    INTERVAL,
    Place,
    Started,
    serverOf,
    startFactory,
    startService,
)
from terminable.tracking import transports
from terminable.tracking.connection import Connection
from terminable.tracking.layers import topOf

#: Seconds that busy connections have when a test is over, and that clients in the same reactor
#: then have to notice.
GRACE, PATIENCE = 1.0, 5.0

#: Where to connect to reach a port that listens everywhere.
REACHED = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class LeftBehind(AssertionError):
    """
    A server is over, and something is not as it should be.

    @ivar names: what, each in words: clients' ends of its connections, or their timers, that
        are still in the reactor; or connections that had to be aborted.
    """

    def __init__(self, what: str, names: Iterable[object]) -> None:
        self.names = tuple(map(str, names))
        super().__init__("\n  ".join([f"{what}:", *self.names]))


def _reachable(address: Any) -> Any:
    if isinstance(address, IPv4Address | IPv6Address) and address.host in REACHED:
        return type(address)(address.type, REACHED[address.host], address.port)
    return address


class LiveServer:
    """
    A server that a test has started.

    @ivar address: where to connect, an C{IAddress}; of several ports, that of the first.
    @ivar addresses: where its ports listen, in the order in which they were opened.
    @ivar secure: whether the first of them speaks TLS.
    @ivar certificate: what clients are to trust, in PEM format, if C{tls=True} has made it.
    @ivar terminator: what ends it: that of the service, if it is a
        L{terminable.TerminableService} or has one.
    """

    def __init__(
        self,
        reactor: Any,
        started: Started,
        endGrace: float,
        patience: float,
        failOnStraggler: bool,
        certificate: bytes = b"",
    ) -> None:
        """
        Use L{serve}.
        """
        self.reactor = reactor
        self.certificate = certificate
        self.addresses = [port.getHost() for port in started.ports]
        self.address = _reachable(self.addresses[0])
        self.secure = isinstance(getattr(started.ports[0], "factory", None), TLSMemoryBIOFactory)
        self.terminator = started.terminators[0]
        self._terminators = started.terminators
        # Those of ports that are ended by others than our terminators.
        kinds = [getattr(port, "transport", None) for port in started.ports]
        self._recorders: list[Any] = [transports.recorderOf(kind) for kind in kinds]
        self._grace, self._patience = endGrace, patience
        self._failOnStraggler = failOnStraggler
        self._stop: Any = started.stop
        self._stopping = DeferredLock()

    # -- where it is

    @property
    def host(self) -> str:
        """
        The address to connect to, as a text; an empty one for a UNIX socket.
        """
        return str(getattr(self.address, "host", ""))

    @property
    def port(self) -> int:
        """
        The number of the first port; 0 for a UNIX socket.
        """
        return int(getattr(self.address, "port", 0))

    def url(self, path: str = "/") -> str:
        """
        @param path: a path, and perhaps a query.
        @return: the URL of that on this server: C{https} if it speaks TLS.  For a UNIX socket
            it is C{http+unix}, with the quoted path of the socket as its host.
        """
        path = "/" + path.removeprefix("/")
        if not self.port:
            return f"http+unix://{quote(self.address.name, safe='')}{path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' if self.secure else ''}://{host}:{self.port}{path}"

    def __repr__(self) -> str:
        return f"<LiveServer at {self.url()}, {self.terminator.phase.value}>"

    def needsThisThread(self) -> bool:
        """
        Whether its reactor runs in this thread: whoever blocks it would wait in vain.
        """
        return bool(self.reactor.running and isInIOThread())

    # -- its connections

    def connections(self) -> list[Connection]:
        """
        The live connections of all its ports, those of each oldest first.
        """
        recorders = [*(each.gate for each in self._terminators), *self._recorders]
        gates = {id(gate): gate for gate in recorders if gate is not None}
        return [connection for gate in gates.values() for connection in gate.connections()]

    # -- its end

    def terminate(self, gracePeriod: float | None = UNSET) -> Deferred[Report]:
        """
        End it politely; a service is stopped when its connections are over.

        @param gracePeriod: seconds until busy connections are aborted; by default, what its
            terminator has.
        @return: fires with the report when that is done.
        @raise terminable.InvalidOption: the grace period is no time.
        """
        return self._whenOver([each.terminate(gracePeriod) for each in self._terminators])

    def abort(self) -> Deferred[Report]:
        """
        End it at once.

        @return: fires with the report when that is done.
        """
        return self._whenOver([each.abort() for each in self._terminators])

    def _whenOver(self, reports: list[Deferred[Report]]) -> Deferred[Report]:
        return Deferred.fromCoroutine(self._over(reports))

    async def _over(self, reports: list[Deferred[Report]]) -> Report:
        report = await reports[0]
        for other in reports[1:]:
            report = report.plus(await other)
        await self._stopping.acquire()
        try:
            stop, self._stop = self._stop, None
            if stop is not None:
                await maybeDeferred(stop)
        finally:
            self._stopping.release()
        return report

    def end(self) -> Deferred[Report]:
        """
        End it for the end of a test: connections with nothing in flight are lost at once, busy
        ones have the C{endGrace} of L{serve}; then the clients in the same reactor are waited
        for.

        @return: fires with the report when nothing of it is left.  Fails with L{LeftBehind} if
            clients, or their timers, are still there after the patience of L{serve}, or if busy
            connections were aborted and that was not to be.
        """
        return Deferred.fromCoroutine(self._end())

    async def _end(self) -> Report:
        halves = Halves(self.reactor, self.addresses)
        ending = self.terminate(self._grace) if self._isBusy() else self.abort()
        await self._hasten(ending)
        try:
            report = await ending
        finally:
            left = await halves.gone(self._patience)
        if left:
            raise LeftBehind(f"still there {self._patience:g} s after the end of {self!r}", left)
        if self._failOnStraggler and report.stragglers:
            raise LeftBehind(f"aborted {self._grace:g} s after the end", report.stragglers)
        return report

    def _isBusy(self) -> bool:
        return any(connection.isBusy() for connection in self.connections())

    async def _hasten(self, ending: Deferred[Report]) -> None:
        """
        Nobody who is idle has a grace, whatever was agreed for a polite end; and what others
        end than our terminators has no other deadline.
        """
        deadline = self.reactor.seconds() + self._grace + LAST_WORD
        aborted = False
        while not ending.called:
            late = self.reactor.seconds() >= deadline
            if late or not self._isBusy():
                for terminator in self._terminators if not aborted else ():
                    terminator.abort()
                aborted = True
                for connection in self.connections():
                    top = topOf(connection.transport)
                    (top.abortConnection if late else top.loseConnection)()
            await deferLater(self.reactor, INTERVAL)


def serve(
    reactor: Any,
    what: Any,
    *,
    endpoint: Any = None,
    tls: Any = False,
    unix: bool = False,
    endGrace: float = GRACE,
    patience: float = PATIENCE,
    failOnStraggler: bool = False,
    **settings: Any,
) -> Deferred[LiveServer]:
    """
    Start a server, by default on a free TCP port of the loopback interface.

    @param what: a factory; a C{Resource}, which is served by a C{Site}; a service or an
        application, which have ports of their own; or the path of a C{.tac} file (a C{Path}).
    @param endpoint: where to listen instead: an endpoint, or the description of one.
    @param tls: speak TLS, by a context factory, or (C{True}) with a certificate for
        C{localhost} that is made on the spot.
    @param unix: listen on a UNIX socket, in a directory of its own.
    @param endGrace: seconds that busy connections have when the test is over.
    @param patience: seconds that a service has to open its first port, and that clients in
        the same reactor have to notice the end.
    @param failOnStraggler: whether it is a failure if busy connections are aborted when
        L{LiveServer.end} is called.
    @param settings: of L{terminable.Terminator}, such as C{idleGrace=0.0}, for whatever is no
        L{terminable.TerminableService}: what L{LiveServer.terminate} is to do.
    @return: fires with the L{LiveServer} when it is listening; fails as the endpoint or the
        service does, with C{TimeoutError} if a service opens no port.
    @raise terminable.InvalidOption: it is no server, or a setting cannot be meant.
    """
    server = serverOf(what, reactor)
    seconds("endGrace", endGrace)
    seconds("patience", patience)
    terminator = Terminator(reactor, **settings)
    options = (endGrace, patience, failOnStraggler)
    if not IService.providedBy(server):
        place = Place(reactor, endpoint, tls, unix)
        starting = startFactory(server, place, terminator)
        return _served(reactor, starting, *options, place.certificate)
    for name, value in (("endpoint", endpoint), ("tls", tls), ("unix", unix)):
        if value:
            raise InvalidOption(name, value, "nothing: a service has ports of its own")
    return _served(reactor, startService(server, reactor, terminator, patience), *options)


def _served(reactor: Any, starting: Any, *options: Any) -> Deferred[LiveServer]:
    return Deferred.fromCoroutine(starting).addCallback(
        lambda started: LiveServer(reactor, started, *options)
    )
