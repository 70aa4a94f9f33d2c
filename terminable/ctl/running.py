"""
A command line, carried out: from the reactor's start to the exit status.
"""

from __future__ import annotations

from typing import Any, NoReturn, TextIO

from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import react

from terminable.ctl import outcomes
from terminable.ctl.agents import agentFor
from terminable.ctl.client import Door
from terminable.ctl.columns import Paper
from terminable.ctl.commands import Session
from terminable.ctl.options import Options
from terminable.ctl.orders import NAME, Watch
from terminable.ctl.outcomes import Refused
from terminable.ctl.words import plain
from terminable.errors import InvalidOption, Unreachable


def start(options: Options, out: TextIO, err: TextIO) -> NoReturn:
    """
    L{run} in a reactor of its own.

    @raise SystemExit: always.
    """
    react(run, (options, out, err))


def run(reactor: Any, options: Options, out: TextIO, err: TextIO) -> Deferred[Any]:
    """
    Carry out a command line, until it is done or the reactor stops.

    @param out: what was asked for goes there.
    @param err: what went wrong goes there, one line.
    @return: fails with C{SystemExit}, whose code is the exit status.
    """
    interrupted = False
    working = Deferred.fromCoroutine(_work(reactor, options, out))

    def stopping() -> None:
        nonlocal interrupted
        interrupted = True
        working.cancel()

    def worked(result: Any) -> None:
        if interrupted:
            code, reason = outcomes.INTERRUPTED, ""
        else:
            code, reason = outcomeOf(result)
        if reason:
            err.write(f"{NAME}: {plain(reason)}\n")
        raise SystemExit(code)

    reactor.addSystemEventTrigger("before", "shutdown", stopping)
    return working.addBoth(worked)


async def _work(reactor: Any, options: Options, out: TextIO) -> int:
    paper = Paper(out, options.json)
    agent, pool = agentFor(
        reactor,
        options.address,
        options.credentials,
        options.timeout,
        staying=isinstance(options.command, Watch),
    )
    client, token = HTTPClient(agent), options.credentials.token
    door = Door(reactor, options.address, client, token, options.timeout)
    return await Session(reactor, door, paper, pool.closeCachedConnections).run(options.command)


def outcomeOf(result: Any) -> tuple[int, str]:
    """
    @param result: an exit status, or a failure.
    @return: the exit status, and what to say.
    """
    problem = getattr(result, "value", None)
    if problem is None:
        return result, ""
    for kind, code in (
        (Refused, outcomes.REFUSED),
        (Unreachable, outcomes.UNREACHABLE),
        (InvalidOption, outcomes.USAGE),
    ):
        if isinstance(problem, kind):
            return code, str(problem)
    if isinstance(problem, OSError):
        # Our own doing with the network is Unreachable; this was the output.
        return outcomes.UNREAD, ""
    if isinstance(problem, CancelledError):
        return outcomes.INTERRUPTED, ""
    raise problem
