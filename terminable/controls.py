"""
The options that keep clients within bounds, and work in order: admission, limits, a spool; and
the admin door.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.application.service import IService
from twisted.python.usage import UsageError
from twisted.web.server import Site

from terminable.content import endpointOf, namedAs
from terminable.endpoints import admissionFrom, limitFrom
from terminable.errors import InvalidOption
from terminable.policy.admission import AT_STOP, FULL, Admission
from terminable.policy.limits import Limit
from terminable.policy.rates import rate
from terminable.policy.schedule import typedNumber

#: What the settings of an admission are called here.
_ADMISSION = {
    "--capacity": "capacity",
    "--capacity-per-peer": "perPeer",
    "--queue": "queue",
    "--queue-per-peer": "perPeerQueue",
    "--wait": "wait",
    "--stay": "stay",
    "--when-full": "full",
    "--waiting-at-stop": "atStop",
    "--peer-prefixes": "prefixes",
}

#: What goes with --spool alone.
_SPOOL = ("spool-work", "spool-rate", "spool-at-once")
_AWAY = ("open", "closed")


class ControlOptions:
    """
    What C{Options} has for it.
    """

    optParameters = [  # noqa: RUF012 - Twisted reads it from the class
        [
            "capacity",
            None,
            None,
            "Serve so many connections at once; the others wait. [off if not given]",
        ],
        [
            "capacity-per-peer",
            None,
            None,
            "Serve so many connections of one peer at once; its others wait. [off if not given]",
        ],
        ["queue", None, None, "Have so many connections wait to be served. [default: 256]"],
        [
            "queue-per-peer",
            None,
            None,
            "Have so many connections of one peer wait; more are refused. [off if not given]",
        ],
        [
            "wait",
            None,
            None,
            "Seconds that a connection waits before it is refused. [off if not given]",
        ],
        [
            "stay",
            None,
            None,
            "Seconds that a connection may be inside before it is aborted. [off if not given]",
        ],
        [
            "when-full",
            None,
            None,
            f"What happens when the --queue is full: {', '.join(FULL)}. [default: hold]",
        ],
        [
            "waiting-at-stop",
            None,
            None,
            "What happens to connections that wait when a stop begins: "
            f"{' or '.join(AT_STOP)}. [default: admit]",
        ],
        [
            "peer-prefixes",
            None,
            None,
            "Bits of an IPv4 and an IPv6 address that make a peer. [default: 32,64]",
        ],
        [
            "agent-check",
            None,
            None,
            "Tell HAProxy at this port or endpoint how the server stands. [off if not given]",
        ],
        [
            "redis",
            None,
            None,
            "Where --shared-limit counts: redis://127.0.0.1:6379/0. [off if not given]",
        ],
        [
            "redis-away",
            None,
            None,
            "While --redis is away, --shared-limit lets everybody go on (open) or nobody (closed). "
            "[default: open]",
        ],
        [
            "spool",
            None,
            None,
            "Record each POST in this file, or postgresql:// database, and answer 202. "
            "[off if not given]",
        ],
        [
            "spool-work",
            None,
            None,
            "Work off what --spool has recorded by this function, by dotted name. "
            "[off if not given]",
        ],
        [
            "spool-rate",
            None,
            None,
            "Work off so much of what --spool has recorded, such as 10/s or 600/min. "
            "[no limit if not given]",
        ],
        [
            "spool-at-once",
            None,
            None,
            "Work off so many items of --spool at the same time. [default: 1]",
        ],
        [
            "admin",
            None,
            None,
            "Have an operator see and end the server here: unix:/run/site/admin.sock. "
            "[off if not given]",
        ],
        [
            "admin-token-file",
            None,
            None,
            "File, of mode 0600, with the token that whoever comes to --admin must know. "
            "[off if not given]",
        ],
    ]

    def __init__(self) -> None:
        super().__init__()
        options: Any = self
        options["limits"] = []
        options["shared-limits"] = []

    def opt_limit(self, text: str) -> None:
        """
        Hold clients to a rate, such as messages=10/s:per=peer:over=backpressure,quota@5 or
        received=2MB/s. May be repeated.
        """
        options: Any = self
        options["limits"].append(text)

    def opt_shared_limit(self, text: str) -> None:
        """
        Hold clients to a rate of messages, over all processes of one --redis. May be repeated.
        """
        options: Any = self
        options["shared-limits"].append(text)


def admissionOf(options: Mapping[str, Any]) -> Admission | None:
    """
    @return: how connections are admitted; C{None} if all are.
    @raise InvalidOption: named as it was typed.
    """
    return admissionFrom({f"--{name}": options[name] for name in options}, _ADMISSION)


def limitsOf(options: Mapping[str, Any]) -> list[Limit]:
    """
    @return: what this process alone holds clients to.
    @raise InvalidOption: with the whole of what was typed.
    """
    return [limitFrom("--limit", text) for text in options["limits"]]


class _Anybody:
    """
    Stands for the quota of a limit while its text is read.
    """

    def take(self, key: str, amount: float) -> Any:
        """
        Never asked.
        """
        raise NotImplementedError  # pragma: no cover


def checkShared(options: Mapping[str, Any]) -> None:
    """
    @raise UsageError: options that need each other.
    @raise InvalidOption: with the whole of what was typed.
    """
    if options["shared-limits"] and options["redis"] is None:
        raise UsageError("--shared-limit needs --redis")
    if options["redis"] is not None and not options["shared-limits"]:
        raise UsageError("--redis needs --shared-limit")
    if options["redis-away"] is not None and options["redis"] is None:
        raise UsageError("--redis-away needs --redis")
    if options["redis-away"] not in (None, *_AWAY):
        raise InvalidOption("--redis-away", options["redis-away"], " or ".join(_AWAY))
    for text in options["shared-limits"]:
        limitFrom("--shared-limit", text, shared=_Anybody())


def sharedLimitsOf(options: Mapping[str, Any], reactor: Any) -> tuple[list[Limit], list[IService]]:
    """
    @return: what all processes together hold clients to, and the services that these limits
        need.
    @raise InvalidOption: no place for them.
    """
    if not options["shared-limits"]:
        return [], []
    from terminable.sharing import RedisLink, SharedQuota

    away = options["redis-away"] or _AWAY[0]
    try:
        link = RedisLink(reactor, options["redis"])
    except InvalidOption as problem:
        raise InvalidOption("--redis", problem.value, problem.expected) from None
    limits: list[Limit] = []
    services: list[IService] = []
    for text in options["shared-limits"]:
        known = limitFrom("--shared-limit", text, shared=_Anybody())
        quota = SharedQuota(reactor, link, known.rate, known.burst, away)
        services.append(quota)
        limits.append(limitFrom("--shared-limit", text, shared=quota))
    return limits, services


def checkSpool(options: Mapping[str, Any]) -> None:
    """
    @raise UsageError: options that need each other.
    @raise InvalidOption: what cannot be meant.
    """
    given = [name for name in _SPOOL if options[name] is not None]
    if given and options["spool"] is None:
        raise UsageError(f"--{given[0]} needs --spool")
    if options["spool-rate"] is not None:
        rate("--spool-rate", options["spool-rate"])


def spoolOf(options: Mapping[str, Any], reactor: Any) -> tuple[IService, Any]:
    """
    @return: the service of a spool, and what serves it.
    @raise InvalidOption: named as it was typed.
    """
    from terminable.spool import spooled

    settings: dict[str, Any] = {}
    if options["spool-rate"] is not None:
        # Each worker has its share.
        settings["rate"] = rate("--spool-rate", options["spool-rate"]) / (options["workers"] or 1)
    if options["spool-at-once"] is not None:
        settings["atOnce"] = typedNumber(options["spool-at-once"])
    work = options["spool-work"]
    if work is not None:
        work = namedAs("--spool-work", work, "the dotted name of a function that takes an item")
    try:
        service, resource = spooled(reactor, options["spool"], work, **settings)
    except InvalidOption as problem:
        names = {"rate": "--spool-rate", "atOnce": "--spool-at-once", "work": "--spool-work"}
        name = names.get(problem.option, "--spool")
        raise InvalidOption(name, problem.value, problem.expected) from None
    return service, Site(resource, reactor=reactor)


def checkAdmin(options: Mapping[str, Any]) -> None:
    """
    @raise UsageError: options that need each other.
    """
    if options["admin"] is None and options["admin-token-file"] is not None:
        raise UsageError("--admin-token-file needs --admin")


def openAdmin(options: Mapping[str, Any], terminator: Any, service: Any) -> Any:
    """
    Give a service its admin door, if one was asked for.  A worker has none: it answers the
    process above.

    @param service: what is stopped when the process ends.
    @return: what the door watches; C{None} if there is no door.
    @raise InvalidOption: named as it was typed.
    """
    if options["admin"] is None:
        return None
    from terminable.admin.watched import Watched

    reactor = terminator.reactor
    spools = _spoolsIn(options, service)
    watched = Watched(reactor, terminator, leave=reactor.stop, spools=spools)
    if options["workers"] is not None:
        from terminable.admin.above import answerAbove

        return answerAbove(reactor, watched)
    from terminable.admin.door import AdminDoor

    _openDoor(options, AdminDoor, watched, service)
    return watched


def _spoolsIn(options: Mapping[str, Any], service: Any) -> list[Any]:
    if options["spool"] is None:
        return []
    from terminable.spool import Spool

    return [each for each in service if isinstance(each, Spool)]


def openAbove(options: Mapping[str, Any], workers: Any, reactor: Any, service: Any) -> Any:
    """
    Give workers an admin door above them, if one was asked for.

    @param workers: the L{terminable.handover.workers.Workers}.
    @param service: as in L{openAdmin}.
    @return: as in L{openAdmin}.
    @raise InvalidOption: named as it was typed.
    """
    if options["admin"] is None:
        return None
    from terminable.admin.above import Whole, WorkersDoor

    whole = Whole(reactor, workers, leave=reactor.stop)
    _openDoor(options, WorkersDoor, whole, service)
    return whole


def _openDoor(options: Mapping[str, Any], kind: Any, watched: Any, service: Any) -> None:
    from terminable.admin.places import mustBeFree
    from terminable.admin.secrets import tokenIn

    reactor, file = watched.reactor, options["admin-token-file"]
    token = None if file is None else tokenIn(file, "--admin-token-file")
    try:
        door = kind(reactor, options["admin"], watched, token)
        mustBeFree(reactor, "endpoint", options["admin"])
    except InvalidOption as problem:
        raise InvalidOption("--admin", problem.value, problem.expected) from None
    door.beFirstOf(service)


def openAgent(options: Mapping[str, Any], terminator: Any, reactor: Any, service: Any) -> None:
    """
    Give a service an agent check for HAProxy, if one was asked for.

    @param terminator: what is asked about.
    @param service: what is stopped when the process ends.
    @raise InvalidOption: named as it was typed.
    """
    if options["agent-check"] is None:
        return
    from terminable.admin.agent import AgentCheck, AgentDoor

    try:
        endpoint = endpointOf(options["agent-check"], reactor)
    except InvalidOption as problem:
        raise InvalidOption("--agent-check", problem.value, problem.expected) from None
    AgentDoor(reactor, endpoint, AgentCheck(reactor, terminator)).beFirstOf(service)
