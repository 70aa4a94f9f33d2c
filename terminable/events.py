"""
The names of what is logged, as an API: each of our log events whose level is C{info}, C{warn}
or C{error} has a field C{event} with one of these names, and the fields that stand here.

Names and fields stay; texts may change.  Fields are numbers, truth values, texts, or things
whose C{str} is meant.  What code that is not ours has failed with (a protocol, an observer, an
application's function) is logged with its traceback as C{critical}; only those failures have
a name that cost the server something.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from terminable.policy.ledger import Report


class Description(NamedTuple):
    """
    What is known of an event.

    @ivar level: C{info}, C{warn}, C{error} or C{critical}; the last one with a traceback.
    @ivar fields: what it tells beside its name.
    """

    level: str
    fields: tuple[str, ...]


#: All of them, by name.
EVENTS: Final[dict[str, Description]] = {}


def _event(name: str, level: str, *fields: str) -> str:
    EVENTS[name] = Description(level, fields)
    return name


# -- a stop, and what belongs to a server

PHASE = _event("terminable.phase", "info", "old", "new")
PROGRESS = _event(
    "terminable.progress", "info", "phase", "busy", "idle", "waiting", "counting", "left"
)
PORTS_CLOSED = _event("terminable.ports.closed", "info")
PORTS_FAILED = _event("terminable.ports.failed", "critical", "endpoint")
PORTS_PATH_GONE = _event("terminable.ports.pathGone", "warn", "path")
PORTS_UNCLAIMED = _event("terminable.ports.unclaimed", "warn", "offer")
TERMINATED = _event(
    "terminable.terminated",
    "info",
    *("opened", "before", "idle", "finished", "left", "aborted", "seconds", "graceful", "report"),
)
HURRIED = _event("terminable.hurried", "warn")
STUCK = _event("terminable.stuck", "error", "transport")
THREADS = _event("terminable.threads", "warn", "working")
GENERATION_ABORTED = _event("terminable.generation.aborted", "warn", "most")
SERVICE_FAILED = _event("terminable.service.failed", "critical", "child")
TIMELINE = _event("terminable.timeline", "warn", "advice")
REPORT_FAILED = _event("terminable.report.failed", "error", "path", "problem")
LOG_FAILED = _event("terminable.log.failed", "error", "path", "problem")
PIDFILE_FAILED = _event("terminable.pidfile.failed", "warn", "path", "problem")
SYSTEMD_FAILED = _event("terminable.systemd.failed", "warn", "problem")

# -- who comes in

EXHAUSTED = _event("terminable.exhausted", "warn", "error")
OVERSTAYED = _event("terminable.overstayed", "warn", "connection", "stay")
DISCONNECTED = _event("terminable.disconnected", "info", "peer", "limit")
UNCOUNTED = _event("terminable.uncounted", "warn", "kind")

# -- upgrades

UPGRADE_SERVING = _event("terminable.upgrade.serving", "info", "pid")
UPGRADE_FAILED = _event("terminable.upgrade.failed", "error", "reason")
UPGRADE_MOVED = _event("terminable.upgrade.moved", "info", "pid", "moved")
UPGRADE_CROWDED = _event("terminable.upgrade.crowded", "warn", "most")
UPGRADE_TAKING = _event("terminable.upgrade.taking", "info", "pid")
UPGRADE_ALONE = _event("terminable.upgrade.alone", "warn")
UPGRADE_CANNOT_TAKE = _event("terminable.upgrade.cannotTake", "critical")
UPGRADE_TOO_EARLY = _event("terminable.upgrade.tooEarly", "warn")
PASSING_REFUSED = _event("terminable.passing.refused", "warn", "user", "channel")
PASSING_CROWDED = _event("terminable.passing.crowded", "warn")
PASSING_FLOODED = _event("terminable.passing.flooded", "warn", "channel")
PASSING_SILENT = _event("terminable.passing.silent", "warn")
PASSING_LOST = _event("terminable.passing.lost", "warn")
PASSING_DELAYED = _event("terminable.passing.delayed", "error", "channel")
PASSING_WAITING = _event("terminable.passing.waiting", "warn", "address")
PASSING_NOBODY = _event("terminable.passing.nobody", "warn", "address")

# -- workers

WORKER_STARTED = _event("terminable.worker.started", "info", "pid")
WORKER_READY = _event("terminable.worker.ready", "info", "pid")
WORKER_ENDED = _event("terminable.worker.ended", "info", "pid", "how")
WORKER_NOT_SERVING = _event("terminable.worker.notServing", "warn", "pid", "why")
WORKER_AGAIN = _event("terminable.worker.again", "warn", "wait")
WORKER_FLOODING = _event("terminable.worker.flooding", "warn", "pid")
WORKER_NONSENSE = _event("terminable.worker.nonsense", "warn", "pid", "problem")
WORKER_ABORTED = _event("terminable.worker.aborted", "warn", "pid")
WORKER_STUCK = _event("terminable.worker.stuck", "warn", "pid")
WORKER_ALONE = _event("terminable.worker.alone", "warn")
WORKERS_FAILED = _event("terminable.workers.failed", "error", "reason")
WORKERS_COUNT = _event("terminable.workers.count", "info", "count")
WORKERS_COUNT_FAILED = _event("terminable.workers.countFailed", "error", "problem")
WORKERS_RESTARTED = _event("terminable.workers.restarted", "info")
WORKERS_RESTART_FAILED = _event("terminable.workers.restartFailed", "error", "reason")

# -- certificates

CERTIFICATE_USED = _event("terminable.certificate.used", "info", "where", "until")
CERTIFICATE_KEPT = _event("terminable.certificate.kept", "warn", "problem")
CERTIFICATE_FAULT = _event("terminable.certificate.fault", "warn", "where", "fault")
CERTIFICATE_MISSING = _event("terminable.certificate.missing", "warn", "directory")
CERTIFICATE_FAILED = _event("terminable.certificate.failed", "critical", "paths")
CERTIFICATE_UNWATCHED = _event("terminable.certificate.unwatched", "warn", "paths", "why")
CERTIFICATE_UNCHANGED = _event("terminable.certificate.unchanged", "info", "paths")
CERTIFICATE_UNUSED = _event("terminable.certificate.unused", "warn", "paths", "problem")
HANGUP_LEFT = _event("terminable.hangup.left", "info")

# -- the admin door

ADMIN_REFUSED = _event("terminable.admin.refused", "warn", "user")
ADMIN_FAILED = _event("terminable.admin.failed", "critical")

# -- shared limits, and the spool

REDIS_BACK = _event("terminable.redis.back", "info", "where")
REDIS_AWAY = _event("terminable.redis.away", "warn", "where", "reason")
SPOOL_BACK = _event("terminable.spool.back", "info", "store")
SPOOL_AWAY = _event("terminable.spool.away", "warn", "store", "reason")
SPOOL_TROUBLE = _event("terminable.spool.trouble", "warn", "path", "reason")
SPOOL_RECOVERED = _event("terminable.spool.recovered", "info", "count")
SPOOL_ATTEMPT = _event("terminable.spool.attempt", "info", "id", "n", "error")
SPOOL_GIVEN_UP = _event("terminable.spool.givenUp", "warn", "id", "error")
SPOOL_AGAIN = _event("terminable.spool.again", "warn", "id", "reason")
SPOOL_UNSURE = _event("terminable.spool.unsure", "warn", "id", "reason")
SPOOL_LATE = _event("terminable.spool.late", "warn", "id")


def fieldsOf(report: Report) -> dict[str, Any]:
    """
    @return: what L{TERMINATED} tells of a report, beside the report itself.
    """
    names = ("opened", "before", "idle", "finished", "left", "aborted", "graceful")
    told: dict[str, Any] = {name: getattr(report, name) for name in names}
    return {**told, "seconds": round(report.seconds, 3)}
