"""
Clients that know what became of each request.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from dataclasses import replace
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from terminable.testing import answers, asking, load
from terminable.testing.answers import Conversation, Wrong
from terminable.testing.asking import Crowd
from terminable.testing.tally import Lost, Settings, Tally
from tests.live.processes import environment
from tests.scripted import KEEP, OK, RESET, Scripted, serverContext

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def settingsFor(server: Scripted, **options: Any) -> Settings:
    """
    One client without pause, unless the options say something else.
    """
    where: dict[str, Any] = {"path": server.address}
    if isinstance(server.address, tuple):
        where = dict(zip(("host", "port"), server.address, strict=True))
    counts = {"keepAlive": 1, "pausing": 0, "fresh": 0}
    return Settings(**{**where, **counts, "timeout": 5.0, **options})


class AnswerTests(SynchronousTestCase):
    """
    Reading answers.
    """

    def answered(self, answer: bytes, *end: bytes, **options: Any) -> bool:
        """
        Whether the answer is the last one.
        """
        with Scripted([answer, *end]) as server:
            settings = settingsFor(server, **options)
            talk = Conversation(settings)
            self.addCleanup(talk.sock.close)
            talk.ask(b"GET / HTTP/1.1\r\n\r\n")
            return talk.answer(settings.method)

    def assertWrong(self, why: str, answer: bytes, **options: Any) -> None:
        """
        That is no answer, and what is wrong with it is said.
        """
        wrong = self.assertRaises(Wrong, self.answered, answer, **options)
        self.assertIn(why, str(wrong))

    def test_complete(self) -> None:
        """
        A length, chunks with extensions and trailers, and bodies that cannot be: all are read
        to their end, and the connection is kept.
        """
        self.assertFalse(self.answered(OK))
        self.assertFalse(
            self.answered(CHUNKED + b"2;a=b\r\nok\r\nA\r\n0123456789\r\n0\r\nX: y\r\n\r\n")
        )
        self.assertFalse(self.answered(b"HTTP/1.1 204 No\r\n\r\n"))
        self.assertFalse(self.answered(OK[:-2], method="HEAD"))
        self.assertFalse(self.answered(b"HTTP/1.1 100 Go on\r\n\r\n" + OK))
        self.assertFalse(self.answered(b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"))

    def test_last(self) -> None:
        """
        An answer says that it is the last, be it by its version or by having no length.
        """
        self.assertTrue(self.answered(OK.replace(b"Content", b"Connection: a, Close\r\nContent")))
        self.assertTrue(self.answered(OK.replace(b"1.1", b"1.0")))
        self.assertTrue(self.answered(b"HTTP/1.1 200 OK\r\n\r\nto the end"))
        kept = b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"
        self.assertFalse(self.answered(kept))

    def test_wrong(self) -> None:
        """
        What is ambiguous or broken is no answer.
        """
        head = b"HTTP/1.1 200 OK\r\n"
        self.assertWrong("no status line", b"HTTP/2 200\r\n\r\n")
        self.assertWrong("no status line", b"HTTP/1.1 2000 OK\r\n\r\n")
        self.assertWrong("a header", head + b"no colon\r\n\r\n")
        self.assertWrong("a header", head + b"Name : x\r\n\r\n")
        self.assertWrong("both", head + b"Content-Length: 0\r\n" + CHUNKED.partition(b"\r\n")[2])
        self.assertWrong("gzip", head + b"Transfer-Encoding: gzip\r\n\r\n")
        self.assertWrong("Content-Length: -1", head + b"Content-Length: -1\r\n\r\n")
        lengths = b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n"
        self.assertWrong("Content-Length: 1, 2", head + lengths)
        self.assertWrong("size", CHUNKED + b"0x2\r\nok\r\n0\r\n\r\n")
        self.assertWrong("longer", CHUNKED + b"2\r\nokay\r\n0\r\n\r\n")
        self.assertWrong("without an end", b"x" * 70000)
        self.assertWrong("another protocol", b"HTTP/1.1 101 Up\r\n\r\n")
        self.assertWrong("4 bytes more", OK + b"more")

    def test_unexpected(self) -> None:
        """
        By default 5xx is no answer; another status, and a body, may be asked for.
        """
        self.assertWrong("status 503", b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
        self.assertWrong("status 200", OK, status=404)
        self.assertFalse(self.answered(OK, status=200, expect="ok"))
        self.assertWrong("b'ok'", OK, expect="okay")

    def test_tooShort(self) -> None:
        """
        A connection that ends early is told apart from an answer without a length.
        """
        self.assertRaises(EOFError, self.answered, OK[:-1])
        self.assertRaises(EOFError, self.answered, CHUNKED)

    def test_inPieces(self) -> None:
        """
        Answers may come in any pieces.
        """
        self.patch(answers, "PIECE", 1)
        self.assertFalse(self.answered(CHUNKED + b"2\r\nok\r\n0\r\n\r\n", expect="ok"))
        self.assertTrue(self.answered(b"HTTP/1.1 200 OK\r\n\r\nok", expect="ok"))

    def test_over(self) -> None:
        """
        A connection that was reset after an answer is over, as is one that was closed.
        """
        for end in (RESET, b""):
            with Scripted([OK, end]) as server:
                talk = Conversation(settingsFor(server))
                talk.ask(b"GET / HTTP/1.1\r\n\r\n")
                talk.answer("GET")
                if not end:
                    talk.ask(b"GET / HTTP/1.1\r\n\r\n")
                while not talk.isOver():
                    pass
                talk.sock.close()

    def test_six(self) -> None:
        """
        An IPv6 address is connected to as such.
        """
        sock = socket.create_server(("::1", 0), family=socket.AF_INET6)
        self.addCleanup(sock.close)
        talk = Conversation(Settings(host="::1", port=sock.getsockname()[1]))
        self.assertFalse(talk.isOver())
        talk.sock.close()


class CrowdTests(SynchronousTestCase):
    """
    What became of requests.
    """

    def crowd(self, server: Scripted, **options: Any) -> Crowd:
        """
        Clients that have begun.
        """
        crowd = Crowd(settingsFor(server, **options))
        self.addCleanup(crowd.stop)
        crowd.start()
        return crowd

    def lost(self, *script: bytes, **options: Any) -> Lost:
        """
        How the first request was lost.
        """
        with Scripted(script) as server:
            crowd = self.crowd(server, **options)
            crowd.stop()
            return crowd.tally().lost[0]

    def test_reset(self) -> None:
        """
        A connection that was reset is named as such, with how much had come.
        """
        self.assertRegex(self.lost(b"", RESET).how, r"\A(reset after 0 bytes)\Z")

    def test_closed(self) -> None:
        """
        So are those that were closed without an answer, or in the midst of one.
        """
        lost = self.lost(b"")
        self.assertEqual((lost.how, lost.said), ("closed without an answer", ""))
        lost = self.lost(OK[:-1], targets=("/a",), method="PUT", body="x")
        self.assertEqual(
            (lost.how, lost.said), (f"cut after {len(OK) - 1} bytes", OK[:-1].decode())
        )
        self.assertEqual((lost.kind, lost.method, lost.target), ("keep-alive", "PUT", "/a"))
        self.assertIn(f"PUT /a: cut after {len(OK) - 1} bytes, request 1 of port ", str(lost))

    def test_tlsCut(self) -> None:
        """
        Over TLS, an end that was not announced is a cut, also of an answer without a length.
        """
        with Scripted([b"HTTP/1.1 200 OK\r\n\r\nx"], tls=serverContext()) as server:
            crowd = self.crowd(server, tls=True)
            crowd.stop()
            self.assertEqual(crowd.tally().lost[0].how, "cut after 20 bytes")

    def test_timeout(self) -> None:
        """
        Who hears nothing for too long gives up.
        """
        self.assertEqual(self.lost(b"", KEEP, timeout=0.05).how, "timeout after 0 bytes")

    def test_wrong(self) -> None:
        """
        Something else than an answer is a loss, too.
        """
        self.assertEqual(self.lost(b"what?\r\n\r\n").how, "wrong: no status line")

    def test_kinds(self) -> None:
        """
        Some use a connection for all requests, some say that they want it for one.
        """
        with Scripted([OK] * 10**5) as server:
            crowd = self.crowd(server)
            crowd.again()
            crowd.stop()
            tally = crowd.tally()
        self.assertGreaterEqual(tally.answered["keep-alive"], 2)
        with Scripted([OK]) as server:
            crowd = self.crowd(server, keepAlive=0, fresh=1)
            crowd.again()
            crowd.stop()
            self.assertIn(b"\r\nConnection: close\r\n", server.heard[0])
            tally = crowd.tally()
        self.assertEqual(tally.total, tally.connections)
        self.assertEqual((tally.lostCount, tally.told), (0, 0))

    def test_ended(self) -> None:
        """
        A connection that was ended between two requests is noticed, and no loss; one that was
        told to be the last is not used again.
        """
        last = OK.replace(b"Content", b"Connection: close\r\nContent")
        with Scripted([OK], [last], [last]) as server:
            crowd = self.crowd(server, keepAlive=0, pausing=1, pause=0.03)
            crowd.again()
            crowd.again()
            crowd.stop()
            tally = crowd.tally()
        self.assertEqual((tally.lostCount, tally.refusedCount, tally.ended), (0, 0, 1))
        self.assertGreaterEqual(tally.told, 1)

    def test_unwritten(self) -> None:
        """
        What could not be written on a connection that has served goes to a new one.
        """
        with Scripted([OK, KEEP], [OK] * 50) as server:
            crowd = Crowd(settingsFor(server))
            client = asking.Client(crowd, "keep-alive", 0)
            self.assertTrue(client._turn("/", 0.0))
            assert client._talk is not None
            client._talk.sock.shutdown(socket.SHUT_WR)
            self.assertTrue(client._turn("/", 0.0))
            client._drop()
        self.assertEqual((crowd.tally().ended, crowd.tally().connections), (1, 2))

    def test_refused(self) -> None:
        """
        A connection that does not come about is told apart from a request that is lost.
        """
        with Scripted([OK] * 1000) as server:
            pass
        crowd = self.crowd(server)
        crowd.stop()
        self.assertEqual({each.how for each in crowd.tally().refused}, {"refused"})
        self.assertEqual(crowd.tally().lost, [])

    def test_broken(self) -> None:
        """
        A handshake that fails is a connection that does not come about.
        """
        with Scripted([RESET]) as server:
            crowd = self.crowd(server, tls=True)
            crowd.stop()
            self.assertTrue(crowd.tally().refused[0].how.startswith("broken: "))

    def test_unixSocket(self) -> None:
        """
        A UNIX socket is as good as a port; without it, clients are refused.
        """
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "socket")
            with Scripted([OK] * 1000, path=path) as server:
                crowd = self.crowd(server)
                self.assertGreater(crowd.tally().total, 0)
                crowd.stop()
            crowd = self.crowd(server)
            crowd.stop()
        self.assertEqual(crowd.tally().refused[0].how, "refused")

    def test_named(self) -> None:
        """
        Beyond a number, what failed is only counted.
        """
        self.patch(asking, "NAMED", 1)
        crowd = Crowd(Settings())
        for _ in range(3):
            crowd.failed("lost", Lost(0.0, "fresh", "GET", "/", "refused"))
        tally = crowd.tally()
        self.assertEqual((tally.lostCount, len(tally.lost)), (3, 1))

    def test_stopped(self) -> None:
        """
        Whoever was about to ask when the crowd was stopped does not, and does not connect.
        """
        with Scripted([OK] * 9) as server:
            crowd = Crowd(settingsFor(server))
            client = asking.Client(crowd, "keep-alive", 0)
            crowd.stopping.set()
            self.assertTrue(client._turn("/", 0.0))
            client._drop()
        self.assertEqual((crowd.tally().connections, crowd.tally().total), (0, 0))
        self.assertNotIn(b"GET", b"".join(server.heard))

    def test_stuck(self) -> None:
        """
        Nobody is waited for without end.
        """
        crowd = Crowd(Settings(timeout=0.001))
        crowd.again()

    def test_turns(self) -> None:
        """
        What is asked for changes, and not everybody begins with the same.
        """
        crowd = Crowd(replace(Settings(), targets=("/a", "/b"), keepAlive=2, pausing=0, fresh=0))
        firsts = [next(iter(client._targets)) for client in crowd._clients]
        self.assertEqual(firsts, ["/a", "/b"])


class AddressTests(SynchronousTestCase):
    """
    Where a server is.
    """

    def test_understood(self) -> None:
        """
        Hosts with ports, URLs, and paths of UNIX sockets.
        """
        for text, expected in {
            "localhost:80": {"host": "localhost", "port": 80},
            "http://here": {"host": "here", "port": 80},
            "https://here/a/b": {"host": "here", "port": 443, "tls": True, "targets": ("/a/b",)},
            "http://[::1]:8080": {"host": "::1", "port": 8080},
            "https://[::1]": {"host": "::1", "port": 443, "tls": True},
            "/run/it": {"path": "/run/it"},
        }.items():
            self.assertEqual(load.addressFrom(text), expected, text)

    def test_notUnderstood(self) -> None:
        """
        Anything else is an error.
        """
        for text in ("here", "ftp://here:21", "here:x", ":80", ""):
            self.assertRaises(ValueError, load.addressFrom, text)


class ProgramTests(SynchronousTestCase):
    """
    The program.
    """

    def test_obeys(self) -> None:
        """
        It answers each order by what became of the requests so far.
        """
        with Scripted([OK] * 10**5) as server:
            out = io.StringIO()
            orders = [json.dumps(settingsFor(server).__dict__), "again\n", "stop\n", "again\n"]
            with mock.patch("sys.stdin", orders), mock.patch("sys.stdout", out):
                self.assertEqual(load.main(["--orders"]), 0)
        tallies = [Tally(**json.loads(line)) for line in out.getvalue().splitlines()]
        self.assertEqual([tally.lostCount for tally in tallies], [0, 0, 0])
        self.assertGreater(tallies[1].total, tallies[0].total)

    def test_forsaken(self) -> None:
        """
        It ends when there is nothing more to be read.
        """
        with Scripted([OK] * 10**5) as server:
            out = io.StringIO()
            load.obey([json.dumps(settingsFor(server).__dict__)], out)
        self.assertEqual(len(out.getvalue().splitlines()), 2)

    def test_nobodyListens(self) -> None:
        """
        If nobody wants to know any more, that is no error.
        """
        with (
            mock.patch.object(load, "obey", side_effect=BrokenPipeError),
            mock.patch("os.dup2") as replaced,
        ):
            self.assertEqual(load.main(["--orders"]), 0)
        [(descriptor, output)] = [call.args for call in replaced.mock_calls]
        self.assertEqual(output, 1)
        os.close(descriptor)

    def byHand(self, *arguments: str) -> tuple[int, str]:
        """
        The exit status, and what was said.
        """
        out = io.StringIO()
        with contextlib.redirect_stdout(out), mock.patch("sys.argv", ["load", *arguments]):
            return load.main(), out.getvalue()

    def test_byHand(self) -> None:
        """
        It says how many were answered; the status tells whether all were.
        """
        with Scripted([OK]) as server:
            place = f"127.0.0.1:{server.address[1]}"
            few = ("--keep-alive", "0", "--pausing", "0", "--fresh", "1", "--seconds", "0.01")
            status, text = self.byHand(place, *few, "--target", "/a")
            self.assertRegex(text, r"\A\d+ answered, 0 lost, 0 refused\n\Z")
            self.assertEqual(status, 0)
            self.assertTrue(server.heard[0].startswith(b"GET /a "))
        with Scripted([RESET]) as server:
            place = f"127.0.0.1:{server.address[1]}"
            status, text = self.byHand(place, *few, "--tls")
            self.assertEqual(status, 1)
        self.assertRegex(text, r"(?m)^0\.\d+ s: fresh: GET /: broken: ")

    def test_interrupted(self) -> None:
        """
        ^C ends it as the end of its time does.
        """
        with Scripted([OK] * 10**5) as server:
            timer = threading.Timer(0.2, signal.raise_signal, [signal.SIGINT])
            former = signal.signal(signal.SIGINT, signal.default_int_handler)
            self.addCleanup(signal.signal, signal.SIGINT, former)
            timer.start()
            status, text = self.byHand(f"127.0.0.1:{server.address[1]}", "--fresh", "0")
            timer.join()
        self.assertIn(" 0 lost", text)
        del status

    def test_misspelt(self) -> None:
        """
        What is no address is said.
        """
        self.assertEqual(self.byHand("here"), (2, "load: no port in 'here'\n"))

    def test_module(self) -> None:
        """
        It is run as a module, and loads nothing of Twisted.
        """
        command = [sys.executable, "-X", "importtime", "-m", "terminable.testing.load", "here"]
        done = subprocess.run(
            command, env=environment(), capture_output=True, text=True, timeout=60
        )
        self.assertEqual((done.returncode, done.stdout), (2, "load: no port in 'here'\n"))
        self.assertNotRegex(done.stderr, "twisted|zope|terminable.terminator")
