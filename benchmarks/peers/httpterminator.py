"""
C{http-terminator}, for servers of Node.
"""

from __future__ import annotations

from benchmarks.peers.base import APPS, FETCHED, Order, Peer, nodeVersion


def nodeCommand(kind: str, order: Order) -> list[str]:
    """
    Node, with an ending of that kind; see C{apps/node.js}.
    """
    grace = str(round(order.grace * 1000))
    pem = str(order.certificate or "")
    return ["node", str(APPS / "node.js"), kind, str(order.port), grace, pem]


def nodeEnvironment() -> dict[str, str]:
    """
    Where Node finds what was fetched.
    """
    return {"NODE_PATH": str(FETCHED / "node_modules")}


# C{gracefulTerminationTimeout}: its README's only setting for how long to wait.
PEER = Peer(
    "http-terminator",
    nodeVersion("http-terminator"),
    lambda order: nodeCommand("http-terminator", order),
    environment=nodeEnvironment,
)
