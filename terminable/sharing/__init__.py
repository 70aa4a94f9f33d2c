"""
Limits that hold across processes and machines, by a Redis server that they share.
"""

from __future__ import annotations

from terminable.sharing.link import RedisLink
from terminable.sharing.quota import SharedQuota

__all__ = ["RedisLink", "SharedQuota"]
