"""
All benchmarks, side by side with whom is installed.

Quickly (some minutes), with few stops; C{--full} stops as often as the figures in the README were
made with.  The exit status is 1 if a goal of ours is missed.

    python benchmarks/run.py
    python benchmarks/run.py --full --save benchmarks/results/comparison.json
    python benchmarks/run.py --only lost,hostile --servers "terminable,plain Twisted"
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import (
    acceptqueue,
    deadline,
    download,
    exits,
    goals,
    hostile,
    idle,
    lost,
    passing,
    plots,
    replacing,
    throughput,
    tracking,
)
from benchmarks.figures import Figure, exitStatus, figureTable
from benchmarks.machine import raiseDescriptorLimit
from benchmarks.peers.registry import ALL, OURS, installed
from benchmarks.record import Record, machine
from benchmarks.sheets import Sheet
from benchmarks.sidebyside import names, show, tellMissing

#: What a scenario has shown: what goes to the record, and what was wanted of it besides.
Shown = tuple[Sequence[Sheet], Sequence[Figure]]


@dataclass(frozen=True)
class Scenario:
    """
    Something that is measured.

    @ivar measure: does it.
    @ivar quick: its options in a quick run.
    @ivar full: those that differ in a full one.
    """

    measure: Callable[[Namespace], Shown]
    quick: dict[str, Any]
    full: dict[str, Any]


def _sheets(measure: Callable[[Namespace], list[Sheet]]) -> Callable[[Namespace], Shown]:
    return lambda options: (measure(options), [])


def _acceptqueue(options: Namespace) -> Shown:
    return [], acceptqueue.figures(acceptqueue.measure(options))


def _download(options: Namespace) -> Shown:
    return [], download.figures(download.measure(options))


def _hostile(options: Namespace) -> Shown:
    lines = []
    for options.fail_on_straggler in (False, True):
        found = hostile.figures(hostile.measure(options))
        lines += [one for one in found if not options.fail_on_straggler or "process" in one.what]
    return [], lines


def _tracking(options: Namespace) -> Shown:
    result = tracking.measure(options)
    return tracking.sheets(result), tracking.figures(result)


TERMINABLE = {"server": "terminable", "grace": 10.0}
TRACKED = {"idle": 5000, "short": 200, "callgrind": True}

SCENARIOS: dict[str, Scenario] = {
    "lost": Scenario(
        _sheets(lost.measure),
        {"stops": 1, "ourStops": 2, "only": ""},
        {"stops": 10, "ourStops": 20},
    ),
    "idle": Scenario(
        _sheets(idle.measure),
        {"stops": 1, "counts": "10000", "slower": 1.0},
        {"stops": 3, "counts": "1000,10000,30000"},
    ),
    "exits": Scenario(_sheets(exits.measure), {"stops": 1}, {"stops": 5}),
    # The others take their time until they are ended.
    "deadline": Scenario(
        _sheets(deadline.measure),
        {"stops": 1, "servers": ",".join(OURS)},
        {"stops": 2, "servers": ""},
    ),
    "restarts": Scenario(
        _sheets(replacing.measure),
        {"stops": 1, "servers": ",".join(OURS)},
        {"stops": 5, "servers": ""},
    ),
    "passing": Scenario(
        _sheets(passing.measure), {"stops": 1, "count": 2000}, {"stops": 3, "count": 5000}
    ),
    "throughput": Scenario(
        _sheets(throughput.measure), {"stops": 2, "seconds": 1.0}, {"stops": 5, "seconds": 2.0}
    ),
    "tracking": Scenario(
        _tracking,
        {
            "server": "terminable",
            "seeds": 1,
            "requests": 300,
            "jobs": os.cpu_count() or 1,
            **TRACKED,
        },
        {"seeds": 5, "requests": 1000},
    ),
    "acceptqueue": Scenario(
        _acceptqueue, {"stops": 2, "clients": 30, "block": 0.5, **TERMINABLE}, {"stops": 20}
    ),
    "download": Scenario(_download, {"stops": 1, **TERMINABLE}, {"stops": 5}),
    "hostile": Scenario(_hostile, {"server": "terminable", "grace": 2.0}, {}),
}


def measured(name: str, options: Namespace) -> Shown:
    """
    One scenario, as quick or full as was asked for.
    """
    scenario = SCENARIOS[name]
    chosen = {
        "servers": options.servers,
        **scenario.quick,
        **(scenario.full if options.full else {}),
    }
    if options.servers:
        chosen["servers"] = options.servers
    for setting in ("stops", "ourStops", "seeds"):
        if options.stops and setting in chosen:
            chosen[setting] = options.stops
    try:
        return scenario.measure(Namespace(**chosen))
    except (OSError, RuntimeError) as reason:
        return [], [Figure(name, f"failed: {str(reason)[-300:]}", "", False)]


def measureAll(options: Namespace) -> Record:
    """
    All that was chosen.
    """
    _, versions, missing = installed(ALL)
    tellMissing(missing)
    record = Record(machine(), versions, missing)
    for name in options.only.split(","):
        began = time.monotonic()
        sheets, figures = measured(name, options)
        record.add(sheets)
        found = goals.figures({sheet.name: sheet for sheet in sheets})
        record.figures += [*found, *figures]
        if options.save:
            # Each time, so that nothing is gone if somebody has had enough.
            record.save(options.save)
        if not options.json:
            show(sheets)
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return record


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="as for the README")
    parser.add_argument("--stops", type=int, help="so many instead, of everything")
    parser.add_argument("--servers", default="", help="names, by commas [all that are installed]")
    parser.add_argument("--only", default=",".join(SCENARIOS), help="scenarios, by commas")
    parser.add_argument("--json", action="store_true", help="print JSON, no tables")
    parser.add_argument("--save", type=Path, help="a file for the results")
    parser.add_argument("--plots", type=Path, help="a directory for pictures")
    return parser


def main() -> int:
    """
    The command line.
    """
    parser = _parser()
    options = parser.parse_args()
    if unknown := set(options.only.split(",")) - set(SCENARIOS):
        parser.error(f"--only {','.join(unknown)}: expected names out of {', '.join(SCENARIOS)}")
    try:
        names(options)
    except ValueError as reason:
        parser.error(str(reason))
    raiseDescriptorLimit()
    began = time.monotonic()
    record = measureAll(options)
    if options.plots:
        try:
            plots.drawAll(record, options.plots)
        except plots.NoPlots as reason:
            print(reason, file=sys.stderr)
    if options.json:
        print(json.dumps(record.toJson(), indent=1))
    else:
        known = ", ".join(f"{name}: {value}" for name, value in record.machine.items())
        print(f"\n{known}\n\n{figureTable(record.figures)}")
    print(f"all: {(time.monotonic() - began) / 60:.1f} minutes", file=sys.stderr)
    return exitStatus(record.figures)


if __name__ == "__main__":
    sys.exit(main())
