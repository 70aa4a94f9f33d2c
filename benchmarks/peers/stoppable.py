"""
C{stoppable}, for servers of Node.
"""

from __future__ import annotations

from benchmarks.peers.base import Peer, nodeVersion
from benchmarks.peers.httpterminator import nodeCommand, nodeEnvironment

# C{stoppable(server, grace)}: without a grace it would wait for ever.
PEER = Peer(
    "stoppable",
    nodeVersion("stoppable"),
    lambda order: nodeCommand("stoppable", order),
    environment=nodeEnvironment,
)
