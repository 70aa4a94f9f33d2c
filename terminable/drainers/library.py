"""
Which drainer is loaded when.

A drainer for somebody's library is imported when that library has been, and not before:
a server that speaks no IRC does not load it.  Other packages publish theirs as an entry
point (group C{terminable.drainers}) whose name is the module of the library and whose
value is a function that registers the adapter.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from twisted.logger import Logger

#: The entry points of other packages.
GROUP = "terminable.drainers"

#: C{module of the library: our module}, each with a function C{register}.
OURS = {
    "autobahn.twisted.websocket": "autobahn",
    "twisted.conch.ssh.transport": "ssh",
    "twisted.conch.telnet": "telnet",
    "twisted.mail.imap4": "imap4",
    "twisted.mail.pop3": "pop3",
    "twisted.mail.smtp": "smtp",
    "twisted.protocols.amp": "amp",
    "twisted.protocols.ftp": "ftp",
    "twisted.spread.pb": "pb",
    "twisted.web.http": "web",
    "twisted.words.protocols.irc": "irc",
}

#: What is to be watched from its beginning, because what is in flight on it could not be
#: found out later: C{class: what to call with a new instance}.
watched: dict[type, Callable[[Any], object]] = {}

_log = Logger()


class Library:
    """
    The drainers that are there to be loaded.
    """

    def __init__(self, waiting: dict[str, Callable[[], object]]) -> None:
        """
        @param waiting: C{module of a library: what to call when it is there}.
        """
        self._waiting = waiting
        self._seen = 0

    def load(self) -> None:
        """
        Load the drainers of what was imported since the last time; costs nothing if
        nothing was.
        """
        # To load one may import what another one is for.
        while len(sys.modules) != self._seen:
            self._seen = len(sys.modules)
            for name in [name for name in self._waiting if name in sys.modules]:
                register = self._waiting.pop(name)
                try:
                    register()
                except Exception:
                    _log.failure("the drainer for {name} cannot be loaded", name=name)


def _ours(name: str) -> None:
    import_module(f"terminable.drainers.{name}").register()


def _theirs(point: Any) -> None:
    point.load()()


def published() -> dict[str, Callable[[], object]]:
    """
    Every drainer there is, ours and those of other packages, which win.
    """
    found: dict[str, Callable[[], object]] = {
        name: partial(_ours, module) for name, module in OURS.items()
    }
    for point in entry_points(group=GROUP):
        found[point.name] = partial(_theirs, point)
    return found


_library = Library(published())

#: Load the drainers of the libraries that are there now.
load = _library.load


def begin(protocol: Any) -> None:
    """
    A connection begins: watch it, if it has to be.
    """
    load()
    if watched:
        for kind in type(protocol).__mro__:
            if kind in watched:
                try:
                    watched[kind](protocol)
                except Exception:
                    _log.failure("{protocol} cannot be watched", protocol=protocol)
                break
