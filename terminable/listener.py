"""
One listening port: closed without resetting anybody, opened again, or shared.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger

from terminable import events
from terminable.admission.doors import acceptEverybody, guard, isStarved
from terminable.handover.offered import ANY, STRAY, offeredTo
from terminable.slices import BUDGET
from terminable.tracking import internals, sockets, transports
from terminable.tracking.factory import askNoMore, hold
from terminable.tracking.lingering import DONE

_log = Logger()

#: How many connections to accept between two looks at the clock.
_AT_ONCE = 10

#: How a socket is called when it is handed over.
_NAME = "terminable"


def _fileAt(path: bytes) -> tuple[int, int] | None:
    """
    What is at a path, told from all other files; C{None} if there is nothing.
    """
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _addressOf(port: Any) -> Any:
    """
    Where a port listens; C{None} if it cannot tell.  It is closed all the same.
    """
    try:
        return port.getHost()
    except OSError:
        return None


class Listener:
    """
    One listening port of a terminator.

    @ivar port: the port, which stays the same object when it is closed and opened.
    """

    def __init__(self, port: IListeningPort, reactor: Any, room: Any = None) -> None:
        """
        @param room: decides when nobody more is to be accepted, if anybody does.
        """
        self.port: Any = port
        self._reactor = reactor
        self._own = isinstance(port, tcp.Port)
        self._address: Any = _addressOf(port)
        self._path: bytes | None = None
        self._file: tuple[int, int] | None = None
        self._held: Any = None
        self._paused = False
        self._closed = False
        self._refusing = False
        self._shared = False
        self._left = False
        self._crowded = False
        self._room = room
        self._guard()
        self._remember()

    def _remember(self) -> None:
        """
        Know the file of a UNIX socket again: somebody else may have put his in its place when it
        is to go.
        """
        path, sock = self._pathName, getattr(self.port, "socket", None)
        if path is not None and sock is not None and self.open:
            known = offeredTo(self._reactor).nameOf(sock)
            stray = known is not None and known[1] == STRAY
            self._file = None if stray else _fileAt(path)

    @property
    def _pathName(self) -> bytes | None:
        """
        The path of a UNIX socket; C{None} if it has none, as in the abstract namespace.
        """
        name = getattr(self._address, "name", None)
        return name if name and not name.startswith(b"\0") else None

    @property
    def isStray(self) -> bool:
        """
        Whether what is at the path is not our socket.
        """
        path = self._pathName
        return path is not None and (self._file is None or _fileAt(path) != self._file)

    def _guard(self) -> None:
        if self._own and self.open:
            guard(self.port, None if self._room is None else self._room.doors)

    @property
    def open(self) -> bool:
        """
        Whether somebody could still be accepted here.
        """
        return bool(self.port.connected) if self._own else not self._closed

    @property
    def closing(self) -> bool:
        """
        Whether somebody else is closing the port right now.
        """
        return bool(self._own and self.port.disconnecting)

    @property
    def starved(self) -> bool:
        """
        Whether nobody can be accepted before others have ended: there is no descriptor.
        """
        return self._own and self.open and isStarved(self.port)

    @property
    def suspended(self) -> bool:
        """
        Whether L{resume} would open the port again.
        """
        return self._paused or not self.open

    def refuseNew(self) -> bool:
        """
        Have new connection requests ignored by the kernel while those that have
        begun are completed.

        @return: whether there is any use in waiting for them.
        """
        if not self._own or not self.open or internals.adopted(self.port):
            # A socket that others hold as well is not ours to shut.
            return False
        self._refusing = sockets.refuseNew(self.port.socket)
        return self._refusing

    def acceptNew(self) -> None:
        """
        Undo L{refuseNew}.
        """
        if self._refusing:
            self._refusing = False
            sockets.acceptNew(self.port.socket)

    def acceptQueued(self) -> bool:
        """
        Accept what is waiting, for as long as one turn of the reactor may take.

        @return: whether nobody is waiting any more.
        """
        if not self._own or not self.open:
            return True
        port = self.port
        acceptEverybody(port)
        until = self._reactor.seconds() + BUDGET
        # What is accepted may close the port.
        while self.open and sockets.readable(port.socket):
            if self._reactor.seconds() >= until:
                return False
            port.numberAccepts = _AT_ONCE
            port.doRead()
            if self.starved:
                return False
        return True

    def close(self) -> None:
        """
        Close the port now; who is still queued is reset.

        The factory stays started, so that the connections that live on find what
        it opened (an access log, say), until L{release}.
        """
        if not self.open or self.closing:
            return
        self._hold()
        self._closed = True
        if not self._own:
            closing = maybeDeferred(self.port.stopListening)
            closing.addErrback(
                lambda reason: _log.failure("{port} failed to close", reason, port=self.port)
            )
            return
        if isinstance(self.port, unix.Port):
            self._unlink()
        self.port.connectionLost(DONE)

    def acceptAndClose(self) -> bool:
        """
        L{acceptQueued}, and L{close} in the same turn as the last of them.

        @return: whether the port is closed.
        """
        if self._own and self.open and offeredTo(self._reactor).isEarly(self.port.socket):
            self.share()
        if self._own and self.open and isinstance(self.port, unix.Port):
            self._unlink()
        if not self._shared and not self.acceptQueued():
            return False
        self.close()
        return True

    @property
    def handle(self) -> socket.socket | None:
        """
        What could be handed to somebody else; C{None} if the port is not open, is none of
        Twisted's own, or has lost its path already.
        """
        reachable = self._shared or self._path is None
        return self.port.socket if self._own and self.open and reachable else None

    @property
    def name(self) -> str:
        """
        What to call it when it is handed over: whether its port number was asked for.
        """
        known = offeredTo(self._reactor).nameOf(self.port.socket)
        if self.isStray and (known is None or known[1] in (ANY, _NAME)):
            # What others have called theirs is found by that.
            return STRAY
        if known is not None:
            return known[1]
        return ANY if self.port.port == 0 else _NAME

    @property
    def place(self) -> int:
        """
        Where it stands among those that came from somebody else; our own come after them.
        """
        known = offeredTo(self._reactor).nameOf(self.port.socket)
        return sys.maxsize if known is None else known[0]

    def pause(self) -> None:
        """
        Leave those who connect in the queue.
        """
        self._left = True
        if self._own and self.open:
            self.port.stopReading()

    def unpause(self) -> None:
        """
        Accept them again.
        """
        self._left = False
        self._read()

    def _read(self) -> None:
        waits = self._paused or self._left or self._crowded
        if self._own and self.open and not waits:
            self.port.startReading()

    def crowd(self, crowded: bool) -> None:
        """
        Accept nobody while there is no room, or accept again: whoever connects waits in the
        kernel's queue.
        """
        if not (self._own and self.open):
            self._crowded = False
        elif not crowded:
            before, self._crowded = self._crowded, False
            if before:
                self._read()
        elif internals.isReading(self.port):
            # If it does not, that is for somebody else to end.
            self._crowded = True
            self.port.stopReading()

    def share(self) -> None:
        """
        Somebody else listens on the socket too: closing it here is nothing to those who
        are queued, and its path stays.
        """
        if self._own and self.open and not self._shared:
            self._shared = True
            self.acceptNew()
            internals.share(self.port)
            if isinstance(self.port, unix.Port):
                name = getattr(self._address, "name", None)
                self._path = internals.exchangePath(self.port, b"\0" + (name or b""))

    def _unlink(self) -> None:
        """
        Take the path of a UNIX socket away, so that nobody else can queue; the
        port itself would remove it only together with the queue.
        """
        name = self._pathName
        if self._path is None and name is not None:
            stray = self.isStray
            # A name in the abstract namespace is left alone when the port closes.
            self._path = internals.exchangePath(self.port, b"\0" + name)
            if offeredTo(self._reactor).isLent(self.port.socket):
                return
            try:
                if stray:
                    raise OSError
                os.unlink(self._path)
            except OSError:
                _log.warn(
                    "{path} was gone, or another's, before its port was closed",
                    event=events.PORTS_PATH_GONE,
                    path=self._path,
                )

    def _hold(self) -> None:
        factory = getattr(self.port, "factory", None)
        self._held = factory
        # Only factories that count their ports can be started twice.
        if factory is not None and hasattr(factory, "numPorts"):
            hold(factory)

    def release(self) -> None:
        """
        The last connection is gone: the port is as if we had never had it, and its
        factory is stopped.
        """
        transports.detach(self.port)
        askNoMore(self.port)
        self._drop()

    def _drop(self) -> None:
        factory, self._held = self._held, None
        if factory is not None and hasattr(factory, "numPorts"):
            try:
                factory.doStop()
            except BaseException:
                _log.failure("{factory} failed to stop", factory=factory)

    def suspend(self) -> bool:
        """
        Make the port go away for a while, after accepting what is queued.

        A socket that was handed to us (by systemd, say) is still held by whoever
        did so; closing it here would not make the port go away.  It is left alone,
        and those who connect wait in its queue.

        @return: whether it has gone.
        """
        if not self._own:
            self.close()
            return True
        if internals.adopted(self.port):
            self._paused = True
            self.port.stopReading()
            return True
        return self.acceptAndClose()

    def resume(self) -> None:
        """
        Listen again on the same address.

        @raise twisted.internet.error.CannotListenError: somebody else does.
        """
        if self._paused:
            self._paused = False
            self._read()
            return
        if self._path is not None:
            internals.exchangePath(self.port, self._path)
        elif isinstance(self._address, (IPv4Address, IPv6Address)):
            self.port.port = self._address.port
        self.port.startListening()
        self._path = None
        self._closed = self._crowded = False
        self._remember()
        self._guard()
        self._drop()
