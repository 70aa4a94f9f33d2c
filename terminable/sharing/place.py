"""
Where a Redis server is, and how to be let in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from twisted.internet.endpoints import (
    HostnameEndpoint,
    UNIXClientEndpoint,
    clientFromString,
    wrapClientTLS,
)
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.ssl import optionsForClientTLS

from terminable.errors import InvalidOption

#: Where Redis listens if nobody says otherwise.
PORT = 6379

EXPECTED = (
    "redis://host:port/db, rediss://host:port/db, unix:///path?db=0, "
    "an endpoint, or its description as tcp:127.0.0.1:6379"
)


@dataclass(frozen=True)
class Place:
    """
    One Redis server.

    @ivar endpoint: connects to it.
    @ivar text: what to call it in the log: without a password.
    @ivar username: of Redis' access control list (Redis 6); C{None} for the default user.
    @ivar password: C{None} for none.
    @ivar db: the number of the database.
    """

    endpoint: Any
    text: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    db: int | None = None


def _named(text: str) -> str:
    """
    A URL without anything that might be a password.
    """
    scheme, mark, rest = text.partition("://")
    place, _, _ = rest.rpartition("@")[2].partition("?")
    return f"{scheme}{mark}{place}"


def _database(text: str, whole: str) -> int | None:
    if not text:
        return None
    if not text.isdecimal():
        raise InvalidOption("redis", _named(whole), "the number of a database")
    return int(text)


def _tcp(reactor: Any, url: SplitResult) -> Any:
    host = url.hostname
    if not host:
        raise ValueError("no host")
    endpoint = HostnameEndpoint(reactor, host, url.port or PORT)
    return (
        wrapClientTLS(optionsForClientTLS(host), endpoint) if url.scheme == "rediss" else endpoint
    )


def _fromURL(reactor: Any, text: str) -> Place:
    url = urlsplit(text)
    query = parse_qs(url.query, strict_parsing=bool(url.query))
    database = query.pop("db", [""])[0]
    if query or url.fragment:
        raise ValueError("not understood")
    path = unquote(url.path)
    if url.scheme == "unix":
        if not path.strip("/"):
            raise ValueError("no path")
        endpoint: Any = UNIXClientEndpoint(reactor, path)
    else:
        endpoint = _tcp(reactor, url)
        database = path.strip("/") or database
    username, password = (None if part is None else unquote(part) for part in _who(url))
    return Place(endpoint, _named(text), username, password, _database(database, text))


def _who(url: SplitResult) -> tuple[str | None, str | None]:
    # redis://word@host is a user without a password, which Redis does not know.
    if url.password is None and url.username:
        raise ValueError("no password")
    return url.username or None, url.password


def placeOf(reactor: Any, where: Any) -> Place:
    """
    Understand where a server is.

    @param where: a URL: C{redis://:password@host:port/db}, C{rediss://} for TLS with the
        certificates that the platform trusts, C{unix:///path?db=0}; or a client endpoint or its
        description, as C{tls:host:6379:trustRoots=/etc/redis}.
    @raise InvalidOption: it is none of these.  The message does not have a password.
    """
    if IStreamClientEndpoint.providedBy(where):
        return Place(where, repr(where))
    if not isinstance(where, str) or not where:
        raise InvalidOption("redis", where, EXPECTED)
    try:
        if where.startswith(("redis://", "rediss://", "unix://")):
            return _fromURL(reactor, where)
        return Place(clientFromString(reactor, where), where)
    except InvalidOption:
        raise
    except Exception:
        raise InvalidOption("redis", _named(where), EXPECTED) from None
