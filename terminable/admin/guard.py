"""
Who may come to the admin door, and for what.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from twisted.web import http

from terminable.admin.answers import MISDIRECTED, Refused

#: What balancers and supervisors ask without knowing any secret, and the page that asks its
#: reader for it; none of them tells one.
OPEN = frozenset([b"/live", b"/ready", b"/startup", b"/", b"/page.css", b"/page.js", b"/words.js"])

#: What a browser says of a request that no page of somebody else has made (Fetch Metadata
#: Request Headers, W3C, section 2.3).
_OURS = (None, b"same-origin", b"none")


def _hostOf(netloc: str) -> str:
    """
    The host out of C{host:port}; an empty string if there is none, or if this is more.
    """
    if any(each in netloc for each in "@/?#\\"):
        return ""
    try:
        return urlsplit(f"//{netloc}").hostname or ""
    except ValueError:
        return ""


def isLoopback(host: str) -> bool:
    """
    Whether only this machine is meant.

    @param host: an address, or C{localhost}.
    """
    if host == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _one(asked: Any, name: bytes) -> bytes | None:
    """
    @raise Refused: it is there more than once.
    """
    found = asked.requestHeaders.getRawHeaders(name) or []
    if len(found) > 1:
        raise Refused(http.BAD_REQUEST, f"{name.decode()}: more than one given, expected one")
    return found[0] if found else None


@dataclass(frozen=True)
class Guard:
    """
    Looks at every request.

    @ivar token: what must be known by whoever is to see or do anything; C{None} if the way to
        the door is enough.
    @ivar local: whether it is a TCP port which everybody on this machine can reach, browsers
        with pages of anybody included.
    """

    token: bytes | None = None
    local: bool = False

    def check(self, asked: Any) -> None:
        """
        @param asked: the request, with C{method}, C{path} and C{requestHeaders}.
        @raise Refused: this is not for whoever asks.
        """
        host = _one(asked, b"host")
        if self.local:
            self._isForUs(host)
        self._isNoStrangersPage(asked, host)
        if self.token is not None and asked.path not in OPEN and not self.knows(asked):
            wanted = [(b"WWW-Authenticate", b"Bearer")]
            raise Refused(http.UNAUTHORIZED, "Authorization: expected the token", wanted)
        if self.local and asked.method == b"POST" and _one(asked, b"x-terminable") != b"1":
            raise Refused(http.FORBIDDEN, "X-Terminable: expected 1")

    def knows(self, asked: Any) -> bool:
        """
        Whether somebody may see everything.

        @raise Refused: he says who he is more than once.
        """
        if self.token is None:
            return True
        given = _one(asked, b"authorization") or b""
        scheme, _, token = given.partition(b" ")
        # In a time that does not depend on how much of it is right.
        right = hmac.compare_digest(token.strip(), self.token)
        return right and scheme.lower() == b"bearer"

    def _isForUs(self, host: bytes | None) -> None:
        """
        A name that somebody has made to mean this machine (DNS rebinding) is not ours.
        """
        # HTTP/1.0 has no Host, and no browser speaks it.
        if host is not None and not isLoopback(_hostOf(host.decode("latin-1"))):
            raise Refused(MISDIRECTED, "Host: expected localhost, 127.0.0.1 or [::1]")

    def _isNoStrangersPage(self, asked: Any, host: bytes | None) -> None:
        site = _one(asked, b"sec-fetch-site")
        # A link from elsewhere may lead to the status page.
        byLink = asked.path == b"/" and asked.method in (b"GET", b"HEAD")
        if site not in _OURS and not byLink:
            raise Refused(http.FORBIDDEN, "Sec-Fetch-Site: expected same-origin or none")
        origin = _one(asked, b"origin")
        if origin is not None and not _isOf(origin, host):
            raise Refused(http.FORBIDDEN, "Origin: expected this server's own")


def _isOf(origin: bytes, host: bytes | None) -> bool:
    """
    Whether a page is of this host.
    """
    try:
        netloc = urlsplit(origin.decode("latin-1")).netloc
    except ValueError:
        return False
    return bool(netloc) and netloc.lower() == (host or b"").decode("latin-1").lower()
