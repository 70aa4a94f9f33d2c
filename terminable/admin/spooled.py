"""
What Prometheus is told of a spool.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from prometheus_client.core import Metric
from twisted.internet.defer import TimeoutError
from twisted.logger import Logger

from terminable.admin.families import FAMILIES, family
from terminable.spool.items import SpoolAway, SpoolProgress

#: How long a spool's database has to say how it stands, in seconds.
PATIENCE = 2.0

#: How an item may stand: the numbers of a L{SpoolProgress}.
STATES = ("waiting", "working", "done", "dead")

_log = Logger()


class SpoolMetrics:
    """
    What was last heard of some spools, added up.
    """

    def __init__(self, reactor: Any, spools: Sequence[Any]) -> None:
        """
        @param reactor: provides C{IReactorTime}.
        @param spools: each a L{terminable.spool.Spool}, or what has a C{progress} like one.
        """
        self._reactor = reactor
        self._spools = spools
        self._heard: list[SpoolProgress | None] = []

    def names(self) -> list[str]:
        """
        @return: the L{FAMILIES} that there are: those of spools only where there is one.
        """
        return [name for name in FAMILIES if self._spools or not name.startswith("spool_")]

    async def ask(self) -> None:
        """
        Ask all of them, none for longer than L{PATIENCE}.
        """
        self._heard = [await self._asked(spool) for spool in self._spools]

    async def _asked(self, spool: Any) -> SpoolProgress | None:
        try:
            found: SpoolProgress = await spool.progress().addTimeout(PATIENCE, self._reactor)
        except (SpoolAway, TimeoutError):
            # The spool itself has said so.
            return None
        except Exception:
            _log.failure("{spool} does not say how it stands", spool=spool)
            return None
        return found

    def collect(self) -> Iterator[Metric]:
        """
        @return: the metrics, none where there is no spool; without numbers while one of them
            does not say how it stands.
        """
        if not self._spools:
            return
        items, oldest = family("spool_items"), family("spool_oldest_seconds")
        known = [each for each in self._heard if each is not None]
        if known and len(known) == len(self._heard):
            for state in STATES:
                items.add_metric([state], sum(getattr(each, state) for each in known))
            oldest.add_metric([], max(each.oldest for each in known))
        yield items
        yield oldest
