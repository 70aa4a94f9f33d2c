"""
How those are refused for whom there is no place, each in the words of its protocol.

A factory says so itself (L{terminable.interfaces.IRefusal}), or is known here by the name of
its class, or of the class of its protocols: no library is imported for that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from twisted.protocols.policies import WrappingFactory

from terminable.interfaces import IRefusal
from terminable.tracking.factory import TerminableFactory

_log = Logger()


class Saying(Protocol):
    """
    Says one thing, and loses the connection.

    @ivar text: what; nothing if it is empty.
    """

    def __init__(self, text: bytes = b"") -> None:
        self.text = text

    def connectionMade(self) -> None:
        """
        Say it.
        """
        transport: Any = self.transport
        if self.text:
            transport.write(self.text)
        transport.loseConnection()


def _says(template: bytes) -> Callable[[Any, Any, int, Any], Any]:
    def refusal(factory: Any, addr: Any, retryAfter: int, reactor: Any) -> Any:
        return Saying(template.replace(b"RETRY", b"%d" % retryAfter))

    return refusal


def _http(factory: Any, addr: Any, retryAfter: int, reactor: Any) -> Any:
    from terminable.admission.http import RefusingSite

    return RefusingSite(retryAfter, reactor).buildProtocol(addr)


#: RFC 5321, section 3.8, and RFC 3463, section 3.5.
_MAIL = b"421 4.3.2 Too many connections, try again in RETRY seconds\r\n"

#: What refuses, by the full name of the class of a factory, or of the class of its protocols.
WORDS: dict[str, Callable[[Any, Any, int, Any], Any]] = {
    "twisted.web.http.HTTPFactory": _http,
    "autobahn.twisted.websocket.WebSocketServerFactory": _http,
    "twisted.web.http.HTTPChannel": _http,
    "twisted.mail.smtp.SMTP": _says(_MAIL),
    # RFC 3206, section 4.
    "twisted.mail.pop3.POP3": _says(b"-ERR [SYS/TEMP] Too many connections, try again later\r\n"),
    # RFC 9051, section 7.1.5, and RFC 5530, section 3.
    "twisted.mail.imap4.IMAP4Server": _says(
        b"* BYE [UNAVAILABLE] Too many connections, try again later\r\n"
    ),
    # RFC 959, section 5.4.
    "twisted.protocols.ftp.FTP": _says(
        b"421 Too many connections, try again in RETRY seconds.\r\n"
    ),
    # RFC 2812, section 3.7.4.
    "twisted.words.protocols.irc.IRC": _says(
        b"ERROR :Closing link: too many connections, try again in RETRY seconds\r\n"
    ),
}


def _namesOf(kind: Any) -> list[str]:
    if not isinstance(kind, type):
        return []
    return [f"{each.__module__}.{each.__qualname__}" for each in kind.__mro__]


def _refusalOf(factory: Any, addr: Any, retryAfter: int, reactor: Any) -> Any:
    """
    A protocol that refuses, C{None} if nothing is known of the factory.
    """
    own = IRefusal(factory, None)
    if own is not None:
        return own.refusal(addr, retryAfter)
    for name in (*_namesOf(type(factory)), *_namesOf(getattr(factory, "protocol", None))):
        if name in WORDS:
            return WORDS[name](factory, addr, retryAfter, reactor)
    return None


def _isPlain(factory: Any) -> bool:
    """
    Whether a wrapping factory does no more than to wrap: others count, say, what they built.
    """
    return (
        isinstance(factory, WrappingFactory)
        and type(factory).buildProtocol is WrappingFactory.buildProtocol
    )


def refusalOf(factory: Any, addr: Any, retryAfter: int, reactor: Any) -> Any:
    """
    Build a protocol that refuses one connection, within whatever the factory wraps its
    protocols into (TLS, PROXY).

    @param factory: what would build the application's protocol.
    @param addr: the peer's address.
    @param retryAfter: seconds after which the peer may try again.
    @param reactor: provides C{IReactorTime}.
    @return: a protocol; one that only loses the connection, if no words are known.
    """
    try:
        return _within(factory, addr, retryAfter, reactor) or Saying()
    except BaseException:
        _log.failure("{factory} cannot refuse in words", factory=factory)
        return Saying()


def _within(factory: Any, addr: Any, retryAfter: int, reactor: Any) -> Any:
    while isinstance(factory, TerminableFactory):
        factory = factory.wrappedFactory
    protocol = _refusalOf(factory, addr, retryAfter, reactor)
    if protocol is not None or not _isPlain(factory):
        return protocol
    inner = _within(factory.wrappedFactory, addr, retryAfter, reactor)
    return None if inner is None else factory.protocol(factory, inner)
