"""
C{twistd terminable}: our own server, or any other plugin, ended politely.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from twisted.application.service import IService, IServiceMaker, MultiService
from twisted.plugin import getPlugins
from twisted.python.usage import Options as UsageOptions
from twisted.python.usage import UsageError

from terminable.apart import mustBeApart
from terminable.content import contentOf, endpointOf, reasonOf
from terminable.controls import (
    ControlOptions,
    admissionOf,
    checkAdmin,
    checkShared,
    checkSpool,
    limitsOf,
    openAbove,
    openAdmin,
    openAgent,
    sharedLimitsOf,
    spoolOf,
)
from terminable.endpoints import scheduleFrom
from terminable.errors import InvalidOption, TerminableError
from terminable.exitstatus import ExitStatus
from terminable.handover.following import takeoverOf
from terminable.handover.place import countOf
from terminable.handover.upgrading import INVISIBLE, upgradeOf
from terminable.handover.workers import Workers
from terminable.hosting import HostingService
from terminable.policy.schedule import typedNumber
from terminable.progress import watch
from terminable.records import RecordOptions, begin, linesOf, logged, reportOf
from terminable.service import TerminableService
from terminable.supervising import supervise
from terminable.terminal import progressOn
from terminable.terminator import Terminator

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
_CONTENT = ("path", "class", "wsgi", "factory", "spool")


class Options(ControlOptions, RecordOptions, UsageOptions):
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
        [
            "workers",
            None,
            None,
            "Serve in this many processes, below one that supervises them. [off if not given]",
        ],
        ["close-code", None, None, "The code that WebSockets are closed with. [default: 1001]"],
        ["close-reason", None, None, "The text that goes with --close-code. [empty if not given]"],
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
        Listen on this port number or endpoint description. May be repeated. [default: 8080]
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
        self._checkPlaces()
        self.schedule = scheduleFrom({f"--{name}": self[name] for name in self}, _SETTINGS)
        if self["workers"] is not None:
            self["workers"] = countOf("--workers", typedNumber(self["workers"]))
        self.admission = admissionOf(self)
        self.limits = limitsOf(self)
        checkShared(self)
        checkSpool(self)
        checkAdmin(self)
        self.report = reportOf(self)
        self.lines = linesOf(self)
        given = [f"--{name}" for name in _CONTENT if self[name] is not None]
        if len(given) > 1:
            raise UsageError(f"{' and '.join(given)} exclude each other")
        if self["plugin"]:
            given += ["--port"] * bool(self["ports"]) + ["--workers"] * bool(self["workers"])
            if given:
                raise UsageError(f"{given[0]} cannot be given with a plugin")
            self._findPlugin(*self["plugin"])

    def _checkPlaces(self) -> None:
        """
        Two cannot listen in the same place; where the system is to choose, it chooses several.
        """
        ports = self["ports"] or ([] if self["plugin"] else ["8080"])
        places = [("--port", port) for port in ports]
        names = [name for name in ("admin", "agent-check") if self[name] is not None]
        mustBeApart([*places, *((f"--{name}", self[name]) for name in names)])

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


def _workers(config: Options, reactor: Any) -> IService:
    """
    The service of the process above the workers; what is served is up to these.
    """
    try:
        endpoints = [endpointOf(port, reactor) for port in config["ports"] or ["8080"]]
        workers = Workers(reactor, None, config["workers"], endpoints, schedule=config.schedule)
        service: IService = workers
        if config["agent-check"] is not None or config["admin"] is not None:
            service = beside = MultiService()
            workers.setServiceParent(beside)
            openAbove(config, workers, reactor, beside)
            openAgent(config, workers, reactor, beside)
    except InvalidOption as problem:
        raise SystemExit(f"terminable: {problem}") from None
    failing = bool(config["fail-on-straggler"])
    supervise(reactor, workers, *progressOn(sys.stdout), failOnStraggler=failing)
    if config.report is not None:
        workers.addObserver(config.report)
    return service


def _hosting(config: Options, terminator: Terminator) -> TerminableService:
    """
    The service of another plugin.
    """
    name = config["plugin"][0]
    try:
        guest = config.plugin.makeService(config.pluginOptions)
    except Exception as problem:
        raise SystemExit(f"terminable: -- {name}: {reasonOf(problem)}") from None
    twistd: Any = config.parent
    pidfile = None if twistd is None else twistd.get("pidfile")
    return HostingService(terminator, terminator.reactor, guest, name, pidfile)


def _server(config: Options, terminator: Terminator) -> TerminableService:
    """
    Our own.
    """
    reactor = terminator.reactor
    spool = None
    if config["spool"] is None:
        factory = contentOf(config, reactor)
    else:
        spool, factory = spoolOf(config, reactor)
    endpoints = [endpointOf(port, reactor) for port in config["ports"] or ["8080"]]
    service = TerminableService(terminator)
    if spool is not None:
        spool.setServiceParent(service)
    for endpoint in endpoints:
        service.listenOn(endpoint, factory)
    return service


def makeService(config: Options) -> IService:
    """
    Make the service that the command line describes.

    @raise SystemExit: with one line that names the option, what was given, and what
        was expected; nothing is listening then.
    """
    from twisted.internet import reactor

    try:
        worker = takeoverOf(reactor).worker
        # Workers are told when to end; what they have to report is said by the process above.
        begin(config.lines, None if worker else config.schedule, os.environ)
        return logged(config, _service(config, reactor, worker), worker)
    except InvalidOption as problem:
        raise SystemExit(f"terminable: {problem}") from None


def _service(config: Options, reactor: Any, worker: bool) -> IService:
    if config["workers"] is not None and not worker:
        return _workers(config, reactor)
    try:
        shared, services = sharedLimitsOf(config, reactor)
        limits = [*config.limits, *shared]
        terminator = Terminator(reactor, config.schedule, admission=config.admission, limits=limits)
        if config.plugin is None:
            service = _server(config, terminator)
        else:
            service = _hosting(config, terminator)
        openAdmin(config, terminator, service)
        if not worker:
            openAgent(config, terminator, reactor, service)
    except InvalidOption as problem:
        raise SystemExit(f"terminable: {problem}") from None
    for each in services:
        each.setServiceParent(service)
    if config["fail-on-straggler"]:
        terminator.addObserver(ExitStatus(reactor))
    if config.report is not None and not worker:
        terminator.addObserver(config.report)
    # A terminal has room for one live line.
    watch(reactor, terminator, *(() if worker else progressOn(sys.stdout)))
    upgradeOf(reactor).invisible = INVISIBLE if config["invisible"] else 0.0
    return service
