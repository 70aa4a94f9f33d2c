"""
The listening socket of a port, which accepts nobody when it is closed, or while there is
no room.

Twisted accepts in batches, and when no descriptor is left for a client it accepts it and
drops it.  A socket that says "nobody there" instead leaves him in the kernel's queue.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

from terminable import events
from terminable.policy.admission import Admission
from terminable.policy.lobby import Lobby

try:
    import resource
except ImportError:  # pragma: no cover - Windows
    resource = None  # type: ignore[assignment]

#: The process, or the system, has no descriptor, or no memory, for one more.
EXHAUSTED = frozenset([errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])


#: How many descriptors are left to the application, of those that the process may have; no
#: more than an eighth of them.
SPARE = 32

#: After how many seconds to try again when no descriptor was left.
AGAIN = 1.0

#: How often to say so, in seconds.
TELL = 60.0

_log = Logger()


class Doors:
    """
    Stops accepting while there is no room, or no descriptor.

    @ivar closed: whether nobody is accepted.
    @ivar scarce: whether to look for a descriptor before somebody is accepted, since there
        were none a while ago.
    """

    def __init__(
        self,
        reactor: Any,
        settings: Admission,
        lobby: Lobby[Any],
        crowd: Callable[[bool], object],
        retry: Callable[[], object],
    ) -> None:
        """
        @param reactor: provides C{IReactorTime}.
        @param lobby: knows how many wait.
        @param crowd: called with whether nobody is to be accepted.
        @param retry: called when there may be descriptors again; is to call L{again}.
        """
        self.closed = False
        self.scarce = False
        self._reactor = reactor
        self._settings = settings
        self._lobby = lobby
        self._crowd = crowd
        self._retry = retry
        self._held = False
        self._call: Any = None
        self._told = -TELL

    def see(self) -> bool:
        """
        Stop accepting, or begin again.

        @return: whether nobody is to be accepted.
        """
        self._held = self._holds()
        closed = self._call is not None or self._held
        if closed is not self.closed:
            self.closed = closed
            self._crowd(closed)
        return closed

    def _holds(self) -> bool:
        if self._settings.full != "hold":
            return False
        queue = self._settings.queue
        # The doors are not opened for one alone.
        crowded = self._lobby.waiting > queue - max(1, queue // 8)
        return self._lobby.full or (self._held and crowded and self._lobby.taken)

    def holds(self) -> bool:
        """
        Somebody is about to be accepted.

        @return: whether he is to wait in the kernel.
        """
        if self.see():
            # Somebody else may have begun to accept.
            self._crowd(True)
        return self.closed

    def accepted(self, number: int) -> None:
        """
        Somebody was accepted.

        @param number: his descriptor; the kernel gives the lowest that is free.
        """
        if number >= _limit():
            self.exhausted(OSError(errno.EMFILE, os.strerror(errno.EMFILE)))

    def found(self, number: int) -> bool:
        """
        This is the next descriptor that somebody would be given.

        @return: whether he may have it.
        """
        if number >= _limit():
            self.accepted(number)
            return False
        # Look closely until there are many again.
        self.scarce = number >= _limit() - SPARE
        return True

    def exhausted(self, error: OSError) -> None:
        """
        Nobody can be accepted: there is no descriptor left, but for the application.
        """
        self.scarce = True
        now = self._reactor.seconds()
        if now - self._told >= TELL:
            self._told = now
            _log.warn(
                "no more connections can be accepted: {error}",
                event=events.EXHAUSTED,
                error=error.strerror,
            )
        if self._call is None:
            self._call = self._reactor.callLater(AGAIN, self._retry)
        self.see()

    def again(self) -> None:
        """
        Try whether there are descriptors, when the doors are seen to next.
        """
        call, self._call = self._call, None
        if call is not None and call.active():
            call.cancel()


class AcceptingSocket:
    """
    Stands for a listening socket that may be closed by whom it has just accepted: Twisted
    goes on accepting then, until nobody is there.

    It does not take the socket's place for the reactor, which knows the port by its
    descriptor; so the port may be in the middle of accepting when this is put in.

    @ivar plain: the socket.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.plain = sock

    def __getattr__(self, name: str) -> Any:
        if name == "plain":
            # Whoever copies this asks before it is there.
            raise AttributeError(name)
        return getattr(self.plain, name)

    def accept(self) -> tuple[socket.socket, Any]:
        """
        @raise BlockingIOError: nobody is there, or the socket is closed.
        """
        try:
            return self.plain.accept()
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            raise _nobody() from error


class GuardedSocket(AcceptingSocket):
    """
    One that asks before it accepts.

    @ivar everybody: whether all who wait in the kernel's queue are to be accepted, because
        the port is about to be closed.
    @ivar starved: whether there was no descriptor for the last of them.
    """

    everybody = starved = False

    def __init__(self, sock: socket.socket, keeper: Doors) -> None:
        """
        @param keeper: who is asked.
        """
        super().__init__(sock)
        self._keeper = keeper

    def accept(self) -> tuple[socket.socket, Any]:
        """
        @raise BlockingIOError: nobody is there, or nobody is to be accepted.
        """
        keeper = self._keeper
        if not self.everybody and (keeper.holds() or not self._spares(keeper)):
            raise _nobody()
        try:
            client, address = super().accept()
        except OSError as error:
            if error.errno not in EXHAUSTED:
                raise
            self.starved = True
            keeper.exhausted(error)
            raise _nobody() from error
        self.starved = False
        keeper.accepted(client.fileno())
        return client, address

    def _spares(self, keeper: Doors) -> bool:
        """
        Whether there are descriptors, if there were none a while ago.
        """
        if not keeper.scarce:
            return True
        try:
            number = os.dup(self.plain.fileno())
        except OSError as error:
            if error.errno not in EXHAUSTED:
                # Whoever accepts will see.
                return True
            keeper.exhausted(error)
            return False
        os.close(number)
        return keeper.found(number)


def _limit() -> int:
    """
    From which descriptor on there are only those for the application.
    """
    most = -1 if resource is None else resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return most - min(SPARE, most // 8) if most > 0 else sys.maxsize


def _nobody() -> BlockingIOError:
    return BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def guard(port: Any, keeper: Doors | None) -> None:
    """
    Have a port accept nobody when it is closed, and ask before it accepts.

    @param port: a TCP or UNIX port of one of Twisted's POSIX reactors, listening.
    @param keeper: who is asked, if anybody is.
    """
    sock = port.socket
    if isinstance(sock, GuardedSocket):
        return
    plain = sock.plain if isinstance(sock, AcceptingSocket) else sock
    port.socket = AcceptingSocket(plain) if keeper is None else GuardedSocket(plain, keeper)


def acceptEverybody(port: Any) -> None:
    """
    The port is about to be closed: accept all who are in its queue.
    """
    if isinstance(port.socket, GuardedSocket):
        port.socket.everybody = True


def isStarved(port: Any) -> bool:
    """
    Whether nobody can be accepted by a port, for want of descriptors.
    """
    return isinstance(port.socket, GuardedSocket) and port.socket.starved
