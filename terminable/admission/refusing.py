"""
Those who are being refused: not too many at a time, and not for long.
"""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger

from terminable.admission.refusals import Saying, refusalOf
from terminable.policy.admission import Admission
from terminable.tracking.waiting import Waiting

#: How long somebody may take to hear that he is refused, in seconds.
PATIENCE = 5.0

#: Why somebody is refused: the queue is full, or that of his peer; he has waited too long;
#: the server stops.
REASONS = ("full", "peer", "late", "stop")
FULL, PEER, LATE, STOP = REASONS

_log = Logger()


class Refusing:
    """
    Refuses connections in the words of their protocols.
    """

    def __init__(self, reactor: Any, settings: Admission) -> None:
        """
        @param reactor: provides C{IReactorTime}.
        """
        self._reactor = reactor
        self._settings = settings
        self._calls: dict[Any, Any] = {}

    def __contains__(self, transport: object) -> bool:
        return transport in self._calls

    def refuse(self, waiting: Waiting) -> bool:
        """
        Have somebody told, if there are not too many of them already.

        @return: whether he is told; then his connection ends soon.
        """
        if len(self._calls) >= self._settings.refusals:
            return False
        retryAfter = self._settings.retryAfter
        refusal = refusalOf(waiting.factory, waiting.address, retryAfter, self._reactor)
        if isinstance(refusal, Saying) and not refusal.text:
            waiting.unheard()
        self._calls[waiting.bottom] = self._reactor.callLater(PATIENCE, waiting.abort)
        try:
            waiting.speak(refusal)
        except BaseException:
            _log.failure("{waiting} cannot be told that it is refused", waiting=waiting)
            waiting.abort()
        return True

    def over(self, transport: Any) -> None:
        """
        A connection is over, perhaps one of these.
        """
        call = self._calls.pop(transport, None)
        if call is not None and call.active():
            call.cancel()
