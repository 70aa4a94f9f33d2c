"""
The operator's door: C{terminable:} before any endpoint description.
"""

from __future__ import annotations

from collections.abc import Callable
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
from terminable.policy.schedule import Schedule, closingCode, closingReason, seconds
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
    inner = {name: value for name, value in keywords.items() if name not in OPTIONS}
    schedule = scheduleFrom(keywords)
    try:
        endpoint = renewing(reactor, quoted(args, inner))
    except TypeError as problem:
        # Twisted's parsers take options as Python takes keyword arguments.
        expected = f"{', '.join(OPTIONS)}, or an option of {args[0]} ({problem})"
        raise InvalidOption("terminable", ":".join([*args, *inner]), expected) from None
    return TerminableEndpoint(reactor, endpoint, schedule)


@implementer(IStreamServerEndpoint)
class TerminableEndpoint:
    """
    An endpoint whose ports end politely.
    """

    def __init__(self, reactor: Any, endpoint: IStreamServerEndpoint, schedule: Schedule) -> None:
        self._reactor = reactor
        self._endpoint = endpoint
        self._schedule = schedule

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        @return: fires with a L{TerminablePort}, or fails as the inner endpoint does.
        """
        terminator = Terminator(self._reactor, self._schedule)
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
