"""
The directories in which a change of a certificate would be seen.
"""

from __future__ import annotations

import os

from terminable.certificates.watching import placesOf, steps
from tests.certificatefiles import FilesTestCase


class StepTests(FilesTestCase):
    """
    The way to a file.
    """

    def setUp(self) -> None:
        super().setUp()
        self.top = os.path.realpath(self.folder)

    def places(self, path: str) -> dict[str, set[str] | None]:
        """
        What is watched in our folder for a path in it.
        """
        found = placesOf([os.path.join(self.top, path)])
        return {
            os.path.relpath(place, self.top): names
            for place, names in found.items()
            if place.startswith(self.top)
        }

    def test_plain(self) -> None:
        """
        A file is watched where it is; what leads there is only passed through.
        """
        self.write("a/site.pem", b"")
        self.assertEqual(self.places("a/site.pem"), {".": set(), "a": {"site.pem"}})
        self.assertEqual(self.places("./a//../a/site.pem"), {".": set(), "a": {"site.pem"}})
        self.assertEqual(list(steps("/")), [])
        self.assertIn(("/", None), list(steps(f"{self.top}/a/site.pem")))

    def test_missing(self) -> None:
        """
        What is missing is waited for where it is missed first.
        """
        self.write("a/site.pem", b"")
        self.assertEqual(self.places("a/b/c.pem"), {".": set(), "a": {"b"}})

    def test_links(self) -> None:
        """
        Symbolic links are watched where they are, and where they lead.
        """
        self.write("archive/site1.pem", b"")
        (self.folder / "live").mkdir()
        (self.folder / "live" / "site.pem").symlink_to("../archive/site1.pem")
        expected = {".": set(), "live": {"site.pem"}, "archive": {"site1.pem"}}
        self.assertEqual(self.places("live/site.pem"), expected)

    def test_linkedDirectory(self) -> None:
        """
        A directory that is a symbolic link is watched for being switched.
        """
        self.write("..one/tls.crt", b"")
        (self.folder / "..data").symlink_to(f"{self.top}/..one")
        (self.folder / "tls.crt").symlink_to("..data/tls.crt")
        expected = {".": {"tls.crt", "..data"}, "..one": {"tls.crt"}}
        self.assertEqual(self.places("tls.crt"), expected)

    def test_endless(self) -> None:
        """
        Links that lead to themselves are followed for a while.
        """
        (self.folder / "a").symlink_to("a")
        self.assertEqual(self.places("a"), {".": {"a"}})

    def test_directory(self) -> None:
        """
        In a directory of certificates everything is watched, and in those below it.
        """
        self.write("site/a/b.pem", b"")
        self.assertEqual(self.places("site"), {".": {"site"}, "site": None, "site/a": None})
