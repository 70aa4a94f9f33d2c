"""
The admin door: an HTTP API on a port of its own, at which an operator sees and ends a server.
"""

from __future__ import annotations

from terminable.admin.door import AdminDoor
from terminable.admin.health import Health, healthOf
from terminable.admin.watched import Watched

__all__ = ["AdminDoor", "Health", "Watched", "healthOf"]
