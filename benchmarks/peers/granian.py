"""
granian, a server for ASGI, written in Rust.
"""

from __future__ import annotations

import signal

from benchmarks.peers.base import APPS, KEPT, Order, Peer, fetchedScript, pythonVersion


def command(order: Order) -> list[str]:
    words = [fetchedScript("granian"), "asgi:app", "--working-dir", str(APPS)]
    words += ["--interface", "asgi", "--host", "127.0.0.1", "--port", str(order.port)]
    words += ["--backlog", "1024", "--no-ws"]
    # As many as the backlog is the default, and connections count; more are idle here.
    words += ["--backpressure", "40000"]
    # Without it, it waits for its workers for ever.
    words += ["--workers-kill-timeout", order.seconds]
    # 30,000 ms is the default; idle connections count as well.
    words += ["--http1-header-read-timeout", str(min(KEPT, 60) * 1000)]
    if order.certificate:
        pem = str(order.certificate)
        words += ["--ssl-certificate", pem, "--ssl-keyfile", pem]
    return words


# SIGHUP replaces the workers.
PEER = Peer(
    "granian",
    pythonVersion("granian"),
    command,
    speaksHTTP2=True,
    restartSignal=signal.SIGHUP,
    restartCommand=lambda order: [*command(order), "--workers", "2"],
)
