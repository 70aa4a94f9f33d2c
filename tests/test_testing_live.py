"""
Servers that a test starts, and that leave nothing behind.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from unittest import mock

from treq.client import HTTPClient
from twisted.application.internet import StreamServerEndpointService
from twisted.application.service import Application, IServiceCollection, MultiService, Service
from twisted.internet import reactor as _reactor
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import (
    TCP4ClientEndpoint,
    connectProtocol,
    serverFromString,
)
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory, Protocol, ReconnectingClientFactory
from twisted.internet.ssl import Certificate, PrivateCertificate, trustRootFromCertificates
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.client import Agent, BrowserLikePolicyForHTTPS, HTTPConnectionPool
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site
from zope.interface import implementer

from terminable import IDrainer, InvalidOption, TerminableService, Terminator
from terminable.testing import LeftBehind, LiveServer, TerminableTestMixin, serve
from terminable.testing.live import _reachable
from terminable.testing.selfsigned import selfSigned
from tests.scripted import OK, Scripted

reactor: Any = _reactor

ANYWHERE = "tcp:0:interface=127.0.0.1"


class Page(Resource):
    """
    Says hello, or nothing.
    """

    isLeaf = True

    def render_GET(self, request: Any) -> Any:
        return NOT_DONE_YET if request.path == b"/never" else b"hello"


class Listener(Protocol):
    """
    A client that stays.
    """

    over: Deferred[None] | None = None

    def connectionLost(self, reason: object = None) -> None:
        if self.over is not None:
            self.over.callback(None)


def service(description: str = ANYWHERE) -> StreamServerEndpointService:
    """
    A site as a service.
    """
    return StreamServerEndpointService(serverFromString(reactor, description), Site(Page()))


class ServeTests(TerminableTestMixin, TestCase):
    """
    Servers of all kinds, with clients in the same reactor that keep their connections.
    """

    timeout = 60

    async def get(self, server: LiveServer, path: str = "/", agent: Any = None) -> bytes:
        """
        What the server answers to a client that will not let go.
        """
        agent = agent or Agent(reactor, pool=HTTPConnectionPool(reactor))
        url = server.url(path).replace("127.0.0.1", "localhost" if server.secure else "127.0.0.1")
        response: Any = await HTTPClient(agent).get(url)
        content: bytes = await response.content()
        return content

    def never(self, server: LiveServer) -> Deferred[Any]:
        """
        A request without an answer, but for what the server may say at its end.
        """
        asked = Deferred.fromCoroutine(self.get(server, "/never"))
        return asked.addErrback(str)

    async def assertServed(self, what: Any, **options: Any) -> LiveServer:
        """
        That is a server.
        """
        server = await self.serve(what, **options)
        self.assertEqual(await self.get(server), b"hello")
        self.assertEqual(len(server.connections()), 1)
        return server

    async def test_factory(self) -> None:
        """
        A factory is served on a free port, and has an address in all the forms in which it may
        be wanted.
        """
        server = await self.assertServed(Site(Page()))
        self.assertEqual((server.host, server.port), ("127.0.0.1", server.address.port))
        self.assertEqual(server.url("a?b"), f"http://127.0.0.1:{server.port}/a?b")
        self.assertEqual(repr(server), f"<LiveServer at {server.url()}, serving>")
        self.assertTrue(server.needsThisThread())

    async def test_resource(self) -> None:
        """
        A resource is served by a site.
        """
        await self.assertServed(Page())

    async def test_endpoint(self) -> None:
        """
        An endpoint, or a description of one, may be given.
        """
        await self.assertServed(Page(), endpoint=ANYWHERE)
        await self.assertServed(Page(), endpoint=serverFromString(reactor, ANYWHERE))

    async def test_tls(self) -> None:
        """
        With C{tls}, clients may trust the certificate that was made.
        """
        server = await self.serve(Page(), tls=True)
        trusted = trustRootFromCertificates([Certificate.loadPEM(server.certificate)])
        pool = HTTPConnectionPool(reactor)
        agent = Agent(reactor, BrowserLikePolicyForHTTPS(trusted), pool=pool)
        self.assertEqual(await self.get(server, agent=agent), b"hello")
        self.assertTrue(server.url().startswith("https://127.0.0.1:"))

    async def test_ownContext(self) -> None:
        """
        Or a context factory is given.
        """
        options = PrivateCertificate.loadPEM(selfSigned()).options()
        server = await self.serve(Page(), tls=options)
        self.assertEqual((server.secure, server.certificate), (True, b""))

    async def test_unixSocket(self) -> None:
        """
        A UNIX socket has a directory of its own, which is removed with it.
        """
        server = await self.serve(Page(), unix=True)
        path = os.fsdecode(server.address.name)
        self.assertEqual((server.host, server.port), ("", 0))
        self.assertEqual(server.url("/a"), f"http+unix://{path.replace('/', '%2F')}/a")
        self.assertTrue(os.path.exists(path))
        await server.terminate()
        self.assertFalse(os.path.exists(os.path.dirname(path)))

    async def test_service(self) -> None:
        """
        A service is started, and stopped when its connections are over.
        """
        it = service()
        server = await self.assertServed(it)
        self.assertTrue(it.running)
        report = await server.terminate(0.0)
        self.assertFalse(it.running)
        self.assertEqual(report.opened, 1)

    async def test_terminableService(self) -> None:
        """
        One of ours is ended by its own terminator, but not in its own time.
        """
        terminator = Terminator(reactor, idleGrace=50.0, gracePeriod=100.0)
        it = TerminableService(terminator)
        it.listenOn(serverFromString(reactor, ANYWHERE), Site(Page()))
        server = await self.assertServed(it)
        self.assertIs(server.terminator, terminator)

    async def test_both(self) -> None:
        """
        Next to one of ours there may be others: the report is that of all.
        """
        own = TerminableService(Terminator(reactor, idleGrace=0.0))
        own.listenOn(serverFromString(reactor, ANYWHERE), Site(Page()))
        both = MultiService()
        own.setServiceParent(both)
        service().setServiceParent(both)
        server = await self.serve(both, idleGrace=0.0)
        for address in server.addresses:
            client = TCP4ClientEndpoint(reactor, address.host, address.port)
            await connectProtocol(client, Listener())
        while len(server.connections()) < 2:
            await deferLater(reactor, 0.01)
        self.assertEqual((await server.terminate()).opened, 2)

    async def test_prefix(self) -> None:
        """
        What is ended by the endpoint prefix is not waited for, either.
        """
        await self.assertServed(service(f"terminable:{ANYWHERE}:idleGrace=50:grace=100"))

    async def test_prefixBusy(self) -> None:
        """
        Its busy connections have the time that was said here.
        """
        it = service(f"terminable:{ANYWHERE}:grace=100")
        server = await self.serve(it, endGrace=0.1)
        lost = self.never(server)
        await self.assertBusy(server)
        await server.end()
        self.assertTrue(lost.called)

    async def test_application(self) -> None:
        """
        An application is one service with all that it has.
        """
        application = Application("it")
        it = service()
        it.setServiceParent(IServiceCollection(application))
        await self.assertServed(application)
        self.assertTrue(it.running)

    async def test_tac(self) -> None:
        """
        So is the path of a file with one.
        """
        path = Path(self.mktemp())
        path.write_text(
            "from twisted.application.service import Application\n"
            "from tests.test_testing_live import service\n"
            "application = Application('it')\n"
            "service().setServiceParent(application)\n"
        )
        await self.assertServed(path)

    async def test_lateService(self) -> None:
        """
        A service may open its ports after it was started.
        """

        class Late(Service):
            def startService(self) -> None:
                reactor.callLater(0.02, service.startService)

            def stopService(self) -> Any:
                return service.stopService()

        service = globals()["service"]()
        await self.assertServed(Late())

    async def test_deaf(self) -> None:
        """
        One that opens none is stopped again.
        """
        it = Service()
        failure = await self.assertFailure(self.serve(it, patience=0.02), TimeoutError)
        self.assertEqual(str(failure), "the service has opened no port for 0.02 s")
        self.assertFalse(it.running)

    async def test_taken(self) -> None:
        """
        An address in use is the endpoint's error, and leaves no directory.
        """
        server = await self.serve(Page())
        taken = f"tcp:{server.port}:interface=127.0.0.1"
        await self.assertFailure(self.serve(Page(), endpoint=taken), CannotListenError)

    async def assertBusy(self, server: LiveServer) -> None:
        """
        Something is in flight, or soon will be.
        """
        while not any(connection.isBusy() for connection in server.connections()):
            await deferLater(reactor, 0.01)

    async def test_busy(self) -> None:
        """
        Who is busy at the end is aborted after its time, and named if that was not to be.
        """
        server = await serve(reactor, Page(), endGrace=0.1, failOnStraggler=True)
        lost = self.never(server)
        await self.assertBusy(server)
        problem = await self.assertFailure(server.end(), LeftBehind)
        self.assertTrue(str(problem).startswith("aborted 0.1 s after the end:\n  GET /never from"))
        self.assertTrue(lost.called)
        server = await serve(reactor, Page(), endGrace=0.1)
        lost = self.never(server)
        await self.assertBusy(server)
        self.assertEqual((await server.end()).aborted, 1)
        self.assertTrue(lost.called)

    async def test_soonDone(self) -> None:
        """
        Who is done in time is let go at once.
        """
        server = await self.serve(Factory.forProtocol(Slow), idleGrace=20.0)
        client = TCP4ClientEndpoint(reactor, server.host, server.port)
        (await connectProtocol(client, Listener())).transport.write(b"x")
        await self.assertBusy(server)
        self.assertEqual((await server.end()).aborted, 0)

    async def test_abort(self) -> None:
        """
        A server may be ended at once; the end of the test finds nothing more to do.
        """
        server = await self.assertServed(Page())
        self.assertEqual((await server.abort()).idle, 1)

    async def test_leftBehind(self) -> None:
        """
        A client that comes again and again is named.
        """
        server = await serve(reactor, Factory.forProtocol(Protocol), patience=0.05)
        factory = ReconnectingClientFactory()
        factory.protocol = Listener
        factory.initialDelay = 100
        reactor.connectTCP(server.host, server.port, factory)
        while not server.connections():
            await deferLater(reactor, 0.01)
        problem = await self.assertFailure(server.end(), LeftBehind)
        [name] = problem.names
        self.assertIn("ReconnectingClientFactory", name)
        self.assertTrue(str(problem).startswith("still there 0.05 s after the end of <LiveServer"))
        factory.stopTrying()

    async def test_others(self) -> None:
        """
        Clients of other servers are not touched.
        """
        other = await self.serve(Factory.forProtocol(Protocol))
        stranger = Listener()
        stranger.over = Deferred()
        await connectProtocol(TCP4ClientEndpoint(reactor, other.host, other.port), stranger)
        server = await self.assertServed(Page())
        await server.end()
        self.assertNoResult(stranger.over)

    async def test_nothingDropped(self) -> None:
        """
        A polite stop drops nothing.
        """
        server = await self.serve(Page())
        few = {"keepAlive": 1, "pausing": 0, "fresh": 0}
        tally = await self.assertNothingDropped(
            server, server.terminate, mayRefuse=True, expect="hello", **few
        )
        self.assertGreater(tally.total, 0)
        self.assertEqual(tally.told, 1)


@implementer(IDrainer)
class Slow(Protocol):
    """
    Busy for a moment, after the first byte.
    """

    busy = False

    def dataReceived(self, data: bytes) -> None:
        self.busy = True
        reactor.callLater(0.1, self.done)

    def done(self) -> None:
        self.busy = False

    def isBusy(self) -> bool:
        return self.busy

    def drain(self) -> None:
        pass


class OptionTests(SynchronousTestCase):
    """
    What cannot be meant.
    """

    def test_options(self) -> None:
        """
        It is said before anything listens.
        """
        for name, what, options in [
            ("what", None, {}),
            ("what", "site.tac", {}),
            ("endGrace", Page(), {"endGrace": -1}),
            ("patience", Page(), {"patience": "soon"}),
            ("gracePeriod", Page(), {"gracePeriod": -1}),
            ("endpoint", Page(), {"endpoint": 8080}),
            ("endpoint", Page(), {"endpoint": ANYWHERE, "tls": True}),
            ("tls", Page(), {"unix": True, "tls": True}),
            ("unix", Service(), {"unix": True}),
        ]:
            wrong = self.assertRaises(InvalidOption, serve, reactor, what, **options)
            self.assertEqual(wrong.option, name)

    def test_reachable(self) -> None:
        """
        A port that listens everywhere is reached on the loopback interface.
        """
        self.assertEqual(_reachable(IPv4Address("TCP", "0.0.0.0", 1)).host, "127.0.0.1")
        self.assertEqual(_reachable(IPv6Address("TCP", "::", 1)).host, "::1")
        self.assertEqual(_reachable(IPv4Address("TCP", "10.0.0.1", 1)).host, "10.0.0.1")

    def test_six(self) -> None:
        """
        The host of an IPv6 address stands in brackets.
        """
        server = mock.Mock(address=IPv6Address("TCP", "::1", 8), secure=False, port=8, host="::1")
        self.assertEqual(LiveServer.url(server, "/a"), "http://[::1]:8/a")

    def test_notTrials(self) -> None:
        """
        The mixin needs tests that may wait.
        """

        class Tests(TerminableTestMixin, SynchronousTestCase):  # type: ignore[misc]
            def test_it(self) -> None:
                """
                Nothing.
                """

        self.assertRaises(TypeError, Tests("test_it").serve, Page())


class OutsideTests(TestCase, TerminableTestMixin):
    """
    The mixin's assertion works for any address.
    """

    timeout = 60

    async def test_address(self) -> None:
        """
        Of another thread, or another process.
        """
        with Scripted([OK]) as server:
            few = {"keepAlive": 0, "pausing": 1, "fresh": 0}
            await self.assertNothingDropped(server.address, lambda: None, **few)
