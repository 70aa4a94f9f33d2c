"""
Endpoint descriptions whose certificates are renewed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from twisted.internet import endpoints
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import SSL4ServerEndpoint, quoteStringArgument, serverFromString
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.protocols.haproxy import proxyEndpoint
from zope.interface import implementer

from terminable.certificates.hangup import Undo, renewOnHangup
from terminable.certificates.named import RenewedDirectory
from terminable.certificates.renewed import Renewal, RenewedContext
from terminable.certificates.watching import CertificateWatch

#: What the words of an C{ssl:} description without a name are, in order.
_SSL = (
    "port",
    "privateKey",
    "certKey",
    "sslmethod",
    "interface",
    "backlog",
    "extraCertChain",
    "dhParameters",
)

#: Those of them that name files.
_FILES = ("privateKey", "certKey", "extraCertChain", "dhParameters")


def wordsOf(description: str) -> list[tuple[str | None, str]]:
    """
    The words of an endpoint description: the name of each, if it has one, and its value.
    They are parted by colons; a backslash makes the next character an ordinary one.
    """
    words: list[tuple[str | None, str]] = []
    name: str | None = None
    word = ""
    characters = iter(description)
    for character in characters:
        if character == "\\":
            word += next(characters, "")
        elif character == ":":
            words.append((name, word))
            name, word = None, ""
        elif character == "=" and name is None:
            name, word = word, ""
        else:
            word += character
    return [*words, (name, word)]


def optionsOf(words: Sequence[tuple[str | None, str]]) -> dict[str, str]:
    """
    The options of an C{ssl:} description, its files by their absolute paths: the process
    may change its directory.

    @param words: those behind C{ssl}.
    """
    unnamed = [value for name, value in words if name is None]
    options = dict(zip(_SSL, unnamed, strict=False))
    options.update((name, value) for name, value in words if name is not None)
    options.setdefault("privateKey", "server.pem")
    options.update((name, os.path.abspath(options[name])) for name in _FILES if name in options)
    return options


class Captured:
    """
    Stands in for a reactor: takes what would be listened with, and listens on nothing.

    @ivar contextFactory: the context factory.
    @ivar details: port number, backlog and interface.
    """

    contextFactory: Any = None
    details: tuple[int, int, str]

    def listenSSL(
        self, port: int, factory: object, contextFactory: Any, backlog: int, interface: str
    ) -> None:
        """
        Somebody would listen.
        """
        self.contextFactory = contextFactory
        self.details = (port, backlog, interface)


def captured(description: str) -> Captured:
    """
    What an C{ssl:} description says, with its files read.

    @raise Exception: as C{serverFromString}.
    """
    reactor = Captured()
    serverFromString(reactor, description).listen(Factory())
    return reactor


class Renewing:
    """
    Renews a certificate while at least one port shows it: when its files change, and at
    SIGHUP.
    """

    def __init__(self, reactor: Any, renewal: Renewal) -> None:
        self._reactor = reactor
        self._renewal = renewal
        self._watch = CertificateWatch(reactor, [renewal])
        self._undo: Undo | None = None
        self._users = 0

    def begin(self) -> None:
        """
        One more port.
        """
        self._users += 1
        if self._undo is None:
            self._undo = renewOnHangup(self._reactor, [self._renewal])
            self._watch.start()

    def end(self) -> None:
        """
        One less.
        """
        self._users -= 1
        if not self._users and self._undo is not None:
            self._undo()
            self._undo = None
            self._watch.stop()

    def follow(self, port: IListeningPort) -> IListeningPort:
        """
        Begin, and end when the port's factory is stopped; a port that listens again starts
        its factory again.
        """
        factory: Any = getattr(port, "factory", None)
        if factory is not None:
            # A factory of TLS, made for this port alone.
            factory.startFactory = _both(factory.startFactory, self.begin)
            factory.stopFactory = _both(self.end, factory.stopFactory)
        self.begin()
        return port


def _both(first: Any, second: Any) -> Any:
    def call() -> None:
        first()
        second()

    return call


@implementer(IStreamServerEndpoint)
class RenewingEndpoint:
    """
    An endpoint whose certificate is renewed for as long as it is listened on.
    """

    def __init__(self, endpoint: IStreamServerEndpoint, renewing: Renewing) -> None:
        self._endpoint = endpoint
        self._renewing = renewing

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        @return: what the inner endpoint's C{listen} returns.
        """
        return self._endpoint.listen(protocolFactory).addCallback(self._renewing.follow)


def _ssl(reactor: Any, description: str, words: Sequence[tuple[str | None, str]]) -> Any:
    port, backlog, interface = captured(description).details
    options = optionsOf(words)
    again = ":".join(
        ["ssl", *(f"{name}={quoteStringArgument(value)}" for name, value in options.items())]
    )
    files = list(dict.fromkeys(options[name] for name in _FILES if name in options))
    renewal = RenewedContext(lambda: captured(again).contextFactory, files)
    endpoint = SSL4ServerEndpoint(reactor, port, renewal, backlog, interface)
    return RenewingEndpoint(endpoint, Renewing(reactor, renewal))


def _tls(reactor: Any, description: str, words: Sequence[tuple[str | None, str]]) -> Any:
    # Port and interface stay Twisted's; the directory is read by ours.
    parsed: Any = serverFromString(reactor, description)
    path = next(value for name, value in words if name in (None, "path"))
    renewal = RenewedDirectory(path)
    endpoint = endpoints.wrapServerTLS(renewal, parsed.endpoint, parsed.clock)
    return RenewingEndpoint(endpoint, Renewing(reactor, renewal))


_KINDS = {"ssl": _ssl, "tls": _tls}


def renewing(reactor: Any, description: str) -> IStreamServerEndpoint:
    """
    The endpoint of a description, as C{serverFromString} makes it; but with C{ssl:},
    C{tls:}, or one of them behind C{haproxy:}, new handshakes use the newest good
    certificate.

    While it is listened on, its files are watched, and read again at SIGHUP, which is taken
    over if nobody has it: this door belongs to an operator.

    @raise Exception: as C{serverFromString}; L{terminable.InvalidOption} for a directory of
        certificates that cannot be read.
    """
    words = wordsOf(description)
    kind = words[0][1]
    if kind == "haproxy" and len(words) > 1:
        _, _, inner = description.partition(":")
        if wordsOf(inner)[0][1] in _KINDS:
            return proxyEndpoint(renewing(reactor, inner))
    if kind in _KINDS:
        endpoint: IStreamServerEndpoint = _KINDS[kind](reactor, description, words[1:])
        return endpoint
    made: IStreamServerEndpoint = serverFromString(reactor, description)
    return made
