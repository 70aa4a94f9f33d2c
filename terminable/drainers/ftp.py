"""
FTP, as C{twisted.protocols.ftp} serves it.

A transfer completes, from the PASV or PORT that it begins with until its last byte has
left.  The next command is answered with 421, which may be the answer to any command
(RFC 959, section 5.4), and the control connection is lost.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.error import ConnectionAborted
from twisted.protocols.ftp import FTP, SVC_NOT_AVAIL_CLOSING_CTRL_CNX
from twisted.python.components import registerAdapter
from twisted.python.failure import Failure

from terminable.drainers import library
from terminable.drainers.commands import CommandDrainer, stopSending
from terminable.drainers.plain import readable
from terminable.interfaces import IDrainer, IDrainWatch
from terminable.tracking.layers import unsentHere

#: What a data connection is opened for.
_TRANSFERS = frozenset(("APPE", "LIST", "MLSD", "NLST", "RETR", "STOR", "STOU"))

#: What may come between the two.
_PREPARING = frozenset(("ALLO", "MDTM", "MODE", "NOOP", "REST", "SIZE", "STRU", "TYPE"))

#: Whose argument is for everybody's eyes.
_NAMING = _TRANSFERS | {"CWD", "DELE", "MDTM", "MKD", "RMD", "RNFR", "RNTO", "SIZE"}

#: How much of an argument is worth a place in a report.
_LONG = 200


class _Commands:
    """
    What one client has asked for.

    @ivar last: its last command, and what it was to be done to.
    @ivar used: the last data connection that was meant by a transfer command.
    """

    __slots__ = ("_process", "_protocol", "last", "used")

    def __init__(self, protocol: Any) -> None:
        self.last = ("", "")
        self.used: Any = None
        self._protocol = protocol
        self._process = protocol.processCommand
        protocol.processCommand = self.processCommand

    def processCommand(self, cmd: str, *params: str) -> Any:
        """
        A command begins.
        """
        name = cmd[:_LONG].upper()
        self.last = (name, params[0][:_LONG] if params and name in _NAMING else "")
        if name in _TRANSFERS:
            self.used = self._protocol.dtpInstance
        return self._process(cmd, *params)


def _known(protocol: Any) -> _Commands | None:
    commands = getattr(protocol.processCommand, "__self__", None)
    return commands if isinstance(commands, _Commands) else None


def watch(protocol: Any) -> _Commands:
    """
    Remember the last command, from now on.
    """
    return _known(protocol) or _Commands(protocol)


def _swallow(*args: object) -> None:
    """
    Take what comes too late.
    """


class FTPDrainer(CommandDrainer):
    """
    Ends a control connection when no transfer and no other command is in progress.
    """

    word = "421"

    def __init__(self, protocol: FTP) -> None:
        super().__init__(protocol)
        self._watched: Any = None
        self._lost: Any = None
        self._resume: Any = None

    def _data(self) -> Any:
        data = self.protocol.dtpInstance
        return data if data is not None and data.isConnected else None

    def _isFlushing(self) -> bool:
        """
        Whether the client was told that its transfer is complete, and the rest of it is
        still on its way.
        """
        data = self._data()
        return data is not None and bool(data.transport.disconnecting)

    def _isWaiting(self) -> bool:
        """
        Whether a data connection is open whose transfer command is still to come.
        """
        data, commands = self._data(), _known(self.protocol)
        if data is None or data.transport.disconnecting:
            return False
        return commands is None or commands.used is not data

    def _isWorking(self) -> bool:
        # Twisted reads nothing while it works on a command.
        return self.protocol.paused and not self.protocol.disconnected

    def _isRenaming(self) -> bool:
        return getattr(self.protocol, "state", None) == FTP.RENAMING

    def isBusy(self) -> bool:
        """
        Whether a command is being worked on, a file is being renamed, or a data
        connection is open for or after its transfer.
        """
        return self._isWorking() or self._isRenaming() or self._isWaiting() or self._isFlushing()

    def waits(self) -> bool:
        """
        Whether what comes next has to wait for the rest of a transfer: to end the control
        connection now may end the process.
        """
        return self._isFlushing()

    def permits(self, line: bytes) -> bool:
        """
        QUIT is obeyed, and what the open transaction consists of.
        """
        command = line.partition(b" ")[0].upper().decode("latin-1")
        if command == "QUIT":
            return True
        if self._isRenaming():
            return command == "RNTO"
        return self._isWaiting() and (command in _TRANSFERS or command in _PREPARING)

    def hint(self, idle: IDrainWatch) -> None:
        """
        From now on nothing begins.
        """
        super().hint(idle)
        protocol = self.protocol
        watch(protocol)
        self._lost, protocol.connectionLost = protocol.connectionLost, self._connectionLost
        self._resume, protocol.resumeProducing = protocol.resumeProducing, self._resumeProducing
        self._watchData()

    def _watchData(self) -> None:
        """
        Find out when the data connection is over.
        """
        data = self._data()
        if data is None or data is self._watched:
            return
        self._watched, lost = data, data.connectionLost

        def connectionLost(reason: object) -> None:
            lost(reason)
            self.look()

        data.connectionLost = connectionLost

    def _resumeProducing(self) -> None:
        """
        A command has been answered.
        """
        if not self.leaving:
            self._watchData()
            self._resume()
            self.look()

    def _obey(self, command: tuple[Any, ...]) -> Any:
        if self.permits(*command):
            self._received(*command)
        else:
            self.leave()

    def goodbye(self) -> None:
        """
        Say 421.
        """
        self.protocol.reply(SVC_NOT_AVAIL_CLOSING_CTRL_CNX)

    def describe(self) -> str:
        """
        The command that is in progress, with the file that it is about.
        """
        if not self.isBusy():
            return ""
        if self._isWaiting() and not self._isWorking() and not self._isRenaming():
            return "data connection without a transfer"
        commands = _known(self.protocol)
        text = "" if commands is None else " ".join(commands.last).rstrip()
        return readable(text.encode("latin-1", "replace"))

    def lastWord(self, retryAfter: int) -> str:
        """
        421, also in the middle of a transfer, which is cut.
        """
        if unsentHere(self.protocol.transport):
            return ""
        word = super().lastWord(retryAfter)
        self._cutData()
        return word

    def _connectionLost(self, reason: object) -> None:
        """
        The control connection is over, and so is its transfer (RFC 959, section 4.1.1,
        QUIT); Twisted closes the passive port.
        """
        protocol = self.protocol
        self.leaving = True
        protocol.sendLine = _swallow
        if not self._isFlushing():
            self._cutData()
        self._lost(reason)
        # A transfer that ends later would start the clock again.
        protocol.setTimeout = _swallow

    def _cutData(self) -> None:
        data = self._data()
        if data is None:
            return
        stopSending(data.transport)
        if isinstance(data.transport, FileDescriptor):
            # At once: the reactor may stop before its next turn, and to be closed by the
            # end of the process would look like the end of the file.
            data.transport.connectionLost(Failure(ConnectionAborted()))
        else:
            data.transport.abortConnection()


def register() -> None:
    """
    Make this the drainer of FTP servers, and watch them.
    """
    registerAdapter(FTPDrainer, FTP, IDrainer)
    library.watched[FTP] = watch
