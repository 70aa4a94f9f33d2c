"""
So many at a time, and the others in turn, with real clients: crowds, and worse.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import socket
import ssl
import subprocess
import sys
import time
from collections import Counter
from typing import Any
from unittest import SkipTest

from tests.live.admitting import AdmissionTestCase
from tests.live.networkclients import GET, HOST, MANY
from tests.live.networkclients import OTHER as NEXT
from tests.live.processes import SLACK, environment, eventually
from tests.live.programs import program
from tests.live.wsclients import raiseLimit, trusting

#: An address of ours that is another peer than the usual one.
OTHER = "127.0.0.2"


async def ask(port: int, data: bytes, secure: ssl.SSLContext | None) -> str:
    """
    The first words of an answer, or how there was none.
    """
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=secure)
        writer.write(data)
        answer = await asyncio.wait_for(reader.read(), 60)
        writer.close()
    except Exception as error:
        return type(error).__name__
    return answer[:12].decode("latin-1")


async def askAll(count: int, port: int, data: bytes, secure: ssl.SSLContext | None) -> list[str]:
    """
    All at once.
    """
    return await asyncio.gather(*(ask(port, data, secure) for _ in range(count)))


class CrowdTests(AdmissionTestCase):
    """
    A thousand clients, and ten places.
    """

    count = 1000

    def crowd(self, kind: str, **settings: Any) -> tuple[Counter[str], dict[str, int]]:
        raiseLimit()
        # So many clients share one thread: each may be silent for longer than somebody may who
        # has a place.
        server = self.admit(kind, capacity=10, files=4000, makeRoom=False, **settings)
        secure = trusting() if kind == "tls" else None
        heard = asyncio.run(askAll(self.count, self.port, GET, secure))
        return Counter(heard), self.end(server)

    def test_http(self) -> None:
        """
        All are served, never more than ten at a time, and nobody is reset; most of them
        have waited in the kernel's queue.
        """
        heard, counted = self.crowd("http", queue=200)
        self.assertEqual(heard, {"HTTP/1.1 200": self.count})
        self.assertEqual(counted, {"most": 10, "ever": self.count})

    def test_tls(self) -> None:
        """
        The same with TLS, whose handshakes wait too.
        """
        heard, counted = self.crowd("tls", queue=2000)
        self.assertEqual(heard, {"HTTP/1.1 200": self.count})
        self.assertEqual(counted, {"most": 10, "ever": self.count})

    def test_raw(self) -> None:
        """
        The same with a protocol that speaks first.
        """
        heard, counted = self.crowd("raw", queue=200)
        self.assertEqual({text[:9] for text in heard}, {"you said "})
        self.assertEqual(counted, {"most": 10, "ever": self.count})

    def test_refused(self) -> None:
        """
        With a short queue, whoever has no place in it is told to come again.
        """
        heard, counted = self.crowd("http", queue=100, full="refuse", refusals=2000)
        self.assertEqual(set(heard), {"HTTP/1.1 200", "HTTP/1.1 503"})
        self.assertGreaterEqual(heard["HTTP/1.1 200"], 110)
        self.assertEqual(counted["most"], 10)

    def test_descriptors(self) -> None:
        """
        Without enough descriptors the others wait in the kernel's queue too, and the
        application has what it needs.
        """
        raiseLimit()
        server = self.admit("filing", capacity=20, queue=1000, files=128)
        heard = asyncio.run(askAll(300, self.port, b"x", None))
        self.assertEqual(Counter(heard), {"1\n": 300})
        self.assertEqual(self.end(server)["most"], 20)
        self.assertEqual(server.log().count("no more connections can be accepted"), 1)


class FullTests(AdmissionTestCase):
    """
    The queue is full, and somebody wants it to be.
    """

    def test_retryAfter(self) -> None:
        """
        503 says when to come again; so does SMTP with 421.
        """
        settings = {"capacity": 1, "queue": 0, "full": "refuse", "retryAfter": 7}
        server = self.admit("http", seconds=1, **settings)
        inside = self.reach()
        inside.ask("/")
        # He is behind in the kernel's queue.
        answer = self.reach().get("/")
        self.assertEqual((answer.status, answer.headers["retry-after"]), (503, "7"))
        self.assertTrue(answer.closing)
        self.assertEqual(inside.answer().status, 200)
        self.end(server)
        server = self.admit("smtp", **settings)
        inside = self.reach()
        inside.until(b"\r\n")
        self.assertIn(b"421 4.3.2 ", self.reach().rest())
        inside.close()
        self.assertIn(b"220 ", eventually(self.greeting))
        self.end(server)

    def greeting(self) -> bytes:
        line = self.reach().until(b"\r\n")
        return line if line.startswith(b"220 ") else b""

    def test_slowloris(self) -> None:
        """
        Those who begin requests and never end them have their places for as long as they
        may stay; meanwhile others are told, and wait in vain for nothing.
        """
        server = self.admit("http", capacity=5, queue=5, stay=1.0, full="refuse")
        slow = [self.reach() for _ in range(30)]
        for each in slow:
            with contextlib.suppress(OSError):
                each.send(b"GET / HTTP/1.1\r\nHost:")
        # He takes the place of the youngest of those in the queue.
        began = time.monotonic()
        self.assertEqual(self.asks(OTHER), 200)
        self.assertLess(time.monotonic() - began, 3 + SLACK)
        for each in slow:
            each.close()
        self.assertIn("was inside for 1.0 s; it is aborted", server.log())
        self.end(server)

    def test_headers(self) -> None:
        """
        Headers of a megabyte come to nothing, from who is inside and from who is refused;
        others are served.
        """
        server = self.admit("http", capacity=1, queue=0, full="refuse")
        endless = b"GET / HTTP/1.1\r\n" + b"X-More: %s\r\n" % (b"a" * 1000) * 1000
        for others in (0, 1):
            inside = [self.reach() for _ in range(others)]
            for each in inside:
                each.send(b"GET / HTTP/1.1\r\n")
            greedy = self.reach()
            with contextlib.suppress(OSError):
                greedy.send(endless)
            with contextlib.suppress(OSError, EOFError):
                self.assertNotIn(b" 200 ", greedy.rest())
            for each in (greedy, *inside):
                each.close()
            # That they have gone takes a moment to be seen.
            self.assertTrue(eventually(lambda: self.asks(OTHER) == 200))
        self.assertNotIn("Traceback", server.log())
        self.end(server)

    def asks(self, source: str) -> int:
        peer = self.reach(source)
        peer.send(GET)
        status = peer.answer().status
        peer.close()
        return status

    def test_tenThousand(self) -> None:
        """
        One peer with ten thousand connections has its share, and another one is served.
        """
        raiseLimit()
        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        count = min(10_000, most - 500) if most > 0 else 10_000
        server = self.admit(
            "http", capacity=10, perPeer=5, queue=50, full="refuse", files=count, stay=1.0
        )
        hogs: list[socket.socket] = []
        self.addCleanup(lambda: [each.close() for each in hogs])
        statuses = []
        for number in range(count):
            hog = socket.socket()
            hog.setblocking(False)
            hogs.append(hog)
            with contextlib.suppress(BlockingIOError):
                hog.connect(("127.0.0.1", self.port))
            if not number % 500:
                began = time.monotonic()
                statuses.append(self.asks(OTHER))
                self.assertLess(time.monotonic() - began, 3 + SLACK)
        self.assertEqual(set(statuses), {200})
        self.assertLessEqual(self.end(server)["most"], 10)

    def test_network(self) -> None:
        """
        Who changes his IPv6 address within his network stays one peer.
        """
        unshare, ip = program("unshare", "util-linux"), program("ip", "iproute2")
        inside = [unshare, "-n", "sh", "-ec"]
        lines = (
            f"{ip} link set lo up",
            *(f"{ip} -6 address add {each}/128 dev lo nodad" for each in (HOST, *MANY, NEXT)),
            f"{sys.executable} -m tests.live.networkclients",
        )
        if subprocess.run([*inside, "; ".join(lines[:-1])], capture_output=True).returncode:
            raise SkipTest("no network of our own can be made here")
        settings = {"host": HOST, "capacity": 10, "perPeer": 2, "full": "refuse"}
        done = subprocess.run(
            [*inside, "; ".join(lines)],
            env=environment({"SETTINGS": json.dumps({**settings, "queue": 20, "seconds": 0.4})}),
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertEqual(done.stdout, "11 served, most 3 ever 11\n", done.stderr)


class AddressTests(AdmissionTestCase):
    """
    Bad input.
    """

    def test_errors(self) -> None:
        """
        A setting that cannot be meant is named before anything listens.
        """
        program = [sys.executable, "-m", "tests.live.admissionservers", "http"]
        for settings, expected in (
            ({"capacity": 0}, "capacity: 0 given, expected a whole number, 1 or more, or None"),
            ({"full": "explode"}, "full: 'explode' given, expected one of hold, refuse, reset"),
            ({"wait": -1}, "wait: -1 given, expected a number of seconds, 0 or more"),
            ({"prefixes": [33, 64]}, "prefixes: [33, 64] given, expected bits of"),
        ):
            done = subprocess.run(
                [*program, json.dumps(settings)],
                env=environment(),
                capture_output=True,
                text=True,
                timeout=60,
            )
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(expected, done.stderr + done.stdout)
            self.assertNotIn("listening", done.stdout)
