"""
What a successor asks the process before it, and how it is answered.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.protocols import amp

from terminable import events
from terminable.handover import channel
from terminable.handover.following import takeoverOf

_log = Logger()


class Answers(amp.CommandLocator):
    """
    Answers for one process.
    """

    def __init__(
        self, reactor: Any, terminators: Collection[Any], follows: Callable[[], bool] = lambda: True
    ) -> None:
        """
        @param terminators: what can be ended here.
        @param follows: whether whoever asks serves instead of us; before, nobody is ended.
        """
        super().__init__()
        self._reactor = reactor
        self._terminators = terminators
        self._follows = follows

    @channel.Older.responder
    def older(self) -> Deferred[dict[str, object]]:
        """
        How many processes are draining: this one, and those before it.
        """
        return takeoverOf(self._reactor).older().addCallback(lambda count: {"count": count + 1})

    @channel.Serves.responder
    def serves(self, pid: int) -> dict[str, object]:
        """
        The successor has one itself.
        """
        takeoverOf(self._reactor).serves(pid)
        return {}

    @channel.EndOldest.responder
    def endOldest(self) -> dict[str, object]:
        """
        Have the process before this one end, or this one if there is none.
        """
        if not self._follows():
            _log.warn(
                "a successor that does not serve yet wants an older process to end",
                event=events.UPGRADE_TOO_EARLY,
            )
            return {}
        takeover = takeoverOf(self._reactor)
        if takeover.channel is not None:
            takeover.endOldest()
        else:
            for terminator in list(self._terminators):
                terminator.abort()
        return {}
