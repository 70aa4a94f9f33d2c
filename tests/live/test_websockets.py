"""
WebSockets in servers that are stopped, with very many real clients.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from typing import Any

from tests.live.clients import HOST, Address, Peer
from tests.live.processes import (
    ROOT,
    LiveTestCase,
    Server,
    environment,
    eventually,
    freePort,
)
from tests.live.wsclients import Seen
from tests.live.wsservers import QUEUED

#: How long it may take until very many clients are open, or closed, on a busy machine.
LONG = 90.0

#: What everybody is sent: hello, an echo, and what is queued when the drain begins.
MESSAGES = ["hello", "ping", *map(str, range(QUEUED))]

#: What WebSockets begin with.
HANDSHAKE = (
    "Connection: Upgrade\r\n"
    "Upgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
)


class Crowd:
    """
    Many clients in a process of their own.
    """

    def __init__(self, kind: str, count: int, urls: list[str]) -> None:
        command = [sys.executable, "-m", "tests.live.wsclients", kind, str(count), *urls]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._said: list[str] = []
        self._complaints: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=each, daemon=True)
            for each in (
                (self.process.stdout, self._said),
                (self.process.stderr, self._complaints),
            )
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: Any, lines: list[str]) -> None:
        lines.extend(stream)

    def _await(self, number: int) -> str:
        over = lambda: len(self._said) > number or self.process.poll() is not None  # noqa: E731
        eventually(over, LONG)
        if len(self._said) <= number:
            raise AssertionError("".join(self._complaints) or "nothing was said")
        return self._said[number]

    def awaitReady(self) -> None:
        """
        Return when all of them are open.
        """
        assert self._await(0) == "ready\n"

    def seen(self) -> list[Seen]:
        """
        What each has seen, when all of them are closed.
        """
        return [Seen(**each) for each in json.loads(self._await(1))]

    def cleanUp(self) -> None:
        """
        Leave nothing behind.
        """
        self.process.kill()
        self.process.wait()
        for reader in self._readers:
            reader.join()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


class SocketsTestCase(LiveTestCase):
    """
    A server with all kinds of WebSockets.

    @ivar places: where they are.
    @ivar web: where C{twisted.web} is, without TLS and with it.
    """

    def page(self) -> str:
        """
        A page that it serves too.
        """
        return ""

    def serving(self, **settings: Any) -> Server:
        """
        Start it.
        """
        ports: set[int] = set()
        while len(ports) < 4:
            ports.add(freePort())
        web, webTLS, own, ownTLS = (
            Address(port=port, tls=tls) for port, tls in zip(ports, (False, True) * 2, strict=True)
        )
        self.web = (web, webTLS)
        self.places = [
            *((address, path) for path in ("/twisted", "/autobahn") for address in self.web),
            (own, "/"),
            (ownTLS, "/"),
        ]
        env = {
            "PORTS": " ".join(map(str, ports)),
            "CERTIFICATE": str(self.certificate()),
            "SETTINGS": json.dumps(settings),
            "PAGE": self.page(),
        }
        return self.start("--python", str(ROOT / "tests" / "live" / "wsservers.py"), env=env)

    @property
    def urls(self) -> list[str]:
        """
        Where its WebSockets are.
        """
        return [
            f"{'wss' if address.tls else 'ws'}://{HOST}:{address.port}{path}"
            for address, path in self.places
        ]

    def crowds(self, *crowds: tuple[str, int]) -> list[Crowd]:
        """
        Connect very many clients.
        """
        made = []
        for kind, count in crowds:
            made.append(Crowd(kind, count, self.urls))
            self.addCleanup(made[-1].cleanUp)
        for crowd in made:
            crowd.awaitReady()
        return made


class CrowdTests(SocketsTestCase):
    """
    Clients of two libraries.
    """

    def assertClosed(self, seen: list[Seen], count: int, code: int, reason: str) -> None:
        """
        Everybody got everything, in order, and then the close frame.
        """
        self.assertEqual(Counter(tuple(each.messages) for each in seen), {tuple(MESSAGES): count})
        words = Counter((each.code, each.reason, each.clean) for each in seen)
        self.assertEqual(words, {(code, reason, True): count})
        self.assertEqual({each.url for each in seen}, set(self.urls))

    def test_staggered(self) -> None:
        """
        Two thousand are closed one after the other, in all of the time that there is.  A
        twentieth of them belongs to each tenth of a second; their clients may be late in
        seeing it on a machine that is busy.
        """
        slices = self.slices()
        while max(slices.values()) > 400 and self.tries < 3:
            slices = self.slices()
        self.assertLessEqual(max(slices.values()), 400, sorted(slices.items()))

    #: How often it was looked at.
    tries = 0

    def slices(self) -> Counter[int]:
        """
        Look once.

        @return: how many were told in each tenth of a second.
        """
        self.tries += 1
        server = self.serving(gracePeriod=15.0, stagger=2.0)
        crowds = self.crowds(("asyncio", 1600), ("autobahn", 400))
        told = time.monotonic()
        server.terminate()
        seen = [each for crowd in crowds for each in crowd.seen()]
        self.assertClosed(seen, 2000, 1001, "")
        slices = Counter(int((each.when - told) * 10) for each in seen)
        self.assertGreater(max(slices), 17, sorted(slices.items()))
        self.assertLess(server.gone(), 14.0, server.log())
        self.assertIn("2000 finished, 0 aborted", server.report())
        self.assertNotIn("Traceback", server.log())
        return slices

    def test_otherWords(self) -> None:
        """
        Code and reason may be others; without C{stagger} all are closed at once.
        """
        server = self.serving(gracePeriod=15.0, closeCode=1012, closeReason="back soon")
        crowds = self.crowds(("asyncio", 300), ("autobahn", 150))
        server.terminate()
        seen = [each for crowd in crowds for each in crowd.seen()]
        self.assertClosed(seen, 450, 1012, "back soon")
        self.assertLess(server.gone(), 12.0, server.log())
        self.assertIn("450 finished, 0 aborted", server.report())
        self.assertNotIn("Traceback", server.log())


class SilentTests(SocketsTestCase):
    """
    Clients that do not answer.
    """

    def silent(self, count: int) -> list[Peer]:
        """
        Open so many, and say nothing more.
        """
        peers = []
        for number in range(count):
            address, path = self.places[number % len(self.places)]
            peer = address.connect()
            self.addCleanup(peer.close)
            peer.ask(path, headers=HANDSHAKE)
            self.assertIn(b" 101 ", peer.until(b"\r\n\r\n"))
            self.assertEqual(peer.exactly(7), b"\x81\x05hello")
            peers.append(peer)
        return peers

    def test_lingering(self) -> None:
        """
        They are waited for so long, and then lost in good order.
        """
        server = self.serving(gracePeriod=10.0, linger=1.0)
        peers = self.silent(60)
        server.terminate()
        self.assertBetween(1.0, server.gone(), 4.0, server.log())
        self.assertIn("60 finished, 0 aborted", server.report())
        for peer in peers:
            self.assertTrue(peer.rest().endswith(b"\x81\x019\x88\x02\x03\xe9"))
        self.assertNotIn("Traceback", server.log())

    def test_deadline(self) -> None:
        """
        But never longer than until the deadline.
        """
        server = self.serving(gracePeriod=1.5, linger=30.0)
        self.silent(60)
        server.terminate()
        self.assertBetween(1.5, server.gone(), 2.0, server.log())
        self.assertIn("60 aborted", server.report())
        self.assertNotIn("Traceback", server.log())
