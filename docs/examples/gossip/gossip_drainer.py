"""
How a gossip says goodbye.
"""

from __future__ import annotations

from gossip import Gossip
from twisted.python.components import registerAdapter
from zope.interface import implementer

from terminable import IDrainer


@implementer(IDrainer)
class GossipDrainer:
    def __init__(self, gossip: Gossip) -> None:
        self.gossip = gossip

    def isBusy(self) -> bool:
        return self.gossip.telling

    def drain(self) -> None:
        if self.gossip.telling:
            # A story is heard to its end: from now on, on this connection only.
            self.gossip.lineReceived = self.listen
        else:
            self.leave()

    def listen(self, line: bytes) -> None:
        type(self.gossip).lineReceived(self.gossip, line)
        if not self.gossip.telling:
            self.leave()

    def leave(self) -> None:
        self.gossip.sendLine(b"I must not say more")
        self.gossip.transport.loseConnection()


def register() -> None:
    registerAdapter(GossipDrainer, Gossip, IDrainer)
