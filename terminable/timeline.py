"""
Does our timeline fit into that of whoever supervises us?

A supervisor that ends the process by force before the deadline cuts connections without a word, and
without a report; a balancer that has not noticed the stop when the ports close sends clients into a
closed door.  Neither is seen before the first stop under load.  So the numbers are compared when
the server starts.

No supervisor tells its processes how long it waits: systemd does not put C{TimeoutStopSec} into the
environment, and the downward API of Kubernetes has no C{terminationGracePeriodSeconds}.  Files
from which it could be guessed are not what is in force.  Therefore it is said once more, in an
environment variable beside the setting itself.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping

from terminable.errors import InvalidOption
from terminable.policy.schedule import GIVE_UP, LAST_WORD, Schedule, seconds

#: Seconds between the signal that asks us to stop and the one that ends us by force.
STOP_TIMEOUT = "TERMINABLE_STOP_TIMEOUT"

#: Seconds after a stop has begun in which somebody may still send us new clients.
BALANCER_DELAY = "TERMINABLE_BALANCER_DELAY"

#: What supervisors wait if they are not told, in seconds: C{terminationGracePeriodSeconds} of
#: Kubernetes, C{DefaultTimeoutStopSec} of systemd.
KUBERNETES = 30.0
SYSTEMD = 90.0

#: How much more than the grace period a supervisor should wait, in seconds: for services that
#: are stopped after the last connection.
SPARE = 5.0

#: How long connections may take to end after the deadline, in seconds.
_ENDING = LAST_WORD + GIVE_UP


def warnings(schedule: Schedule, environ: Mapping[str, str], pid: int | None = None) -> list[str]:
    """
    Compare a schedule with what the environment says of whoever supervises us.

    @param environ: the environment of the process: L{STOP_TIMEOUT} and L{BALANCER_DELAY}, where
        somebody has set them; and by what systemd and Kubernetes are known.
    @param pid: the process, if it is not this one.
    @return: what does not fit, a line each.
    @raise InvalidOption: one of the variables is no time.
    """
    given = _time(environ, STOP_TIMEOUT)
    delay = _time(environ, BALANCER_DELAY)
    inPod = "KUBERNETES_SERVICE_HOST" in environ
    told: list[str] = []
    if "NOTIFY_SOCKET" not in environ:
        # Where it is, systemd is asked for as much time as a stop needs.
        told += _stopping(schedule, given, _assumed(environ, inPod, pid))
    told += _balancing(schedule, delay, inPod)
    told += _own(schedule)
    return told


def _time(environ: Mapping[str, str], name: str) -> float | None:
    text = environ.get(name)
    if text is None:
        return None
    if text == "infinity":
        return math.inf
    try:
        return seconds(name, text)
    except InvalidOption as problem:
        raise InvalidOption(name, text, f"{problem.expected}, or infinity") from None


def _assumed(environ: Mapping[str, str], inPod: bool, pid: int | None) -> tuple[float, str]:
    """
    What a supervisor waits that was not told otherwise, and what it is told by.
    """
    if inPod:
        return (
            KUBERNETES,
            "Kubernetes ends a pod after {time}, unless terminationGracePeriodSeconds",
        )
    if environ.get("SYSTEMD_EXEC_PID") == str(os.getpid() if pid is None else pid):
        return SYSTEMD, "systemd ends a service after {time}, unless TimeoutStopSec"
    return math.inf, ""


def _stopping(schedule: Schedule, given: float | None, assumed: tuple[float, str]) -> Iterator[str]:
    limit, known = (given, "") if given is not None else assumed
    grace = schedule.gracePeriod
    if grace is None and math.isfinite(limit):
        needed = "there is no deadline"
    elif grace is not None and grace + _ENDING > limit:
        needed = f"the grace period is {grace:g} s, and ending may take {_ENDING:g} s more"
    else:
        return
    advice = "wait longer" if grace is None else f"wait {grace + SPARE:g} s"
    if limit > SPARE:
        advice += f", or give a grace period of {limit - SPARE:g} s or less"
    if known:
        said = f"{known.format(time=f'{limit:g} s')} says otherwise (then say so in {STOP_TIMEOUT})"
    else:
        said = f"{STOP_TIMEOUT} says that this process is ended by force after {limit:g} s"
    yield f"{said}, but {needed}: connections would be cut, and not be named; let it {advice}"


def _balancing(schedule: Schedule, delay: float | None, inPod: bool) -> Iterator[str]:
    if delay is not None and schedule.quiesce < delay:
        yield (
            f"{BALANCER_DELAY} says that new clients come for {delay:g} s after a stop has begun, "
            f"but the quiesce time is {schedule.quiesce:g} s: those after it would be refused"
        )
    elif delay is None and inPod and not schedule.quiesce:
        yield (
            "Kubernetes sends new clients to a pod for a moment after SIGTERM, but the quiesce "
            "time is 0 s: they would be refused; 5 s are usual "
            f"(where none come, set {BALANCER_DELAY}=0)"
        )


def _own(schedule: Schedule) -> Iterator[str]:
    grace, before = schedule.gracePeriod, schedule.quiesce + schedule.idleGrace
    if grace and schedule.quiesce and before >= grace:
        yield (
            f"the quiesce time and the idle grace, {before:g} s together, leave nothing of the "
            f"grace period of {grace:g} s: who is accepted last has no time for an answer"
        )
