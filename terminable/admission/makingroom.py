"""
Who holds a place for nothing, while others wait for one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any
from weakref import WeakSet

from twisted.logger import Logger

from terminable.policy.ledger import State
from terminable.roll import AT_LEAST, ROUND_TRIPS
from terminable.tracking import sockets
from terminable.tracking.known import Known
from terminable.tracking.layers import socketOf, unreadIn

#: For how many seconds somebody who has not asked for anything may keep his place.
SPEECHLESS = 1.0

#: How connections end on which C{twisted.web} speaks.
_WEB = Known("terminable.drainers.web", "WebDrainer")

#: How many connections to look at in one turn of the reactor.
_LOOKS = 200

_log = Logger()


class Idle:
    """
    Finds HTTP connections that are kept alive and on which nothing is in flight.
    """

    def __init__(self) -> None:
        # Those who cannot tell are not asked again.
        self._broken: WeakSet[Any] = WeakSet()

    def among(
        self, inside: Iterable[tuple[Any, float]], gates: Mapping[Any, Any], now: float, wanted: int
    ) -> list[tuple[Any, list[Any]]]:
        """
        Look at some.

        @param inside: transports, the oldest first, and since when each is inside.
        @param gates: who records each.
        @param wanted: how many are enough.
        @return: the transports, by their gates.
        """
        found: dict[Any, list[Any]] = {}
        count = 0
        for key, since in islice(inside, _LOOKS):
            if count == wanted:
                break
            gate = gates.get(key)
            if gate is not None and self._mayGo(gate, key, now - since):
                found.setdefault(gate, []).append(key)
                count += 1
        return list(found.items())

    def _mayGo(self, gate: Any, transport: Any, age: float) -> bool:
        try:
            return transport not in self._broken and _isIdle(gate, transport, age)
        except BaseException:
            # Whoever has just come cannot help it.
            self._broken.add(transport)
            _log.failure("{transport} cannot tell whether it is idle", transport=transport)
            return False


def _isNew(state: State, tls: Any) -> bool:
    """
    Whether it may be that no request has come so far: with TLS, the peer has spoken when it
    has shaken hands.
    """
    return state is State.NEW or tls is not None


def _isIdle(gate: Any, transport: Any, age: float) -> bool:
    if not gate.mayLetGo(transport):
        return False
    connection = gate.drain.roll.connection(transport)
    if not _WEB.made(connection.drainer):
        return False
    state = connection.state()
    if state not in (State.IDLE, State.NEW, State.OPENING) or unreadIn(transport, connection.tls):
        return False
    sock = socketOf(transport)
    quiet = age if sock is None else min(age, sockets.quiet(sock))
    if _isNew(state, connection.tls):
        return quiet >= SPEECHLESS
    # Who does not pause has his next request here by then.
    patience: float = max(AT_LEAST, connection.roundTrip() * ROUND_TRIPS)
    return quiet >= patience
