"""
C{python -m tests.soak}: see C{docs/howto/soak.rst}.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from benchmarks.restartprocesses import adoptingOrphans
from tests.inheriting import catchIgnored
from tests.live.wsclients import raiseLimit
from tests.soak.course import SERVERS, Course, seedOf
from tests.soak.processes import endAll, left


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser("python -m tests.soak", description=__doc__)
    made.add_argument("--minutes", type=float, default=10.0, help="default: 10")
    made.add_argument("--seed", type=int, help="of all choices; one is chosen by default")
    made.add_argument(
        "--directory", type=Path, help="for logs; one that is removed if nothing was found"
    )
    made.add_argument("--only", default=",".join(SERVERS), help="servers, by commas")
    return made


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def main(arguments: list[str]) -> int:
    """
    Soak.

    @return: the exit status: 1 if something was found, 130 if somebody did not want to wait.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    servers = options.only.split(",")
    if unknown := set(servers) - set(SERVERS):
        parser.error(f"--only {','.join(unknown)}: expected some of {', '.join(SERVERS)}")
    directory = options.directory or Path(tempfile.mkdtemp(prefix="soak-"))
    directory.mkdir(parents=True, exist_ok=True)
    seed = seedOf(options.seed)
    print(f"seed {seed}, directory {directory}", flush=True)
    raiseLimit()
    for number in (signal.SIGINT, signal.SIGTERM):
        # A shell starts what it puts into the background with SIGINT ignored.
        signal.signal(number, _interrupted)
    # Servers roll their workers by it.
    catchIgnored(signal.SIGHUP)
    with adoptingOrphans():
        course = Course(seed, directory.absolute(), servers)
        status = _run(course, options.minutes * 60.0)
    if status == 0 and options.directory is None:
        shutil.rmtree(directory, ignore_errors=True)
    elif status:
        again = f"python -m tests.soak --seed {seed} --minutes {options.minutes:g}"
        print(f"once more: {again} --only {options.only}; logs: {directory}", flush=True)
    # Threads that somebody has cut short may still be at work.
    sys.stdout.flush()
    return status


def _run(course: Course, seconds: float) -> int:
    status = 1
    try:
        course.run(seconds)
        status = int(bool(course.findings.found))
    except KeyboardInterrupt:
        status = 130
    except RuntimeError as problem:
        course.findings.finding("soak", str(problem))
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        if status == 0 and (there := left()):
            course.findings.finding("soak", f"{len(there)} processes were left")
            status = 1
        course.cut()
        endAll()
    course.findings.close()
    print(course.line())
    print(course.table(), flush=True)
    return status


if __name__ == "__main__":
    # Not by sys.exit: that would wait for threads that nobody needs any more.
    os._exit(main(sys.argv[1:]))
