"""
Somebody else's library: a protocol that knows nothing of this package.
"""

from __future__ import annotations

from twisted.internet.protocol import ServerFactory
from twisted.protocols.basic import LineReceiver


class Gossip(LineReceiver):
    """
    C{story} begins a story, every line is repeated, and C{end} ends it.
    """

    delimiter = b"\n"
    telling = False

    def lineReceived(self, line: bytes) -> None:
        if line in (b"story", b"end"):
            self.telling = line == b"story"
        self.sendLine(b"they say " + line)


class GossipFactory(ServerFactory):
    """
    Everybody gossips.
    """

    protocol = Gossip
