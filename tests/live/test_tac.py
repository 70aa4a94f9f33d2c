"""
The examples in C{tac/} do what they say.
"""

from __future__ import annotations

from ssl import DER_cert_to_PEM_cert

from tests.live.clients import Address
from tests.live.processes import ROOT, SLACK, LiveTestCase, Server, freePort


class TacTests(LiveTestCase):
    """
    Each file, run by C{twistd} as its first lines say.
    """

    def example(self, name: str, tls: bool = False, **env: str) -> tuple[Server, Address]:
        """
        Start an example.
        """
        address = Address(port=freePort(), tls=tls)
        file = str(ROOT / "tac" / f"{name}.tac")
        return self.start("--python", file, env={"PORT": str(address.port), **env}), address

    def test_echo(self) -> None:
        """
        C{echo.tac}: what was received is echoed, to somebody who reads it later.
        """
        server, address = self.example("echo")
        much = b"0123456789abcdef" * 2**18
        peer = address.connect(window=2**16)
        peer.send(b"hello")
        self.assertEqual(peer.exactly(5), b"hello")
        peer.send(much)
        server.terminate()
        self.assertEqual(peer.rest(), much)
        peer.close()
        self.assertLess(server.gone(), 2.0 + SLACK, server.log())
        self.assertIn("1 finished, 0 aborted", server.report())

    def test_site(self) -> None:
        """
        C{site.tac}: who waits for an answer gets it.
        """
        server, address = self.example("site")
        quick, patient = address.connect(), address.connect()
        self.assertEqual(quick.get("/").body, b"thank you for waiting\n")
        patient.ask("/?seconds=2")
        quick.get("/")
        server.terminate()
        self.assertTrue(quick.get("/").closing)
        answer = patient.answer()
        self.assertEqual((answer.body, answer.closing), (b"thank you for waiting\n", True))
        quick.close()
        patient.close()
        self.assertLess(server.gone(), 2.0 + SLACK, server.log())

    def test_tls(self) -> None:
        """
        C{tls.tac}: its connections end with a close_notify.
        """
        server, address = self.example("tls", tls=True)
        peer = address.connect()
        self.assertEqual(peer.get("/").body, b"secret\n")
        server.terminate()
        self.assertTrue(peer.get("/").closing)
        self.assertEqual(peer.rest(), b"")
        peer.close()
        self.assertLess(server.gone(), 1.0 + SLACK, server.log())

    def test_tlsWithOwnCertificate(self) -> None:
        """
        C{tls.tac}: the certificate may be one's own.
        """
        pem = self.certificate()
        _, address = self.example("tls", tls=True, CERTIFICATE=str(pem), KEY=str(pem))
        peer = address.reach().secure()
        theirs = DER_cert_to_PEM_cert(peer.sock.getpeercert(binary_form=True))
        self.assertIn(theirs.strip(), pem.read_text())
        peer.close()

    def test_ordered(self) -> None:
        """
        C{ordered.tac}: the database is stopped after the last request.
        """
        server, address = self.example("ordered")
        first, second = address.connect(), address.connect()
        self.assertEqual(first.get("/").body, b"visit number 1\n")
        second.ask("/?seconds=2")
        self.assertEqual(first.get("/").body, b"visit number 2\n")
        server.terminate()
        self.assertEqual(second.answer().body, b"visit number 3\n")
        first.close()
        second.close()
        server.gone()
        log = server.log()
        self.assertNotIn("Traceback", log)
        order = ["started", "shutting down", "answered", "terminated: ", "database stopped"]
        positions = [log.rindex(text) for text in order]
        self.assertEqual(positions, sorted(positions), log)
