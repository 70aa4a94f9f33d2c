"""
Clients that want more than they get, on real connections.
"""

from __future__ import annotations

import socket
import ssl
import time
from typing import Any

from benchmarks.throttlingclients import Client, measure, upload
from tests.live.processes import PATIENCE, SLACK, eventually
from tests.live.throttled import LimitedTestCase, unsent

KINDS = ("lines", "websocket", "autobahn")

#: How much a rate may be off in a short window, on a machine that has other things to do.
TOLERANCE = 0.05

#: What is sent at once, in all and in each message.
MUCH, PIECE = 20_000_000, 10_000


class RateTests(LimitedTestCase):
    """
    What is let through.
    """

    def clients(self, kind: str, port: int, what: str, count: int) -> list[Client]:
        """
        Some that want as much as they can get.
        """
        clients = [Client(kind, port) for _ in range(count)]
        for client in clients:
            self.addCleanup(client.socket.close)
            if what == "sent":
                client.socket.sendall(client.pack(b"send"))
            else:
                client.flood(b"x" * (100 if what == "messages" else 1000))
        return clients

    def letThrough(self, count: int, wanted: dict[str, int]) -> None:
        """
        Measure rates that so many clients share.
        """
        cases = [(kind, what, rate) for kind in KINDS for what, rate in wanted.items()]
        server = self.limited(
            *((kind, [f"{what}={rate}/s:burst={rate // 5}:per=all"]) for kind, what, rate in cases)
        )
        groups = [
            self.clients(kind, port, what, count)
            for port, (kind, what, _) in zip(server.ports, cases, strict=True)
        ]
        # A machine that is busy may be late once, and again.
        for _ in range(3):
            wrong = self.wrong(groups, cases, count)
            if not wrong:
                break
        self.assertEqual(wrong, [])

    def wrong(
        self, groups: list[list[Client]], cases: list[tuple[str, str, int]], count: int
    ) -> list[str]:
        """
        Measure once.

        @return: what was not as it should be.
        """
        wrong = []
        found = measure(groups, 2.0, 2.5)
        for group, (kind, what, rate), got in zip(groups, cases, found, strict=True):
            client, units = group[0], got.total
            if what != "sent":
                units /= client.answer
            if what == "received":
                units *= len(client.pack(b"x" * 1000))
            if abs(units / rate - 1) >= TOLERANCE:
                wrong.append(f"{count} {kind}: {units:.0f} of {rate} {what}")
        return wrong

    def test_one(self) -> None:
        """
        One client gets what is configured.
        """
        self.letThrough(1, {"messages": 200, "received": 400_000, "sent": 400_000})

    def test_hundred(self) -> None:
        """
        A hundred get the same together.
        """
        # Less in all than any machine can do beside other things.
        self.letThrough(100, {"messages": 100, "received": 200_000, "sent": 200_000})


class UploadTests(LimitedTestCase):
    """
    Much at once, from a client that is held back.
    """

    def test_whole(self) -> None:
        """
        All of it arrives, in order, in the time that the limit says, and the server's memory
        does not grow.
        """
        limits = {
            "messages": f"messages={MUCH // PIECE}/s:burst=500",
            "received": f"received={MUCH}/s:burst={MUCH // 4}",
        }
        cases = [(kind, what) for kind in (*KINDS, "lines+tls") for what in limits]
        server = self.limited(*((kind, [limits[what]]) for kind, what in cases))
        for port, (kind, what) in zip(server.ports, cases, strict=True):
            upload(kind, port, 10 * PIECE, PIECE)
            before = server.memory()
            done = upload(kind, port, MUCH, PIECE)
            grown = server.memory() - before
            self.assertTrue(done.whole, kind)
            self.assertBetween(0.7, done.seconds, 1.2 + SLACK, f"{what}, {kind}")
            self.assertLess(grown, 4_000_000, f"{what}, {kind}")
            print(f"{kind}, {what}: {done.seconds:.2f} s, memory {before} and {grown:+} bytes")


class HoldingTests(LimitedTestCase):
    """
    A connection that is held.
    """

    def quiet(self, clients: dict[int, Client]) -> dict[int, int]:
        """
        Write for a moment, and see for whom the kernel then holds what it held.

        @param clients: by their ports.
        @return: what it holds for these; nothing of a port for which bytes have moved.
        """
        moved = set()
        until = time.monotonic() + 0.3
        while time.monotonic() < until:
            moved |= {port for port, client in clients.items() if client.write()}
            time.sleep(0.01)
        held = {port: unsent(clients[port].socket) for port in clients if port not in moved}
        time.sleep(0.2)
        return {port: was for port, was in held.items() if unsent(clients[port].socket) == was}

    def test_window(self) -> None:
        """
        Nothing is read from it: the kernels' buffers fill up, the client can write no more,
        and goes on when the limit does.
        """
        server = self.limited(*((kind, ["messages=20/min:burst=1"]) for kind in KINDS))
        clients = [Client(kind, port) for kind, port in zip(KINDS, server.ports, strict=True)]
        for client in clients:
            self.addCleanup(client.socket.close)
            client.flood(b"x" * 2**16)
            client.socket.setblocking(False)
        left = dict(zip(server.ports, clients, strict=True))
        held: dict[int, int] = {}

        def allHeld() -> bool:
            # Nothing more is written for those.
            held.update(self.quiet({port: left[port] for port in left if port not in held}))
            return len(held) == len(left)

        self.assertTrue(eventually(allHeld))
        self.assertGreater(min(held.values()), 2**14)
        goneOn = lambda: all(unsent(left[port].socket) < was for port, was in held.items())  # noqa: E731
        self.assertTrue(eventually(goneOn))

    def test_twoWhoPause(self) -> None:
        """
        An application that pauses its transport while a limit has it held, or the other way
        round, is not undone by it.
        """
        for limit, longest in (("messages=2/s:burst=1", 1.2), ("messages=1/s:burst=1", 0.8)):
            kinds = (*KINDS, "lines+tls")
            server = self.limited(*((kind, [limit]) for kind in kinds))
            clients = [Client(kind, port) for kind, port in zip(kinds, server.ports, strict=True)]
            began = time.monotonic()
            for client in clients:
                self.addCleanup(client.socket.close)
                client.socket.settimeout(PATIENCE)
                client.socket.sendall(client.pack(b"one"))
                self.assertEqual(client.message(), b"+")
                client.socket.sendall(client.pack(f"pause {longest}".encode()))
            time.sleep(0.1)
            for client in clients:
                client.socket.sendall(client.pack(b"two"))
            for client in clients:
                self.assertEqual(client.message(), b"+")
            least = max(longest, 1.0 if "=1/s" in limit else 0.5)
            self.assertBetween(least - 0.05, time.monotonic() - began, least + 0.8)


class RefusingTests(LimitedTestCase):
    """
    Quota and disconnection.
    """

    def test_webSockets(self) -> None:
        """
        A client that nobody here has written is told first that it is too much, and then
        why it is closed.
        """
        from websockets.exceptions import ConnectionClosed
        from websockets.sync.client import connect

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        limit = "messages=20/s:burst=10:over=quota,disconnect@0.6:warning=0.2:words=ENOUGH"
        kinds = ("websocket", "autobahn", "websocket+tls", "autobahn+tls")
        server = self.limited(*((kind, [limit]) for kind in kinds))
        for kind, port in zip(kinds, server.ports, strict=True):
            secure = kind.endswith("+tls")
            url = f"{'wss' if secure else 'ws'}://localhost:{port}/"
            heard: list[Any] = []
            with connect(url, ssl=context if secure else None, max_queue=None) as client:
                try:
                    for _ in range(300):
                        client.send(b"x" * 1000)
                        client.send(b"x" * 1000)
                        heard.append(client.recv(PATIENCE))
                        time.sleep(0.01)
                except ConnectionClosed as end:
                    closed = end.rcvd
            assert closed is not None
            self.assertEqual((closed.code, closed.reason), (1008, "ENOUGH"), kind)
            self.assertEqual(heard[:5], [b"+"] * 5)
            self.assertIn("ENOUGH", heard)

    def test_lines(self) -> None:
        """
        A client that floods gets its words and an orderly end, though it never stops.
        """
        limit = "messages=10/s:burst=5:over=disconnect:warning=0.2:words=ENOUGH"
        server = self.limited(("lines", [limit]), ("lines+tls", [limit]))
        for kind, port in zip(("lines", "lines+tls"), server.ports, strict=True):
            client = Client(kind, port)
            self.addCleanup(client.socket.close)
            client.socket.sendall(b"x\r\n" * 20000)
            heard = b""
            client.socket.settimeout(PATIENCE)
            while data := client.socket.recv(1000):
                heard += data
            self.assertEqual(heard, b"+\r\n" * 5 + b"ENOUGH\r\n", kind)

    def test_floodUnread(self) -> None:
        """
        Who floods and does not read what he is told fills nobody's memory, and is read no
        more.
        """
        server = self.limited(*((kind, ["messages=10/s:over=quota"]) for kind in KINDS))
        for kind, port in zip(KINDS, server.ports, strict=True):
            client = Client(kind, port)
            self.addCleanup(client.socket.close)
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.flood(b"x" * 10)
            client.socket.setblocking(False)
            before = server.memory()
            until = time.monotonic() + 1.5
            while time.monotonic() < until:
                client.write()
                time.sleep(0.005)
            self.assertLess(server.memory() - before, 24_000_000, kind)


class HTTPTests(LimitedTestCase):
    """
    Requests, by the command line.
    """

    def test_quota(self) -> None:
        """
        Who asks too often is told when to come again, and is served then.
        """
        limits = ("--limit", "messages=20/min:burst=2:per=peer:over=quota")
        _, address = self.serve(*limits)
        peer = address.connect()
        answers = [peer.get("/sync") for _ in range(4)]
        self.assertEqual([answer.status for answer in answers], [200, 200, 429, 429])
        # Of the three seconds some may have gone by.
        wait = int(answers[3].headers["retry-after"])
        self.assertIn(wait, (1, 2, 3))
        self.assertEqual(answers[3].headers["ratelimit-policy"], '"peer";q=2;w=6')
        self.assertRegex(answers[3].headers["ratelimit"], r'\A"peer";r=0;t=[123]\Z')
        self.assertEqual(answers[3].body, f"QUOTA_EXCEEDED: try again in {wait} s\n".encode())
        time.sleep(wait)
        self.assertEqual(address.connect().get("/sync").status, 200)

    def test_disconnect(self) -> None:
        """
        Who has to go reads the answer that says so, whatever he has sent meanwhile.
        """
        _, address = self.serve("--limit", "messages=20/min:burst=2:over=disconnect")
        peer = address.connect()
        for _ in range(500):
            peer.ask("/sync")
        self.assertEqual([peer.answer().status for _ in range(2)], [200, 200])
        last = peer.answer()
        self.assertEqual((last.status, last.closing), (429, True))
        self.assertEqual(peer.rest(), b"")

    def test_stop(self) -> None:
        """
        A stop lets requests be served that wait, at their rate, and loses none.
        """
        for over in ("backpressure", "delay"):
            limits = ("--limit", f"messages=4/s:burst=1:over={over}")
            server, address = self.serve(*limits, "--grace", "10", "--idle-grace", "0.2")
            peer = address.connect()
            began = time.monotonic()
            for _ in range(6):
                peer.ask("/sync")
            server.terminate()
            answers = [peer.answer() for _ in range(6)]
            self.assertEqual([answer.status for answer in answers], [200] * 6)
            self.assertEqual([answer.closing for answer in answers], [False] * 5 + [True])
            server.gone()
            self.assertBetween(0.9, time.monotonic() - began, 2.0, server.log())
            self.assertIn("0 aborted", server.report())
