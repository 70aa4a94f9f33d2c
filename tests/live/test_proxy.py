"""
Behind a proxy that tells whose connections it passes on: the PROXY protocol, v1 and v2.
"""

from __future__ import annotations

import ipaddress
import os
import re
import signal
import struct

from tests.live.clients import HOST, Address, Peer
from tests.live.processes import PATIENCE, LiveTestCase, Server, eventually, freePort

#: Where the client of these tests says that it has connected to.
THERE = "192.0.2.1"

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def textual(host: str, port: int) -> bytes:
    """
    A header of version 1.
    """
    return b"PROXY TCP4 %s %s %d 80\r\n" % (host.encode(), THERE.encode(), port)


def binary(host: str, port: int) -> bytes:
    """
    A header of version 2, with an extension that nobody knows.
    """
    address = ipaddress.ip_address(host)
    kind = 0x11 if address.version == 4 else 0x21
    there = ipaddress.ip_address(THERE if kind == 0x11 else "2001:db8::1")
    body = address.packed + there.packed + struct.pack("!2H", port, 80) + b"\xe0\0\x01x"
    return SIGNATURE + struct.pack("!BBH", 0x21, kind, len(body)) + body


#: A header of version 2 for a connection of the proxy's own, as for a health check.
LOCAL = SIGNATURE + b"\x20\0\0\0"


class ProxyTests(LiveTestCase):
    """
    C{haproxy:} before the endpoint.
    """

    def behind(self, *options: str) -> Server:
        """
        Serve behind a proxy, at C{self.address}.
        """
        self.address = Address(port=freePort())
        port = f"haproxy:{self.address.description}"
        content = ("--class", "tests.live.resources.Root")
        options = ("--idle-grace", "0.2", *options)
        return self.start("terminable", "--port", port, *content, *options)

    def passedOn(self, header: bytes) -> Peer:
        """
        A connection that begins with a header.
        """
        peer = self.address.connect()
        self.addCleanup(peer.close)
        peer.send(header)
        return peer

    def assertNamed(self, server: Server, *names: str) -> None:
        """
        It ends, and its report has all these stragglers.
        """
        server.send()
        server.gone()
        for name in names:
            self.assertIn(f"from {name}, ", server.report())
        self.assertNotIn("Traceback", server.log())

    def test_report(self) -> None:
        """
        The report names the real peers, of whatever version and address family; who has none, by
        the address that the proxy has.
        """
        server = self.behind("--grace", "0.5")
        headers = {
            "203.0.113.7:4242": textual("203.0.113.7", 4242),
            "203.0.113.8:4343": binary("203.0.113.8", 4343),
            "[2001:db8:0:0:0:0:0:7]:4444": binary("2001:db8::7", 4444),
        }
        for number, header in enumerate(headers.values()):
            self.passedOn(header).ask(f"/later?seconds=6{number}")
        own = self.passedOn(LOCAL)
        own.ask("/later?seconds=69")
        for number in (0, 1, 2, 9):
            server.awaitLog(f"seconds=6{number}")
        self.assertNamed(server, *headers, own.name)

    def test_upgraded(self) -> None:
        """
        A successor reads the headers of those who connect to it.
        """
        server = self.behind()
        server.send(signal.SIGUSR2)
        server.awaitLog("serves now")
        answer = self.passedOn(binary("203.0.113.8", 4343)).get("/sync")
        self.assertEqual(answer.body, b"sync\n")
        server.awaitLog('"203.0.113.8" - - ')
        self.endSuccessor(server)

    def endSuccessor(self, server: Server) -> None:
        """
        It is no child of ours: it is told by the number in the log.
        """
        pid = int(re.findall(r"upgrade: (\d+) serves now", server.log())[-1])
        server.gone()
        os.kill(pid, signal.SIGTERM)
        self.assertTrue(eventually(lambda: server.log().count("terminated: ") == 2), server.log())

    def test_broken(self) -> None:
        """
        Who sends no header, or a broken one, is lost without an answer; others are served.
        """
        server = self.behind()
        wrong = (b"GET / HTTP/1.1\r\n\r\n", b"PROXY TCP4 nonsense\r\n", SIGNATURE + b"\x2f\x11\0\0")
        for header in wrong:
            self.assertEqual(self.passedOn(header).rest(), b"", header)
        self.assertEqual(self.passedOn(LOCAL).get("/sync").status, 200)
        server.terminate()
        server.gone()
        self.assertNotIn("Traceback", server.log())

    def test_messages(self) -> None:
        """
        A limit for each peer, in messages, is that of the real peers.
        """
        self.behind("--limit", "messages=6/min:burst=1:per=peer:over=quota")
        headers = (
            textual("203.0.113.7", 1),
            binary("203.0.113.8", 2),
            binary("203.0.113.7", 3),
        )
        statuses = [self.passedOn(header).get("/sync").status for header in headers]
        self.assertEqual(statuses, [200, 200, 429])

    def test_admission(self) -> None:
        """
        A capacity for each peer is that of the proxy: nobody has read a header of those who wait.
        """
        self.behind("--capacity-per-peer", "1")
        first = self.passedOn(textual("203.0.113.7", 1))
        first.ask("/upload", "POST", "Content-Length: 1\r\n")
        second = self.passedOn(textual("203.0.113.8", 2))
        second.ask("/sync", headers="Connection: close\r\n")
        second.sock.settimeout(0.2)
        self.assertRaises(TimeoutError, second.answer)
        second.sock.settimeout(PATIENCE)
        first.send(b"x")
        self.assertEqual(first.answer().body, b"1\n")
        first.close()
        self.assertEqual(second.answer().body, b"sync\n")

    def test_otherPlugin(self) -> None:
        """
        So it is for the ports of another plugin.
        """
        address = self.address = Address(port=freePort())
        plugin = ("web", "--listen", f"haproxy:tcp:{address.port}:interface={HOST}")
        options = ("terminable", "--grace", "0.5", "--")
        server = self.start(*options, *plugin, "--class", "tests.live.resources.Root")
        self.passedOn(binary("203.0.113.9", 4545)).ask("/later?seconds=60")
        server.awaitLog("seconds=60")
        self.assertNamed(server, "203.0.113.9:4545")
