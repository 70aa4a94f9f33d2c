"""
Where an admin door may be, and who gets in by a certificate.
"""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.internet.endpoints import (
    AdoptedStreamServerEndpoint,
    SSL4ServerEndpoint,
    TCP4ServerEndpoint,
    UNIXServerEndpoint,
)
from twisted.internet.ssl import DefaultOpenSSLContextFactory
from twisted.internet.testing import MemoryReactorClock
from twisted.protocols.haproxy import proxyEndpoint
from twisted.trial.unittest import SynchronousTestCase

from terminable.admin import places
from terminable.admin.certified import certified
from terminable.admin.places import Place, checked, endpointFor, mustBeFree, placeOf
from terminable.certificates.endpoint import RenewingEndpoint
from terminable.errors import InvalidOption
from tests.adminasking import TOKEN
from tests.doubles import MemoryEndpoint
from tests.live.certificates import pair, selfSigned


class PlaceTestCase(SynchronousTestCase):
    """
    A reactor in memory, and files.
    """

    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def file(self, name: str, content: bytes) -> str:
        path = self.folder / name
        path.write_bytes(content)
        return str(path.absolute())

    def ssl(self, *options: str) -> str:
        pem = self.file("site.pem", selfSigned())
        return ":".join(["ssl:0", f"privateKey={pem}", f"certKey={pem}", *options])

    def refused(self, endpoint: Any, token: bytes | None = None) -> str:
        problem = self.assertRaises(
            InvalidOption, checked, self.reactor, "--admin", endpoint, token
        )
        self.assertEqual((problem.option, problem.value), ("--admin", endpoint))
        return problem.expected


class CheckTests(PlaceTestCase):
    """
    What is refused before anything listens.
    """

    def tearDown(self) -> None:
        self.assertEqual((self.reactor.tcpServers, self.reactor.sslServers), ([], []))
        self.assertEqual(self.reactor.unixServers, [])

    def test_local(self) -> None:
        """
        A port that only this machine can reach needs nothing else.
        """
        for text in (
            "tcp:0:interface=127.0.0.1",
            "tcp:0:interface=127.0.0.2",
            r"tcp:0:interface=\:\:1",
            r"tcp6:0:interface=\:\:1",
            "tcp:0:interface=localhost",
            "haproxy:tcp:0:interface=127.0.0.1",
            "unix:/nowhere/admin.sock",
        ):
            checked(self.reactor, "--admin", text, None)

    def test_everywhere(self) -> None:
        """
        One that others can reach needs a token; TLS alone is none.
        """
        for text in (
            "tcp:0",
            "tcp:0:interface=0.0.0.0",
            r"tcp:0:interface=\:\:",
            "tcp6:0",
            "tcp:0:interface=10.1.2.3",
            "tcp:0:interface=no-such-host.invalid",
            "haproxy:tcp:0",
            self.ssl(),
        ):
            self.assertIn("a loopback address", self.refused(text))
            checked(self.reactor, "--admin", text, TOKEN)

    def test_nonsense(self) -> None:
        """
        What is no endpoint is refused by its option.
        """
        for text in (
            "",
            "9000",
            "tcp",
            "tcp:x",
            "nonsense:1",
            "stdio:",
            "terminable:tcp:0",
            "ssl:0:privateKey=/nowhere",
        ):
            self.assertIn("unix:/run/site/admin.sock", self.refused(text, TOKEN))
        self.assertIn("an endpoint", self.refused(object()))

    def test_objects(self) -> None:
        """
        Endpoints may be given as objects.
        """
        local = TCP4ServerEndpoint(self.reactor, 0, interface="127.0.0.1")
        self.assertEqual(placeOf(self.reactor, local), Place(False, "127.0.0.1", False))
        path = UNIXServerEndpoint(self.reactor, "/nowhere")
        self.assertEqual(placeOf(self.reactor, path), Place(True, "", False))
        self.refused(TCP4ServerEndpoint(self.reactor, 0))

    def test_adopted(self) -> None:
        """
        A socket that somebody else has opened is looked at, and stays as it is.
        """
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)
        endpoint = AdoptedStreamServerEndpoint(self.reactor, server.fileno(), socket.AF_INET)
        self.assertEqual(placeOf(self.reactor, endpoint), Place(False, "127.0.0.1", False))
        os.fstat(server.fileno())
        with socket.socket(socket.AF_UNIX) as door:
            endpoint = AdoptedStreamServerEndpoint(self.reactor, door.fileno(), socket.AF_UNIX)
            self.assertEqual(placeOf(self.reactor, endpoint), Place(True, "", False))

    def test_adoptedWithin(self) -> None:
        """
        So does one within another endpoint; what that is, is seen when it listens.
        """
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)
        inner = AdoptedStreamServerEndpoint(self.reactor, server.fileno(), socket.AF_INET)
        self.patch(places, "serverFromString", lambda *details: proxyEndpoint(inner))
        self.assertIsNone(checked(self.reactor, "--admin", "haproxy:systemd:index=0", None))
        os.fstat(server.fileno())

    def test_failing(self) -> None:
        """
        What an endpoint fails with is told.
        """
        failing = MemoryEndpoint(self.reactor)
        failing.failure = OSError("no such card")
        self.patch(places, "serverFromString", lambda *details: failing)
        self.assertIn("no such card", self.refused("card:1"))

    def test_unknown(self) -> None:
        """
        What an endpoint of another kind does is seen when it listens.
        """
        made = proxyEndpoint(TCP4ServerEndpoint(self.reactor, 0))
        self.assertIsNone(checked(self.reactor, "--admin", made, None))

    def test_demanding(self) -> None:
        """
        TLS by which nobody gets in without a certificate is as good as a token.
        """
        pem = self.file("a.pem", selfSigned())
        factory: Any = DefaultOpenSSLContextFactory(pem, pem)
        made = SSL4ServerEndpoint(self.reactor, 0, factory)
        self.refused(made)
        factory.getContext().set_verify(SSL.VERIFY_PEER, lambda *details: True)
        self.refused(made)
        wanted = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
        factory.getContext().set_verify(wanted, lambda *details: True)
        place = checked(self.reactor, "--admin", made, None)
        self.assertEqual(place, Place(False, "", True))
        self.refused(SSL4ServerEndpoint(self.reactor, 0, object()))


class FreeTests(PlaceTestCase):
    """
    Whether somebody else is there.
    """

    def test_free(self) -> None:
        """
        A port that is taken is refused, one that is free is not.
        """
        with socket.create_server(("127.0.0.1", 0)) as server:
            taken = f"tcp:{server.getsockname()[1]}:interface=127.0.0.1"
            problem = self.assertRaises(InvalidOption, mustBeFree, self.reactor, "--admin", taken)
            self.assertIn("listened on", problem.expected)
        mustBeFree(self.reactor, "--admin", "tcp:0:interface=127.0.0.1")
        authority = self.file("ca.pem", pair()[0])
        mustBeFree(self.reactor, "--admin", self.ssl(f"clientCA={authority}"))


class CertifiedTests(PlaceTestCase):
    """
    C{clientCA}.
    """

    def test_other(self) -> None:
        """
        Only TLS has that.
        """
        self.assertIsNone(certified("tcp:0"))
        self.assertIsNone(certified(self.ssl()))
        self.assertIn("Unknown", str(self.refused("unknown:clientCA=x", TOKEN)))

    def test_place(self) -> None:
        """
        It may be anywhere.
        """
        authority = self.file("ca.pem", pair()[0])
        text = self.ssl(f"clientCA={authority}", "interface=0.0.0.0")
        self.assertEqual(
            checked(self.reactor, "--admin", text, None), Place(False, "0.0.0.0", True)
        )

    def test_context(self) -> None:
        """
        Its context lets nobody in without a certificate.
        """
        authority = self.file("ca.pem", pair()[0])
        made = endpointFor(self.reactor, "--admin", self.ssl(f"clientCA={authority}"))
        self.assertIsInstance(made, RenewingEndpoint)
        known = certified(self.ssl(f"clientCA={authority}"))
        assert known is not None
        context = known._make().getContext()
        wanted = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
        self.assertEqual(context.get_verify_mode(), wanted)

    def test_bad(self) -> None:
        """
        A file without certificates of authorities is refused.
        """
        for authority in (self.file("ca.pem", b"nothing"), "/nowhere/ca.pem"):
            text = self.ssl(f"clientCA={authority}")
            problem = self.assertRaises(InvalidOption, endpointFor, self.reactor, "--admin", text)
            self.assertIn("certificates that can be used", problem.expected)

    def test_handshakes(self) -> None:
        """
        Who shows one that the authority has signed gets in, who shows another one or none does
        not.
        """
        certificate, key = pair("operator")
        other, otherKey = pair("operator")
        authority = self.file("ca.pem", certificate)
        known = certified(self.ssl(f"clientCA={authority}"))
        assert known is not None
        context = known._make().getContext()
        self.assertTrue(self.shakes(context, certificate, key))
        self.assertFalse(self.shakes(context, other, otherKey))
        self.assertFalse(self.shakes(context, None, None))

    def shakes(self, context: Any, certificate: bytes | None, key: bytes | None) -> bool:
        client = SSL.Context(SSL.TLS_CLIENT_METHOD)
        if certificate is not None and key is not None:
            client.use_certificate_chain_file(self.file("client.pem", certificate))
            client.use_privatekey_file(self.file("client.key", key))
        ours, theirs = SSL.Connection(context, None), SSL.Connection(client, None)
        ours.set_accept_state()
        theirs.set_connect_state()
        done = False
        for _ in range(6):
            for one, another in ((theirs, ours), (ours, theirs)):
                try:
                    one.do_handshake()
                    done = done or one is ours
                except SSL.WantReadError:
                    pass
                except SSL.Error:
                    return False
                with contextlib.suppress(SSL.WantReadError):
                    another.bio_write(one.bio_read(65536))
        return done

    def test_endpoints(self) -> None:
        """
        Other descriptions, and objects, are what they are.
        """
        plain = endpointFor(self.reactor, "--admin", "tcp:0")
        self.assertIs(endpointFor(self.reactor, "--admin", plain), plain)
