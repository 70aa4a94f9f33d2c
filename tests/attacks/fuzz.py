"""
Attack for as long as you like::

    python -m tests.attacks.fuzz --minutes 30 --seed 7 [--what machine,http,http2,passing]

It tells what was done, and for each finding how to do it again: the program that
Hypothesis prints can be pasted into a test.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from twisted.logger import globalLogBeginner

from tests.attacks import http, http2, machine, passing

#: Where our own code is, in tracebacks.
OURS = str(Path(__file__).parent.parent.parent)

#: How many examples a round has; each has a seed of its own.
ROUND = 300


def quiet(examples: int, **more: Any) -> settings:
    """
    How Hypothesis is to work here.
    """
    return settings(
        deadline=None,
        max_examples=examples,
        database=None,
        print_blob=False,
        report_multiple_bugs=False,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        **more,
    )


def attackMachine(number: int) -> None:
    """
    A round of random use and misuse.
    """
    seed(number)(machine.ServerMachine)
    run_state_machine_as_test(machine.ServerMachine, settings=quiet(ROUND, stateful_step_count=40))


def attackPassing(number: int) -> None:
    """
    The same of the channel by which connections are passed.
    """
    seed(number)(passing.PassingMachine)
    run_state_machine_as_test(passing.PassingMachine, settings=quiet(ROUND, stateful_step_count=40))


def attackHTTP(number: int) -> None:
    """
    A round of random conversations.
    """
    seed(number)(quiet(ROUND)(given(**http.PLAN)(http.conversation)))()


def attackHTTP2(number: int) -> None:
    """
    The same by HTTP/2.
    """
    seed(number)(quiet(ROUND)(given(**http2.PLAN)(http2.talking)))()


ATTACKS: dict[str, tuple[Callable[[int], None], Counter[str]]] = {
    "machine": (attackMachine, machine.SEEN),
    "http": (attackHTTP, http.SEEN),
    "http2": (attackHTTP2, http.SEEN),
    "passing": (attackPassing, passing.SEEN),
}


def attack(what: str, minutes: float, number: int) -> int:
    """
    Go on for so long.

    @return: how many different findings there were.
    """
    work, seen = ATTACKS[what]
    until = time.monotonic() + minutes * 60
    found: Counter[str] = Counter()
    rounds = 0
    while not rounds or time.monotonic() < until:
        try:
            work(number + rounds)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            name = str(error).strip().split("\n")[0][:100]
            if not found[name]:
                print(f"--- finding with seed {number + rounds}:")
                where = [line for line in traceback.format_tb(error.__traceback__) if OURS in line]
                print("".join([*where[-6:], *traceback.format_exception_only(error)]), flush=True)
            found[name] += 1
        rounds += 1
    print(f"=== {what}: seeds {number} to {number + rounds - 1}, {rounds} rounds")
    for name, times in sorted(seen.items()):
        print(f"{times:9} {name}")
    print(f"{len(found)} findings")
    for name, times in found.items():
        print(f"{times:9} rounds: {name}", flush=True)
    return len(found)


def main() -> int:
    """
    See the module.
    """
    parser = argparse.ArgumentParser(description="Attack a server in memory.")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--what", default=",".join(ATTACKS))
    given = parser.parse_args()
    # What is logged is watched; here it would only be in the way.
    globalLogBeginner.beginLoggingTo([lambda event: None], redirectStandardIO=False)
    kinds = given.what.split(",")
    print(f"seed {given.seed}, {given.minutes} minutes, {given.what}", flush=True)
    with tempfile.TemporaryDirectory() as place:
        # Some ports are files.
        os.chdir(place)
        return sum(attack(kind, given.minutes / len(kinds), given.seed) for kind in kinds)


if __name__ == "__main__":
    raise SystemExit(bool(main()))
