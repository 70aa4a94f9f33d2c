"""
Whatever peers and protocols do, the stop does not outlast its deadline: guarantees G6
and G8.
"""

from __future__ import annotations

import re
from typing import Any

from terminable.testing import faults
from terminable.testing.faulty import Faulty
from terminable.testing.httpanswers import writeRequest
from tests.live.clients import Address
from tests.live.processes import PATIENCE, LiveTestCase, Server, freePort

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

    def hostile(
        self, fault: Any, *arguments: Any, address: Address | None = None, tls: bool = False
    ) -> Faulty:
        """
        A client that does not go.
        """
        at = address or self.plain
        peer: Faulty = fault((at.host, at.port), *arguments, tls=tls, limit=PATIENCE)
        self.addCleanup(peer.close)
        return peer

    def secured(self, fault: Any, *arguments: Any) -> Faulty:
        """
        The same with TLS.
        """
        return self.hostile(fault, *arguments, address=self.secure, tls=True)

    def test_everybodyIsToldAndNamed(self) -> None:
        """
        Stuck readers, half requests, long ones and silence: all are gone by the
        deadline, told what can be told, and named; the exit status says so.
        """
        reader = self.hostile(faults.stuckReader, writeRequest("/big?bytes=8000000"))
        line = self.hostile(faults.halfHeader, b"GE")
        head = writeRequest("/half", headers={"X-Half": ""})[:-4]
        header = self.hostile(faults.halfHeader, head)
        upload = self.hostile(faults.halfBody, 9, 3, "/upload")
        long = self.hostile(faults.halfHeader, writeRequest("/later?seconds=60"))
        secureLong = self.secured(faults.halfHeader, writeRequest("/later?seconds=61"))
        secureUpload = self.secured(faults.halfBody, 9, 3, "/upload?2")
        silent = self.hostile(faults.silentPeer)
        noHello = self.hostile(faults.silentTLS, address=self.secure)
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
                peer.rest()
                [answer] = peer.answers()
                self.assertEqual((answer.status, answer.closing), (status, True))
                self.assertEqual(answer.header("Retry-After") is not None, status == 503)
                self.assertEqual(peer.end(), "closed")
        for gone in (silent, noHello, *idle):
            self.assertEqual(gone.rest(), b"")
        self.assertEqual((silent.end(), noHello.end(), reader.end()), ("closed", "closed", "reset"))

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
