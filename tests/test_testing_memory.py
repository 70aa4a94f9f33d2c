"""
Servers in memory: how they end, and whose time is theirs.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import (
    CannotListenError,
)
from twisted.internet.protocol import Factory
from twisted.mail.smtp import SMTPFactory
from twisted.protocols.policies import TimeoutFactory, WrappingFactory
from twisted.web.server import Site

from terminable import InvalidOption, Phase
from terminable.testing import MemoryServer
from terminable.testing.memory import OnClock
from tests.answers import Shop
from tests.memoryservers import MemoryTestCase, Recorder


class StoppingTests(MemoryTestCase):
    """
    What there is to test: how it ends.
    """

    def test_lastAnswer(self) -> None:
        """
        A request in flight is answered, and that is the last answer.
        """
        for tls in (False, True):
            server = self.site(gracePeriod=25.0)
            client = server.connect(tls=tls)
            client.request("/later")
            report = server.terminate()
            server.advance(5.0)
            self.assertNoResult(report)
            self.shop.finish()
            server.advance(0.0)
            [answer] = client.answers()
            self.assertEqual((answer.status, answer.closing, answer.complete), (200, True, True))
            self.assertEqual((client.ended, client.left), ("closed", "closed"))
            self.assertEqual(client.notified, tls)
            told = self.successResultOf(report)
            self.assertEqual((told.opened, told.finished, told.seconds), (1, 1, 5.0))
            self.assertIs(server.terminator.phase, Phase.TERMINATED)

    def test_idle(self) -> None:
        """
        Who has asked for nothing is lost at the end of the idle grace, not before.
        """
        server = self.serve(gracePeriod=25.0, idleGrace=2.0)
        client = server.connect()
        report = server.terminate()
        server.advance(1.9)
        self.assertIsNone(client.ended)
        server.advance(0.1)
        self.assertEqual(client.ended, "closed")
        self.assertEqual(self.successResultOf(report).idle, 1)

    def test_deadline(self) -> None:
        """
        Who does not read is reset at the deadline, and named.
        """
        server = self.site(gracePeriod=10.0)
        client = server.connect()
        client.stopReading()
        client.request("/", "POST", b"x" * 1_000_000)
        report = server.terminate()
        server.advance(9.9)
        self.assertIsNone(client.ended)
        server.advance(0.5)
        self.assertEqual(client.ended, "reset")
        [entry] = self.successResultOf(report).entries
        self.assertEqual(entry.peer, "127.0.0.1:49152")
        self.assertGreater(entry.unsent, 800_000)

    def test_told(self) -> None:
        """
        Who has sent half a request is told 408.
        """
        server = self.site(gracePeriod=3.0)
        client = server.connect()
        client.send(b"GET / HTTP/1.1\r\nHost:")
        server.terminate()
        server.advance(4.0)
        self.assertEqual([answer.status for answer in client.answers()], [408])

    def test_abort(self) -> None:
        """
        An abort ends everything at once.
        """
        server = self.site()
        busy, idle = server.connect(), server.connect()
        busy.request("/later")
        report = self.successResultOf(server.abort())
        self.assertEqual((busy.ended, idle.ended), ("reset", "closed"))
        self.assertEqual((report.aborted, report.idle), (1, 1))

    def test_refused(self) -> None:
        """
        Nobody is accepted after the stop, be it for the first time with TLS.
        """
        server = self.serve()
        server.connect(tls=True)
        self.successResultOf(server.abort())
        for options in ({}, {"tls": True}, {"peer": "::1"}, {"peer": "::1", "tls": True}):
            self.assertRaises(ConnectionRefusedError, server.connect, **options)

    def test_refusedWhileStopping(self) -> None:
        """
        Nor is anybody while the last ones finish.
        """
        server = self.site()
        server.connect().request("/later")
        server.terminate()
        self.assertRaises(ConnectionRefusedError, server.connect)
        self.assertRaises(ConnectionRefusedError, server.connect, tls=True)

    def test_queued(self) -> None:
        """
        Who was queued is served, although the port is closed.
        """
        server = self.site()
        server.terminator.ports.listeners[0].pause()
        client = server.connect()
        client.request("/")
        self.assertEqual(server.connections(), [])
        server.terminate()
        self.assertEqual([answer.status for answer in client.answers()], [200])

    def test_suspended(self) -> None:
        """
        The port may go and come back.
        """
        server = self.site()
        self.successResultOf(server.terminator.suspend())
        self.assertRaises(ConnectionRefusedError, server.connect)
        server.terminator.resume()
        server.connect().request("/")
        self.assertEqual(len(server.connections()), 1)

    def test_unread(self) -> None:
        """
        Unread input does not cost the last answer, as G4 has it; without lingering it does.
        """
        for linger, expected, end in ((2.0, 100_000, "closed"), (0.0, 65_536, "reset")):
            server = self.serve(linger=linger)
            client = server.connect()
            client.stopReading()
            transport = server.protocols()[0].transport
            transport.pauseProducing()
            client.send(b"unread")
            transport.write(b"x" * 100_000)
            transport.loseConnection()
            server.advance(0.0)
            client.startReading()
            self.assertEqual((len(client.received), client.ended), (expected, end))

    def test_stays(self) -> None:
        """
        Who stays is waited for, for as long as connections linger; who follows is not.
        """
        for stays in (False, True):
            server = self.serve(linger=2.0)
            client = server.connect(stays=stays)
            client.stopReading()
            transport = server.protocols()[0].transport
            transport.pauseProducing()
            client.send(b"unread")
            transport.write(b"x" * 100_000)
            transport.loseConnection()
            client.startReading()
            self.assertEqual((client.ended, len(client.received)), ("closed", 100_000))
            self.assertEqual(len(server.connections()), int(stays))
            server.advance(2.0)
            self.assertEqual(len(server.connections()), 0)


class TimeTests(MemoryTestCase):
    """
    Whose time is on the clock.
    """

    def test_site(self) -> None:
        """
        That of a site that was made without being told of it: a silent client is lost.
        """
        server = self.site()
        client = server.connect()
        server.advance(59.9)
        self.assertIsNone(client.ended)
        server.advance(0.2)
        self.assertEqual(client.ended, "closed")

    def test_protocols(self) -> None:
        """
        That of protocols that time out, and of factories that have it done.
        """
        made: list[tuple[Any, float]] = [
            (SMTPFactory(), 600.0),
            (TimeoutFactory(Factory.forProtocol(Recorder), 30), 30.0),
            (WrappingFactory(TimeoutFactory(SMTPFactory(), 20)), 20.0),
        ]
        for factory, seconds in made:
            if hasattr(factory, "timeout"):
                factory.timeout = seconds
            server = MemoryServer(factory)
            client = server.connect(stays=True)
            server.advance(seconds - 0.1)
            self.assertIsNone(client.ended)
            server.advance(0.2)
            self.assertEqual(client.ended, "closed", factory)

    def test_resource(self) -> None:
        """
        A resource is served by a site, which keeps the time of the reactor.
        """
        server = MemoryServer(Shop())
        self.assertIsInstance(server.factory, Site)
        client = server.connect()
        client.request("/")
        self.assertEqual(len(client.answers()), 1)
        server.advance(60.1)
        self.assertEqual(client.ended, "closed")

    def test_noFactory(self) -> None:
        """
        Anything else is refused.
        """
        thing: Any = Shop
        problem = self.assertRaises(InvalidOption, MemoryServer, thing)
        self.assertEqual((problem.option, problem.value), ("factory", Shop))
        self.assertEqual(problem.expected, "a factory or a Resource")

    def test_wrapping(self) -> None:
        """
        The factory stays what it was, to whoever looks at it.
        """
        site = Site(Shop())
        wrapped: Any = OnClock(site, None)
        wrapped.sessionCookiePath = b"/"
        self.assertEqual((site.sessionCookiePath, wrapped.resource), (b"/", site.resource))
        self.assertRaises(AttributeError, lambda: wrapped.nothing)

    def test_together(self) -> None:
        """
        Two servers may have their time in common.
        """
        first = self.serve(idleGrace=1.0)
        second = self.serve(reactor=first.reactor, port=81, tlsPort=444, idleGrace=1.0)
        clients = [first.connect(), second.connect()]
        reports = [first.terminate(), second.terminate()]
        first.advance(1.0)
        self.assertEqual([each.ended for each in clients], ["closed", "closed"])
        self.assertEqual([self.successResultOf(each).idle for each in reports], [1, 1])

    def test_taken(self) -> None:
        """
        But not their port.
        """
        first = self.serve()
        self.assertRaises(CannotListenError, self.serve, reactor=first.reactor)


class OptionTests(MemoryTestCase):
    """
    What is asked for.
    """

    def test_bad(self) -> None:
        """
        What cannot be meant is refused in one line.
        """
        self.assertRaises(InvalidOption, self.serve, gracePeriod=-1)
        server = self.serve()
        for options in ({"peer": "nowhere"}, {"buffer": 0}, {"buffer": "much"}, {"buffer": True}):
            self.assertRaises(InvalidOption, server.connect, **options)
        self.assertEqual(server.peers, [])

    def test_repr(self) -> None:
        """
        A server says how it is, and so do its peers.
        """
        server = self.serve()
        client = server.connect("::1")
        self.assertEqual(repr(server), "<MemoryServer serving, 1 peers>")
        self.assertEqual(repr(client), "<MemoryPeer ::1:49152, open>")
        client.reset()
        self.assertEqual(repr(client), "<MemoryPeer ::1:49152, reset>")
