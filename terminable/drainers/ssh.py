"""
SSH, as C{twisted.conch} speaks it.

What runs on a connection is on channels, and everything else is made of them: commands,
shells, file transfers, forwarded ports.  Open channels go on until they end, no more are
opened, and the goodbye is SSH_MSG_DISCONNECT (RFC 4253, section 11.1).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.conch.ssh.common import NS
from twisted.conch.ssh.connection import (
    MSG_CHANNEL_OPEN,
    MSG_CHANNEL_OPEN_FAILURE,
    MSG_GLOBAL_REQUEST,
    MSG_REQUEST_FAILURE,
    OPEN_RESOURCE_SHORTAGE,
    SSHConnection,
)
from twisted.conch.ssh.transport import DISCONNECT_BY_APPLICATION, SSHServerTransport
from twisted.python.components import registerAdapter
from zope.interface import implementer

from terminable.drainers.plain import NothingToSay
from terminable.interfaces import IDrainer, ILastingDrainer
from terminable.tracking import internals

#: Requests to listen on a port on behalf of the client: RFC 4254, section 7.1, and the
#: same for UNIX sockets, as OpenSSH asks for it.
_FORWARDS = (b"tcpip-forward", b"streamlocal-forward@openssh.com")

#: How many channels a description names.
_NAMED = 3

#: How much of a name is worth a place in a report.
_LENGTH = 200


def _swallow(*args: object) -> None:
    """
    Take what comes too late.
    """


@implementer(ILastingDrainer)
class SSHDrainer(NothingToSay):
    """
    Ends an SSH connection with its last channel.

    @cvar goodbye: what the client is told, in UTF-8.
    @ivar protocol: the transport, as C{twisted.conch} calls it.
    @ivar leaving: whether the goodbye was said.
    @ivar answered: whether a client that was idle was given a last channel.
    """

    silent = False
    lasting = True
    prompt = False
    goodbye = b"The server is going down."

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.leaving = False
        self.answered = False
        self._mayOpen = False
        self._last = ""
        self._idle: Callable[[], None] | None = None
        self._dispatch: Any = None
        self._watched: Any = None

    @property
    def _connection(self) -> SSHConnection | None:
        """
        What has the channels; C{None} before the client is authenticated.
        """
        service = self.protocol.service
        return service if isinstance(service, SSHConnection) else None

    def isBusy(self) -> bool:
        """
        Whether a channel is open, an answer to a request of ours is awaited, or what was
        written waits for the end of a key exchange.
        """
        connection = self._connection
        return connection is not None and bool(
            connection.channels
            or connection.deferreds["global"]
            or internals.sshHeldBack(self.protocol)
        )

    def hint(self, idle: Callable[[], None]) -> None:
        """
        From now on no channel is opened, except that a connection without any may open
        one last.
        """
        self._idle = idle
        self._mayOpen = not self.isBusy()
        self._dispatch = self.protocol.dispatchMessage
        self.protocol.dispatchMessage = self._dispatchMessage
        self._watch()

    def _watch(self) -> None:
        """
        Be told of each channel that is closed.  There is no connection to watch before
        the client is authenticated, and a client may ask for another one.
        """
        connection = self._connection
        if connection is not None and connection is not self._watched:
            self._watched = connection
            closed = partial(self._channelClosed, connection.channelClosed)
            vars(connection)["channelClosed"] = closed

    def _channelClosed(self, closed: Callable[[Any], object], channel: Any) -> None:
        self._last = self.describe()
        closed(channel)
        self._look()

    def _dispatchMessage(self, message: int, payload: bytes) -> None:
        if self.leaving:
            return
        self._watch()
        busy = self.isBusy()
        if self._connection is None or not self._refuses(message, payload):
            self._dispatch(message, payload)
        if busy:
            self._look()

    def _look(self) -> None:
        """
        Something has ended; tell if it was the last.
        """
        if self._idle is not None and not self.leaving and not self.isBusy():
            self._idle()

    def _refuses(self, message: int, payload: bytes) -> bool:
        """
        Refuse what would begin something new, in place of the application.
        """
        name, rest = _string(payload)
        if message == MSG_CHANNEL_OPEN and not self._mayOpen:
            number = rest[:4].ljust(4, b"\0")
            reason = OPEN_RESOURCE_SHORTAGE.to_bytes(4, "big")
            refusal = number + reason + NS(self.goodbye) + NS(b"")
            self.protocol.sendPacket(MSG_CHANNEL_OPEN_FAILURE, refusal)
            self.drain()
            return True
        if message == MSG_CHANNEL_OPEN:
            self._mayOpen = False
            self.answered = True
        elif message == MSG_GLOBAL_REQUEST and name in _FORWARDS:
            if rest[:1] != b"\0":
                self.protocol.sendPacket(MSG_REQUEST_FAILURE, b"")
            return True
        return False

    def drain(self) -> None:
        """
        Disconnect if no channel is open; from now on none is opened.
        """
        self._mayOpen = False
        if not self.isBusy():
            self._leave()

    def _leave(self) -> None:
        """
        Disconnect, once.
        """
        if self.leaving:
            return
        self.leaving = True
        if _keysAnnounced(self.protocol):
            # Everything after our SSH_MSG_NEWKEYS has to be written with the new ones.
            internals.sshTakeKeys(self.protocol)
        self.protocol.sendDisconnect(DISCONNECT_BY_APPLICATION, self.goodbye)
        self.protocol.sendPacket = _swallow

    def describe(self) -> str:
        """
        The first channels, or the last that was closed since the hint, and the user if the
        avatar tells his name.
        """
        connection = self._connection
        if connection is None or not connection.channels:
            return self._last
        channels = list(connection.channels.values())
        named = [_describe(channel) for channel in channels[:_NAMED]]
        more = len(channels) - len(named)
        text = ", ".join(named + ([f"{more} more channels"] if more else []))
        user = getattr(getattr(self.protocol, "avatar", None), "username", None)
        return f"{text} by {_text(user)}" if user else text

    def lastWord(self, retryAfter: int) -> str:
        """
        Disconnect, whatever is open.
        """
        if self.leaving:
            return ""
        self._leave()
        return "disconnect"


def _string(payload: bytes) -> tuple[bytes, bytes]:
    """
    The string with which a payload begins (RFC 4251, section 5), and what follows it; of
    a malformed one what there is.
    """
    end = 4 + int.from_bytes(payload[:4], "big")
    return payload[4:end], payload[end:]


def _keysAnnounced(protocol: Any) -> bool:
    """
    Whether we have sent SSH_MSG_NEWKEYS and the client has not (RFC 4253, section 7.3).
    """
    coming = getattr(protocol, "nextEncryptions", None)
    return coming not in (None, protocol.currentEncryptions) and bool(coming.encBlockSize)


def _describe(channel: Any) -> str:
    """
    One channel: where it leads to, or what serves it.
    """
    if target := getattr(channel, "hostport", None):
        return "forwarding to " + _text(f"{target[0]}:{target[1]}")
    name = _text(channel.name or type(channel).__name__)
    server: Any = getattr(getattr(channel, "client", None), "transport", None)
    if hasattr(server, "pid"):
        return f"{name}: process {server.pid}" if server.pid else name
    application = getattr(server, "proto", None)
    return name if application is None else f"{name}: {type(application).__name__}"


def _text(value: Any) -> str:
    """
    A name as it may stand in a log; it may come from the client.
    """
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    return "".join(sign if sign.isprintable() else "?" for sign in text[:_LENGTH])


def register() -> None:
    """
    Make this the drainer of all SSH servers.
    """
    registerAdapter(SSHDrainer, SSHServerTransport, IDrainer)
