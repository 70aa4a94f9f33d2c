"""
IRC servers on C{twisted.words.protocols.irc}.

A chat has no transactions: it goes on until the end of the idle grace, and then every
client is told with ERROR (RFC 2812, section 3.7.4) that its link is closed, and why.
"""

from __future__ import annotations

from twisted.python.components import registerAdapter
from twisted.words.protocols.irc import IRC
from zope.interface import implementer

from terminable.drainers.commands import CommandDrainer
from terminable.interfaces import IDrainer, IDrainWatch, ILastingDrainer


@implementer(ILastingDrainer)
class IRCDrainer(CommandDrainer):
    """
    Closes the links of an IRC server.

    An application with more to say subclasses this, and registers its own for its
    protocol's class.

    @ivar reason: why, for people.
    """

    lasting = True
    word = "ERROR"
    reason = "Server is going down"

    def isBusy(self) -> bool:
        """
        Nothing that one could wait for is known: Twisted keeps no account of the answers
        that it owes, and whoever is still registering will do so elsewhere.
        """
        return False

    def hint(self, idle: IDrainWatch) -> None:
        """
        The chat goes on.
        """
        self._idle = idle

    def goodbye(self) -> None:
        """
        C{ERROR :Closing Link: host (reason)}, the shape in which most servers say it; and
        nothing after it, although others who go are still talked about.
        """
        self.protocol.sendLine(f"ERROR :Closing Link: {self._host()} ({self.reason})")

    def _host(self) -> str:
        """
        Where the client is; on a UNIX socket that is here.
        """
        peer = self.protocol.transport.getPeer()
        return str(getattr(peer, "host", None) or self.protocol.hostname or "localhost")


def register() -> None:
    """
    Make this the drainer of IRC servers.
    """
    registerAdapter(IRCDrainer, IRC, IDrainer)
