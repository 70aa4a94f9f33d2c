"""
What clients notice of a rolling deploy: HAProxy in front of three servers, which are restarted
one after the other.

50 clients keep their connections to HAProxy, 50 connect for each request; none has a pause, and
none repeats a request.  Each request is numbered, and its answer must carry that number.

    deploy    docs/deploy/fleet: deploy.py and the agent checks, three times; wanted: none failed
    plain     twistd web instead, and HAProxy's own health checks: the proof that some can fail

    python benchmarks/fleet.py
    python benchmarks/fleet.py --deploys 1 --only deploy

HAProxy has to be installed.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from benchmarks.common import Workspace, raiseDescriptorLimit
from benchmarks.figures import Figure, arguments, exitStatus, show
from benchmarks.fleetservers import Fleet, PlainFleet
from benchmarks.restartclients import Load, percentile
from benchmarks.restartprocesses import adoptingOrphans

PROGRAMS: dict[str, type[Fleet]] = {"deploy": Fleet, "plain": PlainFleet}

#: Seconds of load before the first deploy, and after each.
STEADY = 1.0


def measure(name: str, deploys: int, clients: int) -> dict[str, Any]:
    """
    Deploy under load.
    """
    workspace = Workspace()
    seconds = []
    with PROGRAMS[name](workspace.path) as fleet:
        loads = {
            "keep-alive": Load(fleet.port, clients, keepAlive=True),
            "new connection each": Load(fleet.port, clients, keepAlive=False),
        }
        for load in loads.values():
            load.start()
        time.sleep(STEADY)
        for _ in range(deploys):
            began = time.monotonic()
            fleet.deploy()
            seconds.append(time.monotonic() - began)
            time.sleep(STEADY)
        for load in loads.values():
            load.stop()
    return {
        "deploys": seconds,
        "loads": {kind: _seen(load) for kind, load in loads.items()},
    }


def _seen(load: Load) -> dict[str, Any]:
    latencies = load.latencies([(0.0, time.monotonic())])
    return {
        "requests": len(load.samples),
        "failed": sum(load.failures().values()),
        "failures": load.failures(),
        "p99": percentile(latencies, 99.0),
        "longest": max(latencies, default=None),
    }


def figures(result: dict[str, Any]) -> list[Figure]:
    """
    A line for each load, and for plain servers one for both.
    """
    lines = []
    for name, seen in result.items():
        whole = f"{len(seen['deploys'])} deploys, {max(seen['deploys']):.1f} s at most"
        for kind, load in seen["loads"].items():
            why = ", ".join(f"{count} {word}" for word, count in load["failures"].items())
            text = f"{load['failed']} of {load['requests']}{f' ({why})' if why else ''}"
            text += f"; {whole}; p99 {load['p99'] * 1000:.0f} ms"
            text += f", longest {load['longest'] * 1000:.0f} ms"
            wanted = {"deploy": ("0", not load["failed"])}.get(name, ("", None))
            lines.append(Figure(f"fleet, {name}: failed, {kind}", text, *wanted))
        if name == "plain":
            failed = sum(load["failed"] for load in seen["loads"].values())
            lines.append(Figure("fleet, plain: all failures", str(failed), "> 0", failed > 0))
    return lines


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--only", choices=list(PROGRAMS), help="[both]")
    parser.add_argument("--deploys", type=int, default=3, help="of each kind [3]")
    parser.add_argument("--clients", type=int, default=50, help="of each load [50]")
    options = parser.parse_args()
    raiseDescriptorLimit()
    names = [options.only] if options.only else list(PROGRAMS)
    with adoptingOrphans():
        result = {name: measure(name, options.deploys, options.clients) for name in names}
    lines = figures(result)
    show(result, lines, options.json)
    return exitStatus(lines)


if __name__ == "__main__":
    sys.exit(main())
