"""
Twisted without this project: C{twistd web}.  It has no setting for how to stop.
"""

from __future__ import annotations

from benchmarks.common import ours
from benchmarks.peers.base import Order, Peer, ourVersion
from benchmarks.peers.terminable import served


def command(order: Order) -> list[str]:
    return served("plain", order).command()


PEER = Peer(
    "plain Twisted",
    ourVersion("Twisted"),
    command,
    speaksHTTP2=True,
    environment=ours,
    hasReactor=True,
)
