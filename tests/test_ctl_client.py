"""
The admin door, seen from outside.
"""

from __future__ import annotations

import errno
from typing import Any

from OpenSSL.SSL import Error as TLSError
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectError, ConnectionLost, ConnectionRefusedError
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, ITCPTransport
from twisted.internet.ssl import Certificate
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseNeverReceived
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer
from zope.interface.verify import verifyObject

from terminable.ctl.address import addressOf
from terminable.ctl.agents import Trust, agentFor
from terminable.ctl.client import SILENCE, Door, _Stream, reasonOf
from terminable.ctl.credentials import Credentials
from terminable.ctl.outcomes import Refused
from terminable.errors import Unreachable
from tests.ctldoor import STATUS, FakeDoor, resultOf
from tests.live.certificates import selfSigned


class Nobody:
    """
    Reaches nobody.
    """

    def __init__(self, problem: Exception) -> None:
        self.problem = problem

    def request(self, *arguments: Any, **settings: Any) -> Any:
        return fail(self.problem)


class DoorTestCase(SynchronousTestCase):
    """
    Has a door.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.fake = FakeDoor()
        self.door = self.doorBy(self.fake.treq)

    def doorBy(self, client: Any, **settings: Any) -> Door:
        address = addressOf("http://127.0.0.1:9000")
        return Door(self.clock, address, client, timeout=3.0, **settings)

    def get(self, door: Door | None = None) -> Deferred[dict[str, Any]]:
        return Deferred.fromCoroutine((door or self.door).get("/status"))


class AnswerTests(DoorTestCase):
    """
    Questions and answers.
    """

    def test_get(self) -> None:
        """
        An answer is a JSON object; the question has its arguments.
        """
        asked = Deferred.fromCoroutine(self.door.get("/status", {"a": "1 &", "b": "\xe9"}))
        self.assertEqual(self.successResultOf(asked), STATUS)
        self.assertEqual(self.fake.asked, [("GET /status", {"a": "1 &", "b": "\xe9"}, None)])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_post(self) -> None:
        """
        What is posted is JSON, and says so.
        """
        self.fake.answers["POST /drain"] = [(202, STATUS)]
        asked = Deferred.fromCoroutine(self.door.post("/drain", {"percent": 50.0}))
        self.assertEqual(self.successResultOf(asked), STATUS)
        self.assertEqual(self.fake.asked, [("POST /drain", {}, {"percent": 50.0})])
        kind = self.fake.headers.getRawHeaders("Content-Type")[0]
        self.assertTrue(kind.startswith("application/json"), kind)

    def test_headers(self) -> None:
        """
        Every question has the header that no page of a stranger can send, and the token if
        there is one.
        """
        self.successResultOf(self.get())
        self.assertEqual(self.fake.headers.getRawHeaders("X-Terminable"), ["1"])
        self.assertFalse(self.fake.headers.hasHeader("Authorization"))
        self.successResultOf(self.get(self.doorBy(self.fake.treq, token="s3cret")))
        self.assertEqual(self.fake.headers.getRawHeaders("Authorization"), ["Bearer s3cret"])

    def test_refused(self) -> None:
        """
        A refusal has the server's own words, or else those of HTTP.
        """
        for answer, line in (
            ((409, {"error": "cannot upgrade while draining"}), "cannot upgrade while draining"),
            ((404, b"<html>"), "Not Found"),
            ((503, {"error": ""}), "Service Unavailable"),
            ((500, []), "Internal Server Error"),
        ):
            self.fake.answers["GET /status"] = [answer]
            problem = self.failureResultOf(self.get(), Refused).value
            self.assertEqual(str(problem), f"{line} ({answer[0]})")
            self.assertEqual(problem.status, answer[0])

    def test_somethingElse(self) -> None:
        """
        Whoever answers something else is no admin door; where he sends us we do not go.
        """
        for answer in ((200, b"hello"), (200, []), (301, {}), (200, b"[" * 100_000)):
            self.fake.answers["GET /status"] = [answer]
            problem = self.failureResultOf(self.get(), Unreachable).value
            self.assertEqual(
                str(problem), "http://127.0.0.1:9000: whoever answers is no admin door"
            )

    def test_late(self) -> None:
        """
        An answer has its time.
        """
        self.fake.answers["GET /status"] = [(200, None)]
        asked = self.get()
        self.clock.advance(2.9)
        self.assertNoResult(asked)
        self.clock.advance(0.2)
        problem = self.failureResultOf(asked, Unreachable).value
        self.assertEqual(str(problem), "http://127.0.0.1:9000: no answer in 3 s")

    def test_unreachable(self) -> None:
        """
        If nobody is there, the reason is said.
        """
        nobody = Nobody(ConnectionRefusedError(errno.ECONNREFUSED, "x"))
        problem = self.failureResultOf(self.get(self.doorBy(nobody)), Unreachable).value
        self.assertEqual(str(problem), "http://127.0.0.1:9000: Connection refused")

    def test_cut(self) -> None:
        """
        So it is if an answer breaks off.
        """

        class Cut:
            code = 200

            def content(self) -> Any:
                return fail(ConnectionLost())

        class Client:
            def request(self, *arguments: Any, **settings: Any) -> Any:
                done: Deferred[Any] = Deferred()
                done.callback(Cut())
                return done

        self.failureResultOf(self.get(self.doorBy(Client())), Unreachable)


class ReasonTests(SynchronousTestCase):
    """
    Why there was no answer.
    """

    def test_reasons(self) -> None:
        """
        It is said in one line that a reader understands.
        """
        tls = TLSError([("SSL routines", "", "certificate verify failed")])
        for problem, line in (
            (ConnectError(errno.ENOENT), "No such file or directory"),
            (ConnectError(string="odd"), "An error occurred while connecting: odd"),
            (ResponseNeverReceived([Failure(tls)]), "TLS: certificate verify failed"),
            (TLSError(), "TLS: failed"),
            (ResponseNeverReceived([Failure(ConnectionLost())]), str(ConnectionLost())[:-1]),
            (KeyError(), "KeyError"),
        ):
            self.assertEqual(reasonOf(problem), line)


class EventTests(DoorTestCase):
    """
    The stream of events.
    """

    def setUp(self) -> None:
        super().setUp()
        self.heard: list[tuple[str, Any]] = []
        self.following = self.follow(lambda name, told: self.heard.append((name, told)))
        self.over = resultOf(self.following)

    def follow(self, received: Any) -> Deferred[None]:
        return Deferred.fromCoroutine(self.door.events(received))

    def test_events(self) -> None:
        """
        Each event is told as it comes; what is no JSON object is passed over.
        """
        self.fake.tell("status", STATUS)
        self.fake.tell("odd", [1])
        self.fake.streams[0].write(b"data: no\n\n")
        self.fake.treq.flush()
        self.fake.tell("status", {})
        self.assertEqual(self.heard, [("status", STATUS), ("status", {})])
        self.assertEqual(self.over, [])

    def test_end(self) -> None:
        """
        The event that is called so is the last.
        """
        self.fake.streams[0].write(b"event: end\ndata: {}\n\nevent: status\ndata: {}\n\n")
        self.fake.treq.flush()
        self.assertEqual((self.heard, self.over), ([("end", {})], [None]))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_afterEnd(self) -> None:
        """
        What comes before the connection is gone is heard no more.
        """
        stream = _Stream(self.clock, lambda name, told: self.heard.append((name, told)))
        stream.makeConnection(StringTransport())
        stream.dataReceived(b"event: end\ndata: {}\n\n")
        stream.dataReceived(b"data: {}\n\n")
        stream.connectionLost()
        self.assertEqual(self.heard, [("end", {})])
        self.assertTrue(stream.transport.disconnecting)  # type: ignore[union-attr]

    def test_lost(self) -> None:
        """
        How a stream ends says nothing.
        """
        self.fake.lose()
        self.assertEqual((self.heard, self.over), ([], [None]))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_silence(self) -> None:
        """
        A server from which nothing is heard is given up; a word gives it time.
        """
        self.clock.advance(SILENCE - 1)
        self.fake.tell("status", {})
        self.clock.advance(SILENCE - 1)
        self.assertEqual(self.over, [])
        self.clock.advance(1)
        [failure] = self.over
        self.assertEqual(str(failure.value), f"http://127.0.0.1:9000: not a word for {SILENCE:g} s")

    def test_listenerFails(self) -> None:
        """
        What goes wrong with whoever listens is told by the Deferred, and ends the stream.
        """

        def broken(name: str, told: Any) -> None:
            raise ZeroDivisionError

        following = self.follow(broken)
        self.fake.tell("status", {})
        self.failureResultOf(following, ZeroDivisionError)

    def test_refused(self) -> None:
        """
        There may be too many watchers.
        """
        self.fake.answers["GET /events"] = [(503, {"error": "100 watch already"})]
        problem = self.failureResultOf(self.follow(print), Refused).value
        self.assertEqual(str(problem), "100 watch already (503)")

    def test_noAnswer(self) -> None:
        """
        The beginning of an answer has its time, too.
        """
        self.fake.answers["GET /events"] = [(200, None)]
        following = self.follow(print)
        self.clock.advance(3)
        self.failureResultOf(following, Unreachable)

    def test_cancel(self) -> None:
        """
        Nobody has to listen to the end.
        """
        self.following.cancel()
        self.assertEqual(len(self.over), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.fake.treq.flush()
        self.fake.tell("status", {})
        self.assertEqual(self.heard, [])


class AgentTests(SynchronousTestCase):
    """
    How connections are made.
    """

    def ask(self, where: str, **settings: Any) -> MemoryReactorClock:
        reactor: Any = MemoryReactorClock()
        agent, _ = agentFor(reactor, addressOf(where), Credentials(), 5.0, **settings)
        agent.request(b"GET", addressOf(where).url.encode() + b"/status").addErrback(lambda _: None)
        return reactor  # type: ignore[no-any-return]

    def test_socket(self) -> None:
        """
        A path is connected to as it is.
        """
        [(path, _, timeout, _)] = self.ask("/run/site.sock").unixClients
        self.assertEqual((path, timeout), ("/run/site.sock", 5.0))

    def test_socketIsNoPort(self) -> None:
        """
        A UNIX socket that says it is one of TCP is not taken at its word.
        """

        @implementer(ITCPTransport)
        class Odd(StringTransport):
            def setTcpNoDelay(self, enabled: bool) -> None:
                raise OSError(errno.EOPNOTSUPP, "Operation not supported")

        [(_, factory, _, _)] = self.ask("/run/site.sock").unixClients
        transport = Odd()
        factory.buildProtocol(None).makeConnection(transport)
        self.assertTrue(transport.value().startswith(b"GET /status HTTP/1.1\r\n"))

    def test_port(self) -> None:
        """
        A URL says where by itself: no socket is connected to.
        """
        for url in ("http://127.0.0.1:9000", "https://127.0.0.1:9000"):
            self.assertEqual(self.ask(url).unixClients, [])

    def test_staying(self) -> None:
        """
        A connection is kept for the next question if that is wished; a question is never asked
        twice.
        """
        for staying in (True, False):
            reactor = MemoryReactorClock()
            address = addressOf("/run/site.sock")
            _, pool = agentFor(reactor, address, Credentials(), 5.0, staying)
            self.assertEqual((pool.persistent, pool.retryAutomatically), (staying, False))

    def test_trust(self) -> None:
        """
        TLS is spoken with whom the credentials say.
        """
        authority = Certificate.loadPEM(selfSigned())
        trust = Trust(Credentials(authority=authority))
        verifyObject(IPolicyForHTTPS, trust)
        creator = trust.creatorForNetloc(b"localhost", 9000)
        verifyObject(IOpenSSLClientConnectionCreator, creator)
