"""
gunicorn with threads, a server for WSGI.
"""

from __future__ import annotations

import signal

from benchmarks.peers.base import APPS, KEPT, Order, Peer, fetchedScript, pythonVersion


def command(order: Order) -> list[str]:
    words = [fetchedScript("gunicorn"), "wsgi:app", "--chdir", str(APPS)]
    # A thread for each request that may be at work at once.
    words += ["--worker-class", "gthread", "--threads", "64"]
    words += ["--bind", order.address, "--backlog", "1024"]
    # 1,000 is the default; more are idle here.
    words += ["--worker-connections", "40000"]
    # After it, workers are ended by force.
    words += ["--graceful-timeout", order.seconds]
    # 2 s is the default: idle connections would be gone before the stop.
    words += ["--keep-alive", str(KEPT)]
    if order.certificate:
        pem = str(order.certificate)
        words += ["--certfile", pem, "--keyfile", pem]
    return words


# SIGHUP starts new workers and stops the old ones politely.
PEER = Peer(
    "gunicorn (gthread)",
    pythonVersion("gunicorn"),
    command,
    restartSignal=signal.SIGHUP,
)
