"""
The operator's door: C{terminable:} before any endpoint description.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import quoteStringArgument
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from zope.interface import implementer

from terminable.certificates import renewing
from terminable.errors import InvalidOption
from terminable.policy.admission import Admission
from terminable.policy.limits import Limit, limit
from terminable.policy.schedule import Schedule, closingCode, closingReason, seconds, typedNumber
from terminable.progress import watch
from terminable.terminator import Terminator

#: Our options in a description, and what L{Schedule} calls them.
OPTIONS = {
    "grace": "gracePeriod",
    "idleGrace": "idleGrace",
    "quiesce": "quiesce",
    "linger": "linger",
    "stagger": "stagger",
    "closeCode": "closeCode",
    "closeReason": "closeReason",
}

#: Those of an admission, and what L{Admission} calls them.
ADMISSION = {
    "capacity": "capacity",
    "capacityPerPeer": "perPeer",
    "queue": "queue",
    "queuePerPeer": "perPeerQueue",
    "wait": "wait",
    "stay": "stay",
    "whenFull": "full",
    "waitingAtStop": "atStop",
    "peerPrefixes": "prefixes",
}

#: The limit in a description: there is room for one.
LIMIT = "limit"

#: Which of them count.
_COUNTS = frozenset(["capacity", "perPeer", "queue", "perPeerQueue"])

#: How settings are read that are no times.
READ: dict[str, Callable[[str, object], Any]] = {
    "closeCode": closingCode,
    "closeReason": closingReason,
}


def scheduleFrom(options: dict[str, Any], names: dict[str, str] = OPTIONS) -> Schedule:
    """
    Read a schedule out of what somebody typed.

    @param options: what was given; others than ours, and C{None}, are passed over.
    @param names: what each of our options is called in C{Schedule}.
    @raise InvalidOption: named as it was typed.
    """
    given = {
        parameter: READ.get(parameter, seconds)(name, options[name])
        for name, parameter in names.items()
        if options.get(name) is not None
    }
    try:
        return Schedule(**given)
    except InvalidOption as problem:
        typed = {parameter: name for name, parameter in names.items()}
        raise InvalidOption(
            typed.get(problem.option, problem.option), problem.value, problem.expected
        ) from None


def admissionFrom(options: dict[str, Any], names: dict[str, str] = ADMISSION) -> Admission | None:
    """
    Read how connections are admitted out of what somebody typed.

    @param options: what was given; others than ours, and C{None}, are passed over.
    @param names: what each of our options is called in C{Admission}.
    @return: C{None} if nothing of it was given.
    @raise InvalidOption: named as it was typed.
    """
    given: dict[str, Any] = {
        setting: typedNumber(text) if setting in _COUNTS else text
        for name, setting in names.items()
        if (text := options.get(name)) is not None
    }
    if not given:
        return None
    typed = {setting: name for name, setting in names.items()}
    try:
        if not {"capacity", "perPeer", "stay"} & set(given):
            [setting, *_] = given
            expected = f"{typed['capacity']} or {typed['perPeer']} as well"
            raise InvalidOption(setting, given[setting], expected)
        return Admission(**given)
    except InvalidOption as problem:
        name = typed.get(problem.option, problem.option)
        # None cannot be typed.
        expected = problem.expected.removesuffix(", or None")
        raise InvalidOption(name, problem.value, expected) from None


def limitFrom(option: str, text: str, **settings: Any) -> Limit:
    """
    Read a limit as it was typed.

    @param settings: what cannot be typed.
    @raise InvalidOption: with the option and the whole text.
    """
    try:
        return limit(text, **settings)
    except InvalidOption as problem:
        expected = f"a limit (in it, {problem.option}: {problem.expected})"
        raise InvalidOption(option, text, expected) from None


def quoted(args: tuple[str, ...], keywords: dict[str, str]) -> str:
    """
    The endpoint description that is parsed into these arguments.
    """
    words = [quoteStringArgument(arg).replace("=", "\\=") for arg in args]
    words += [f"{name}={quoteStringArgument(value)}" for name, value in keywords.items()]
    return ":".join(words)


def parse(reactor: Any, args: tuple[str, ...], keywords: dict[str, str]) -> TerminableEndpoint:
    """
    Make an endpoint out of what stands behind C{terminable:}: the description of
    another one, with our options among its own.

    @raise InvalidOption: a time that cannot be meant, or no endpoint to wrap.
    @raise ValueError: what the inner endpoint's parser says.
    """
    if not args or args[0] in ("", "terminable") or args[0].isdigit():
        raise InvalidOption(
            "terminable", ":".join(args), "an endpoint description such as tcp:8080"
        )
    ours = {*OPTIONS, *ADMISSION, LIMIT}
    inner = {name: value for name, value in keywords.items() if name not in ours}
    schedule = scheduleFrom(keywords)
    admission = admissionFrom(keywords)
    limits = [limitFrom(LIMIT, keywords[LIMIT])] if LIMIT in keywords else []
    try:
        endpoint = renewing(reactor, quoted(args, inner))
    except TypeError as problem:
        # Twisted's parsers take options as Python takes keyword arguments.
        expected = (
            f"{', '.join([*OPTIONS, *ADMISSION, LIMIT])}, or an option of {args[0]} ({problem})"
        )
        raise InvalidOption("terminable", ":".join([*args, *inner]), expected) from None
    return TerminableEndpoint(reactor, endpoint, schedule, admission, limits)


@implementer(IStreamServerEndpoint)
class TerminableEndpoint:
    """
    An endpoint whose ports end politely.

    @ivar admission: how connections are admitted; C{None} if all are.
    @ivar limits: what they are held to.
    """

    def __init__(
        self,
        reactor: Any,
        endpoint: IStreamServerEndpoint,
        schedule: Schedule,
        admission: Admission | None = None,
        limits: Sequence[Limit] = (),
    ) -> None:
        self._reactor = reactor
        self._endpoint = endpoint
        self._schedule = schedule
        self.admission = admission
        self.limits = limits

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        @return: fires with a L{TerminablePort}, or fails as the inner endpoint does.
        """
        terminator = Terminator(
            self._reactor, self._schedule, admission=self.admission, limits=self.limits
        )
        watch(self._reactor, terminator)

        def listening(port: IListeningPort) -> IListeningPort:
            return TerminablePort(terminator, port)

        return terminator.listen(self._endpoint, protocolFactory).addCallback(listening)


@implementer(IListeningPort)
class TerminablePort:
    """
    A listening port that takes its time to stop.

    @ivar terminator: what ends it; its C{abort} may be called at any time.
    """

    def __init__(self, terminator: Terminator, port: IListeningPort) -> None:
        self.terminator = terminator
        self._port = port
        self._address = port.getHost()

    def startListening(self) -> None:
        """
        The port listens already.
        """

    def stopListening(self) -> Deferred[None]:
        """
        End politely.

        @return: fires when the drain is over.
        """
        return self.terminator.terminate().addCallback(lambda report: None)

    def getHost(self) -> IAddress:
        """
        Where the port listens, or did.
        """
        return self._address

    def __repr__(self) -> str:
        return f"<TerminablePort of {self._port!r}>"
