"""
The command line of this process, so that its successor can be started by it.

C{twistd} is told to stay in the foreground and to leave its pidfile alone: the successor
of a daemon need not leave a terminal, and finds the file of a process that is still there.
"""

from __future__ import annotations

import contextlib
import getopt
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


def started(environ: Mapping[str, str] = os.environ) -> str:
    """
    Where this process was started, by the name that a shell gave it: what is served may be
    a link that leads to another release later.
    """
    named, here = environ.get("PWD", ""), os.getcwd()
    with contextlib.suppress(OSError):
        if os.path.isabs(named) and os.path.samefile(named, here):
            return named
    return here


#: Where this process was started; C{twistd} goes elsewhere later.
DIRECTORY = started()


class Command(NamedTuple):
    """
    How to start a successor.

    @ivar words: the program and its arguments.
    @ivar directory: where.
    @ivar pidfile: the file in which the number of the process that serves is expected; an
        empty string if nobody does.
    @ivar logfile: the file that C{twistd} logs to; an empty string if it does not.
    """

    words: list[str]
    directory: str
    pidfile: str = ""
    logfile: str = ""


def own(
    argv: Sequence[str] | None = None,
    whole: Sequence[str] | None = None,
    directory: str = DIRECTORY,
) -> Command:
    """
    How this process was started.

    @param argv: what the program was given, its own name first; by default, C{sys.argv}.
    @param whole: the same with the interpreter and its options.
    """
    argv = sys.argv if argv is None else argv
    whole = list(sys.orig_argv if whole is None else whole)
    if os.path.isabs(sys.executable):
        # What was typed may be found from where it was typed only.
        whole[:1] = [sys.executable]
    arguments = list(argv[1:])
    program = whole[: len(whole) - len(arguments)]
    if program + arguments != whole:
        # A program that has made up the arguments: it will do so again.
        return Command(whole, directory)
    if "twisted.scripts.twistd" not in sys.modules:
        return Command(program + arguments, directory)
    try:
        return _twistd(program, arguments, directory)
    except getopt.GetoptError:
        # Somebody else's program, which uses that module.
        return Command(whole, directory)


def _twistd(program: list[str], arguments: list[str], directory: str) -> Command:
    """
    The same for C{twistd}.
    """
    from twisted.scripts import twistd

    known: Any = twistd.ServerOptions()  # type: ignore[attr-defined]
    given, rest = getopt.getopt(arguments, known.shortOpt, known.longOpt)
    options = arguments[: len(arguments) - len(rest)]
    if options and options[-1] == "--":
        options.pop()
    said = {_LONG.get(name, name): value for name, value in given}
    pidfile = said.get("--pidfile", known["pidfile"])
    logfile = said.get("--logfile", "")
    if "--nodaemon" not in said:
        options.append("--nodaemon")
        if not logfile and "--syslog" not in said:
            logfile = "twistd.log"
            options.append(f"--logfile={logfile}")
    runs = os.path.join(directory, said.get("--rundir", "."))
    return Command(
        [*program, *_withoutPidfile(options), "--pidfile=", *rest],
        directory,
        os.path.join(directory, pidfile) if pidfile else "",
        os.path.join(runs, logfile) if logfile not in ("", "-") else "",
    )


#: How those options of C{twistd} may be abbreviated that matter here.
_LONG = {"-n": "--nodaemon", "-l": "--logfile", "-d": "--rundir"}


def _withoutPidfile(options: list[str]) -> list[str]:
    """
    A successor has this already, and so on: it would have one more each time.
    """
    while options and options[-1] == "--pidfile=":
        options = options[:-1]
    return options
