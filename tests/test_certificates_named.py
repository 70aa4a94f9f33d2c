"""
Certificates for many names, in a directory.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

from cryptography import x509
from OpenSSL import SSL
from twisted.internet import endpoints

from terminable.certificates import RenewedDirectory
from terminable.certificates.named import NamedCertificates, chainOf
from terminable.errors import InvalidOption
from tests.certificatefiles import NOW, FilesTestCase, encrypted, shown, signed


class NamedTestCase(FilesTestCase):
    """
    A folder of certificates.
    """

    if not hasattr(endpoints, "wrapServerTLS"):
        skip = "this Twisted chooses no certificates by name"

    def site(self, name: str, *names: str, days: float = 30) -> bytes:
        """
        A file with a certificate for some names and its key.

        @return: the certificate.
        """
        certificate, key = signed(list(names), subject=name, days=days)
        self.write(f"{name}.pem", certificate + key)
        return certificate

    def renewed(self) -> RenewedDirectory:
        """
        The folder.
        """
        return RenewedDirectory(str(self.folder), now=lambda: self.now)

    def shownFor(self, renewed: RenewedDirectory, name: str) -> bytes | None:
        """
        The certificate for a name, C{None} if there is none.
        """
        context = renewed.current.contextFor(name.encode())
        return None if context is None else shown(context)


class NamesTests(NamedTestCase):
    """
    Which certificate is shown for which name.
    """

    def test_names(self) -> None:
        """
        Each name has its own, whatever its case; the first is shown to whoever asks for
        another name, or for none.
        """
        a = self.site("a", "a.example", "www.a.example")
        b = self.site("b", "B.example", "*.b.example")
        renewed = self.renewed()
        self.assertEqual(self.shownFor(renewed, "a.example"), a)
        self.assertEqual(self.shownFor(renewed, "WWW.a.example"), a)
        self.assertEqual(self.shownFor(renewed, "b.example"), b)
        self.assertEqual(self.shownFor(renewed, "c.b.example"), b)
        self.assertIsNone(self.shownFor(renewed, "c.c.b.example"))
        self.assertIsNone(self.shownFor(renewed, "c.example"))
        self.assertIsNone(renewed.current.contextFor(None))
        self.assertEqual(shown(renewed.getContext()), a)

    def test_handshake(self) -> None:
        """
        A client is shown the one for the name that it asks for.
        """
        self.site("a", "a.example")
        b = self.site("b", "b.example")
        server = SSL.Connection(self.renewed().getContext(), None)
        client = SSL.Connection(SSL.Context(SSL.TLS_METHOD), None)
        client.set_tlsext_host_name(b"b.example")
        client.set_connect_state()
        server.set_accept_state()
        for _ in range(5):
            for one, other in ((client, server), (server, client)):
                with contextlib.suppress(SSL.WantReadError):
                    one.do_handshake()
                with contextlib.suppress(SSL.WantReadError):
                    other.bio_write(one.bio_read(65536))
        certificate: Any = client.get_peer_certificate()
        self.assertEqual(certificate.to_cryptography(), x509.load_pem_x509_certificate(b))

    def test_best(self) -> None:
        """
        Of several for a name it is the one that is valid, and of those the one that is
        valid for longest.
        """
        self.site("a", "a.example", days=-0.5)
        self.site("b", "a.example", days=20)
        longest = self.site("c", "a.example", days=40)
        self.site("d", "a.example", days=30)
        renewed = self.renewed()
        self.assertEqual(self.shownFor(renewed, "a.example"), longest)

    def test_chain(self) -> None:
        """
        Intermediate certificates go with those that they have signed, a root that has
        signed itself once.
        """
        root, _ = signed([], issuer="root", subject="root")
        middle, _ = signed([], issuer="root", subject="middle")
        leaf, key = signed(["a.example"], issuer="middle")
        other, otherKey = signed(["b.example"], issuer="nobody", subject="other")
        files = {"ca": root + middle, "leaf": leaf + key, "other": other + otherKey}
        named = NamedCertificates(files, NOW)
        others = x509.load_pem_x509_certificates(root + middle)
        chains = {
            each.subject.rfc4514_string(): [
                issuer.subject.rfc4514_string()
                for issuer in chainOf(each, {other.subject: other for other in others})
            ]
            for each in named.leaves
        }
        self.assertEqual(chains, {"CN=leaf": ["CN=middle", "CN=root"], "CN=other": []})

    def test_noNames(self) -> None:
        """
        A certificate without names is still better than none.
        """
        only = self.site("a")
        self.assertEqual(shown(self.renewed().getContext()), only)

    def test_empty(self) -> None:
        """
        An empty directory has none yet, which is said; what comes is taken.
        """
        renewed, [line] = self.logged(self.renewed)
        self.assertEqual(line, f"{self.folder}: no certificate with its key yet")
        self.assertIsNone(SSL.Connection(renewed.getContext(), None).get_certificate())
        a = self.site("a", "a.example")
        self.assertTrue(renewed.renew())
        self.assertEqual(shown(renewed.getContext()), a)

    def test_unreadable(self) -> None:
        """
        What cannot be read is refused at the start, with the reason.
        """
        _, key = signed(["a.example"])
        for data, why in [
            (b"hello", "has nothing in PEM format"),
            (b"", "is empty"),
            (encrypted(key), "has a key that is encrypted"),
        ]:
            path = self.write("a.pem", data)
            with self.assertRaises(InvalidOption) as caught:
                self.renewed()
            self.assertEqual(caught.exception.option, "tls")
            self.assertIn(f"{path}: {why}", str(caught.exception))


class RenewedDirectoryTests(NamedTestCase):
    """
    What happens when files change.
    """

    def setUp(self) -> None:
        super().setUp()
        self.a = self.site("a", "a.example")
        self.b, self.key = signed(["b.example"], subject="b")
        self.crtPath = self.write("b.crt.pem", self.b)
        self.keyPath = self.write("b.key.pem", self.key)
        self.watched = self.renewed()

    def assertKept(self, why: str) -> None:
        """
        Both names have what they had, and the log says why.
        """
        done, [line] = self.logged(self.watched.renew)
        self.assertFalse(done)
        self.assertTrue(line.startswith(f"the certificate in use is kept: {why}"), line)
        self.assertEqual(self.shownFor(self.watched, "a.example"), self.a)
        self.assertEqual(self.shownFor(self.watched, "b.example"), self.b)

    def test_renewed(self) -> None:
        """
        One is renewed, the other stays, and the log names the one.
        """
        new = self.site("a", "a.example", days=60)
        done, [line] = self.logged(self.watched.renew)
        self.assertTrue(done)
        self.assertIn(f"now using the certificate in {self.folder}/a.pem, valid until", line)
        self.assertEqual(self.shownFor(self.watched, "a.example"), new)
        self.assertEqual(self.shownFor(self.watched, "b.example"), self.b)

    def test_addedAndRemoved(self) -> None:
        """
        Files may come and go.
        """
        c = self.site("c", "c.example")
        os.unlink(self.crtPath)
        os.unlink(self.keyPath)
        self.assertTrue(self.watched.renew())
        self.assertEqual(self.shownFor(self.watched, "c.example"), c)
        self.assertIsNone(self.shownFor(self.watched, "b.example"))

    def test_halfWritten(self) -> None:
        """
        A file that ends between its certificate and its key, or within one, or is empty.
        """
        certificate, key = signed(["a.example"], subject="a")
        path = f"{self.folder}/a.pem"
        for data, why in [
            (certificate, "has no key any more"),
            (key, "has no certificate any more"),
            (certificate + key[:50], "is cut off"),
            (b"", "is empty"),
        ]:
            self.write("a.pem", data)
            self.assertKept(f"{path}: {why}")

    def test_keyGone(self) -> None:
        """
        A certificate whose key is gone is not one that was removed.
        """
        os.unlink(self.keyPath)
        self.assertKept(f"{self.crtPath}: the key of the certificate is gone")

    def test_mismatch(self) -> None:
        """
        A key without its certificate; unless there has been one before.
        """
        _, key = signed(["b.example"])
        self.write("b.key.pem", key)
        self.write("b.crt.pem", signed(["b.example"])[0])
        self.assertKept(f"the key in {self.keyPath} does not belong to any certificate")
        self.write("b.key.pem", self.key)
        self.write("b.crt.pem", self.b)
        self.write("unused.pem", key)
        self.watched = self.renewed()
        new = self.site("a", "a.example")
        self.assertTrue(self.watched.renew())
        self.assertEqual(self.shownFor(self.watched, "a.example"), new)

    def test_expired(self) -> None:
        """
        A new one that has expired; but one that was there before keeps nobody from renewing.
        """
        self.site("a", "a.example", days=-0.5)
        self.assertKept(f"the certificate for a.example in {self.folder}/a.pem expired at")
        self.watched, _ = self.logged(self.renewed)
        self.site("c", "c.example")
        self.assertTrue(self.watched.renew())

    def test_nothingLeft(self) -> None:
        """
        If all is removed, what is in use stays.
        """
        for name in os.listdir(self.folder):
            os.unlink(self.folder / name)
        self.assertKept(f"{self.folder}: no certificate with its key")

    def test_encrypted(self) -> None:
        """
        A key behind a passphrase is of no use.
        """
        self.write("b.key.pem", encrypted(self.key))
        self.assertKept(f"{self.folder}: {self.keyPath}: has a key that is encrypted")

    def test_garbage(self) -> None:
        """
        One file that cannot be read keeps all of them from being renewed, as they may
        belong together.
        """
        self.site("a", "a.example", days=60)
        path = self.write("z.pem", b"hello")
        self.assertKept(f"{path}: has nothing in PEM format")
