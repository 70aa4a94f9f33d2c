"""
Certificates are loaded again when their files have changed, and only if they are in order.
"""

from __future__ import annotations

import contextlib
import os
from datetime import timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.ssl import CertificateOptions
from zope.interface import implementer

from terminable.certificates import RenewedContext
from terminable.certificates.files import LONGEST
from terminable.errors import InvalidOption
from tests.certificatefiles import NOW, PairTestCase, encrypted, pem, shown
from tests.live.certificates import pair


class RenewedContextTests(PairTestCase):
    """
    A context factory that is made again.
    """

    def test_unchanged(self) -> None:
        """
        As long as the contents stay the same so does the context, whatever the times of
        the files are.
        """
        renewed = self.renewed()
        before = renewed.getContext()
        self.put(self.old)
        os.utime(self.crt, (1, 1))
        self.assertEqual(self.logged(renewed.renew), (False, []))
        self.assertIs(renewed.getContext(), before)

    def test_renewed(self) -> None:
        """
        When they have changed there is a new context, and the log says so.
        """
        renewed = self.renewed()
        before = renewed.getContext()
        new = pair(ends=timedelta(days=90))
        self.put(new)
        done, [line] = self.logged(renewed.renew)
        self.assertTrue(done)
        until = f"{NOW + timedelta(days=90):%Y-%m-%d}"
        self.assertIn(f"now using the certificate in {self.crt}, valid until {until}", line)
        self.assertEqual(shown(renewed.getContext()), new[0])
        self.assertEqual(shown(before), self.old[0])
        self.assertEqual(self.logged(renewed.renew), (False, []))

    def test_mismatch(self) -> None:
        """
        A key that does not belong to the certificate is refused, until its file follows.
        """
        renewed = self.renewed()
        new = pair()
        self.write("site.crt", new[0])
        why = f"the key in {self.key} does not belong to the certificate in {self.crt}"
        self.assertKept(renewed, why)
        self.put(new)
        self.assertTrue(renewed.renew())
        self.assertIsNone(renewed.problem)

    def test_mismatchThatNobodyChecked(self) -> None:
        """
        The key is compared with the certificate even if whoever makes the context does not
        do so.
        """
        other = pair()
        with self.assertRaises(SSL.Error):
            self.renewed(lambda: Careless(self.old[0], other[1]))

    def test_expired(self) -> None:
        """
        One that has expired is refused.
        """
        renewed = self.renewed()
        self.put(pair(ends=timedelta(hours=-1)))
        self.assertKept(renewed, f"the certificate in {self.crt} expired at {NOW:%Y}")

    def test_early(self) -> None:
        """
        One that is not valid yet is refused until it is, although its files do not change.
        """
        renewed = self.renewed()
        new = pair(begins=timedelta(hours=1))
        self.put(new)
        self.assertKept(renewed, f"the certificate in {self.crt} is not valid before")
        self.now += timedelta(hours=1, minutes=1)
        self.assertTrue(renewed.renew())
        self.assertEqual(shown(renewed.getContext()), new[0])

    def test_tooLate(self) -> None:
        """
        One that has expired before it was looked at again is still refused, without another
        word.
        """
        renewed = self.renewed()
        self.put(pair(begins=timedelta(hours=1), ends=timedelta(hours=2)))
        self.assertKept(renewed, f"the certificate in {self.crt} is not valid before")
        self.now += timedelta(hours=3)
        self.assertEqual(self.logged(renewed.renew), (False, []))
        self.assertIn("expired at", str(renewed.problem))

    def test_unknownKind(self) -> None:
        """
        A key of a kind that nobody knows: what is said is what OpenSSL says.
        """
        renewed = self.renewed()
        certificate = x509.load_pem_x509_certificate(pair()[0])
        der = certificate.public_bytes(serialization.Encoding.DER)
        known = bytes.fromhex("2a8648ce3d0201")
        self.write("site.crt", pem(der.replace(known, known[:-1] + b"\x77")))
        self.assertKept(renewed, f"{self.crt}, {self.key}: ")

    def test_broken(self) -> None:
        """
        The file that is to blame is named, and what is wrong with it.
        """
        renewed = self.renewed()
        new = pair()
        broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        for crt, key, why in [
            (b"", new[1], f"{self.crt}: is empty"),
            (new[0][:99], new[1], f"{self.crt}: is cut off"),
            (b"hello", new[1], f"{self.crt}: has nothing in PEM format"),
            (broken, new[1], f"{self.crt}: has a certificate that cannot be read"),
            (new[0], broken.replace(b"CERT", b"PRIVATE KEY").replace(b"IFICATE", b""), self.key),
            (new[1], new[1], f"{self.crt}, {self.key}: no certificate"),
            (new[0], new[0], f"{self.crt}, {self.key}: no key"),
        ]:
            self.put((crt, key))
            self.assertKept(renewed, why)

    def test_missing(self) -> None:
        """
        A file that is not there, or none, or that never ends.
        """
        renewed = self.renewed()
        os.unlink(self.key)
        self.assertKept(renewed, f"{self.key}: No such file or directory")
        os.mkfifo(self.key)
        self.assertKept(renewed, f"{self.key}: is not a file")
        os.unlink(self.key)
        self.write("site.key", b"x" * (LONGEST + 1))
        self.assertKept(renewed, f"{self.key}: is longer than {LONGEST} bytes")

    def test_repaired(self) -> None:
        """
        The old pair, back in its place, is in use again, and the log says so.
        """
        renewed = self.renewed()
        self.write("site.crt", b"")
        renewed.renew()
        self.put(self.old)
        done, [line] = self.logged(renewed.renew)
        self.assertTrue(done)
        self.assertIn("now using", line)

    def test_encryptedKey(self) -> None:
        """
        A key behind a passphrase is for whoever makes the context to read; what he says
        stands in the log.
        """
        context = self.make()
        answers: list[Any] = [context, SSL.Error([("x", "", "bad decrypt")]), KeyError("a\nb")]

        def make() -> Any:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        renewed = self.renewed(make)
        self.write("site.key", encrypted(self.old[1]))
        self.assertKept(renewed, f"{self.crt}, {self.key}: bad decrypt")
        self.write("site.key", encrypted(self.old[1]))
        self.assertKept(renewed, f"{self.crt}, {self.key}: KeyError: 'a\\nb'")
        answers.append(ValueError("no ciphers"))
        self.put(pair())
        self.assertKept(renewed, f"{self.crt}, {self.key}: ValueError: no ciphers")

    def test_noCertificateAnyMore(self) -> None:
        """
        A context without a certificate does not take the place of one with it.
        """
        answers = [self.make(), CertificateOptions()]
        renewed = self.renewed(lambda: answers.pop(0))
        self.put(pair())
        self.assertKept(renewed, f"{self.crt}, {self.key}: no certificate")

    def test_writtenMeanwhile(self) -> None:
        """
        Files that change while they are read are read again; if there is no end of that,
        nothing changes for now.
        """
        new = pair()
        count = 0
        until = 0

        def make() -> Any:
            nonlocal count
            made = self.make()
            count += 1
            if count <= until:
                self.write("site.crt", new[0] + b"\n" * count)
            return made

        renewed = self.renewed(make)
        self.put(new)
        until = 99
        before = renewed.getContext()
        self.assertEqual(self.logged(renewed.renew), (False, []))
        self.assertEqual(count, 4)
        self.assertIs(renewed.getContext(), before)
        until = 5
        self.assertTrue(renewed.renew())
        self.assertEqual(shown(renewed.getContext()), new[0])

    def test_start(self) -> None:
        """
        At the start, what cannot be made raises, and what is not valid is used and warned
        of: there is nothing else.
        """
        os.unlink(self.key)
        with self.assertRaises(SSL.Error):
            self.renewed()
        for ends, why in [(-1, "expired at"), (24 * 6, "expires soon, at")]:
            new = pair(ends=timedelta(hours=ends))
            self.put(new)
            renewed, [line] = self.logged(self.renewed)
            self.assertIn(f"the certificate in {self.crt} {why}", line)
            self.assertEqual(shown(renewed.getContext()), new[0])

    def test_expiresSoon(self) -> None:
        """
        A new one that expires within a week is used, and warned of.
        """
        renewed = self.renewed()
        self.put(pair(ends=timedelta(days=6)))
        done, [_, line] = self.logged(renewed.renew)
        self.assertTrue(done)
        self.assertIn("expires soon, at", line)

    def test_options(self) -> None:
        """
        What cannot be meant is refused at once.
        """
        for paths in ([], "site.pem"):
            with self.assertRaises(InvalidOption) as caught:
                RenewedContext(self.make, paths)
            self.assertEqual(caught.exception.option, "paths")
        with self.assertRaises(InvalidOption) as caught:
            RenewedContext(lambda: None, [self.crt])
        self.assertEqual(caught.exception.option, "make")

    def test_paths(self) -> None:
        """
        Paths are made absolute: the process may change its directory.
        """
        renewed = RenewedContext(self.make, [os.path.relpath(self.crt)])
        self.assertEqual(renewed.paths, (os.path.abspath(self.crt),))


class Careless:
    """
    A context factory that says nothing of itself, with a key that is for another
    certificate.
    """

    def __init__(self, certificate: bytes, key: bytes) -> None:
        self._context = SSL.Context(SSL.TLS_METHOD)
        loaded: Any = serialization.load_pem_private_key(key, None)
        self._context.use_privatekey(crypto.PKey.from_cryptography_key(loaded))
        other = x509.load_pem_x509_certificate(certificate)
        with contextlib.suppress(SSL.Error):
            self._context.use_certificate(crypto.X509.from_cryptography(other))

    def getContext(self) -> SSL.Context:
        return self._context


@implementer(IOpenSSLServerConnectionCreator)
class Creator:
    """
    Makes connections, and has no context to look at.
    """

    def serverConnectionForTLS(self, tlsProtocol: Any) -> Any:
        return ("a connection for", tlsProtocol)


class ConnectionTests(PairTestCase):
    """
    What new handshakes get.
    """

    def test_context(self) -> None:
        """
        A connection of the newest context.
        """
        renewed = self.renewed()
        first: Any = renewed.serverConnectionForTLS(None)
        self.put(pair())
        renewed.renew()
        second: Any = renewed.serverConnectionForTLS(None)
        self.assertIsNot(first.get_context(), second.get_context())
        self.assertIs(second.get_context(), renewed.getContext())

    def test_creator(self) -> None:
        """
        What makes connections itself is asked to.
        """
        renewed = self.renewed(Creator)
        self.assertEqual(renewed.serverConnectionForTLS(1), ("a connection for", 1))
