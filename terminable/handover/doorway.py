"""
A UNIX socket by which processes of one user pass connections to each other.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.protocols import amp
from twisted.python.failure import Failure

from terminable import events
from terminable.errors import InvalidOption
from terminable.handover.movable import CannotMove
from terminable.handover.passing import Sender
from terminable.handover.taking import Taking

_log = Logger()

#: How many processes may be connected at the same time.
MOST = 64

#: How long the name of a UNIX socket may be, in bytes.
LONGEST = 107


def peerUser(sock: socket.socket) -> int | None:
    """
    The number of the user at the other end of a UNIX socket, as the kernel knows it
    (C{SO_PEERCRED}: who called C{connect} or C{listen}).

    @return: C{None} where the kernel does not say.
    """
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    try:
        found = sock.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("3i"))
    except OSError:
        return None
    return int(struct.unpack("3i", found)[1])


def _isOurs(channel: Any) -> bool:
    """
    Whether the other end is of this process's user; if it is not, the channel is lost.
    """
    user = peerUser(channel.transport.getHandle())
    if user == os.geteuid():
        return True
    _log.warn(
        "a process of user {user} is refused on {channel}",
        event=events.PASSING_REFUSED,
        user=user,
        channel=channel,
    )
    channel.transport.abortConnection()
    return False


def checkPath(path: str) -> None:
    """
    @raise InvalidOption: this path cannot be listened on by this user alone.
    """
    folder = os.path.dirname(os.path.abspath(path))
    if not path or "\0" in path or len(os.fsencode(path)) > LONGEST:
        raise InvalidOption("path", path, f"a path of at most {LONGEST} bytes")
    if not hasattr(socket, "SO_PEERCRED"):
        raise InvalidOption("path", path, "a system that knows users by SO_PEERCRED")
    try:
        status = os.stat(folder)
    except OSError as error:
        raise InvalidOption("path", path, f"a directory that is there: {error.strerror}") from error
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise InvalidOption("path", path, "a directory that this user alone can write to")


class _Receiver(amp.AMP):
    """
    One process that passes connections to us.
    """

    transport: Any

    def __init__(self, taking: Taking, opened: set[Any]) -> None:
        super().__init__(locator=taking)
        self._taking = taking
        self._opened = opened

    def connectionMade(self) -> None:
        """
        Take from whom we know.
        """
        super().connectionMade()
        if len(self._opened) >= MOST:
            _log.warn(
                "too many processes are connected to pass connections", event=events.PASSING_CROWDED
            )
            self.transport.abortConnection()
        elif _isOurs(self):
            self._opened.add(self)
            self._taking.serve(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        It has gone.
        """
        self._opened.discard(self)
        super().connectionLost(reason)


class _Receivers(Factory):
    """
    Builds what takes connections.
    """

    noisy = False

    def __init__(self, taking: Callable[[], Taking]) -> None:
        self._taking = taking
        self._opened: set[Any] = set()

    def buildProtocol(self, addr: object) -> _Receiver:
        """
        One more process.
        """
        return _Receiver(self._taking(), self._opened)


def listenForConnections(
    reactor: Any,
    path: str,
    portFor: Callable[[Any], Any],
    count: Callable[[], int] = lambda: 0,
) -> IListeningPort:
    """
    Take connections from other processes of the same user.

    @param reactor: provides C{IReactorUNIX} and C{IReactorTime}.
    @param path: the name of the UNIX socket, which gets mode 0600, in a directory that only
        this user can write to.
    @param portFor: see L{Taking}.
    @param count: see L{Taking}.
    @return: the port of the UNIX socket.
    @raise terminable.InvalidOption: there cannot be such a socket.
    @raise twisted.internet.error.CannotListenError: somebody else listens there.
    """
    checkPath(path)
    factory = _Receivers(lambda: Taking(reactor, portFor, count))
    port: IListeningPort = reactor.listenUNIX(path, factory, mode=0o600, wantPID=True)
    return port


def connectTo(reactor: Any, path: str) -> Deferred[Sender]:
    """
    Connect to a process of the same user that takes connections.

    @param reactor: provides C{IReactorUNIX} and C{IReactorTime}.
    @param path: the name of its UNIX socket.
    @return: what passes connections to it.  Fails with
        L{ConnectError<twisted.internet.error.ConnectError>} if nobody listens there, with
        L{CannotMove<terminable.handover.movable.CannotMove>} if it is another user's.
    """
    factory: Factory[Any] = Factory.forProtocol(amp.AMP)
    factory.noisy = False

    def connected(channel: Any) -> Sender:
        if not _isOurs(channel):
            raise CannotMove(f"{path} is another user's")
        return Sender(reactor, channel)

    connecting: Deferred[Any] = UNIXClientEndpoint(reactor, path).connect(factory)
    return connecting.addCallback(connected)
