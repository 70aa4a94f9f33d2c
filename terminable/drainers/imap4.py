"""
IMAP4rev1, as C{twisted.mail.imap4} serves it.

Commands in progress complete.  The next one gets an untagged BYE for its answer, and no
tagged NO before it: with a BYE that does not answer LOGOUT, the connection is closed
immediately (RFC 3501 and RFC 9051, section 7.1.5).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.mail.imap4 import IMAP4Server
from twisted.python.components import registerAdapter

from terminable.drainers import library
from terminable.drainers.commands import CommandDrainer
from terminable.drainers.plain import readable
from terminable.interfaces import IDrainer, IDrainWatch
from terminable.tracking.layers import unsentHere

_BYE = b"* BYE server is going down"

#: How many commands without an answer are remembered, the youngest; a command whose
#: handling has failed may never get one.
_MANY = 100

#: How many of them are worth a place in a report.
_NAMED = 3


class _Commands:
    """
    The commands of one connection that were not answered yet.  Nothing on an
    C{IMAP4Server} tells them while somebody else works on them.

    @ivar open: C{tag: command}.
    @ivar answered: called after each answer, once a drain has begun.
    """

    __slots__ = ("_dispatch", "_send", "answered", "open")

    def __init__(self, protocol: Any) -> None:
        self.open: dict[bytes, bytes] = {}
        self.answered: Callable[[], None] | None = None
        self._dispatch = protocol.dispatchCommand
        self._send = protocol.sendLine
        protocol.dispatchCommand = self.dispatchCommand
        protocol.sendLine = self.sendLine

    def dispatchCommand(self, tag: bytes, cmd: bytes, rest: Any, uid: Any = None) -> Any:
        """
        A command begins.
        """
        # In IDLE (RFC 2177) the client waits for us, not we for something.
        if cmd != b"IDLE":
            if len(self.open) >= _MANY:
                del self.open[next(iter(self.open))]
            self.open[tag] = cmd if uid is None else b"UID " + cmd
        try:
            return self._dispatch(tag, cmd, rest, uid)
        except BaseException:
            # Whoever catches this answers, perhaps without the tag.
            self.open.pop(tag, None)
            raise

    def sendLine(self, line: bytes) -> None:
        """
        A line is sent: the answer to a command, if it begins with its tag.
        """
        self._send(line)
        if self.open and self.open.pop(line.partition(b" ")[0], b"") and self.answered:
            self.answered()


def _known(protocol: Any) -> _Commands | None:
    commands = getattr(protocol.dispatchCommand, "__self__", None)
    return commands if isinstance(commands, _Commands) else None


def watch(protocol: Any) -> _Commands:
    """
    Remember which commands are in progress, from now on.
    """
    return _known(protocol) or _Commands(protocol)


class IMAP4Drainer(CommandDrainer):
    """
    Ends a session when no command is in progress.
    """

    lasting = True
    word = "BYE"

    def __init__(self, protocol: IMAP4Server) -> None:
        super().__init__(protocol)
        self._queued = 0

    def isBusy(self) -> bool:
        """
        Whether a command is in progress: received in part (a literal, AUTHENTICATE),
        being worked on, or answered in part.
        """
        return self.waits() or bool(self.protocol.parseState == "pending")

    def waits(self) -> bool:
        """
        Whether a command is being worked on, or answered in part.
        """
        if self._queued or self.protocol.blocked is not None:
            return True
        commands = _known(self.protocol)
        return commands is not None and bool(commands.open)

    def permits(self, line: bytes) -> bool:
        """
        LOGOUT is obeyed.
        """
        _, _, command = line.upper().partition(b" ")
        return command.strip() == b"LOGOUT"

    def hint(self, idle: IDrainWatch) -> None:
        """
        From now on no command begins, but for those that Twisted has put aside until a
        FETCH is over.
        """
        super().hint(idle)
        self._queued = len(self.protocol.blocked or ())
        watch(self.protocol).answered = self._answered

    def _receive(self, *command: Any) -> Any:
        if not self._belongs() or self.leaving or self.lost:
            return super()._receive(*command)
        result = self._received(*command)
        self.look()
        return result

    def _belongs(self) -> bool:
        """
        Whether a line is no new command: it was put aside before, or it goes with one
        that has begun (the rest of one with a literal, a response to AUTHENTICATE, the
        DONE after IDLE).
        """
        if self._queued and self.protocol.blocked is None:
            self._queued -= 1
            return True
        return bool(self.protocol.parseState != "command")

    def _answered(self) -> None:
        # Not at once: the work on a command is not over when it has been answered.
        self._idle.later(0, self.look)

    def goodbye(self) -> None:
        """
        Say BYE.
        """
        self.protocol.sendLine(_BYE)

    def describe(self) -> str:
        """
        The commands in progress, with their tags.
        """
        commands = _known(self.protocol)
        found = [] if commands is None else list(commands.open.items())
        named = [f"{readable(command)} (tag {readable(tag)})" for tag, command in found[:_NAMED]]
        more = len(found) - len(named)
        return ", ".join(named + ([f"{more} more commands"] if more else []))

    def lastWord(self, retryAfter: int) -> str:
        """
        BYE, unless a FETCH is being written, or the client takes nothing.
        """
        protocol = self.protocol
        if protocol.blocked is not None or unsentHere(protocol.transport):
            return ""
        return super().lastWord(retryAfter)


def register() -> None:
    """
    Make this the drainer of IMAP servers, and watch them.
    """
    registerAdapter(IMAP4Drainer, IMAP4Server, IDrainer)
    library.watched[IMAP4Server] = watch
