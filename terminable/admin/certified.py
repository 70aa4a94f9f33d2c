"""
TLS at whose port peers have to show a certificate of theirs: C{ssl:} with C{clientCA=FILE}.
"""

from __future__ import annotations

import os
from typing import Any

from OpenSSL import SSL
from twisted.internet.endpoints import SSL4ServerEndpoint, quoteStringArgument
from twisted.internet.interfaces import IStreamServerEndpoint

from terminable.certificates.endpoint import (
    Renewing,
    RenewingEndpoint,
    captured,
    optionsOf,
    wordsOf,
)
from terminable.certificates.renewed import RenewedContext

#: What we add to the options of C{ssl:}.
OPTION = "clientCA"

#: What names files that are watched; the last one is ours.
_FILES = ("privateKey", "certKey", "extraCertChain", "dhParameters")


def _everyStep(connection: Any, certificate: Any, error: int, depth: int, isGood: int) -> bool:
    """
    OpenSSL's own verdict on each certificate of a chain.
    """
    return bool(isGood)


def demanding(contextFactory: Any, authorities: str) -> Any:
    """
    Have a context demand certificates which one of some authorities has signed.

    @param contextFactory: has one context, which is changed.
    @param authorities: the path of a file with their certificates, in PEM.
    @return: the same context factory.
    @raise OpenSSL.SSL.Error: there are none in the file.
    @raise ValueError: it makes a context for everybody.
    """
    context = contextFactory.getContext()
    context.load_verify_locations(authorities)
    wanted = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
    context.set_verify(wanted, _everyStep)
    # Who has come once is asked again: certificates expire, and authorities change.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_options(SSL.OP_NO_TICKET)
    if contextFactory.getContext() is not context:  # pragma: no cover - no Twisted does
        raise ValueError("no context that could be changed")
    return contextFactory


class Certified:
    """
    What a description with L{OPTION} says.

    @ivar description: the same without it.
    @ivar interface: the address; empty for all.
    """

    def __init__(self, words: list[tuple[str | None, str]], authorities: str) -> None:
        options = optionsOf(words)
        quoted = [f"{name}={quoteStringArgument(value)}" for name, value in options.items()]
        self.description = ":".join(["ssl", *quoted])
        self._authorities = os.path.abspath(authorities)
        known = [options[name] for name in _FILES if name in options]
        self._files = list(dict.fromkeys([*known, self._authorities]))
        self._port, self._backlog, self.interface = captured(self.description).details

    def _make(self) -> Any:
        return demanding(captured(self.description).contextFactory, self._authorities)

    def endpoint(self, reactor: Any) -> IStreamServerEndpoint:
        """
        @return: the endpoint; its certificates, and those of the authorities, are renewed.
        @raise Exception: they are no good.
        """
        renewal = RenewedContext(self._make, self._files)
        inner = SSL4ServerEndpoint(reactor, self._port, renewal, self._backlog, self.interface)
        return RenewingEndpoint(inner, Renewing(reactor, renewal))


def certified(description: str) -> Certified | None:
    """
    @return: what it says; C{None} if it does not demand certificates.
    @raise Exception: as C{serverFromString}.
    """
    (_, kind), *words = wordsOf(description)
    authorities = [value for name, value in words if name == OPTION]
    if kind != "ssl" or not authorities:
        return None
    return Certified([word for word in words if word[0] != OPTION], authorities[0])
