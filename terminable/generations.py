"""
Generations that drain on their own, beside the one that serves.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from terminable import events
from terminable.errors import InvalidOption
from terminable.generation import Freeing, Generation
from terminable.policy.ledger import Report
from terminable.policy.phases import Phase

#: How many may be draining at once, if nobody says so.
GENERATIONS = 4

_log = Logger()


class Generations(list[Generation]):
    """
    Those of one terminator, oldest first.
    """

    #: The one that follows all of them.
    _newest: Generation

    def __init__(self, most: int = GENERATIONS) -> None:
        """
        @param most: how many may be draining at once; the oldest is aborted when there is
            one more.
        @raise terminable.InvalidOption: no such number.
        """
        if isinstance(most, bool) or not isinstance(most, int) or most < 1:
            raise InvalidOption("generations", most, "a whole number, 1 or more")
        super().__init__()
        self._most = most

    def age(self, old: Generation, gracePeriod: Any, now: Generation) -> Deferred[Generation]:
        """
        Have a generation drain.

        @param now: the one that follows it, and tells of it.
        @return: fires with the old one when its ports are free.
        """
        free: Deferred[Generation] = Deferred()

        def freed() -> None:
            now.tell("portsClosed")
            now.later(partial(free.callback, old))

        def gone(report: Report) -> None:
            self.remove(old)
            # Others may have followed meanwhile, and its end may be what their stop waits for.
            self._newest.look()

        self._newest = now
        old.observers[:] = [Freeing(freed)]
        self.append(old)
        now.tell("phaseChanged", old.phase, Phase.RELEASED)
        old.terminate(gracePeriod, quiesce=0.0).addCallback(gone)
        for oldest in self[: -self._most]:
            _log.warn(
                "{most} generations are draining; the oldest is aborted",
                event=events.GENERATION_ABORTED,
                most=self._most,
            )
            oldest.abort()
        return free

    def endWith(self, now: Generation) -> list[Generation]:
        """
        @return: those whose end belongs to the stop of C{now}: they are chosen when it
            begins.
        """
        if not now.phase.stopping and now.phase is not Phase.TERMINATED:
            now.older = list(self)
            for older in now.older:
                older.part = True
        return now.older
