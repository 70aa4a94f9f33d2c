"""
The words of moving live connections to another process: what a protocol may provide, and
what may be raised.
"""

from __future__ import annotations

from twisted.internet.error import ConnectionDone
from zope.interface import Interface

from terminable.errors import TerminableError

#: How many bytes of state, or of an opening handshake, can be passed with a connection: what
#: one value of AMP can hold.
LARGEST = 65535


class IMovable(Interface):
    """
    A protocol, or the application of a WebSocket, whose connection can go on in another
    process.

    A protocol may provide this itself, or an adapter may be registered
    (L{twisted.python.components.registerAdapter}).  Nothing is moved without it, HTTP/1.1
    between two requests excepted: a fresh object in another process knows nothing of what was
    said before, and the peer would not notice.
    """

    def save() -> bytes | None:
        """
        Say all that another object of this class has to know to go on, including what was
        received and not consumed yet.  At most 65535 bytes.

        Must change nothing, write nothing and lose nothing: if the other process does not
        take the connection, it goes on here as if nothing had been asked.  Until that is
        decided, no data is received; what is written meanwhile is thrown away if the
        connection has moved.

        @return: C{None} for "not now": it is asked again later.
        """

    def restore(state: bytes) -> None:
        """
        Go on where C{save} has left off, in another process.  Called on a fresh protocol of
        the port's own factory: for a protocol after C{makeConnection}, for the application of
        a WebSocket after its opening handshake was replayed, for both before any data.  What
        was written until then has been thrown away, because the peer has heard it before;
        what is written from here on is sent.

        @param state: what C{save} has returned.
        @raise Exception: this cannot be; the connection stays where it was.
        """


class ConnectionMoved(ConnectionDone):
    """
    The connection lives on in another process.  A kind of
    L{ConnectionDone<twisted.internet.error.ConnectionDone>}: for this process it has ended in
    an orderly way, and whoever asks only for that is right.
    """

    MESSAGE = "Connection was moved to another process"


class CannotMove(TerminableError):
    """
    A connection stays where it is; the text says why.
    """


class NotNow(CannotMove):
    """
    A connection cannot be moved at this moment, perhaps at another.
    """


class CannotTake(TerminableError):
    """
    A process does not take a connection that it was passed; the text says why.
    """
