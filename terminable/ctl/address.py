"""
Where the admin door of a server is, as people type it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from terminable.errors import InvalidOption

#: How many bytes the path of a UNIX socket may have: sockaddr_un(7), without the final zero.
LONGEST = 107

_EXPECTED = (
    "the path of a UNIX socket, or a URL such as http://127.0.0.1:9000 or https://site.example:9000"
)


@dataclass(frozen=True)
class Address:
    """
    Where to ask.

    @ivar url: the beginning of every URL, without a slash at the end.
    @ivar path: the UNIX socket to connect to; C{None} if the URL says where.
    """

    url: str
    path: str | None = None

    def __str__(self) -> str:
        return self.url if self.path is None else self.path


def addressOf(text: str) -> Address:
    """
    Read what was typed: the path of a UNIX socket, C{unix:PATH}, or a URL.

    @raise InvalidOption: it is none of these.
    """
    if text.startswith(("http://", "https://")):
        return _url(text)
    path = text.removeprefix("unix:")
    if not path or "\0" in path or path.startswith(("tcp:", "ssl:", "tls:")):
        raise InvalidOption("SOCKET", text, _EXPECTED)
    if len(os.fsencode(path)) > LONGEST:
        raise InvalidOption("SOCKET", text, f"a path of at most {LONGEST} bytes")
    # The server answers to this name, whatever the path.
    return Address("http://localhost", path)


def _url(text: str) -> Address:
    try:
        parts = urlsplit(text)
        # Looked at because that is what checks it.
        good = parts.port != 0 and parts.hostname and parts.path in ("", "/")
    except ValueError:
        good = False
    if not good or parts.query or parts.fragment or "@" in parts.netloc or not text.isascii():
        raise InvalidOption("SOCKET", text, _EXPECTED)
    return Address(f"{parts.scheme}://{parts.netloc}")
