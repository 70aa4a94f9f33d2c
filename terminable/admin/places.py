"""
Where an admin door may be.
"""

from __future__ import annotations

import os
import socket
from typing import Any, NamedTuple

from OpenSSL import SSL
from twisted.internet import unix
from twisted.internet.endpoints import (
    AdoptedStreamServerEndpoint,
    SSL4ServerEndpoint,
    StandardIOEndpoint,
    TCP4ServerEndpoint,
    TCP6ServerEndpoint,
    UNIXServerEndpoint,
    serverFromString,
)
from twisted.internet.interfaces import IStreamServerEndpoint

from terminable.admin.certified import certified
from terminable.admin.guard import isLoopback
from terminable.certificates import renewing
from terminable.content import reasonOf
from terminable.endpoints import TerminableEndpoint
from terminable.errors import InvalidOption
from terminable.handover.offered import withReactor
from terminable.preflight import TriedPort, cannotListen, listened

#: What is expected of an endpoint that everybody could reach.
CREDENTIALS = (
    "a loopback address such as interface=127.0.0.1, a UNIX socket, or a token or client "
    "certificates beside it"
)

#: Endpoints that do nothing but listen by the reactor that they were given.
_PLAIN = (TCP4ServerEndpoint, TCP6ServerEndpoint, SSL4ServerEndpoint, UNIXServerEndpoint)

_EXAMPLE = "an endpoint description such as unix:/run/site/admin.sock"


class Place(NamedTuple):
    """
    Where somebody would listen.

    @ivar path: whether it is a UNIX socket.
    @ivar host: the address of a TCP port; empty for all addresses.
    @ivar certified: whether nobody gets in without a client certificate.
    """

    path: bool
    host: str
    certified: bool

    @property
    def local(self) -> bool:
        """
        Whether it is a TCP port that only this machine can reach.
        """
        return not self.path and self.host != "" and _isLocal(self.host)


def _isLocal(host: str) -> bool:
    if isLoopback(host):
        return True
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return bool(found) and all(isLoopback(str(address[0])) for *_, address in found)


def _isCertified(contextFactory: Any) -> bool:
    """
    Whether a context demands that peers show a certificate which it can verify.
    """
    wanted = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
    try:
        return bool(contextFactory.getContext().get_verify_mode() & wanted == wanted)
    except Exception:
        # What cannot be asked promises nothing.
        return False


class _Noting:
    """
    Stands in for a reactor: notes where would be listened, and listens nowhere.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self.noted: Place | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenTCP(
        self, port: int, factory: object, backlog: int = 50, interface: str = ""
    ) -> TriedPort:
        """
        On TCP.
        """
        self.noted = Place(False, interface, False)
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
        On TLS.
        """
        self.noted = Place(False, interface, _isCertified(contextFactory))
        return TriedPort()

    def listenUNIX(
        self, address: str, factory: object, backlog: int = 50, mode: int = 0o666, wantPID: int = 0
    ) -> TriedPort:
        """
        On a UNIX socket.
        """
        self.noted = Place(True, "", False)
        return TriedPort()

    def adoptStreamPort(self, descriptor: int, family: int, factory: object) -> TriedPort:
        """
        On what somebody else has opened.
        """
        with socket.socket(fileno=os.dup(descriptor)) as sock:
            path = sock.family == socket.AF_UNIX
            host = "" if path else str(sock.getsockname()[0])
        self.noted = Place(path, host, False)
        return TriedPort()


def _adopts(endpoint: Any) -> bool:
    """
    Whether an endpoint has one in it that would close its descriptor.
    """
    inside = getattr(endpoint, "__dict__", {}).values()
    within = [each for each in inside if IStreamServerEndpoint.providedBy(each)]
    adopted = isinstance(endpoint, AdoptedStreamServerEndpoint)
    return adopted or any(_adopts(each) for each in within)


def placeOf(reactor: Any, endpoint: str | IStreamServerEndpoint) -> Place | None:
    """
    @param endpoint: an endpoint, or the description of one.
    @return: where it would listen; C{None} if that cannot be told before it does.
    @raise Exception: as C{serverFromString}.
    """
    noting = _Noting(reactor)
    if not isinstance(endpoint, str):
        # What others do when they listen is not known.
        trial: Any = withReactor(endpoint, reactor, noting) if type(endpoint) in _PLAIN else None
    elif (demanding := certified(endpoint)) is not None:
        # Its files are read when it is made.
        return Place(False, demanding.interface, True)
    else:
        trial = serverFromString(noting, endpoint)
    if isinstance(trial, StandardIOEndpoint):
        raise ValueError("standard input and output are no listening port")
    if isinstance(trial, TerminableEndpoint):
        raise ValueError("the door of a server does not end by itself")
    if isinstance(endpoint, AdoptedStreamServerEndpoint):
        trial = endpoint
    plain = isinstance(trial, AdoptedStreamServerEndpoint) or not _adopts(trial)
    failure = listened(noting, trial) if trial is not None and plain else None
    if failure is not None:
        failure.raiseException()
    return noting.noted


def placeOfPort(port: Any) -> Place:
    """
    @return: where a port listens.
    """
    if isinstance(port, unix.Port):
        return Place(True, "", False)
    host = port.getHost().host
    return Place(False, "" if host in ("0.0.0.0", "::") else host, False)


def checked(reactor: Any, option: str, endpoint: Any, token: bytes | None) -> Place | None:
    """
    @param option: how the endpoint is called, for the error message.
    @return: as L{placeOf}.
    @raise InvalidOption: there is no such endpoint, or everybody could reach it and there is no
        token.
    """
    if not isinstance(endpoint, str) and not IStreamServerEndpoint.providedBy(endpoint):
        raise InvalidOption(option, endpoint, f"an endpoint, or {_EXAMPLE}")
    try:
        place = placeOf(reactor, endpoint)
    except Exception as problem:
        raise InvalidOption(option, endpoint, f"{_EXAMPLE} ({reasonOf(problem)})") from None
    if place is not None:
        mustBeSafe(option, endpoint, place, token)
    return place


def mustBeSafe(option: str, endpoint: Any, place: Place, token: bytes | None) -> None:
    """
    @raise InvalidOption: everybody could reach it, and there is no token.
    """
    if not (place.path or place.local or place.certified or token is not None):
        raise InvalidOption(option, endpoint, CREDENTIALS)


def mustBeFree(reactor: Any, option: str, description: str) -> None:
    """
    @raise InvalidOption: nobody could listen there now.
    """
    demanding = certified(description)
    failure = cannotListen(reactor, description if demanding is None else demanding.description)
    if failure is not None:
        expected = f"a port that can be listened on ({reasonOf(failure.value)})"
        raise InvalidOption(option, description, expected)


def endpointFor(reactor: Any, option: str, endpoint: Any) -> IStreamServerEndpoint:
    """
    @return: the endpoint itself, or that of a description; its certificates are renewed.
    @raise InvalidOption: these are no good.
    """
    if not isinstance(endpoint, str):
        made: IStreamServerEndpoint = endpoint
        return made
    demanding = certified(endpoint)
    try:
        return renewing(reactor, endpoint) if demanding is None else demanding.endpoint(reactor)
    except Exception as problem:
        expected = f"an endpoint with certificates that can be used ({reasonOf(problem)})"
        raise InvalidOption(option, endpoint, expected) from None
