"""
What all programs share that measure several servers side by side.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import goals
from benchmarks.figures import exitStatus, figureTable, table
from benchmarks.machine import raiseDescriptorLimit
from benchmarks.peers.base import Peer
from benchmarks.peers.registry import ALL, MORE, chosen, installed
from benchmarks.sheets import Sheet

#: Who was said not to be installed.
_said: set[str] = set()

#: Measures, and returns what it saw.
Measure = Callable[[argparse.Namespace], list[Sheet]]


def parser(description: str | None, stops: int = 3) -> argparse.ArgumentParser:
    """
    The options that all of them have.
    """
    found = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found.add_argument("--servers", default="", help="names, by commas [all that are installed]")
    found.add_argument("--stops", type=int, default=stops, help="of each kind [%(default)s]")
    found.add_argument("--json", action="store_true", help="print JSON, no table")
    return found


def names(options: argparse.Namespace) -> list[str]:
    """
    The servers that were asked for; none of them if all are.

    @raise ValueError: nobody is called so.
    """
    found = list(filter(None, options.servers.split(",")))
    chosen(found, [*ALL, *MORE])
    return found


def servers(
    options: argparse.Namespace, usual: Sequence[Peer] = ALL, also: Sequence[Peer] = MORE
) -> list[Peer]:
    """
    Those that are to be measured and are installed; who is not is said.

    @param usual: whom to measure unless some were asked for.
    @param also: who can be asked for besides.
    @raise ValueError: nobody is called so.
    """
    asked = names(options)
    listed = [*usual, *(peer for peer in also if peer not in usual)]
    wanted = [peer for peer in listed if peer.name in asked] if asked else usual
    there, _, missing = installed(wanted)
    tellMissing(missing)
    return there


def tellMissing(names: Sequence[str]) -> None:
    """
    Say who is not installed, unless that was said.
    """
    for name in names:
        if name not in _said:
            _said.add(name)
            print(f"not installed: {name}", file=sys.stderr)


def failed(sheet: Sheet, server: str, column: str, reason: Exception) -> None:
    """
    Note a run that has shown nothing; all that is known of it is only told here and now.
    """
    first, *rest = str(reason).splitlines() or [type(reason).__name__]
    sheet.add(server, column, None, first.rstrip(":"))
    print(f"{server}, {column}: {first}", *rest[-20:], sep="\n", file=sys.stderr)


def repeating(program: str, **settings: Any) -> str:
    """
    The command that repeats a measurement.
    """
    words = [f"--{name.replace('_', '-')} {value}" for name, value in settings.items()]
    return " ".join(["python", f"benchmarks/{program}.py", *words])


def show(sheets: Sequence[Sheet]) -> None:
    """
    Print tables.
    """
    for sheet in sheets:
        print(f"\n{sheet.title} ({sheet.unit})\n{sheet.command}\n")
        print(table(sheet.rows()))
        print(*sheet.remarks(), sep="\n")


def run(measure: Measure, options: argparse.Namespace) -> int:
    """
    Measure, tell, and judge.

    @return: the exit status: 1 if a goal was missed, 2 if nobody is called so.
    """
    try:
        names(options)
    except ValueError as reason:
        print(reason, file=sys.stderr)
        return 2
    raiseDescriptorLimit()
    sheets = measure(options)
    found = goals.figures({sheet.name: sheet for sheet in sheets})
    if options.json:
        print(json.dumps({sheet.name: sheet.toJson() for sheet in sheets}, indent=1))
    else:
        show(sheets)
        if found:
            print(figureTable(found))
    return exitStatus(found)
