"""
C{twistd terminable}: our own server, or any other plugin, ended politely.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from OpenSSL.crypto import Error as CertificateError
from OpenSSL.SSL import Error as SSLError
from twisted.application.service import IService, IServiceMaker
from twisted.internet.endpoints import StandardIOEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IProtocolFactory
from twisted.plugin import getPlugins
from twisted.python.reflect import namedAny
from twisted.python.usage import Options as UsageOptions
from twisted.python.usage import UsageError
from twisted.web.resource import IResource
from twisted.web.server import Site
from twisted.web.static import File
from twisted.web.wsgi import WSGIResource

from terminable.certificates import renewing
from terminable.demo import demoSite
from terminable.endpoints import TerminableEndpoint, scheduleFrom
from terminable.errors import InvalidOption, TerminableError
from terminable.exitstatus import ExitStatus
from terminable.handover.following import takeoverOf
from terminable.handover.offered import lend, offeredTo
from terminable.handover.place import countOf
from terminable.handover.upgrading import INVISIBLE, upgradeOf
from terminable.handover.workers import Workers
from terminable.policy.phases import Phase
from terminable.ports import listeningPorts
from terminable.preflight import cannotListen
from terminable.progress import watch
from terminable.service import TerminableService
from terminable.supervising import supervise
from terminable.terminal import progressOn
from terminable.terminator import Terminator
from terminable.tracking import transports

#: Our settings as typed here, and what a schedule calls them.
_SETTINGS = {
    "--grace": "gracePeriod",
    "--idle-grace": "idleGrace",
    "--quiesce": "quiesce",
    "--linger": "linger",
    "--stagger": "stagger",
    "--close-code": "closeCode",
    "--close-reason": "closeReason",
}
_CONTENT = ("path", "class", "wsgi", "factory")
_PORT = "a port number or an endpoint description such as tcp:8080:interface=127.0.0.1"

Result = TypeVar("Result")


class Options(UsageOptions):
    """
    The command line.
    """

    synopsis = "[options] [-- PLUGIN [options]]"
    longdesc = (
        "Serves a directory, a resource, a WSGI application, any protocol factory, or a small "
        "demonstration, and ends without losing a request. After --, any other twistd plugin "
        "is started instead, and all its ports end like that."
    )
    optParameters = [  # noqa: RUF012 - Twisted reads it from the class
        ["path", None, None, "Serve the files of this directory."],
        ["class", None, None, "Serve a resource class that needs no arguments, by dotted name."],
        ["wsgi", None, None, "Serve a WSGI application, by dotted name."],
        ["factory", None, None, "Serve a protocol factory, or what makes one, by dotted name."],
        [
            "grace",
            None,
            None,
            "Seconds from the signal until stragglers are aborted. [default: 25]",
        ],
        ["idle-grace", None, None, "Seconds that idle connections are kept. [default: 1]"],
        ["quiesce", None, None, "Seconds to go on accepting after the signal. [default: 0]"],
        ["linger", None, None, "Seconds to wait for a peer that takes nothing. [default: 2]"],
        ["stagger", None, None, "Seconds over which to spread long-lived goodbyes. [default: 0]"],
        ["workers", None, None, "Serve in this many processes, below one that supervises them."],
        ["close-code", None, None, "What WebSockets are closed with. [default: 1001]"],
        ["close-reason", None, None, "The text that goes with it."],
    ]
    optFlags = [  # noqa: RUF012 - Twisted reads it from the class
        ["invisible", None, "At an upgrade, move idle connections to the successor, alive."],
        ["fail-on-straggler", None, "Exit with 1 if a connection was aborted, 0 if none was."],
    ]

    def __init__(self) -> None:
        super().__init__()
        self["ports"] = []
        self["plugin"] = ()
        self.plugin: Any = None
        self.pluginOptions: Any = None

    def opt_port(self, port: str) -> None:
        """
        Listen on this port number or endpoint description. May be repeated.
        [default: 8080]
        """
        self["ports"].append(port)

    opt_p = opt_port

    def parseArgs(self, *plugin: str) -> None:
        """
        What stands after C{--}.
        """
        self["plugin"] = plugin

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """
        Parse the command line.

        @raise SystemExit: with one line that says what is wrong; Twisted would print
            the help and report success.
        """
        try:
            super().parseOptions(options)
        except (UsageError, TerminableError) as problem:
            raise SystemExit(f"terminable: {problem}") from None

    def postOptions(self) -> None:
        """
        Check what can be checked before anything is made.
        """
        self.schedule = scheduleFrom({f"--{name}": self[name] for name in self}, _SETTINGS)
        if self["workers"] is not None:
            text = self["workers"]
            number = int(text) if text.isascii() and text.isdigit() else text
            self["workers"] = countOf("--workers", number)
        given = [f"--{name}" for name in _CONTENT if self[name] is not None]
        if len(given) > 1:
            raise UsageError(f"{' and '.join(given)} exclude each other")
        if self["plugin"]:
            given += ["--port"] * bool(self["ports"]) + ["--workers"] * bool(self["workers"])
            if given:
                raise UsageError(f"{given[0]} cannot be given with a plugin")
            self._findPlugin(*self["plugin"])

    def _findPlugin(self, name: str, *arguments: str) -> None:
        if name == "terminable":
            raise UsageError("-- terminable: expected another plugin")
        for plugin in getPlugins(IServiceMaker):
            if plugin.tapname == name:
                break
        else:
            raise UsageError(f"-- {name}: expected the name of a twistd plugin")
        self.plugin = plugin
        self.pluginOptions = plugin.options()
        self.pluginOptions.parent = self
        try:
            self.pluginOptions.parseOptions(arguments)
        except UsageError as problem:
            raise UsageError(f"-- {name}: {problem}") from None


def _reason(problem: BaseException | None) -> str:
    """
    What went wrong, on one line.
    """
    return " ".join(f"{type(problem).__name__}: {problem}".split())


def _named(option: str, name: str, expected: str) -> Any:
    """
    Import what a dotted name names.
    """
    sys.path.insert(0, os.getcwd())
    try:
        return namedAny(name)
    except Exception as problem:
        raise InvalidOption(option, name, f"{expected} ({_reason(problem)})") from None
    finally:
        sys.path.remove(os.getcwd())


def _made(option: str, name: str, make: Callable[[], Result], expected: str) -> Result:
    try:
        return make()
    except Exception as problem:
        raise InvalidOption(option, name, f"{expected} ({_reason(problem)})") from None


def _directory(path: str, reactor: Any) -> Any:
    if not os.path.isdir(path) or not os.access(path, os.R_OK | os.X_OK):
        raise InvalidOption("--path", path, "a directory that can be read")
    return Site(File(path), reactor=reactor)


def _resource(name: str, reactor: Any) -> Any:
    expected = "the dotted name of a resource class that needs no arguments"
    made = _made("--class", name, _named("--class", name, expected), expected)
    if not IResource.providedBy(made):
        raise InvalidOption("--class", name, expected)
    return Site(made, reactor=reactor)


def _wsgi(name: str, reactor: Any) -> Any:
    expected = "the dotted name of a WSGI application"
    application = _named("--wsgi", name, expected)
    if not callable(application):
        raise InvalidOption("--wsgi", name, expected)
    return Site(WSGIResource(reactor, reactor.getThreadPool(), application), reactor=reactor)


def _factory(name: str, reactor: Any) -> Any:
    expected = "the dotted name of a protocol factory, or of what makes one without arguments"
    found = _named("--factory", name, expected)
    if not IProtocolFactory.providedBy(found):
        found = _made("--factory", name, found, expected)
    if not IProtocolFactory.providedBy(found):
        raise InvalidOption("--factory", name, expected)
    return found


_CONTENTS = {"path": _directory, "class": _resource, "wsgi": _wsgi, "factory": _factory}


def contentOf(config: Options, reactor: Any) -> Any:
    """
    The factory to serve.

    @raise InvalidOption: what was named is not there, or is something else.
    """
    for name, make in _CONTENTS.items():
        if config[name] is not None:
            return make(config[name], reactor)
    return Site(demoSite(reactor), reactor=reactor)


def endpointOf(port: str, reactor: Any) -> Any:
    """
    The endpoint that somebody meant.

    @param port: a number, or a description.
    @raise InvalidOption: neither, or one that nobody could listen on now.
    """
    description = f"tcp:{port}" if port.isdigit() else port
    try:
        endpoint = renewing(reactor, description)
    except TypeError as problem:
        expected = f"options of that endpoint; times have options of their own ({_reason(problem)})"
        raise InvalidOption("--port", port, expected) from None
    except (OSError, CertificateError, SSLError) as problem:
        expected = f"a certificate and a key that can be read ({_reason(problem)})"
        raise InvalidOption("--port", port, expected) from None
    except Exception as problem:
        raise InvalidOption("--port", port, f"{_PORT} ({_reason(problem)})") from None
    if isinstance(endpoint, TerminableEndpoint):
        raise InvalidOption("--port", port, "an endpoint without terminable: before it")
    if isinstance(endpoint, StandardIOEndpoint):
        raise InvalidOption("--port", port, "an endpoint with a listening port")
    failure = cannotListen(reactor, description)
    if failure is not None:
        reason = _reason(failure.value)
        raise InvalidOption("--port", port, f"a port that can be listened on ({reason})")
    return endpoint


class HostingService(TerminableService):
    """
    Runs another plugin's service, and ends its ports without its knowing.
    """

    def __init__(
        self,
        terminator: Terminator,
        reactor: Any,
        guest: IService,
        name: str = "plugin",
        pidfile: str | None = None,
    ) -> None:
        """
        @param name: what the guest is called on the command line.
        @param pidfile: what C{twistd} leaves behind when a start fails in one line.
        """
        super().__init__(terminator)
        self._reactor = reactor
        self._name = name
        self._pidfile = pidfile
        lend(guest, offeredTo(reactor))
        guest.setServiceParent(self)

    def privilegedStartService(self) -> None:
        """
        Have the guest do what needs rights, its ports in most cases.

        @raise SystemExit: with one line, if it cannot listen.
        """
        self._try(super().privilegedStartService)

    def startService(self) -> None:
        """
        Start the guest, and take over its ports as soon as it has them.

        @raise SystemExit: with one line, if it cannot listen.
        """
        self._try(super().startService)
        self._reactor.callWhenRunning(self.takePorts)

    def _try(self, start: Callable[[], object]) -> None:
        try:
            start()
        except CannotListenError as problem:
            if self._pidfile:
                with contextlib.suppress(OSError):
                    os.unlink(self._pidfile)
            raise SystemExit(f"terminable: -- {self._name}: {_reason(problem)}") from None

    def takePorts(self) -> None:
        """
        Attach to every port of this process that nobody has attached to.
        """
        if self.running and self.terminator.phase is Phase.SERVING:
            for port in listeningPorts(self._reactor):
                if transports.canAttach(port):
                    self.terminator.attach(port)

    def stopService(self) -> Any:
        """
        Drain, also the ports that were opened since, then stop the guest.
        """
        self.takePorts()
        return super().stopService()


def _workers(config: Options, reactor: Any) -> Workers:
    """
    The service of the process above the workers; what is served is up to these.
    """
    try:
        endpoints = [endpointOf(port, reactor) for port in config["ports"] or ["8080"]]
        workers = Workers(reactor, None, config["workers"], endpoints, schedule=config.schedule)
    except InvalidOption as problem:
        raise SystemExit(f"terminable: {problem}") from None
    failing = bool(config["fail-on-straggler"])
    supervise(reactor, workers, *progressOn(sys.stdout), failOnStraggler=failing)
    return workers


def makeService(config: Options) -> TerminableService | Workers:
    """
    Make the service that the command line describes.

    @raise SystemExit: with one line that names the option, what was given, and what
        was expected; nothing is listening then.
    """
    from twisted.internet import reactor

    try:
        worker = takeoverOf(reactor).worker
    except InvalidOption as problem:
        raise SystemExit(f"terminable: {problem}") from None
    if config["workers"] is not None and not worker:
        return _workers(config, reactor)
    terminator = Terminator(reactor, config.schedule)
    if config["fail-on-straggler"]:
        terminator.addObserver(ExitStatus(reactor))
    # A terminal has room for one live line.
    watch(reactor, terminator, *(() if worker else progressOn(sys.stdout)))
    upgradeOf(reactor).invisible = INVISIBLE if config["invisible"] else 0.0
    if config.plugin is not None:
        name = config["plugin"][0]
        try:
            guest = config.plugin.makeService(config.pluginOptions)
        except Exception as problem:
            raise SystemExit(f"terminable: -- {name}: {_reason(problem)}") from None
        twistd: Any = config.parent
        pidfile = None if twistd is None else twistd.get("pidfile")
        return HostingService(terminator, reactor, guest, name, pidfile)
    try:
        factory = contentOf(config, reactor)
        endpoints = [endpointOf(port, reactor) for port in config["ports"] or ["8080"]]
    except InvalidOption as problem:
        raise SystemExit(f"terminable: {problem}") from None
    service = TerminableService(terminator)
    for endpoint in endpoints:
        service.listenOn(endpoint, factory)
    return service
