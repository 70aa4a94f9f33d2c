"""
The live connections, as somebody wants to see them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from twisted.web import http

from terminable.admin.answers import Answer
from terminable.admin.watched import Watched
from terminable.admin.words import STATES, stateOf
from terminable.choosing import Choice
from terminable.errors import InvalidOption
from terminable.policy.ledger import State
from terminable.tracking import sockets
from terminable.tracking.layers import socketOf

#: How many connections are told if nobody says so, and at most.
LIMIT = 1000
MOST = 10_000

_BUSY = State.BUSY.value

SORTS = ("age", "idle", "peer")


def _whole(option: str, text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) <= most):
        raise InvalidOption(option, text, f"a whole number from 0 to {most}")
    return int(text)


def _oneOf(option: str, text: str, known: tuple[str, ...]) -> str:
    if text not in known:
        raise InvalidOption(option, text, f"one of {', '.join(known)}")
    return text


class Query:
    """
    Which connections somebody wants to see, and in which order.

    @ivar state: what they are doing; C{None} if that does not matter.
    @ivar protocol: the name of their protocol's class; C{None} if that does not matter.
    @ivar choice: where they come from.
    @ivar limit: how many.
    @ivar offset: how many to pass over first.
    @ivar sort: one of L{SORTS}: oldest first, or longest silent first, or by peer.
    """

    def __init__(self, given: Mapping[str, str]) -> None:
        """
        @param given: what was typed.
        @raise InvalidOption: something of it cannot be meant.
        """
        state = given.get("state")
        self.state = None if state is None else _oneOf("state", state, STATES)
        self.protocol = given.get("protocol")
        self.choice = Choice(peer=given.get("peer"))
        self.limit = _whole("limit", given.get("limit", str(LIMIT)), MOST)
        self.offset = _whole("offset", given.get("offset", "0"), 10**9 - 1)
        self.sort = _oneOf("sort", given.get("sort", SORTS[0]), SORTS)
        unknown = sorted(set(given) - {"state", "protocol", "peer", "limit", "offset", "sort"})
        if unknown:
            expected = "state, protocol, peer, limit, offset or sort"
            raise InvalidOption("query", unknown[0], expected)

    def isPlain(self, counted: bool) -> bool:
        """
        Whether nothing has to be found out about a connection that is passed over.

        @param counted: whether it is known who is busy.
        """
        known = self.state is None or (self.state == _BUSY and counted)
        anybody = self.protocol is None and self.choice.peer is None
        return known and anybody and self.sort == "age"


class Listing:
    """
    Finds, and tells, the connections that somebody wants to see.
    """

    def __init__(self, watched: Watched, query: Query) -> None:
        self._watched = watched
        self._query = query
        # A stop knows who is busy, as soon as it has looked at everybody.
        self._counted = watched.stopping and not watched.counting
        self._found: list[tuple[Any, Any, Any]] = []
        self._rows: list[str] = []

    async def answer(self) -> Answer:
        """
        @return: what C{/connections} tells.
        """
        watched, query = self._watched, self._query
        if not watched.stopping:
            await watched.census.fresh()
        chosen = self._candidates()
        if not query.isPlain(self._counted):
            await watched.work.each(chosen, self._look)
            if query.sort != "age":
                self._found.sort(key=lambda found: found[0])
            chosen = [(gate, transport) for _, gate, transport in self._found]
        page = chosen[query.offset : query.offset + query.limit]
        await watched.work.each(page, self._tell)
        busy, idle = watched.counts()
        counts = {
            "total": len(chosen),
            "busy": busy,
            "idle": idle,
            "waiting": watched.terminator.waiting,
        }
        head = json.dumps({"pid": os.getpid(), **counts})
        # Ten thousand at once would be felt by those whom this server is for.
        rows = ",\n".join(self._rows)
        return Answer(http.OK, f'{head[:-1]}, "connections": [\n{rows}]}}\n'.encode())

    def _candidates(self) -> list[tuple[Any, Any]]:
        """
        Those among whom they are, oldest first.
        """
        census, state = self._watched.census, self._query.state
        if state is None:
            return census.live()
        if self._watched.stopping:
            if state != _BUSY or not self._counted:
                return census.live()
            return sorted(self._busy(), key=lambda item: item[0].ledger.live[item[1]])
        states = census.states
        return [(gate, key) for gate, key in census.live() if states.get(key) == state]

    def _busy(self) -> Iterator[tuple[Any, Any]]:
        for gate in self._watched.census.gates():
            waiting = gate.waiting()
            for key in gate.ledger.busyKeys():
                if key not in waiting:
                    yield gate, key

    def _look(self, item: tuple[Any, Any]) -> None:
        gate, transport = item
        if transport not in gate.ledger:
            return
        connection = gate.drain.roll.connection(transport)
        query = self._query
        if query.protocol is not None and connection.protocolName != query.protocol:
            return
        if query.choice.peer is not None and not query.choice.of([connection], 0.0):
            return
        if query.state is not None and stateOf(connection) != query.state:
            return
        self._found.append((self._order(connection), gate, transport))

    def _order(self, connection: Any) -> Any:
        if self._query.sort == "peer":
            return connection.peer
        if self._query.sort == "age":
            return 0
        sock = socketOf(connection.transport)
        passed = None if sock is None else sockets.traffic(sock)
        known = [] if passed is None else [passed.lastReceived, passed.lastSent]
        age = self._watched.reactor.seconds() - connection.openedAt
        return -min([each for each in known if each is not None], default=age)

    def _tell(self, item: tuple[Any, Any]) -> None:
        gate, transport = item
        if transport in gate.ledger:
            connection = gate.drain.roll.connection(transport)
            told = self._watched.connectionWords(connection)
            # It may just have changed.
            if self._query.state in (None, told["state"]):
                self._rows.append(json.dumps(told))
