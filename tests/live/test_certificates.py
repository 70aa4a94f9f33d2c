"""
Certificates are exchanged while connections are made all the time.
"""

from __future__ import annotations

import os
import shutil
import signal
import ssl
import time
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

from twisted.internet import endpoints

from tests.live.certificates import pair, selfSigned
from tests.live.clients import Address
from tests.live.processes import ROOT, Server, freePort
from tests.live.renewing import HANGUP, NOBODY, PLAIN, WATCHED, CertificateTestCase, der


class ExchangeTests(CertificateTestCase):
    """
    Certificates are replaced in all the ways there are.
    """

    def test_contextFactory(self) -> None:
        """
        A plain context factory of two files that are renamed into place, written in place,
        and renamed again in the other order.
        """
        names = ("site.crt", "site.key")
        pairs = [pair() for _ in range(4)]
        paths = [self.write(name, data) for name, data in zip(names, pairs[0], strict=True)]
        setting = PLAIN.format(key=paths[1], certificate=paths[0], port=self.address.port)
        server = self.serveWith(setting + WATCHED)

        def renamed(number: int, order: int = 1) -> None:
            for name, data in list(zip(names, pairs[number], strict=True))[::order]:
                self.replace(name, data)

        def written() -> None:
            for name, data in zip(names, pairs[2], strict=True):
                self.write(name, data)

        self.exchange(
            server,
            [
                (pairs[1][0], lambda: renamed(1)),
                (pairs[2][0], written),
                (pairs[3][0], lambda: renamed(3, -1)),
            ],
        )

    def test_description(self) -> None:
        """
        C{ssl:}, whose files are symbolic links into an archive that are switched one after
        the other, as certbot does; then the directory of both is switched, as Kubernetes
        does; then it is removed and made again.
        """
        pairs = [pair() for _ in range(4)]
        for number, (certificate, key) in enumerate(pairs):
            self.write(f"archive{number}/cert.pem", certificate)
            self.write(f"archive{number}/key.pem", key)
        live = self.folder / "live"
        live.mkdir()

        def link(target: str, path: Path) -> None:
            (path.parent / "next").symlink_to(target)
            os.replace(path.parent / "next", path)

        def certbot(number: int) -> None:
            for name in ("cert.pem", "key.pem"):
                link(f"../archive{number}/{name}", live / name)

        def kubernetes(number: int) -> None:
            link(f"archive{number}", self.folder / "data")
            for name in ("cert.pem", "key.pem"):
                link(f"../data/{name}", live / name)

        def again() -> None:
            shutil.rmtree(live)
            shutil.copytree(self.folder / "archive3", live)

        certbot(0)
        rest = f"ssl:{self.address.port}:interface=127.0.0.1"
        rest += f":certKey={live}/cert.pem:privateKey={live}/key.pem"
        server = self.serveWith(self.description(rest))
        self.exchange(
            server,
            [
                (pairs[1][0], lambda: certbot(1)),
                (pairs[0][0], lambda: kubernetes(0)),
                (pairs[2][0], lambda: link("archive2", self.folder / "data")),
                (pairs[3][0], again),
            ],
        )

    def test_directory(self) -> None:
        """
        C{tls:}, a directory with certificates for several names, of which one is renewed
        and one is added.
        """
        pairs = [pair() for _ in range(3)]
        site = self.folder / "site"
        other, added = selfSigned("other.example"), selfSigned("added.example")
        self.write("site/a.pem", b"".join(pairs[0]))
        self.write("site/other.pem", other)
        setting = self.description(f"tls:{site}:{self.address.port}:interface=127.0.0.1")
        server = self.serveWith(setting)
        self.exchange(
            server,
            [
                (pairs[1][0], lambda: self.replace("site/a.pem", b"".join(pairs[1]))),
                (pairs[2][0], lambda: self.write("site/a.pem", b"".join(pairs[2]))),
            ],
        )
        self.assertEqual(self.seen("other.example"), der(other))
        self.write("site/added.pem", added)
        self.assertTurnsTo(added, "added.example")
        self.assertEqual(self.seen("other.example"), der(other))
        self.assertEqual(self.seen("localhost"), der(pairs[2][0]))

    if not hasattr(endpoints, "_TLSServerEndpointParser"):
        test_directory.skip = "this Twisted has no tls: endpoint"  # type: ignore[attr-defined]

    def test_hangup(self) -> None:
        """
        Without inotify, SIGHUP has the files read again, and the log says what of it.
        """
        pem = selfSigned()
        self.write("site.pem", pem)
        path = str(self.folder / "site.pem")
        rest = f"ssl:{self.address.port}:interface=127.0.0.1:privateKey={path}"
        server = self.serveWith(HANGUP + self.description(rest))
        server.awaitLog("changes of")
        self.assertEqual(server.log().count("this platform has no inotify"), 1)
        new = selfSigned()
        self.replace("site.pem", new)
        time.sleep(0.5)
        self.assertEqual(self.seen(), der(pem))
        server.send(signal.SIGHUP)
        server.awaitLog("now using the certificate in")
        self.assertEqual(self.seen(), der(new))
        server.send(signal.SIGHUP)
        server.awaitLog("SIGHUP: nothing new in")
        server.terminate()
        server.gone()
        self.assertNotIn("Traceback", server.log())


class ExampleTests(CertificateTestCase):
    """
    The examples that people copy.
    """

    def test_examples(self) -> None:
        """
        Each shows the new certificate when its files have changed.
        """
        for example in ("docs/examples/renewed.tac", "tac/tls.tac"):
            self.address = Address(port=freePort(), tls=True)
            old, new = pair(), pair()
            env = {
                "PORT": str(self.address.port),
                "CERTIFICATE": self.write("site.crt", old[0]),
                "KEY": self.write("site.key", old[1]),
            }
            server = self.start("--python", str(ROOT / example), env=env)
            self.assertEqual(self.seen(), der(old[0]))
            self.replace("site.crt", new[0])
            self.replace("site.key", new[1])
            self.assertTurnsTo(new[0])
            server.send(signal.SIGHUP)
            server.awaitLog("SIGHUP: nothing new in")
            server.terminate()
            server.gone()
            self.assertNotIn("Traceback", server.log())


class BrokenTests(CertificateTestCase):
    """
    What is broken is not used.
    """

    def serving(self, more: str = "") -> Server:
        """
        A server with two files.
        """
        self.good = pair()
        self.paths = [self.write("site.crt", self.good[0]), self.write("site.key", self.good[1])]
        rest = f"ssl:{self.address.port}:interface=127.0.0.1"
        rest += f":certKey={self.paths[0]}:privateKey={self.paths[1]}"
        server = self.serveWith(self.description(rest) + more)
        self.servers = (server,)
        return server

    def test_eachIsRefused(self) -> None:
        """
        The old one stays, and the log says which file is to blame and why, once each.
        """
        server = self.serving()
        kept = self.address.connect()
        expired = pair(ends=timedelta(hours=-1))
        early = pair(begins=timedelta(hours=1))
        new = pair()
        crt, key = self.paths
        broken: list[tuple[str, list[bytes]]] = [
            (f"the key in {key} does not belong to the certificate in {crt}", [new[0]]),
            (f"the certificate in {crt} expired at ", [*expired]),
            (f"the certificate in {crt} is not valid before ", [*early]),
            (f"{crt}: has nothing in PEM format", [b"\0garbage" * 99, new[1]]),
            (f"{crt}: is cut off", [new[0][: len(new[0]) // 2]]),
            (f"{crt}: is empty", [b""]),
        ]
        for reason, data in broken:
            for path, text in zip(self.paths, data, strict=False):
                Path(path).write_bytes(text)
            log = server.awaitLog(f"the certificate in use is kept: {reason}")
            self.assertEqual(log.count(reason), 1)
            self.assertEqual(self.seen(), der(self.good[0]))
        os.unlink(crt)
        server.awaitLog(f"{crt}: No such file or directory")
        os.symlink(crt, crt)
        server.awaitLog(f"{crt}: Too many levels of symbolic links")
        os.unlink(crt)
        self.assertEqual(self.seen(), der(self.good[0]))
        self.assertEqual(kept.get("/").status, 200)
        kept.close()
        for path, text in zip(self.paths, new, strict=True):
            Path(path).write_bytes(text)
        self.assertTurnsTo(new[0])
        self.assertNotIn("Traceback", server.log())

    def test_forbidden(self) -> None:
        """
        A file that may not be read is not used, until it may.
        """
        self.folder.chmod(0o755)
        server = self.serving(NOBODY)
        new = pair()
        Path(self.paths[0]).write_bytes(new[0])
        os.chmod(self.paths[1], 0)
        server.awaitLog(f"{self.paths[1]}: Permission denied")
        self.assertEqual(self.seen(), der(self.good[0]))
        self.replace("site.key", new[1])
        self.assertTurnsTo(new[0])


class HTTP2Tests(CertificateTestCase):
    """
    What was negotiated by ALPN still is.
    """

    if find_spec("h2") is None:
        skip = "h2 is not installed"

    def test_alpn(self) -> None:
        """
        C{h2} is chosen before and after.
        """
        pem = selfSigned()
        path = self.write("site.pem", pem)
        rest = f"ssl:{self.address.port}:interface=127.0.0.1:privateKey={path}"
        server = self.serveWith(self.description(rest))
        self.servers = (server,)
        for new in (None, selfSigned()):
            if new is not None:
                self.replace("site.pem", new)
                self.assertTurnsTo(new)
            peer = Address(port=self.address.port).reach().secure("h2", "http/1.1")
            assert isinstance(peer.sock, ssl.SSLSocket)
            self.assertEqual(peer.sock.selected_alpn_protocol(), "h2")
            peer.close()
