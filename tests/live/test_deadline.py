"""
Whatever peers and protocols do, the stop does not outlast its deadline: guarantees G6
and G8.
"""

from __future__ import annotations

import re

from tests.live.clients import Address, Peer
from tests.live.processes import LiveTestCase, Server, freePort

GRACE = 1.0
IDLE = 0.3

#: What a process may take to leave after its deadline.
MORE = 0.2


def counts(report: str) -> dict[str, int]:
    """
    The numbers of a report by what they count.
    """
    return {
        name: int(value)
        for value, name in re.findall(r"(\d+) (idle|finished|left|aborted)", report)
    }


class HostileClientTests(LiveTestCase):
    """
    Web clients that do not go.
    """

    def setUp(self) -> None:
        """
        Start a server with a plain port and one with TLS.
        """
        pem = self.certificate()
        self.plain, self.secure = Address(port=freePort()), Address(port=freePort(), tls=True)
        listen = f"{self.secure.description}:certKey={pem}:privateKey={pem}"
        self.server = self.start(
            *("terminable", "--class", "tests.live.resources.Root", "--fail-on-straggler"),
            *("--grace", str(GRACE), "--idle-grace", str(IDLE)),
            *("--port", self.plain.description, "--port", listen),
        )

    def sending(self, text: str, address: Address | None = None) -> Peer:
        """
        A client that has sent this much.
        """
        peer = (address or self.plain).connect()
        peer.send(text.replace("\n", "\r\n").encode())
        return peer

    def test_everybodyIsToldAndNamed(self) -> None:
        """
        Stuck readers, half requests, long ones and silence: all are gone by the
        deadline, told what can be told, and named; the exit status says so.
        """
        reader = self.plain.connect(window=4096)
        reader.ask("/big?bytes=8000000")
        line = self.sending("GE")
        header = self.sending("GET /half HTTP/1.1\nHost: localhost\nX-Half: ")
        upload = self.sending("POST /upload HTTP/1.1\nHost: localhost\nContent-Length: 9\n\n123")
        long = self.sending("GET /later?seconds=60 HTTP/1.1\nHost: localhost\n\n")
        secureLong = self.sending("GET /later?seconds=61 HTTP/1.1\nHost: a\n\n", self.secure)
        secureUpload = self.sending(
            "POST /upload?2 HTTP/1.1\nHost: a\nContent-Length: 9\n\n123", self.secure
        )
        silent, noHello = self.plain.reach(), self.secure.reach()
        idle = [self.plain.connect(), self.secure.connect()]
        for peer in idle:
            peer.get("/sync")
        self.server.awaitLog("asked for /later?seconds=61")

        self.server.terminate()
        self.assertBetween(GRACE, self.server.gone(), GRACE + MORE, self.server.log())
        self.assertEqual(self.server.status, 1)

        told = {
            408: (line, header, upload, secureUpload),
            503: (long, secureLong),
        }
        for status, peers in told.items():
            for peer in peers:
                answer = peer.answer()
                self.assertEqual((answer.status, answer.closing), (status, True))
                self.assertEqual("retry-after" in answer.headers, status == 503)
                self.assertEqual(peer.rest(), b"")
        for peer in (silent, noHello, *idle):
            self.assertEqual(peer.rest(), b"")

        report = self.server.report()
        named = {
            # The application is done with that one; what it was is no longer known.
            reader: "busy HTTPChannel from {}, ",
            header: "GET /half from {}, ",
            upload: "POST /upload from {}, ",
            long: "GET /later?seconds=60 from {}, ",
            secureLong: "GET /later?seconds=61 from {}, ",
            secureUpload: "POST /upload?2 from {}, ",
            line: "busy HTTPChannel from {}, ",
            silent: "new HTTPChannel from {}, ",
            noHello: "opening HTTPChannel from {}, ",
        }
        for peer, form in named.items():
            self.assertIn(form.format(peer.name), report)
        self.assertEqual(report.count("told 408"), 4, report)
        self.assertEqual(report.count("told 503"), 2, report)
        self.assertRegex(report, rf"{reader.name}, \d\.\d s, \d+ bytes unsent")
        self.assertEqual(counts(report), {"idle": 4, "finished": 0, "aborted": 7})


class HostileProtocolTests(LiveTestCase):
    """
    Protocols that do not let go.
    """

    def launched(self, name: str) -> tuple[Server, Address]:
        """
        Serve a factory.
        """
        address = Address(port=freePort())
        options = ("--grace", str(GRACE), "--idle-grace", str(IDLE), "--fail-on-straggler")
        factory = ("--factory", f"tests.live.resources.{name}")
        server = self.launch("terminable", *factory, *options, "--port", address.description)
        return server, address

    def test_everyProtocol(self) -> None:
        """
        A protocol that ignores its C{drain()}, one that fails in it, one that
        produces for ever to somebody who reads nothing: cut at the deadline, and
        named.
        """
        names = ("deaf", "faulty", "endless")
        servers = [self.launched(name) for name in names]
        peers = []
        for server, address in servers:
            server.awaitReady()
            peers.append(address.connect(window=4096))
            peers[-1].send(b"hello")
        for server, _ in servers:
            server.send()
        for name, (server, _), peer in zip(names, servers, peers, strict=True):
            self.assertBetween(GRACE, server.gone(), GRACE + MORE, server.log())
            self.assertTrue(peer.wasReset(), name)
            self.assertEqual(server.status, 1, server.log())
            report = server.report()
            self.assertIn(f"{name.capitalize()} from {peer.name}", report)
            self.assertEqual(counts(report), {"idle": 0, "finished": 0, "aborted": 1})

    def test_noGrace(self) -> None:
        """
        A grace period of nothing is an abort.
        """
        server, address = self.serve("--grace", "0")
        peer = address.connect()
        peer.ask("/later?seconds=60")
        server.awaitLog("asked for")
        server.send()
        self.assertBetween(0.0, server.gone(), MORE, server.log())
        self.assertIn("1 aborted", server.report())
