"""
Certificates for many names, out of a directory: what Twisted's C{tls:} endpoint serves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from cryptography.x509 import Certificate, DNSName, ExtensionNotFound, SubjectAlternativeName
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLContextFactory
from twisted.internet.ssl import CertificateOptions
from twisted.logger import Logger
from zope.interface import implementer

from terminable import events
from terminable.certificates.files import (
    Snapshot,
    certificatesIn,
    identity,
    keysIn,
    unreadable,
)
from terminable.certificates.renewed import Renewal, Unfit, invalidity, utcNow
from terminable.errors import InvalidOption

_log = Logger()


def namesOf(certificate: Certificate) -> list[str]:
    """
    The DNS names that a certificate is for (RFC 6125, section 6.4: never its common name).
    """
    try:
        found = certificate.extensions.get_extension_for_class(SubjectAlternativeName)
    except ExtensionNotFound:
        return []
    return [name.lower() for name in found.value.get_values_for_type(DNSName)]


def chainOf(leaf: Certificate, others: Mapping[Any, Certificate]) -> list[Certificate]:
    """
    The certificates that lead from a leaf towards its root, as far as they are there.
    """
    chain: list[Certificate] = []
    issuer = others.get(leaf.issuer)
    # A root has issued itself.
    while issuer is not None and issuer not in chain:
        chain.append(issuer)
        issuer = others.get(issuer.issuer)
    return chain


@implementer(IOpenSSLContextFactory)
class NamedCertificates:
    """
    The certificates in some files, chosen by the name that a client asks for.

    @ivar leaves: those whose keys are there too.
    @ivar everything: all certificates, with a path that each is in.
    @ivar keys: a path that each key is in, by its public key.
    @ivar holding: the paths that have certificates, and those that have keys.
    @ivar byName: the certificate for each name: of several, the one that is valid now, and
        of those the one that is valid for longest.
    """

    def __init__(self, files: Mapping[str, bytes], now: datetime) -> None:
        """
        @param files: contents, by path.
        @raise Unfit: a file with something else than certificates and keys.
        """
        self.everything: dict[Certificate, str] = {}
        self.keys: dict[bytes, str] = {}
        self.holding: dict[str, set[str]] = {"certificate": set(), "key": set()}
        self._unlocking: dict[bytes, Any] = {}
        for path, data in files.items():
            self._read(path, data)
        self.leaves = [each for each in self.everything if identity(each) in self.keys]
        others = {each.subject: each for each in self.everything if identity(each) not in self.keys}
        self._options = {each: self._optionsFor(each, others) for each in self.leaves}
        self.byName: dict[str, Certificate] = {}
        for leaf in sorted(self.leaves, key=lambda each: _rank(each, now)):
            self.byName.update(dict.fromkeys(namesOf(leaf), leaf))
        self._default = self._defaultOptions()

    def _read(self, path: str, data: bytes) -> None:
        if fault := unreadable(data):
            raise Unfit(f"{path}: {fault}")
        try:
            keys = keysIn(data)
        except TypeError:
            raise Unfit(f"{path}: has a key that is encrypted") from None
        certificates = certificatesIn(data)
        self.everything.update(dict.fromkeys(certificates, path))
        if certificates:
            self.holding["certificate"].add(path)
        for key in keys:
            self.holding["key"].add(path)
            self.keys[identity(key)] = path
            self._unlocking[identity(key)] = key

    def _optionsFor(self, leaf: Certificate, others: Mapping[Any, Certificate]) -> Any:
        key = crypto.PKey.from_cryptography_key(self._unlocking[identity(leaf)])
        return CertificateOptions(
            privateKey=key,
            certificate=crypto.X509.from_cryptography(leaf),
            extraCertChain=[crypto.X509.from_cryptography(each) for each in chainOf(leaf, others)],
            contextForServerName=self.contextFor,
        )

    def _defaultOptions(self) -> Any:
        """
        What a connection begins with, before its name is known, and stays with if it is
        none of ours.
        """
        for leaf in [*self.byName.values(), *self.leaves]:
            return self._options[leaf]
        return CertificateOptions(contextForServerName=self.contextFor)

    def contextFor(self, name: bytes | None) -> SSL.Context | None:
        """
        The context for a name that a client has asked for (RFC 6066, section 3); C{None} if
        it asked for none, or for none of ours.
        """
        asked = (name or b"").decode("ascii", "replace").lower()
        _, _, domain = asked.partition(".")
        leaf = self.byName.get(asked) or self.byName.get(f"*.{domain}")
        if leaf is None:
            return None
        context: SSL.Context = self._options[leaf].getContext()
        return context

    def getContext(self) -> SSL.Context:
        """
        The context that turns into the one for the name that the client asks for.
        """
        context: SSL.Context = self._default.getContext()
        return context


def _rank(leaf: Certificate, now: datetime) -> tuple[bool, datetime]:
    return invalidity(leaf, now) is None, leaf.not_valid_after_utc


class RenewedDirectory(Renewal):
    """
    The C{.pem} files of a directory and of those below it, read again when they have
    changed: certificates, their keys, and intermediate certificates, in any number of
    files, as Twisted's C{tls:} endpoint takes them.

    A client is shown the certificate for the name that it asks for.
    """

    def __init__(self, directory: str, now: Callable[[], datetime] = utcNow) -> None:
        """
        @param directory: its path.
        @param now: the present time, aware of its zone.
        @raise InvalidOption: something in it cannot be read.  It may be empty.
        """
        self._directory = directory
        try:
            super().__init__([directory], now)
        except Unfit as problem:
            expected = f"a directory of PEM files that can be read ({problem})"
            raise InvalidOption("tls", directory, expected) from None
        if not self.current.leaves:
            _log.warn(
                "{directory}: no certificate with its key yet",
                event=events.CERTIFICATE_MISSING,
                directory=directory,
            )

    def load(self, state: Snapshot) -> NamedCertificates:
        """
        Read the certificates.

        @raise Unfit: not all of them can be read.
        """
        if fault := state.incomplete():
            raise Unfit(fault)
        return NamedCertificates(state.files, self._now())

    def certificates(self, made: NamedCertificates) -> list[Certificate]:
        """
        The certificate for each name, each once.
        """
        return list(dict.fromkeys(made.byName.values())) or made.leaves

    def hindrance(self, made: NamedCertificates, state: Snapshot) -> str | None:
        """
        What has become worse; what was wrong in what is in use is no reason to keep it.
        """
        return (
            self._lost(made, state)
            or self._unpaired(made)
            or self._invalid(made)
            or (None if made.leaves else f"{self._directory}: no certificate with its key")
        )

    def _lost(self, made: NamedCertificates, state: Snapshot) -> str | None:
        """
        A file is still there, but what it was for is not: it is being written.
        """
        for what, paths in self.current.holding.items():
            for path in sorted(paths - made.holding[what]):
                if path in state.files:
                    return f"{path}: has no {what} any more"
        for leaf in self.current.leaves:
            if leaf in made.everything and leaf not in made.leaves:
                return f"{made.everything[leaf]}: the key of the certificate is gone"
        return None

    def _unpaired(self, made: NamedCertificates) -> str | None:
        paired = {identity(leaf) for leaf in made.leaves}
        before = self.current.keys.keys() - {identity(leaf) for leaf in self.current.leaves}
        for key, path in made.keys.items():
            if key not in paired and key not in before:
                return f"the key in {path} does not belong to any certificate"
        return None

    def _invalid(self, made: NamedCertificates) -> str | None:
        for name, leaf in made.byName.items():
            fault = invalidity(leaf, self._now())
            if fault and self.current.byName.get(name) != leaf:
                return f"the certificate for {name} in {made.everything[leaf]} {fault}"
        return None
