"""
Limits at work: what every connection is charged, and with whom it shares its rates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from terminable.errors import InvalidOption
from terminable.policy.limits import Limit, Per, limit
from terminable.throttling.claims import Source
from terminable.throttling.peers import Peers
from terminable.throttling.throttled import Throttled
from terminable.tracking import layers


@dataclass
class Counts:
    """
    What limits have done since the beginning.

    @ivar held: how often a connection had to wait for its rate.
    @ivar refused: messages that were one too many.
    @ivar disconnected: connections that were told to go.
    """

    held: int = 0
    refused: int = 0
    disconnected: int = 0


def limitsFrom(given: Any) -> list[Limit]:
    """
    @param given: a limit, or several: L{Limit}s, or texts as
        L{terminable.policy.limits.limit} reads them.
    @raise InvalidOption: what cannot be meant.
    """
    try:
        each = [given] if isinstance(given, (str, Limit)) else list(given)
    except TypeError:
        each = [None]
    found = [limit(one) if isinstance(one, str) else one for one in each]
    if not all(isinstance(one, Limit) for one in found) or len(set(found)) < len(found):
        raise InvalidOption("limits", given, "limits, or their texts, each once")
    return found


def _nothing() -> None:
    """
    Nobody has to know.
    """


class Throttle:
    """
    Holds the connections of a terminator to its limits.

    @ivar limits: what they are.
    @ivar counts: what they have done.
    """

    def __init__(self, reactor: Any, limits: Iterable[Limit | str]) -> None:
        """
        @param limits: L{Limit}s, or texts as L{terminable.policy.limits.limit} reads them.
        @raise InvalidOption: what cannot be meant.
        """
        self.reactor = reactor
        self.limits = limitsFrom(limits)
        self.counts = Counts()
        self._live: dict[Any, Throttled] = {}
        self._all = {
            each: Source(reactor, each.rate, each.burst)
            for each in self.limits
            if each.per is Per.ALL
        }
        self._peers = {each: Peers(reactor, each) for each in self.limits if each.per is Per.PEER}

    def sourceOf(self, each: Limit, peer: str) -> tuple[Source, Callable[[], object]]:
        """
        @return: what somebody is charged to by a limit, and what to call when he has gone.
        """
        if each.per is Per.ALL:
            return self._all[each], _nothing
        if each.per is Per.PEER:
            peers = self._peers[each]
            return peers.of(peer), partial(peers.leave, peer)
        return Source(self.reactor, each.rate, each.burst), _nothing

    def begin(
        self,
        transport: Any,
        idle: Callable[[Any], object],
        abort: Callable[[Any], object] = layers.abort,
    ) -> None:
        """
        There is a connection.

        @param idle: called with the transport when nothing is held any more that was.
        @param abort: called with the transport if it has to be aborted.
        """
        if self.limits and transport not in self._live:
            self._live[transport] = Throttled(self, transport, idle, abort)

    def meet(self, transport: Any) -> None:
        """
        A connection has another protocol than before.
        """
        if transport in self._live:
            self._live[transport].meet()

    def end(self, transport: Any) -> None:
        """
        A connection is over.
        """
        throttled = self._live.pop(transport, None)
        if throttled is not None:
            throttled.end()
