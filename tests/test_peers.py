"""
Who counts as one peer.
"""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from terminable.errors import InvalidOption
from terminable.policy.peers import NOBODY, PREFIXES, peerOf, prefixesOf


class PeerTests(SynchronousTestCase):
    """
    L{peerOf}.
    """

    def test_addresses(self) -> None:
        """
        One IPv4 address is a peer, and one IPv6 network of the size that everybody has.
        """
        for host, peer in {
            "192.0.2.7": "192.0.2.7",
            "2001:db8::1": "2001:db8::/64",
            "2001:db8:0:0:ffff::1": "2001:db8::/64",
            "2001:db8:0:1::1": "2001:db8:0:1::/64",
            "fe80::1%eth0": "fe80::/64",
            "::1": "::/64",
        }.items():
            self.assertEqual(peerOf(host), peer)

    def test_mapped(self) -> None:
        """
        An IPv4 client of a socket for both is what it is.
        """
        self.assertEqual(peerOf("::ffff:192.0.2.7"), "192.0.2.7")
        self.assertEqual(peerOf("::ffff:192.0.2.7", (24, 64)), "192.0.2.0/24")

    def test_prefixes(self) -> None:
        """
        Networks may be larger or smaller.
        """
        self.assertEqual(peerOf("192.0.2.7", (24, 64)), "192.0.2.0/24")
        self.assertEqual(peerOf("192.0.2.7", (0, 0)), "0.0.0.0/0")
        self.assertEqual(peerOf("2001:db8::1", (32, 128)), "2001:db8::1")
        self.assertEqual(peerOf("2001:db8::1", (32, 0)), "::/0")

    def test_others(self) -> None:
        """
        Who has no address is somebody local; who has a name is called by it.
        """
        self.assertEqual(peerOf(None), NOBODY)
        self.assertEqual(peerOf(""), NOBODY)
        self.assertEqual(peerOf("client.example"), "client.example")

    @given(st.ip_addresses(), st.integers(0, 32), st.integers(0, 128))
    def test_sameNetwork(self, address: Any, four: int, six: int) -> None:
        """
        All addresses that begin with the same bits are one peer, and no others.
        """
        bits = address.max_prefixlen
        prefix = four if address.version == 4 else six
        if getattr(address, "ipv4_mapped", None) is not None:
            return
        peer = peerOf(str(address), (four, six))
        for bit in range(bits):
            flipped = int(address) ^ (1 << (bits - 1 - bit))
            other = type(address)(flipped)
            if getattr(other, "ipv4_mapped", None) is None:
                self.assertEqual(peerOf(str(other), (four, six)) == peer, bit >= prefix)


class PrefixTests(SynchronousTestCase):
    """
    L{prefixesOf}.
    """

    def test_read(self) -> None:
        """
        Two numbers, or a text.
        """
        self.assertEqual(prefixesOf(PREFIXES), PREFIXES)
        for value in ("24,56", " 24 , 56 ", [24, 56], ("24", 56), iter((24, 56))):
            self.assertEqual(prefixesOf(value), (24, 56))

    def test_nonsense(self) -> None:
        """
        Everything else is refused.
        """
        for value in (
            *("", "32", "32,", "32,64,1", "a,b", "33,64", "32,129", "-1,64", "1.5,64"),
            *(None, 32, (32,), (32, 64, 1), (32.0, 64), (True, 64), (32, None), (32, 1.5, 64)),
            *((math.inf, 64), object()),
        ):
            error = self.assertRaises(InvalidOption, prefixesOf, value)
            self.assertEqual((error.option, error.value), ("prefixes", value))
