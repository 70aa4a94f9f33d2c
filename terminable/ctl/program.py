"""
The program: from the command line to the exit status.
"""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn, TextIO

from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import react
from twisted.python.usage import UsageError

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


def main(arguments: list[str]) -> NoReturn:
    """
    Do what the command line says.

    @param arguments: what follows C{ctl}.
    @raise SystemExit: always, with one of the exit statuses of L{outcomes}.
    """
    _lenient(sys.stdout)
    _lenient(sys.stderr)
    try:
        react(run, (_understood(arguments), sys.stdout, sys.stderr))
    except BrokenPipeError:
        # Nobody wants to read the help.
        raise SystemExit(outcomes.UNREAD) from None
    finally:
        _flushed(sys.stdout)


def _understood(arguments: list[str]) -> Options:
    options = Options()
    try:
        options.parseOptions(arguments)
    except (UsageError, InvalidOption) as problem:
        sys.stderr.write(f"{NAME}: {plain(problem)}\n")
        raise SystemExit(outcomes.USAGE) from None
    return options


def _lenient(out: Any) -> None:
    """
    Have what the terminal has no letters for spelled out.
    """
    if hasattr(out, "reconfigure"):
        out.reconfigure(errors="backslashreplace")


def _flushed(out: TextIO) -> None:
    """
    Have nothing left that Python would complain about when nobody reads it.
    """
    try:
        out.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())


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
