"""
One limit for each peer.
"""

from __future__ import annotations

from typing import Any

from terminable.policy.limits import Limit
from terminable.throttling.claims import Source

#: How many peers without a connection are remembered, so that they do not have a new burst
#: each time they come.
PEERS = 4096


class Peers:
    """
    The buckets of one limit, for each peer one.
    """

    def __init__(self, reactor: Any, limit: Limit) -> None:
        self._reactor = reactor
        self._limit = limit
        self._sources: dict[str, Source] = {}
        self._users: dict[str, int] = {}

    def of(self, peer: str) -> Source:
        """
        The bucket of a peer, to be given back by L{leave}.
        """
        self._users[peer] = self._users.get(peer, 0) + 1
        source = self._sources.get(peer)
        if source is None:
            limit = self._limit
            source = self._sources[peer] = Source(self._reactor, limit.rate, limit.burst)
        return source

    def leave(self, peer: str) -> None:
        """
        A connection of a peer is over.
        """
        self._users[peer] -= 1
        if self._users[peer]:
            return
        del self._users[peer]
        if self._sources[peer].full(self._reactor.seconds()):
            del self._sources[peer]
        elif len(self._sources) - len(self._users) > PEERS:
            self._forget()

    def _forget(self) -> None:
        """
        Forget those that would get the same if they were new.  If that is not enough, forget
        half of those that may be: who comes from very many addresses gains least by those that
        are nearly full.
        """
        now = self._reactor.seconds()
        gone = [peer for peer in self._sources if peer not in self._users]
        for peer in gone:
            if self._sources[peer].full(now):
                del self._sources[peer]
        rest = [peer for peer in gone if peer in self._sources]
        if len(rest) > PEERS // 2:
            rest.sort(key=lambda peer: -self._sources[peer].level)
            for peer in rest[: len(rest) - PEERS // 2]:
                del self._sources[peer]

    def __len__(self) -> int:
        return len(self._sources)
