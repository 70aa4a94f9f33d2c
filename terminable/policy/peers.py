"""
Who counts as one peer: an address, or everybody in a network of that size.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any

from terminable.errors import InvalidOption

#: How many leading bits of an IPv4 and of an IPv6 address make one peer.  Whoever has an
#: IPv6 address has a network of 2**64 of them (RFC 4291, section 2.5.1).
PREFIXES = (32, 64)

#: What everybody is who has no address: those at a UNIX socket.
NOBODY = "local"


def prefixesOf(value: object) -> tuple[int, int]:
    """
    Read two prefix lengths.

    @param value: a pair of numbers, or a text with a comma between them.
    @raise InvalidOption: no such lengths.
    """
    try:
        words: Any = value.split(",") if isinstance(value, str) else value
        four, six = map(_bits, words)
    except (TypeError, ValueError):
        four = six = -1
    if not (0 <= four <= 32 and 0 <= six <= 128):
        raise InvalidOption("prefixes", value, "bits of an IPv4 and of an IPv6 address, as 32,64")
    return four, six


def _bits(word: object) -> int:
    if isinstance(word, bool) or not isinstance(word, (int, str)):
        raise TypeError
    return int(word)


@lru_cache(4096)
def peerOf(host: str | None, prefixes: tuple[int, int] = PREFIXES) -> str:
    """
    What to call the peer that has an address.

    @param host: a numeric address, with or without scope; C{None} for none.
    @param prefixes: leading bits of an IPv4 and of an IPv6 address that make a peer.
    @return: the same text for all addresses of one peer: the address, or the network as
        C{2001:db8::/64}.
    """
    if not host:
        return NOBODY
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    # An IPv4 client of a socket for both (RFC 4291, section 2.5.5.2).
    address = getattr(address, "ipv4_mapped", None) or address
    bits = prefixes[0] if address.version == 4 else prefixes[1]
    if bits == address.max_prefixlen:
        return str(address)
    return str(ip_network((address, bits), strict=False))
