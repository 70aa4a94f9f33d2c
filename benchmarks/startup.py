"""
What it costs to import the package, beside what it costs to import Twisted's web server.

Each import is a process of its own that does nothing else.  They take turns, so that whatever
else the machine does hits all of them alike.  What a process without any import costs is in
every figure.

    python benchmarks/startup.py
    python benchmarks/startup.py --runs 5 --no-callgrind
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
from typing import Any

from benchmarks.common import ROOT
from benchmarks.figures import Figure, arguments, exitStatus, show

BARE = "pass"
OURS = "import terminable"
THEIRS = "import twisted.web.server"
PROGRAMS = (BARE, THEIRS, OURS, "from terminable import Terminator")


def _run(program: str, *prefix: str) -> str:
    command = [*prefix, sys.executable, "-c", program]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": path}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise RuntimeError(f"{program}: {done.stderr[-2000:]}")
    return done.stderr


def seconds(program: str) -> float:
    """
    @return: the processor time of one run.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _run(program)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def instructions(program: str) -> int:
    """
    @return: the instructions of one run.
    """
    tool = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")
    told = _run(program, *tool)
    found = re.search(r"Collected : (\d+)", told)
    assert found, told
    return int(found[1])


def measure(options: Any) -> dict[str, Any]:
    """
    All of them, in turns.
    """
    for program in PROGRAMS:
        # The first one compiles.
        _run(program)
    result: dict[str, Any] = {program: {"seconds": []} for program in PROGRAMS}
    for _ in range(options.runs):
        for program in PROGRAMS:
            result[program]["seconds"].append(seconds(program))
    if options.callgrind and shutil.which("valgrind"):
        for program in PROGRAMS:
            result[program]["instructions"] = instructions(program)
    return result


def _median(seen: dict[str, Any]) -> float:
    return statistics.median(seen["seconds"])


def figures(result: dict[str, Any]) -> list[Figure]:
    """
    The median of each, and whether ours is below theirs.
    """
    lines = []
    theirs = result[THEIRS]
    for program, seen in result.items():
        asked = ("< their web server", _median(seen) < _median(theirs)) if program == OURS else ()
        lines.append(Figure(f"{program}, ms", f"{_median(seen) * 1000:.1f}", *asked))
    for program, seen in result.items():
        if "instructions" in seen:
            count = seen["instructions"]
            below = count < theirs["instructions"]
            asked = ("< their web server", below) if program == OURS else ()
            lines.append(Figure(f"{program}, million instructions", f"{count / 1e6:.1f}", *asked))
    return lines


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--runs", type=int, default=15, help="processes for each import")
    parser.add_argument("--no-callgrind", dest="callgrind", action="store_false")
    options = parser.parse_args()
    result = measure(options)
    lines = figures(result)
    show(result, lines, options.json)
    return exitStatus(lines)


if __name__ == "__main__":
    sys.exit(main())
