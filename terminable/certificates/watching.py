"""
Told by the kernel that the files of a certificate have changed.

Files are replaced in many ways: written in place, renamed into place, or behind a symbolic
link that is switched, perhaps to another directory (certbot's C{live/}, the C{..data} of
Kubernetes).  What is watched are the directories in which one of these would be seen.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from twisted.internet.interfaces import IReactorCore, IReactorFDSet
from twisted.logger import Logger
from twisted.python.filepath import FilePath

from terminable import events
from terminable.certificates.files import foldersIn
from terminable.certificates.renewed import Renewal

_log = Logger()

#: Seconds without a change after which the files are read: both files of a pair are
#: written one after the other.
QUIET = 0.2

#: Seconds from the first change after which they are read in any case.
AT_MOST = 1.0

#: More symbolic links than this lead nowhere (Linux has the same limit).
_LINKS = 40

#: Watched names by directory; C{None} for all of them.
Places = dict[str, "set[str] | None"]


def steps(path: str) -> Iterator[tuple[str, str | None]]:
    """
    On the way to C{path}: directories, none of them by a symbolic link, and the names in
    them that decide where the way leads; C{None} for those that are only passed through.

    @param path: an absolute one.  It need not exist.
    """
    here, todo, links = os.sep, _parts(path), 0
    while todo:
        name = todo.pop()
        if name == os.pardir:
            here = os.path.dirname(here)
            continue
        full = os.path.join(here, name)
        kind, target = _look(full)
        if kind == "directory" and todo:
            yield here, None
            here = full
            continue
        yield here, name
        if kind != "link" or links == _LINKS:
            return
        links += 1
        here = os.sep if os.path.isabs(target) else here
        todo += _parts(target)


def _parts(path: str) -> list[str]:
    return [part for part in reversed(path.split(os.sep)) if part not in ("", os.curdir)]


def _look(path: str) -> tuple[str, str]:
    """
    What stands at a path, and where it leads if it is a symbolic link.
    """
    try:
        mode = os.lstat(path).st_mode
        if stat.S_ISLNK(mode):
            return "link", os.readlink(path)
    except OSError:
        return "nothing", ""
    return "directory" if stat.S_ISDIR(mode) else "file", ""


def placesOf(paths: Iterable[str]) -> Places:
    """
    What to watch for changes of these files and directories.
    """
    places: Places = {}
    for path in paths:
        for directory, name in steps(path):
            names = places.setdefault(directory, set())
            if name is not None and names is not None:
                names.add(name)
        if os.path.isdir(path):
            places.update((os.path.realpath(folder), None) for folder, _ in foldersIn(path))
    return places


class CertificateWatch:
    """
    Renews certificates when their files change.
    """

    def __init__(self, reactor: Any, renewals: Iterable[Renewal]) -> None:
        """
        @param reactor: provides L{twisted.internet.interfaces.IReactorTime} and, to be told
            by the kernel, C{IReactorFDSet}.
        @param renewals: as L{terminable.certificates.RenewedContext}.
        """
        self._reactor = reactor
        self._renewals = list(renewals)
        self._running = False
        self._notifier: Any = None
        self._places: Places = {}
        self._stale = True
        self._call: Any = None
        self._latest = 0.0
        self._told: set[str] = set()

    def start(self) -> None:
        """
        Watch, as soon as the reactor runs, and look whether something has changed before.
        """
        if self._running:
            return
        self._running = True
        if IReactorCore.providedBy(self._reactor):
            # A daemon is another process by then, and perhaps another user.
            self._reactor.callWhenRunning(self._look)
        else:
            self._look()

    def stop(self) -> None:
        """
        Watch no more.
        """
        self._running = False
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
        self._lose()

    def _lose(self) -> None:
        notifier, self._notifier = self._notifier, None
        self._stale = True
        if notifier is not None:
            # Does nothing if the reactor has done it, or the notifier itself: it ends
            # with the first directory that is removed.
            notifier.loseConnection()

    def _look(self) -> None:
        """
        See to it that the right directories are watched, then whether files have changed;
        what changes after that is noticed.
        """
        self._call = None
        if not self._running:
            return
        self._watch()
        for renewal in self._renewals:
            try:
                renewal.renew()
            except Exception:
                _log.failure(
                    "{paths} cannot be renewed",
                    event=events.CERTIFICATE_FAILED,
                    paths=renewal.paths,
                )

    def _watch(self) -> None:
        places = placesOf(path for renewal in self._renewals for path in renewal.paths)
        if places == self._places and not self._stale:
            return
        self._lose()
        self._places = places
        self._notifier = self._newNotifier()
        if self._notifier is None:
            return
        self._stale = False
        for directory, names in places.items():
            self._watchDirectory(directory, names)
        if placesOf(path for renewal in self._renewals for path in renewal.paths) != places:
            self._soon()

    def _newNotifier(self) -> Any:
        if not IReactorFDSet.providedBy(self._reactor):
            return self._say("this reactor cannot be told of them")
        try:
            from twisted.internet.inotify import INotify, INotifyError
        except ImportError:
            return self._say("this platform has no inotify")
        try:
            notifier = INotify(self._reactor)
        except INotifyError as problem:
            return self._say(str(problem))
        notifier.startReading()
        return notifier

    def _say(self, why: str) -> None:
        if why not in self._told:
            self._told.add(why)
            _log.warn(
                "changes of {paths} are not noticed by themselves: {why}",
                event=events.CERTIFICATE_UNWATCHED,
                paths=", ".join(path for renewal in self._renewals for path in renewal.paths),
                why=why,
            )

    def _watchDirectory(self, directory: str, names: set[str] | None) -> None:
        from twisted.internet import inotify

        mask = inotify.IN_DELETE_SELF | inotify.IN_MOVE_SELF
        if names != set():
            # Those that are only passed through tell nothing but that they have gone.
            mask |= inotify.IN_WATCH_MASK | inotify.IN_CLOSE_WRITE
        try:
            self._notifier.watch(
                FilePath(directory), mask, callbacks=[partial(self._changed, directory)]
            )
        except inotify.INotifyError:
            if not os.path.isdir(directory):
                self._soon()
            elif names != set():
                self._say(f"{directory} cannot be watched (no right to read it, or a limit)")

    def _changed(self, directory: str, ignored: object, path: FilePath[Any], mask: int) -> None:
        """
        Something has happened in a directory, or to it.
        """
        name = os.path.basename(os.fsdecode(path.path))
        names = self._places.get(directory)
        if os.fsdecode(path.path) == directory:
            # It has another name now, or none: its watch goes with it.
            self._stale = True
        elif names is not None and name not in names:
            return
        self._soon()

    def _soon(self) -> None:
        now = self._reactor.seconds()
        if not self._running:
            return
        if self._call is None:
            self._latest = now + AT_MOST
            self._call = self._reactor.callLater(QUIET, self._look)
        else:
            self._call.reset(min(QUIET, max(0.0, self._latest - now)))


def watchFiles(reactor: Any, renewals: Iterable[Renewal]) -> CertificateWatch:
    """
    Renew certificates when their files change, as soon as the reactor runs.

    Where the kernel cannot tell (outside of Linux, or at its limits) the log says so once;
    what remains is to call C{renew}, or L{terminable.certificates.renewOnHangup}.

    @param renewals: as L{terminable.certificates.RenewedContext}.
    @return: the watch; call its C{stop} to end it.
    """
    watch = CertificateWatch(reactor, renewals)
    watch.start()
    return watch
