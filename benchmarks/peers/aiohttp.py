"""
The server of aiohttp; see C{apps/aiohttpserver.py}.
"""

from __future__ import annotations

from benchmarks.peers.base import APPS, KEPT, Order, Peer, fetchedScript, pythonVersion


def command(order: Order) -> list[str]:
    # C{shutdown_timeout}: how long handlers may go on after the signal.
    words = [fetchedScript("python"), str(APPS / "aiohttpserver.py"), str(order.port)]
    return [*words, order.seconds, str(KEPT), str(order.certificate or "")]


PEER = Peer("aiohttp", pythonVersion("aiohttp"), command)
