"""
C{twistd terminable}: our own server, or any other plugin, ended politely.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
from twisted.python.usage import Options as UsageOptions
from twisted.python.usage import UsageError

from terminable.content import contentOf, endpointOf, reasonOf
from terminable.endpoints import scheduleFrom
from terminable.errors import InvalidOption, TerminableError
from terminable.exitstatus import ExitStatus
from terminable.handover.following import takeoverOf
from terminable.handover.place import countOf
from terminable.handover.upgrading import INVISIBLE, upgradeOf
from terminable.handover.workers import Workers
from terminable.hosting import HostingService
from terminable.progress import watch
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
_CONTENT = ("path", "class", "wsgi", "factory")


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
            raise SystemExit(f"terminable: -- {name}: {reasonOf(problem)}") from None
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
