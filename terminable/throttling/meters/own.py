"""
Protocols that tell of their messages themselves.
"""

from __future__ import annotations

from typing import Any

from terminable.throttling.charges import Refusal
from terminable.throttling.meters.lines import PausableMeter


class OwnMeter(PausableMeter):
    """
    Messages of a protocol that provides L{terminable.interfaces.ICounted}.
    """

    def begin(self) -> None:
        """
        Ask the protocol.
        """
        self.protocol.eachMessage(self.message)

    def refuse(self, refusal: Refusal, *message: Any) -> None:
        """
        Have it tell its peer, if it can.
        """
        self.warn(refusal)

    def warn(self, refusal: Refusal) -> None:
        """
        The same.
        """
        exceeded = getattr(self.protocol, "quotaExceeded", None)
        if exceeded is not None:
            exceeded(refusal.retryAfter)
