"""
A certificate that is loaded again when its files have changed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from cryptography.x509 import Certificate
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLContextFactory, IOpenSSLServerConnectionCreator
from twisted.logger import Logger
from zope.interface import implementer

from terminable import events
from terminable.certificates.files import Snapshot
from terminable.errors import InvalidOption

_log = Logger()

#: Who loads a certificate that expires within this time is warned.
SOON = timedelta(days=7)

#: How often files that change while they are read are read again.
_ATTEMPTS = 3


class Unfit(ValueError):
    """
    What stands in the files is not to be used; the text says why.
    """


def utcNow() -> datetime:
    """
    The present time, aware of its zone.
    """
    return datetime.now(timezone.utc)


def day(time: datetime) -> str:
    """
    A time, for people.
    """
    return f"{time:%Y-%m-%d %H:%M} UTC"


def invalidity(certificate: Certificate, now: datetime) -> str | None:
    """
    Why a certificate is not valid now (RFC 5280, section 4.1.2.5), C{None} if it is.
    """
    if now < certificate.not_valid_before_utc:
        return f"is not valid before {day(certificate.not_valid_before_utc)}"
    if now > certificate.not_valid_after_utc:
        return f"expired at {day(certificate.not_valid_after_utc)}"
    return None


def reason(problem: Exception) -> str:
    """
    What went wrong, on one line.
    """
    if isinstance(problem, Unfit):
        return str(problem)
    if isinstance(problem, SSL.Error) and problem.args and isinstance(problem.args[0], list):
        return "; ".join(str(error[-1]) for error in problem.args[0])
    return " ".join(f"{type(problem).__name__}: {problem}".split())


@implementer(IOpenSSLContextFactory, IOpenSSLServerConnectionCreator)
class Renewal:
    """
    What new TLS handshakes use, and the files from which it is made.

    Each renewal makes a new context; one that was used is never changed.

    @ivar paths: the absolute paths of the files and directories.
    @ivar current: what was made of them when they were last in order.
    @ivar problem: why what stands in the files now is not used, C{None} if it is.
    """

    def __init__(self, paths: Sequence[str], now: Callable[[], datetime] = utcNow) -> None:
        self.paths = tuple(os.path.abspath(path) for path in paths)
        self.problem: str | None = None
        self._now = now
        self._again: datetime | None = None
        state = Snapshot(self.paths)
        self._seen = state.digest
        self.current: Any = self.load(state)
        self._warnOf(self.certificates(self.current), state)

    def load(self, state: Snapshot) -> Any:
        """
        Make something of the files.

        @raise Exception: they are no good.
        """
        raise NotImplementedError  # pragma: no cover

    def certificates(self, made: Any) -> list[Certificate]:
        """
        The certificates that C{made} shows to its peers, as far as that is known.
        """
        raise NotImplementedError  # pragma: no cover

    def hindrance(self, made: Any, state: Snapshot) -> str | None:
        """
        Why C{made} should not take the place of what is in use, C{None} if nothing speaks
        against it.
        """
        for certificate in self.certificates(made):
            if fault := invalidity(certificate, self._now()):
                return f"the certificate in {state.holders(certificate)} {fault}"
        if not self.certificates(made) and self.certificates(self.current):
            return f"{', '.join(self.paths)}: no certificate"
        return None

    def _warnOf(self, certificates: Iterable[Certificate], state: Snapshot) -> None:
        now = self._now()
        for each in certificates:
            fault = invalidity(each, now)
            if fault is None and each.not_valid_after_utc - now < SOON:
                fault = f"expires soon, at {day(each.not_valid_after_utc)}"
            if fault is not None:
                _log.warn(
                    "the certificate in {where} {fault}",
                    event=events.CERTIFICATE_FAULT,
                    where=state.holders(each),
                    fault=fault,
                )

    def renew(self) -> bool:
        """
        Look at the files; if they have changed and are in order, use what stands in them
        for new handshakes.  If they have changed and are not, the log says why, once.

        @return: whether something new is used from now on.
        """
        for _ in range(_ATTEMPTS):
            state = Snapshot(self.paths)
            due = self._again is not None and self._now() >= self._again
            if state.digest == self._seen and not due:
                return False
            made, problem = self._try(state)
            if Snapshot(self.paths).digest == state.digest:
                return self._use(made, state) if problem is None else self._refuse(problem, state)
        # Somebody is writing right now. Whoever watches the files is told of that too.
        return False

    def _try(self, state: Snapshot) -> tuple[Any, str | None]:
        self._again = None
        problem = state.incomplete()
        if problem is not None:
            return None, problem
        try:
            made = self.load(state)
            problem = self.hindrance(made, state)
            starts = [each.not_valid_before_utc for each in self.certificates(made)]
        except Exception as failed:
            return None, state.explanation() or f"{', '.join(self.paths)}: {reason(failed)}"
        if problem is not None:
            # One that is not valid yet may be taken later, although no file changes.
            self._again = min((each for each in starts if each > self._now()), default=None)
        return made, problem

    def _refuse(self, problem: str, state: Snapshot) -> bool:
        if self._seen != state.digest:
            _log.warn(
                "the certificate in use is kept: {problem}",
                event=events.CERTIFICATE_KEPT,
                problem=problem,
            )
        self._seen, self.problem = state.digest, problem
        return False

    def _use(self, made: Any, state: Snapshot) -> bool:
        before, certificates = self.certificates(self.current), self.certificates(made)
        self._seen, self.problem, self.current = state.digest, None, made
        for each in [each for each in certificates if each not in before] or certificates:
            _log.info(
                "now using the certificate in {where}, valid until {until}",
                event=events.CERTIFICATE_USED,
                where=state.holders(each),
                until=day(each.not_valid_after_utc),
            )
        self._warnOf(certificates, state)
        return True

    def getContext(self) -> SSL.Context:
        """
        The context of the newest good files.
        """
        context: SSL.Context = self.current.getContext()
        return context

    def serverConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """
        A connection by the newest good files.
        """
        if IOpenSSLServerConnectionCreator.providedBy(self.current):
            connection: SSL.Connection = self.current.serverConnectionForTLS(tlsProtocol)
            return connection
        return SSL.Connection(self.getContext(), None)


def _hasContext(made: Any) -> bool:
    return callable(getattr(made, "getContext", None))


class RenewedContext(Renewal):
    """
    A context factory that is made again when its files have changed.

    It may be given to whatever takes a context factory for a server:
    C{reactor.listenSSL}, C{SSL4ServerEndpoint}, C{wrapServerTLS}, C{transport.startTLS}.
    """

    def __init__(
        self,
        make: Callable[[], Any],
        paths: Sequence[str],
        now: Callable[[], datetime] = utcNow,
    ) -> None:
        """
        @param make: makes a context factory out of the files, a new one each time:
            C{lambda: DefaultOpenSSLContextFactory("site.key", "site.crt")}.
        @param paths: the files that it reads.
        @param now: the present time, aware of its zone.
        @raise InvalidOption: there are no paths.
        @raise Exception: what C{make} raises, or C{OpenSSL.SSL.Error} if the key does not
            belong to the certificate.  One that has expired is used, and warned of: there
            is no other yet.
        """
        if isinstance(paths, (str, bytes)) or not paths:
            raise InvalidOption("paths", paths, "a list of the files that are read")
        self._make = make
        super().__init__(paths, now)

    def load(self, state: Snapshot) -> Any:
        """
        Make a context factory, and see whether its key belongs to its certificate.

        @raise Exception: what C{make} raises.
        @raise OpenSSL.SSL.Error: it does not.
        """
        made = self._make()
        if not IOpenSSLServerConnectionCreator.providedBy(made) and not _hasContext(made):
            raise InvalidOption("make", made, "a function that makes a context factory")
        if self.certificates(made):
            made.getContext().check_privatekey()
        return made

    def certificates(self, made: Any) -> list[Certificate]:
        """
        The certificate of the context; none if C{made} has no context to look at.
        """
        if not _hasContext(made):
            return []
        certificate = SSL.Connection(made.getContext(), None).get_certificate()
        return [] if certificate is None else [certificate.to_cryptography()]
