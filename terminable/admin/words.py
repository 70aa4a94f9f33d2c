"""
What the admin door tells, as values that JSON has.

Points in time are seconds since 1970, lengths of time are seconds, amounts are bytes.
"""

from __future__ import annotations

import itertools
import os
from typing import Any
from weakref import WeakKeyDictionary

from terminable.policy.ledger import Report, State
from terminable.reporting import plainReport
from terminable.tracking import internals, sockets
from terminable.tracking.connection import Connection
from terminable.tracking.layers import addressText, isEmpty, layers, socketOf, unsent

#: What a connection is doing that waits to be admitted.
WAITING = "waiting"

#: All that a connection may be doing.
STATES = (*(state.value for state in State), WAITING)

#: How many streams of one connection are told, and how long what is told of each may be.
STREAMS = 100
LONGEST = 500


class Names:
    """
    What connections are called: a number for each that somebody has asked about.
    """

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._known: WeakKeyDictionary[Any, str] = WeakKeyDictionary()

    def of(self, transport: Any) -> str:
        """
        @return: always the same for one connection, and never that of another one.
        """
        known = self._known.get(transport)
        if known is None:
            known = self._known[transport] = str(next(self._numbers))
        return known

    def known(self, transport: Any) -> str | None:
        """
        @return: what it is called, if somebody has asked.
        """
        return self._known.get(transport)


def stateOf(connection: Connection) -> str:
    """
    @return: one of L{STATES}.
    """
    if isEmpty(layers(connection.transport)):
        return WAITING
    return connection.state().value


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def connectionWords(name: str, connection: Connection, now: float, state: str) -> dict[str, Any]:
    """
    @param name: what it is called.
    @param now: what time it is, on the reactor's clock.
    @param state: what it is doing.
    @return: what is told about a connection.
    """
    sock = socketOf(connection.transport)
    passed = None if sock is None else sockets.traffic(sock)
    host = connection.hostAddress
    told: dict[str, Any] = {
        "id": name,
        "pid": os.getpid(),
        "peer": connection.peer,
        "local": "" if host is None else addressText(host),
        "protocol": connection.protocolName,
        "state": state,
        "doing": connection.describe()[:LONGEST],
        "age": _rounded(max(0.0, now - connection.openedAt)),
        "lastReceived": None if passed is None else _rounded(passed.lastReceived),
        "lastSent": None if passed is None else _rounded(passed.lastSent),
        "received": None if passed is None else passed.received,
        "sent": None if passed is None else passed.confirmed,
        "unsent": unsent(connection.transport),
        "told": connection.told,
    }
    streams = _streams(connection)
    if streams is not None:
        told["streams"] = streams
    return told


def _streams(connection: Connection) -> list[dict[str, Any]] | None:
    """
    The streams of an HTTP/2 connection.
    """
    channel = internals.httpChannel(connection.protocol)
    if not internals.isHTTP2(channel):
        return None
    found = list(channel.streams.items())[:STREAMS]
    return [{"id": number, "doing": _streamDoing(stream)} for number, stream in found]


def _streamDoing(stream: Any) -> str:
    words = [getattr(stream, "command", None), getattr(stream, "path", None)]
    said = [word.decode("utf-8", "replace") for word in words if isinstance(word, bytes)]
    return " ".join(said)[:LONGEST]


#: How many connections of a report are told by name; the rest is in the log.
ENTRIES = 100


def reportWords(report: Report) -> dict[str, Any]:
    """
    @return: what a stop came to.
    """
    told = plainReport(report)
    return {**told, "entries": told["entries"][:ENTRIES]}


def portWords(address: Any) -> str:
    """
    @return: where a port listens, such as C{tcp 127.0.0.1:8080} or C{unix /run/site.sock}.
    """
    text = addressText(address)
    if text.startswith("unix:"):
        return f"unix {text[len('unix:') :]}"
    return f"tcp {text}"
