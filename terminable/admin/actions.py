"""
What may be asked for at the admin door.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError, ReactorNotRunning
from twisted.internet.interfaces import IReactorCore
from twisted.python.failure import Failure
from twisted.web import http

from terminable.admin.answers import Answer, Refused, briefly, told
from terminable.admin.watched import Watched
from terminable.errors import InvalidOption, NotServing, TerminableError
from terminable.handover.upgrading import upgradeOf

Action = Callable[[Watched, dict[str, Any]], Awaitable[Answer]]

#: No clock goes further, in seconds: some thirty million years.
LONGEST = 1e15

#: How many connections may be drained by their names at once, and how long a name may be, in
#: characters.
IDS = 10_000
LONGEST_ID = 100

#: How many bytes the path of a UNIX socket may have: sockaddr_un(7), without the final zero.
LONGEST_PATH = 107

#: No process has a greater number.
MOST_PID = 2**31 - 1


def only(values: dict[str, Any], *known: str) -> dict[str, Any]:
    """
    @return: what was given, without what was given as C{null}.
    @raise Refused: there is something that nobody knows.
    """
    unknown = sorted(set(values) - set(known))
    if unknown:
        expected = " or ".join(known) if known else "nothing"
        raise Refused(http.BAD_REQUEST, f"{briefly(unknown[0])} given, expected {expected}")
    return {name: value for name, value in values.items() if value is not None}


def forThisProcess(values: dict[str, Any]) -> dict[str, Any]:
    """
    Whoever has looked at a server may say which process that was: another one has other
    connections by the same ids, and is to be left alone.

    @param values: what was posted, C{pid} among it if it matters which process answers.
    @return: the rest of it.
    @raise Refused: another process is meant.
    @raise InvalidOption: no process is.
    """
    rest = dict(values)
    pid = rest.pop("pid", None)
    if pid is None:
        return rest
    if isinstance(pid, bool) or not isinstance(pid, int) or not 0 < pid <= MOST_PID:
        raise InvalidOption("pid", pid, "the number of a process")
    if pid != os.getpid():
        reason = f"process {os.getpid()} answers here now, not {pid}; nothing was done"
        raise Refused(http.CONFLICT, reason)
    return rest


def _isNumber(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _number(option: str, value: Any) -> float:
    """
    Elsewhere, a number may be spelled by a text; in JSON it need not.  There, it may be too
    large for any clock.
    """
    if not _isNumber(value) or not 0 <= value <= LONGEST:
        raise InvalidOption(option, value, "a number of seconds, 0 or more")
    return float(value)


def _percent(value: Any) -> float:
    if not _isNumber(value) or not 0 <= value <= 100:
        raise InvalidOption("percent", value, "a number from 0 to 100")
    return float(value)


def _peer(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidOption("peer", value, "an IP address, or a network such as 10.1.0.0/16")
    return value


def _port(value: Any) -> int | str:
    """
    A port that nobody can have is a slip; to drain nobody for it would look like success.
    """
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 5:
        value = int(value)
    if _isNumber(value) and isinstance(value, int) and 0 < value <= 0xFFFF:
        return int(value)
    if isinstance(value, str) and isPath(value):
        return value
    raise InvalidOption("port", value, "a port number, or the path of a UNIX socket")


def isPath(text: str) -> bool:
    """
    Whether a UNIX socket may be there.
    """
    try:
        long = len(os.fsencode(text))
    except UnicodeError:
        return False
    return 0 < long <= LONGEST_PATH and "\0" not in text and not text.isdigit()


#: What may be said of a drain, and of a stop: what makes it what L{Terminator} takes.
_SECONDS: dict[str, Callable[[Any], Any]] = {
    name: partial(_number, name) for name in ("gracePeriod", "olderThan")
}
_READERS = {**_SECONDS, "percent": _percent, "peer": _peer, "port": _port}


def _read(values: dict[str, Any]) -> dict[str, Any]:
    """
    @raise InvalidOption: something of it cannot be meant.
    """
    return {name: _READERS[name](value) for name, value in values.items()}


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
    watched.terminator.terminate(**_read(only(values, "gracePeriod")))
    _leave(watched)
    return told(http.ACCEPTED, await watched.fresh())


async def abort(watched: Watched, values: dict[str, Any]) -> Answer:
    """
    End at once.
    """
    only(values)
    watched.terminator.abort()
    _leave(watched)
    return told(http.ACCEPTED, await watched.fresh())


async def suspend(watched: Watched, values: dict[str, Any]) -> Answer:
    """
    Let the ports go away for a while.
    """
    only(values)
    try:
        await watched.terminator.suspend()
    except NotServing as problem:
        raise _refuse(problem) from None
    return told(http.OK, await watched.fresh())


async def resume(watched: Watched, values: dict[str, Any]) -> Answer:
    """
    Have them back.
    """
    only(values)
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
    if not isinstance(ids, list) or len(ids) > IDS:
        raise InvalidOption("ids", "...", f"at most {IDS} ids of connections, as a list")
    for id in ids:
        if not isinstance(id, str) or not id.isprintable() or not 0 < len(id) <= LONGEST_ID:
            raise InvalidOption("ids", id, "a list of ids of connections, which are texts")
    wanted = frozenset(ids)
    return lambda connection: watched.names.known(connection.transport) in wanted


async def drain(watched: Watched, values: dict[str, Any]) -> Answer:
    """
    Drain some connections.
    """
    given = only(values, "percent", "olderThan", "peer", "port", "ids", "gracePeriod")
    ids = given.pop("ids", None)
    given = _read(given)
    if ids is not None:
        given["select"] = _named(watched, ids)
    try:
        watched.terminator.drain(**given)
    except NotServing as problem:
        raise _refuse(problem) from None
    return told(http.ACCEPTED, await watched.fresh())


def mayFail(doing: Deferred[Any]) -> None:
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
    only(values)
    if not IReactorCore.providedBy(watched.reactor):
        raise Refused(http.CONFLICT, "this process cannot be followed by another one")
    upgrading = upgradeOf(watched.reactor)
    upgrading.add(watched.followed)
    doing = upgrading.upgrade()

    def failed(reason: Failure) -> Failure:
        watched.upgraded(f"failed: {' '.join(reason.getErrorMessage().split())}")
        return reason

    if not doing.called:
        doing.addErrback(failed)
    mayFail(doing)
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
