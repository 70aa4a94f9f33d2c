"""
Go's C{net/http}, stopped by C{Server.Shutdown}; see C{apps/gohttp/main.go}.
"""

from __future__ import annotations

from benchmarks.peers.base import FETCHED, Order, Peer, said

BINARY = FETCHED / "gohttp"


def version() -> str:
    return said([str(BINARY), "version"], r"go([\d.]+)")


def command(order: Order) -> list[str]:
    # Shutdown with a context that ends, and Close after it, as its documentation advises.
    return [str(BINARY), str(order.port), order.seconds, str(order.certificate or "")]


PEER = Peer("Go net/http", version, command, speaksHTTP2=True)
