"""
The files of a certificate, at one moment.
"""

from __future__ import annotations

import os

from cryptography import x509

from terminable.certificates.files import Snapshot, foldersIn, pemsIn
from terminable.certificates.renewed import reason
from tests.certificatefiles import FilesTestCase
from tests.live.certificates import pair


class FileTests(FilesTestCase):
    """
    What is found in files.
    """

    def test_folders(self) -> None:
        """
        Folders are looked at once each, however many links lead to them.
        """
        self.write("a/site.pem", b"1")
        self.write("a/other.txt", b"2")
        (self.folder / "b").symlink_to("a")
        (self.folder / "a" / "up").symlink_to("..")
        folder = str(self.folder)
        self.assertEqual([name for name, _ in foldersIn(folder)], [folder, f"{folder}/a"])
        self.assertEqual(pemsIn(folder), [f"{folder}/a/site.pem"])

    def test_unreadableFolder(self) -> None:
        """
        A folder that cannot be read is a fault.
        """
        problem = OSError(13, "Permission denied", "/a/b")
        faults: list[OSError] = []
        list(foldersIn(str(self.folder / "missing"), faults.append))
        self.assertEqual([fault.errno for fault in faults], [2])
        self.assertEqual(reason(problem), "PermissionError: [Errno 13] Permission denied: '/a/b'")

    def test_digest(self) -> None:
        """
        It is the same for the same contents and errors, and for nothing else.
        """
        path = self.write("a.pem", b"1")
        seen = [Snapshot([path]).digest, Snapshot([path]).digest]
        self.write("a.pem", b"2")
        seen.append(Snapshot([path]).digest)
        os.unlink(path)
        seen += [Snapshot([path]).digest, Snapshot([path]).digest]
        self.assertEqual((seen[0], seen[3]), (seen[1], seen[4]))
        self.assertEqual(len(set(seen)), 3)

    def test_unknownHolder(self) -> None:
        """
        A certificate that stands in no file is said to be in all of them.
        """
        crt, key = pair()
        paths = [self.write("a.pem", key), self.write("b.pem", b"-----BEGIN CERTIFICATE-----")]
        bad = crt[:60] + b"\n" + crt[-30:]
        paths.append(self.write("c.pem", bad))
        loaded = x509.load_pem_x509_certificate(crt)
        self.assertEqual(Snapshot(paths).holders(loaded), ", ".join(paths))
