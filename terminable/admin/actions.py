"""
What may be asked for at the admin door.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError, ReactorNotRunning
from twisted.internet.interfaces import IReactorCore
from twisted.python.failure import Failure
from twisted.web import http

from terminable.admin.answers import Answer, Refused, told
from terminable.admin.watched import Watched
from terminable.errors import InvalidOption, NotServing, TerminableError
from terminable.handover.upgrading import upgradeOf

Action = Callable[[Watched, dict[str, Any]], Awaitable[Answer]]

#: No clock goes further, in seconds: some thirty million years.
LONGEST = 1e15

#: How many connections may be drained by their names at once.
IDS = 10_000


def _only(values: dict[str, Any], *known: str) -> dict[str, Any]:
    """
    @return: what was given, without what was given as C{null}.
    @raise Refused: there is something that nobody knows.
    """
    unknown = sorted(set(values) - set(known))
    if unknown:
        expected = " or ".join(known) if known else "nothing"
        raise Refused(http.BAD_REQUEST, f"{unknown[0]!r} given, expected {expected}")
    return {name: value for name, value in values.items() if value is not None}


def _number(option: str, value: object) -> Any:
    """
    Elsewhere, a number may be spelled by a text; in JSON it need not.  There, it may be too
    large for any clock.
    """
    if isinstance(value, str) or (isinstance(value, (int, float)) and value > LONGEST):
        raise InvalidOption(option, value, "a number of seconds, 0 or more")
    return value


def _grace(values: dict[str, Any]) -> dict[str, Any]:
    if "gracePeriod" in values:
        return {"gracePeriod": _number("gracePeriod", values["gracePeriod"])}
    return {}


def _refuse(problem: BaseException) -> Refused:
    return Refused(http.CONFLICT, " ".join(str(problem).split()))


def _leave(watched: Watched) -> None:
    # Somebody may have stopped the reactor already.
    with contextlib.suppress(ReactorNotRunning):
        watched.leave()


async def terminate(watched: Watched, values: dict[str, Any]) -> Answer:
    """
    End politely.
    """
    watched.terminator.terminate(**_grace(_only(values, "gracePeriod")))
    _leave(watched)
    return told(http.ACCEPTED, await watched.fresh())


async def abort(watched: Watched, values: dict[str, Any]) -> Answer:
    """
    End at once.
    """
    _only(values)
    watched.terminator.abort()
    _leave(watched)
    return told(http.ACCEPTED, await watched.fresh())


async def suspend(watched: Watched, values: dict[str, Any]) -> Answer:
    """
    Let the ports go away for a while.
    """
    _only(values)
    try:
        await watched.terminator.suspend()
    except NotServing as problem:
        raise _refuse(problem) from None
    return told(http.OK, await watched.fresh())


async def resume(watched: Watched, values: dict[str, Any]) -> Answer:
    """
    Have them back.
    """
    _only(values)
    try:
        watched.terminator.resume()
    except (NotServing, CannotListenError) as problem:
        raise _refuse(problem) from None
    return told(http.OK, await watched.fresh())


def _named(watched: Watched, ids: object) -> Callable[[Any], bool]:
    """
    @return: tells whether a connection has one of these names.
    @raise InvalidOption: those are no names.
    """
    if not isinstance(ids, list) or len(ids) > IDS or not all(isinstance(id, str) for id in ids):
        raise InvalidOption("ids", "...", f"at most {IDS} ids of connections, as a list")
    wanted = frozenset(ids)
    return lambda connection: watched.names.known(connection.transport) in wanted


async def drain(watched: Watched, values: dict[str, Any]) -> Answer:
    """
    Drain some connections.
    """
    given = _only(values, "percent", "olderThan", "peer", "port", "ids", "gracePeriod")
    ids = given.pop("ids", None)
    if ids is not None:
        given["select"] = _named(watched, ids)
    if "olderThan" in given:
        given["olderThan"] = _number("olderThan", given["olderThan"])
    given.update(_grace(given))
    try:
        watched.terminator.drain(**given)
    except NotServing as problem:
        raise _refuse(problem) from None
    return told(http.ACCEPTED, await watched.fresh())


def _mayFail(doing: Deferred[Any]) -> None:
    """
    @raise Refused: it has failed at once.
    """
    failures: list[Failure] = []
    doing.addErrback(failures.append)
    if failures:
        problem = failures[0].value
        if isinstance(problem, TerminableError):
            # Also an option that is wrong: nobody at the door has given it.
            raise _refuse(problem)
        failures[0].raiseException()


async def upgrade(watched: Watched, values: dict[str, Any]) -> Answer:
    """
    Have a successor take over: the program that this process was started by, and no other.
    """
    _only(values)
    if not IReactorCore.providedBy(watched.reactor):
        raise Refused(http.CONFLICT, "this process cannot be followed by another one")
    upgrading = upgradeOf(watched.reactor)
    upgrading.add(watched.terminator)
    doing = upgrading.upgrade()

    def failed(reason: Failure) -> Failure:
        watched.upgraded(f"failed: {' '.join(reason.getErrorMessage().split())}")
        return reason

    if not doing.called:
        doing.addErrback(failed)
    _mayFail(doing)
    return told(http.ACCEPTED, await watched.fresh())


#: By path.
ACTIONS: dict[bytes, Action] = {
    b"/terminate": terminate,
    b"/abort": abort,
    b"/suspend": suspend,
    b"/resume": resume,
    b"/drain": drain,
    b"/upgrade": upgrade,
}
