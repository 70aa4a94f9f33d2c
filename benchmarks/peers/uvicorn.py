"""
uvicorn, a server for ASGI.
"""

from __future__ import annotations

import signal

from benchmarks.peers.base import APPS, KEPT, Order, Peer, fetchedScript, pythonVersion


def command(order: Order) -> list[str]:
    words = [fetchedScript("uvicorn"), "asgi:app", "--app-dir", str(APPS)]
    words += ["--host", "127.0.0.1", "--port", str(order.port), "--backlog", "1024"]
    # Without it, it waits for ever.
    words += ["--timeout-graceful-shutdown", order.seconds]
    # 5 s is the default: idle connections would be gone before the stop.
    words += ["--timeout-keep-alive", str(KEPT), "--no-access-log"]
    if order.certificate:
        pem = str(order.certificate)
        words += ["--ssl-certfile", pem, "--ssl-keyfile", pem]
    return words


# SIGHUP has the supervisor of several workers replace them one by one.
PEER = Peer(
    "uvicorn",
    pythonVersion("uvicorn"),
    command,
    restartSignal=signal.SIGHUP,
    restartCommand=lambda order: [*command(order), "--workers", "2"],
)
