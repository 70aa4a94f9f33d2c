"""
Two options must not name the same port, however they spell it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from twisted.python.usage import UsageError

from terminable.certificates.endpoint import wordsOf

#: What the words of a description without a name are, in order, by its first word; the rest does
#: not matter here.
_WORDS = {
    "tcp": ("port", "interface"),
    "tcp6": ("port", "backlog", "interface"),
    "ssl": ("port", "privateKey", "certKey", "sslmethod", "interface"),
    "unix": ("address",),
}

#: What stands before another description.
_PREFIXES = ("terminable", "haproxy")

_ALL = {"tcp6": "::"}


class Spot(NamedTuple):
    """
    Where somebody would listen.

    @ivar port: the number of a TCP port; 0 for a UNIX socket.
    @ivar host: its address; C{None} for all IPv4 addresses.
    @ivar path: that of a UNIX socket, or what else was typed; an empty string for TCP.
    """

    port: int
    host: IPv4Address | IPv6Address | str | None = None
    path: str = ""

    def meets(self, other: Spot) -> bool:
        """
        Whether two cannot listen at the same time.
        """
        if self.path or other.path or self.port != other.port:
            return self.path == other.path != ""
        hosts = self.host, other.host
        return self.host == other.host or any(_covers(*pair) for pair in (hosts, hosts[::-1]))


def _covers(host: object, other: object) -> bool:
    """
    Whether all addresses are meant, another one among them.
    """
    if host is None:
        return not isinstance(other, IPv6Address)
    everything = isinstance(host, IPv6Address) and host.is_unspecified
    return everything and (isinstance(other, IPv6Address) or _takesBoth())


def _takesBoth() -> bool:
    """
    Whether a port for all IPv6 addresses is one for all IPv4 addresses, too.
    """
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
            return not sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    except OSError:
        return False


def spotOf(description: str) -> Spot | None:
    """
    @param description: the number of a port, or an endpoint description.
    @return: where that is; C{None} if the system chooses, or nobody could listen there.
    """
    if description.isdecimal():
        description = f"tcp:{description}"
    (_, kind), *words = wordsOf(description)
    while kind in _PREFIXES and words:
        (_, kind), *words = words
    known = _WORDS.get(kind)
    if known is None:
        # Another kind: whoever spells it the same means the same.
        return Spot(0, path=description)
    unnamed = [value for name, value in words if name is None]
    options = dict(zip(known, unnamed, strict=False))
    options.update((name, value) for name, value in words if name is not None)
    if kind == "unix":
        return _onPath(options.get("address", ""))
    return _onTCP(options.get("port", ""), options.get("interface", _ALL.get(kind, "")))


def _onPath(path: str) -> Spot | None:
    if not path or path.startswith("\0"):
        return Spot(0, path=path) if path else None
    folder, name = os.path.split(os.path.abspath(path))
    return Spot(0, path=os.path.join(os.path.realpath(folder), name))


def _onTCP(text: str, interface: str) -> Spot | None:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text)):
        return None
    return Spot(int(text), _hostOf(interface))


def _hostOf(interface: str) -> IPv4Address | IPv6Address | str | None:
    try:
        # Twisted binds to the IPv4 address of a name.
        address = ip_address(interface or "0.0.0.0")
    except ValueError:
        try:
            address = ip_address(socket.gethostbyname(interface))
        except (OSError, ValueError):
            return interface
    mapped = getattr(address, "ipv4_mapped", None) or address
    return None if mapped == IPv4Address(0) else mapped


def mustBeApart(given: Iterable[tuple[str, str]]) -> None:
    """
    @param given: options that say where to listen, each with what was typed.
    @raise UsageError: one of them names a port that another one before it has named.
    """
    known: list[tuple[Spot, str]] = []
    for option, description in given:
        spot = spotOf(description)
        if spot is None:
            continue
        for other, words in known:
            if spot.meets(other):
                raise UsageError(
                    f"{option}: {description!r} is where another option listens: {words}"
                )
        known.append((spot, f"{option} {description}"))
