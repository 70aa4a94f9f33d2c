"""
This project, serving C{twisted.web}.
"""

from __future__ import annotations

from benchmarks.common import Server, ours
from benchmarks.machine import Listen, Workspace
from benchmarks.peers.base import Order, Peer, ourVersion


def served(kind: str, order: Order, resource: str | None = "resources.Root") -> Server:
    """
    A server of ours that does what it is ordered.
    """
    workspace = Workspace()
    if order.certificate is not None:
        workspace.use(order.certificate)
    listen = Listen(tls=order.certificate is not None, backlog=1024, port=order.port)
    return Server(
        kind,
        workspace,
        [listen],
        resource,
        grace=order.grace,
        idleGrace=order.idleGrace,
        factory="resources.plain",
    )


def command(order: Order) -> list[str]:
    return served("terminable", order).command()


PEER = Peer(
    "terminable",
    ourVersion("txterminable"),
    command,
    speaksHTTP2=True,
    environment=ours,
    hasReactor=True,
)

#: The same with a protocol that sets no timers.
WITHOUT_TIMERS = Peer(
    "terminable (no timers)",
    ourVersion("txterminable"),
    lambda order: served("terminable", order, None).command(),
    environment=ours,
    hasReactor=True,
)

#: C{terminable:} before an endpoint of C{twistd web}.
BY_PREFIX = Peer(
    "terminable (prefix)",
    ourVersion("txterminable"),
    lambda order: served("prefix", order).command(),
    speaksHTTP2=True,
    environment=ours,
    hasReactor=True,
)
