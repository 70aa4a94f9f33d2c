"""
Hypercorn, a server for ASGI.
"""

from __future__ import annotations

from benchmarks.peers.base import APPS, KEPT, Order, Peer, fetchedScript, pythonVersion


def command(order: Order) -> list[str]:
    words = [fetchedScript("hypercorn"), "asgi:app"]
    words += ["--bind", order.address, "--backlog", "1024"]
    # How long requests may go on after the signal.
    words += ["--graceful-timeout", order.seconds]
    # 5 s is the default: idle connections would be gone before the stop.
    words += ["--keep-alive", str(KEPT)]
    if order.certificate:
        pem = str(order.certificate)
        words += ["--certfile", pem, "--keyfile", pem]
    return words


PEER = Peer(
    "hypercorn",
    pythonVersion("Hypercorn"),
    command,
    speaksHTTP2=True,
    # It has no option for where the application is.
    environment=lambda: {"PYTHONPATH": str(APPS)},
)
