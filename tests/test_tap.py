"""
C{twistd terminable}: what may be typed.
"""

from __future__ import annotations

import os
import socket
import sys
from types import SimpleNamespace
from typing import Any

from twisted.application.service import Service
from twisted.internet import endpoints
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import Site
from twisted.web.static import File
from twisted.web.wsgi import WSGIResource

from terminable import demo, tap
from terminable.content import contentOf, endpointOf
from terminable.exitstatus import ExitStatus
from terminable.hosting import HostingService
from terminable.policy.schedule import Schedule
from terminable.service import TerminableService
from terminable.tap import Options, makeService

HERE = "tests.test_tap"


class Hello(Resource):
    """
    A resource class that needs nothing.
    """


class Needy(Resource):
    """
    A resource class that cannot be made.
    """

    def __init__(self) -> None:
        raise RuntimeError("two\nlines")


def application(environ: Any, start: Any) -> list[bytes]:
    """
    A WSGI application.
    """
    return []


factory = Factory()


def makeFactory() -> Factory:
    """
    What makes a factory.
    """
    return factory


class TapTestCase(SynchronousTestCase):
    """
    A command line, in a reactor for tests.
    """

    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.pool = object()
        self.reactor.getThreadPool = lambda: self.pool
        self.watched: list[Any] = []
        self.patch(tap, "watch", lambda *details: self.watched.append(details))
        self.patch(tap, "progressOn", lambda out: ())

    def parse(self, *words: str) -> Options:
        options = Options()
        options.parseOptions(words)
        return options

    def refused(self, *words: str) -> str:
        """
        The one line with which a command line is refused, before anything listens.
        """
        with self.assertRaises(SystemExit) as caught:
            makeService(self.parse(*words))
        line = caught.exception.code
        assert isinstance(line, str)
        self.assertTrue(line.startswith("terminable: "), line)
        self.assertEqual(len(line.splitlines()), 1, line)
        return line

    def free(self) -> str:
        with socket.create_server(("127.0.0.1", 0)) as server:
            return f"tcp:{server.getsockname()[1]}:interface=127.0.0.1"


class OptionTests(TapTestCase):
    """
    Options.
    """

    def test_samePlace(self) -> None:
        """
        Two options cannot listen in the same place, unless the system chooses one for each.
        """
        for typed, name in (
            ("--port tcp:9:interface=127.0.0.1 --admin tcp:9:interface=127.0.0.1", "--admin"),
            ("--port 0 --admin unix:a.sock --agent-check unix:a.sock", "--agent-check"),
        ):
            self.assertIn(f"{name}: ", self.refused(*typed.split()))
            self.assertIn("is where another option listens", self.refused(*typed.split()))
        self.parse("--port", "tcp:0", "--admin", "unix:b.sock", "--agent-check", "tcp:0")

    def test_times(self) -> None:
        """
        The times are a schedule's; those not given are its defaults.
        """
        words = ["--grace", "5", "--idle-grace", "0.5", "--quiesce", "1", "--linger", "0"]
        self.assertEqual(self.parse(*words).schedule, Schedule(5, 0.5, 1, 0))
        self.assertEqual(self.parse().schedule, Schedule())

    def test_badTimes(self) -> None:
        """
        A time that cannot be meant is refused with the option, the value, and what was
        expected.
        """
        for option in ("--grace", "--idle-grace", "--quiesce", "--linger"):
            for value in ("-1", "soon", "nan", ""):
                line = self.refused(f"{option}={value}")
                self.assertEqual(
                    line,
                    f"terminable: {option}: {value!r} given, "
                    "expected a number of seconds, 0 or more",
                )

    def test_longerThanGrace(self) -> None:
        """
        An idle grace longer than the grace period is refused under its own name.
        """
        line = self.refused("--grace", "2", "--idle-grace", "3")
        self.assertIn("--idle-grace: 3.0 given, expected no more than", line)

    def test_unknown(self) -> None:
        """
        An option that does not exist is named.
        """
        self.assertIn("--nonsense", self.refused("--nonsense"))

    def test_contentsExcludeEachOther(self) -> None:
        """
        Only one thing can be served.
        """
        line = self.refused("--path", ".", "--wsgi", "x.y")
        self.assertEqual(line, "terminable: --path and --wsgi exclude each other")

    def test_ports(self) -> None:
        """
        Ports are gathered.
        """
        options = self.parse("--port", "1", "-p", "tcp:2")
        self.assertEqual(options["ports"], ["1", "tcp:2"])


class ContentTests(TapTestCase):
    """
    What is served.
    """

    def content(self, *words: str) -> Any:
        return contentOf(self.parse(*words), self.reactor)

    def test_demo(self) -> None:
        """
        By default that is the demonstration.
        """
        self.assertIsInstance(self.content().resource, demo.Page)

    def test_path(self) -> None:
        """
        A directory is served as it is.
        """
        served = self.content("--path", os.curdir).resource
        self.assertIsInstance(served, File)
        self.assertEqual(served.path, os.path.abspath(os.curdir))

    def test_class(self) -> None:
        """
        A resource class is made.
        """
        site = self.content("--class", f"{HERE}.Hello")
        self.assertIsInstance(site, Site)
        self.assertIsInstance(site.resource, Hello)

    def test_wsgi(self) -> None:
        """
        A WSGI application runs in the reactor's threads.
        """
        served = self.content("--wsgi", f"{HERE}.application").resource
        self.assertIsInstance(served, WSGIResource)
        self.assertIs(served._application, application)
        self.assertIs(served._threadpool, self.pool)

    def test_factory(self) -> None:
        """
        A protocol factory is served as it is, or made.
        """
        self.assertIs(self.content("--factory", f"{HERE}.factory"), factory)
        self.assertIs(self.content("--factory", f"{HERE}.makeFactory"), factory)

    def test_besideTheCommand(self) -> None:
        """
        Names are looked for in the current directory, too, and nowhere else later.
        """
        folder = self.mktemp()
        os.makedirs(folder)
        name = f"beside{os.getpid()}"
        with open(os.path.join(folder, f"{name}.py"), "w") as module:
            module.write("from tests.test_tap import factory")
        before, path = os.getcwd(), list(sys.path)
        os.chdir(folder)
        self.addCleanup(os.chdir, before)
        self.assertIs(self.content("--factory", f"{name}.factory"), factory)
        self.assertEqual(sys.path, path)

    def test_bad(self) -> None:
        """
        What is not there, cannot be made, or is something else, is refused with the
        option, the value and what was expected.
        """
        for option, name, expected in (
            ("--path", "no/such/place", "a directory that can be read"),
            ("--path", __file__, "a directory that can be read"),
            ("--class", "no.such.thing", "the dotted name of a resource class"),
            ("--class", "nonsense", "the dotted name of a resource class"),
            ("--class", f"{HERE}.Needy", "the dotted name of a resource class"),
            ("--class", f"{HERE}.makeFactory", "the dotted name of a resource class"),
            ("--class", f"{HERE}.HERE", "the dotted name of a resource class"),
            ("--wsgi", f"{HERE}.HERE", "the dotted name of a WSGI application"),
            ("--wsgi", "no.such.thing", "the dotted name of a WSGI application"),
            ("--factory", f"{HERE}.HERE", "the dotted name of a protocol factory"),
            ("--factory", f"{HERE}.Hello", "the dotted name of a protocol factory"),
            ("--factory", "no.such.thing", "the dotted name of a protocol factory"),
        ):
            line = self.refused(option, name, "--port", self.free())
            self.assertTrue(
                line.startswith(f"terminable: {option}: {name!r} given, expected {expected}"),
                line,
            )


class EndpointTests(TapTestCase):
    """
    Where it listens.
    """

    def test_number(self) -> None:
        """
        A number is a TCP port.
        """
        endpoint = endpointOf("0", self.reactor)
        self.assertIsInstance(endpoint, endpoints.TCP4ServerEndpoint)

    def test_description(self) -> None:
        """
        A description is any of Twisted's.
        """
        endpoint = endpointOf(r"tcp6:0:interface=\:\:1", self.reactor)
        self.assertIsInstance(endpoint, endpoints.TCP6ServerEndpoint)

    def test_bad(self) -> None:
        """
        What is neither, or nobody could listen on, is refused with what was expected.
        """
        with socket.create_server(("127.0.0.1", 0)) as server:
            taken = f"tcp:{server.getsockname()[1]}:interface=127.0.0.1"
            for port, expected in (
                ("nonsense", "a port number or an endpoint description"),
                ("-1", "a port number or an endpoint description"),
                ("", "a port number or an endpoint description"),
                ("tcp:x", "a port number or an endpoint description"),
                ("tcp:0:nonsense=1", "options of that endpoint"),
                ("ssl:0:privateKey=no/such/file", "a certificate and a key that can be read"),
                ("70000", "a port that can be listened on"),
                (taken, "a port that can be listened on"),
                ("unix:no/such/place/socket", "a port that can be listened on"),
                ("stdio:", "an endpoint with a listening port"),
                ("terminable:tcp:0", "an endpoint without terminable: before it"),
            ):
                line = self.refused("--port", port)
                self.assertTrue(
                    line.startswith(f"terminable: --port: {port!r} given, expected {expected}"),
                    line,
                )


class ServiceTests(TapTestCase):
    """
    The service that is made.
    """

    def test_service(self) -> None:
        """
        It serves the content on every port, with the schedule, as an operator's; nothing
        listens before it is started.
        """
        ports = [self.free(), self.free()]
        service = makeService(self.parse("--port", ports[0], "-p", ports[1], "--grace", "7"))
        self.assertIs(type(service), TerminableService)
        self.assertEqual(service.terminator.schedule, Schedule(7))
        self.assertEqual([details[1] for details in self.watched], [service.terminator])
        self.assertEqual(len(service._wanted), 2)
        self.assertIs(service._wanted[0][1], service._wanted[1][1])
        for description in ports:
            port = int(description.split(":")[1])
            self.assertRaises(OSError, socket.create_connection, ("127.0.0.1", port))

    def test_defaultPort(self) -> None:
        """
        By default that is port 8080.
        """
        asked: list[str] = []
        self.patch(tap, "endpointOf", lambda port, reactor: asked.append(port))
        makeService(self.parse())
        self.assertEqual(asked, ["8080"])

    def test_failOnStraggler(self) -> None:
        """
        An exit status that tells of stragglers is there if it was asked for.
        """
        made: list[Any] = []

        def status(reactor: Any) -> ExitStatus:
            made.append(object.__new__(ExitStatus))
            return made[-1]  # type: ignore[no-any-return]

        self.patch(tap, "ExitStatus", status)
        makeService(self.parse("--port", self.free()))
        self.assertEqual(made, [])
        service = makeService(self.parse("--port", self.free(), "--fail-on-straggler"))
        service.terminator.removeObserver(made[0])

    def test_plugin(self) -> None:
        """
        Twisted finds it.
        """
        from twisted.plugins.terminable_plugin import terminableService

        self.assertEqual(terminableService.tapname, "terminable")
        self.assertIs(terminableService.options, Options)
        self.assertIs(terminableService.makeService, makeService)


class GuestTests(TapTestCase):
    """
    Another plugin after C{--}.
    """

    def test_found(self) -> None:
        """
        It is found by its name, parses its own options, and its service is a child.
        """
        options = self.parse("--grace", "3", "--", "web", "--path", os.curdir)
        self.assertEqual(options.plugin.tapname, "web")
        guest = Service()
        options.plugin = SimpleNamespace(makeService=lambda given: self.made(given, guest))
        service = makeService(options)
        self.assertIsInstance(service, HostingService)
        self.assertEqual(list(service), [guest])
        self.assertEqual(service.terminator.schedule, Schedule(3))
        self.assertIs(self.given, options.pluginOptions)

    def made(self, given: Any, guest: Any) -> Any:
        self.given = given
        return guest

    def test_bad(self) -> None:
        """
        What is no plugin, is this one, or has options that it does not know, is refused;
        so are options that would have no effect.
        """
        for words, reason in (
            ("-- nonsense", "-- nonsense: expected the name of a twistd plugin"),
            ("-- terminable", "-- terminable: expected another plugin"),
            ("-- web --nonsense", "nonsense"),
            ("--port 1 -- web", "--port cannot be given with a plugin"),
            ("--path . -- web", "--path cannot be given with a plugin"),
        ):
            self.assertIn(reason, self.refused(*words.split()))
