"""
How a connection to an admin door is made.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IStreamClientEndpoint
from twisted.internet.ssl import optionsForClientTLS
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.iweb import IAgent, IAgentEndpointFactory, IPolicyForHTTPS
from zope.interface import implementer

from terminable.ctl.address import Address
from terminable.ctl.credentials import Credentials


class _NoTCP(ProtocolWrapper):
    """
    A connection that lets itself be called one of TCP.

    In some versions of Twisted a UNIX socket says that it is one, and fails when it is taken at
    its word.
    """

    def setTcpNoDelay(self, enabled: bool) -> None:
        """
        There is nothing to delay.
        """


class _NoTCPFactory(WrappingFactory):
    protocol = _NoTCP
    noisy = False


@implementer(IStreamClientEndpoint)
class _Socket:
    """
    A UNIX socket to connect to.
    """

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        """
        See C{IStreamClientEndpoint}.
        """
        connecting: Deferred[Any] = self._endpoint.connect(_NoTCPFactory(protocolFactory))
        return connecting.addCallback(lambda wrapper: wrapper.wrappedProtocol)


@implementer(IAgentEndpointFactory)
class OneSocket:
    """
    Connects to a UNIX socket, whatever the URL says.
    """

    def __init__(self, reactor: Any, path: str, timeout: float) -> None:
        """
        @param timeout: for how many seconds to try.
        """
        self._endpoint = UNIXClientEndpoint(reactor, path, timeout)

    def endpointForURI(self, uri: Any) -> IStreamClientEndpoint:
        """
        See C{IAgentEndpointFactory}.
        """
        return _Socket(self._endpoint)


@implementer(IPolicyForHTTPS)
class Trust:
    """
    How TLS is spoken.
    """

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def creatorForNetloc(self, hostname: bytes, port: int) -> IOpenSSLClientConnectionCreator:
        """
        See C{IPolicyForHTTPS}.
        """
        options: Any = optionsForClientTLS(
            hostname.decode("ascii"),
            trustRoot=self._credentials.authority,
            clientCertificate=self._credentials.certificate,
        )
        return options  # type: ignore[no-any-return]


def agentFor(
    reactor: Any, address: Address, credentials: Credentials, timeout: float, staying: bool = False
) -> tuple[IAgent, HTTPConnectionPool]:
    """
    @param timeout: for how many seconds to try to connect.
    @param staying: keep connections for the next request, so that it is answered by the same
        process even while another one takes over.
    @return: what makes requests, and its connections.
    """
    pool = HTTPConnectionPool(reactor, persistent=staying)
    # A second attempt might reach another process.
    pool.retryAutomatically = False
    pool.cachedConnectionTimeout = 60
    if address.path is not None:
        factory = OneSocket(reactor, address.path, timeout)
        return Agent.usingEndpointFactory(reactor, factory, pool), pool
    return Agent(reactor, Trust(credentials), timeout, pool=pool), pool
