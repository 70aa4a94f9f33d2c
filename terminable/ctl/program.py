"""
The program: from the command line to the exit status.
"""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn, TextIO

from twisted.python.usage import UsageError

from terminable.ctl import outcomes
from terminable.ctl.options import Options
from terminable.ctl.orders import NAME
from terminable.ctl.words import plain
from terminable.errors import InvalidOption


def main(arguments: list[str]) -> NoReturn:
    """
    Do what the command line says.

    @param arguments: what follows C{ctl}.
    @raise SystemExit: always, with one of the exit statuses of L{outcomes}.
    """
    _lenient(sys.stdout)
    _lenient(sys.stderr)
    try:
        options = _understood(arguments)
        # Whoever only wants the help need not wait for what speaks with servers.
        from terminable.ctl.running import start

        start(options, sys.stdout, sys.stderr)
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
