"""
To another process: listening sockets, live connections, readiness, and what is undone if
the other one fails.

What is named here is loaded when somebody asks for it: a process that hands nothing over
pays nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from terminable.handover.doorway import connectTo, listenForConnections
    from terminable.handover.movable import CannotMove, ConnectionMoved, IMovable
    from terminable.handover.moving import moveAll
    from terminable.handover.passing import Sender, passConnection
    from terminable.handover.spreading import Spreader, leastConnections, roundRobin, sticky
    from terminable.handover.upgrading import readyAfter, upgrade, upgradeOf
    from terminable.handover.workers import Workers

__all__ = [
    "CannotMove",
    "ConnectionMoved",
    "IMovable",
    "Sender",
    "Spreader",
    "Workers",
    "connectTo",
    "leastConnections",
    "listenForConnections",
    "moveAll",
    "passConnection",
    "readyAfter",
    "roundRobin",
    "sticky",
    "upgrade",
    "upgradeOf",
]

_ROOMS = {
    "doorway": ("connectTo", "listenForConnections"),
    "movable": ("CannotMove", "ConnectionMoved", "IMovable"),
    "moving": ("moveAll",),
    "passing": ("Sender", "passConnection"),
    "spreading": ("Spreader", "leastConnections", "roundRobin", "sticky"),
    "upgrading": ("readyAfter", "upgrade", "upgradeOf"),
    "workers": ("Workers",),
}


def __getattr__(name: str) -> Any:
    for room, names in _ROOMS.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{room}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
