"""
POP3, as C{twisted.mail} serves it.

What a client has marked for deletion is deleted at QUIT alone (RFC 1939, section 6), and
only the mailbox knows of it; who is logging in is known to nobody.  So the commands of
each session are noted from its beginning.
"""

from __future__ import annotations

from typing import Any

from twisted.mail.pop3 import POP3
from twisted.python.components import registerAdapter

from terminable.drainers import library
from terminable.drainers.commands import CommandDrainer, stopSending
from terminable.drainers.plain import readable
from terminable.interfaces import IDrainer, IDrainWatch

#: Commands whose arguments are nobody's secret.
_OPEN = (b"DELE", b"LIST", b"RETR", b"TOP", b"UIDL")

_LOGIN = (b"APOP", b"AUTH", b"PASS")


class _Session:
    """
    Stands in for the methods of one protocol by which commands begin and are answered.

    @ivar command: the last command that began, in capitals.
    @ivar arguments: those of that command.
    @ivar answered: whether its answer has begun.
    @ivar marked: how many messages will be deleted at QUIT.
    @ivar told: called when an answer has begun, once a drain has begun.
    """

    __slots__ = (
        "_fail",
        "_process",
        "_protocol",
        "_schedule",
        "_succeed",
        "answered",
        "arguments",
        "command",
        "marked",
        "told",
    )

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self._process = protocol.processCommand
        self._succeed = protocol.successResponse
        self._fail = protocol.failResponse
        self._schedule = protocol.schedule
        self.command = b""
        self.arguments: tuple[bytes, ...] = ()
        self.answered = True
        self.marked = 0
        self.told: Any = None
        protocol.processCommand = self.processCommand
        protocol.successResponse = self.successResponse
        protocol.failResponse = self.failResponse
        protocol.schedule = self.schedule

    def processCommand(self, command: bytes, *arguments: bytes) -> Any:
        """
        A command begins, unless it has to wait for the one before.
        """
        if self._protocol.blocked is None:
            self.command, self.arguments = command.upper(), arguments
            self.answered = False
        return self._process(command, *arguments)

    def successResponse(self, message: Any = "") -> None:
        """
        It has succeeded.
        """
        if not self.answered:
            if self.command == b"DELE":
                self.marked += 1
            elif self.command in (b"RSET", b"QUIT"):
                self.marked = 0
        self._succeed(message)
        self._begin()

    def failResponse(self, message: Any = b"") -> None:
        """
        It has failed.
        """
        self._fail(message)
        self._begin()

    def schedule(self, iterator: Any) -> Any:
        """
        Its answer is written bit by bit.
        """
        self._begin()
        return self._schedule(iterator)

    def _begin(self) -> None:
        self.answered = True
        if self.told is not None:
            self.told()

    @property
    def isLoggingIn(self) -> bool:
        """
        Whether somebody is being authenticated.
        """
        return self.command in _LOGIN and not self.answered


def watch(protocol: Any) -> _Session:
    """
    Note the commands of a session; again and again is once.
    """
    found = _watched(protocol)
    return _Session(protocol) if found is None else found


def _watched(protocol: Any) -> _Session | None:
    found = getattr(protocol.successResponse, "__self__", None)
    return found if isinstance(found, _Session) else None


class POP3Drainer(CommandDrainer):
    """
    Lets a command complete, and a session in which messages were marked for deletion.
    """

    word = "-ERR"
    # Commands that had to wait come here too.
    entrance = "processCommand"

    def isBusy(self) -> bool:
        """
        Whether a command is being worked on or answered, somebody is being authenticated,
        or messages are marked.
        """
        protocol, session = self.protocol, _watched(self.protocol)
        if protocol.blocked is not None or protocol.state != "COMMAND":
            return True
        return session is not None and (session.isLoggingIn or bool(session.marked))

    def waits(self) -> bool:
        """
        Whether somebody is being authenticated.
        """
        return watch(self.protocol).isLoggingIn

    def permits(self, line: bytes, *arguments: bytes) -> bool:
        """
        QUIT is answered as ever.
        """
        return line.upper() == b"QUIT"

    def goodbye(self) -> None:
        """
        RFC 3206: it is not the client's fault, and will pass.
        """
        self.protocol.failResponse(b"[SYS/TEMP] server is going down")

    def hint(self, idle: IDrainWatch) -> None:
        """
        From now on no command begins.
        """
        protocol = self.protocol
        watch(protocol).told = self.look
        super().hint(idle)
        setTimeout = protocol.setTimeout

        def timeoutSet(period: float | None) -> Any:
            # What is called at the end of each command that others had to wait for.
            result = setTimeout(period)
            self.look()
            return result

        protocol.setTimeout = timeoutSet

    def describe(self) -> str:
        """
        The command in flight, or how many messages are marked.
        """
        session = _watched(self.protocol)
        if session is None or not self.isBusy():
            return ""
        if self.protocol.blocked is None and not session.isLoggingIn:
            return f"DELE of {session.marked} without QUIT"
        shown = session.arguments if session.command in _OPEN else ()
        return readable(b" ".join((session.command, *shown)))

    def lastWord(self, retryAfter: int) -> str:
        """
        The goodbye, unless an answer has begun, which is cut.
        """
        session = _watched(self.protocol)
        if self.protocol.blocked is not None and (session is None or session.answered):
            stopSending(self.protocol.transport)
            return ""
        return super().lastWord(retryAfter)


def register() -> None:
    """
    Make this the drainer of all that extends C{POP3}.
    """
    registerAdapter(POP3Drainer, POP3, IDrainer)
    library.watched[POP3] = watch
