"""
Whatever somebody may call a server, made to listen on a port of the loopback interface.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from twisted.application.service import IService, IServiceCollection, loadApplication
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import (
    SSL4ServerEndpoint,
    TCP4ServerEndpoint,
    UNIXServerEndpoint,
    serverFromString,
)
from twisted.internet.interfaces import IProtocolFactory, IStreamServerEndpoint
from twisted.internet.ssl import PrivateCertificate
from twisted.internet.task import deferLater

from terminable.errors import InvalidOption
from terminable.ports import listeningPorts
from terminable.service import TerminableService
from terminable.terminator import Terminator
from terminable.testing.selfsigned import pair
from terminable.tracking import transports

HOST = "127.0.0.1"

#: Seconds between two looks whether a service listens.
INTERVAL = 0.005

SERVERS = "a factory, a Resource, a service, an application, or the path of a .tac file"


class Started(NamedTuple):
    """
    A server that listens.

    @ivar ports: its listening ports.
    @ivar terminators: what ends its connections; at least one.
    @ivar stop: called when these are over, to stop the rest; returns a Deferred or C{None}.
    """

    ports: list[Any]
    terminators: list[Terminator]
    stop: Callable[[], Any]


def serverOf(what: Any, reactor: Any) -> Any:
    """
    What somebody calls a server, as a factory or a service.

    @raise InvalidOption: it is no server.
    """
    if isinstance(what, os.PathLike):
        what = loadApplication(os.fspath(what), "python")
    for kind in (IProtocolFactory, IService):
        if kind.providedBy(what):
            return what
    found = siteOf(what, reactor) or IService(what, None)
    if found is None:
        raise InvalidOption("what", what, SERVERS)
    return found


def siteOf(what: Any, reactor: Any) -> Any:
    """
    @return: what serves a C{Resource}; C{None} if it is none.
    """
    try:
        from twisted.web.resource import IResource
    except ImportError:  # pragma: no cover - Twisted without its web server
        return None
    if not IResource.providedBy(what):
        return None
    from twisted.web.server import Site

    return Site(what, reactor=reactor)


def factoryOf(what: Any, reactor: Any) -> Any:
    """
    What somebody calls a server, as a factory.

    @raise InvalidOption: it is none, and no C{Resource}.
    """
    found = what if IProtocolFactory.providedBy(what) else siteOf(what, reactor)
    if found is None:
        raise InvalidOption("factory", what, "a factory or a Resource")
    return found


class Place:
    """
    Where a factory is to listen.

    @ivar certificate: what clients are to trust, in PEM format, if it was made here.
    """

    certificate = b""

    def __init__(self, reactor: Any, endpoint: Any, tls: Any, unix: bool) -> None:
        """
        @param endpoint: an endpoint, its description, or C{None}.
        @param tls: whether to speak TLS, or what makes its connections: a context factory.
        @param unix: whether to use a UNIX socket, in a directory of its own.
        @raise InvalidOption: they contradict each other.
        """
        if endpoint is not None and (tls or unix):
            raise InvalidOption("endpoint", endpoint, "no endpoint beside tls and unix")
        if tls and unix:
            raise InvalidOption("tls", tls, "no TLS on a UNIX socket")
        self._directory = ""
        self.endpoint = self._endpoint(reactor, endpoint, tls, unix)

    def _endpoint(self, reactor: Any, endpoint: Any, tls: Any, unix: bool) -> Any:
        if isinstance(endpoint, str):
            return serverFromString(reactor, endpoint)
        if endpoint is not None and not IStreamServerEndpoint.providedBy(endpoint):
            raise InvalidOption("endpoint", endpoint, "an endpoint, or the description of one")
        if endpoint is not None:
            return endpoint
        if unix:
            # The path of a UNIX socket must be short.
            self._directory = tempfile.mkdtemp(prefix="terminable-")
            return UNIXServerEndpoint(reactor, str(Path(self._directory) / "socket"))
        if not tls:
            return TCP4ServerEndpoint(reactor, 0, interface=HOST)
        if tls is True:
            self.certificate, key = pair()
            tls = PrivateCertificate.loadPEM(self.certificate + key).options()
        return SSL4ServerEndpoint(reactor, 0, tls, interface=HOST)

    def leave(self) -> None:
        """
        Remove the directory, if there is one.
        """
        if self._directory:
            shutil.rmtree(self._directory, ignore_errors=True)


async def startFactory(factory: Any, place: Place, terminator: Terminator) -> Started:
    """
    Listen with a factory.
    """
    try:
        port = await terminator.listen(place.endpoint, factory)
    except BaseException:
        place.leave()
        raise
    return Started([port], [terminator], place.leave)


async def startService(
    service: Any, reactor: Any, terminator: Terminator, patience: float
) -> Started:
    """
    Start a service, and wait until it listens.

    @raise TimeoutError: it has opened no port, and was stopped again.
    """
    before = listeningPorts(reactor)
    try:
        await maybeDeferred(service.privilegedStartService)
        await maybeDeferred(service.startService)
        ports = await _newPorts(reactor, before, patience)
    except BaseException:
        await maybeDeferred(service.stopService)
        raise
    own = [each.terminator for each in within(service) if isinstance(each, TerminableService)]
    unowned = [port for port in ports if transports.canAttach(port)]
    for port in unowned:
        terminator.attach(port)
    return Started(
        ports, [*own, *([terminator] if unowned or not own else [])], service.stopService
    )


async def _newPorts(reactor: Any, before: list[Any], patience: float) -> list[Any]:
    deadline = reactor.seconds() + patience
    while not (ports := [port for port in listeningPorts(reactor) if port not in before]):
        if reactor.seconds() >= deadline:
            raise TimeoutError(f"the service has opened no port for {patience:g} s")
        await deferLater(reactor, INTERVAL)
    # In the order in which they were opened, as far as the kernel has one.
    return sorted(ports, key=lambda port: port.fileno())


def within(service: Any) -> Iterator[Any]:
    """
    A service and its children, and theirs.
    """
    yield service
    if IServiceCollection.providedBy(service):
        for child in service:
            yield from within(child)
