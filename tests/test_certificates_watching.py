"""
The kernel tells of changed files, however they are changed.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any
from unittest import SkipTest, mock

from twisted.internet.interfaces import IReactorCore
from twisted.internet.task import Clock
from zope.interface import alsoProvides

from terminable.certificates import CertificateWatch, watchFiles
from terminable.certificates.watching import AT_MOST, QUIET, placesOf
from tests.certificatefiles import FilesTestCase
from tests.doubles import Boom, HandReactor


class Notes:
    """
    Stands for certificates: notes what stood in its files each time that it was told to
    look.
    """

    problem = None

    def __init__(self, *paths: str) -> None:
        self.paths = paths
        self.seen: list[bytes | None] = []

    def renew(self) -> bool:
        path = Path(self.paths[0])
        self.seen.append(path.read_bytes() if path.is_file() else None)
        return True


class FileReactor(HandReactor):
    """
    A reactor for what is told of files.
    """

    def settle(self, seconds: float = QUIET) -> None:
        """
        What can be read is read, then time goes by.
        """
        for reader in list(self.readers):
            reader.doRead()
        self.advance(seconds)


class WatchTestCase(FilesTestCase):
    """
    One file and who is told of it.
    """

    def setUp(self) -> None:
        super().setUp()
        if not sys.platform.startswith("linux"):
            raise SkipTest("only Linux has inotify")
        self.reactor = FileReactor()
        self.path = self.write("live/site.pem", b"0")
        self.notes: Any = Notes(self.path)

    def watch(self) -> CertificateWatch:
        """
        Begin to watch.
        """
        watch = watchFiles(self.reactor, [self.notes])
        self.addCleanup(watch.stop)
        return watch

    def assertSees(self, *seen: bytes | None) -> None:
        """
        After a while, this is what was seen since.
        """
        self.notes.seen.clear()
        for _ in range(3):
            self.reactor.settle()
        self.assertEqual(self.notes.seen, [*seen])


class WatchTests(WatchTestCase):
    """
    What is noticed.
    """

    def test_start(self) -> None:
        """
        The files are looked at when the watch begins: they may have changed since they were
        read.  Later nothing happens if nothing happens.
        """
        self.watch()
        self.assertEqual(self.notes.seen, [b"0"])
        self.assertSees()

    def test_written(self) -> None:
        """
        Writing in place is noticed, and so is renaming into place, and removal.
        """
        self.watch()
        self.write("live/site.pem", b"1")
        self.assertSees(b"1")
        os.replace(self.write("live/next", b"2"), self.path)
        self.assertSees(b"2")
        os.unlink(self.path)
        self.assertSees(None)
        self.write("live/site.pem", b"3")
        self.assertSees(b"3")

    def test_others(self) -> None:
        """
        Other files beside it are not our business.
        """
        self.watch()
        self.write("live/other.pem", b"1")
        self.write("other.pem", b"1")
        self.assertSees()

    def test_quiet(self) -> None:
        """
        Several changes close together are looked at once, and those that do not end are
        looked at in the end.
        """
        self.watch()
        self.notes.seen.clear()
        for step in range(round(AT_MOST / QUIET * 2)):
            self.write("live/site.pem", b"%d" % step)
            self.reactor.settle(QUIET / 2)
        self.assertEqual(self.notes.seen, [])
        self.write("live/site.pem", b"last")
        self.reactor.settle(QUIET / 2)
        self.assertEqual(self.notes.seen, [b"last"])

    def test_directoryGoesAndComes(self) -> None:
        """
        The directory may be removed and made again, or be renamed, any number of times.
        """
        self.watch()
        live = self.folder / "live"
        for text in (b"1", b"2"):
            shutil.rmtree(live)
            self.assertSees(None)
            self.write("live/site.pem", text)
            self.assertSees(text)
            live.rename(self.folder / f"old{text.decode()}")
            self.assertSees(None)
            shutil.copytree(self.folder / "old1", live)
            self.assertSees(b"1")
            self.write("live/site.pem", b"more")
            self.assertSees(b"more")

    def test_directoryReplaced(self) -> None:
        """
        Another directory takes its place, and is watched from then on.
        """
        self.watch()
        self.write("next/site.pem", b"1")
        (self.folder / "live").rename(self.folder / "old")
        (self.folder / "next").rename(self.folder / "live")
        self.assertSees(b"1")
        self.write("old/site.pem", b"not this")
        self.assertSees()
        self.write("live/site.pem", b"2")
        self.assertSees(b"2")

    def test_linkSwitched(self) -> None:
        """
        After a symbolic link was switched, its new target is watched.
        """
        for text in (b"1", b"2"):
            self.write(f"archive{text.decode()}/site.pem", text)
        link = self.folder / "data"
        link.symlink_to("archive1")
        os.unlink(self.path)
        os.symlink("../data/site.pem", self.path)
        self.watch()
        (self.folder / "next").symlink_to("archive2")
        os.replace(self.folder / "next", link)
        self.assertSees(b"2")
        self.write("archive2/site.pem", b"3")
        self.assertSees(b"3")
        self.write("archive1/site.pem", b"4")
        self.assertSees()

    def test_directoryOfCertificates(self) -> None:
        """
        In a directory of certificates, what comes is noticed, also in new directories.
        """
        self.notes.paths = (str(self.folder),)
        self.watch()
        self.write("more/a.pem", b"1")
        self.assertSees(None)
        self.write("more/a.pem", b"2")
        self.assertSees(None)

    def test_changedWhileBeginning(self) -> None:
        """
        What changes between two looks at the way, while the watch begins, is noticed too.
        """
        watch = self.watch()
        places, other = placesOf([self.path]), placesOf([str(self.folder / "b")])
        answers = [other, places, places, places]
        self.patch(sys.modules[CertificateWatch.__module__], "placesOf", lambda _: answers.pop(0))
        self.write("live/site.pem", b"1")
        self.assertSees(b"1", b"1")
        watch.stop()

    def test_goneWhileBeginning(self) -> None:
        """
        A directory that has gone before it could be watched is looked for again.
        """
        gone = {str(self.folder / "gone"): {"a"}}
        places = placesOf([self.path])
        answers = [gone, gone, places, places]
        self.patch(sys.modules[CertificateWatch.__module__], "placesOf", lambda _: answers.pop(0))
        self.watch()
        self.assertSees(b"0")
        self.assertEqual(answers, [])


class EndTests(WatchTestCase):
    """
    Beginning and end of a watch.
    """

    def test_stop(self) -> None:
        """
        Afterwards nothing is left, not even a call that was due; it may begin again.
        """
        watch = self.watch()
        self.write("live/site.pem", b"1")
        self.reactor.settle(0)
        self.assertEqual(len(self.reactor.getDelayedCalls()), 1)
        watch.stop()
        watch.stop()
        self.assertEqual((self.reactor.readers, self.reactor.getDelayedCalls()), ([], []))
        watch.start()
        watch.start()
        self.assertEqual(self.notes.seen, [b"0", b"1"])
        self.assertEqual(len(self.reactor.readers), 1)

    def test_stopWhileItHappens(self) -> None:
        """
        What is noticed after the end is not looked at.
        """
        watch = self.watch()
        reader = self.reactor.readers[0]
        self.write("live/site.pem", b"1")
        self.patch(watch, "_lose", lambda: None)
        watch.stop()
        reader.doRead()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        reader.loseConnection()

    def test_whenRunning(self) -> None:
        """
        It begins when the reactor runs, unless it has ended by then.
        """
        waiting: list[Any] = []
        self.reactor.callWhenRunning = waiting.append  # type: ignore[attr-defined]
        alsoProvides(self.reactor, IReactorCore)
        watch = self.watch()
        self.assertEqual((self.notes.seen, self.reactor.readers), ([], []))
        watch.stop()
        waiting.pop()()
        self.assertEqual((self.notes.seen, self.reactor.readers), ([], []))
        watch.start()
        waiting.pop()()
        self.assertEqual((self.notes.seen, len(self.reactor.readers)), ([b"0"], 1))

    def test_failure(self) -> None:
        """
        One that fails harms no other.
        """

        def fail() -> bool:
            raise Boom()

        broken: Any = Notes(self.path)
        broken.renew = fail
        watchFiles(self.reactor, [broken, self.notes]).stop()
        self.assertEqual(self.notes.seen, [b"0"])
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)


class WithoutTests(WatchTestCase):
    """
    Where the kernel does not tell.
    """

    def assertSaidOnce(self, why: str) -> None:
        """
        The log says so once, and the files were looked at.
        """

        def twice() -> None:
            watch = watchFiles(self.reactor, [self.notes])
            watch.stop()
            watch.start()
            watch.stop()

        _, lines = self.logged(twice)
        text = f"changes of {self.path} are not noticed by themselves: {why}"
        self.assertEqual(lines, [text])
        self.assertEqual(self.notes.seen, [b"0", b"0"])

    def test_noInotify(self) -> None:
        """
        The platform has none.
        """
        with mock.patch.dict(sys.modules, {"twisted.internet.inotify": None}):
            self.assertSaidOnce("this platform has no inotify")

    def test_reactor(self) -> None:
        """
        The reactor takes no descriptors.
        """
        self.reactor = Clock()  # type: ignore[assignment]
        self.assertSaidOnce("this reactor cannot be told of them")

    def test_noMoreInstances(self) -> None:
        """
        The limit of instances is reached.
        """
        from twisted.internet import inotify

        def fail(reactor: Any) -> None:
            raise inotify.INotifyError("INotify initialization error.")

        self.patch(inotify, "INotify", fail)
        self.assertSaidOnce("INotify initialization error.")

    def test_noMoreWatches(self) -> None:
        """
        The limit of watches is reached, or a directory may not be read.  Those on the way
        are not worth a word.
        """
        from twisted.internet import inotify

        def fail(*details: Any, **more: Any) -> None:
            raise inotify.INotifyError("no space left")

        self.patch(inotify.INotify, "watch", fail)
        live = os.path.realpath(self.folder / "live")
        self.assertSaidOnce(f"{live} cannot be watched (no right to read it, or a limit)")
