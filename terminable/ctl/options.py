"""
The command line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.python.usage import UsageError

from terminable.ctl.address import Address, addressOf
from terminable.ctl.credentials import Credentials, authorityIn, certificateIn, tokenIn
from terminable.ctl.orders import ANSWER, COMMANDS, NAME, Command, Common, number
from terminable.errors import InvalidOption


class Options(Common):
    """
    The whole command line.

    @ivar address: where to ask.
    @ivar credentials: what to show.
    @ivar timeout: how many seconds an answer may take.
    @ivar json: whether a program reads the output.
    @ivar command: what to do.
    """

    longdesc = (
        "Asks the server whose admin door is SOCKET: the path of a UNIX socket, or a URL such "
        "as http://127.0.0.1:9000. Exits with 0 if it was done, 1 if the server has refused it, "
        "2 if the command line is wrong, 3 if the server cannot be reached, and 4 if it was "
        "waited for the end and somebody was aborted."
    )

    address: Address
    credentials: Credentials
    timeout: float
    json: bool
    command: Command

    def getSynopsis(self) -> str:
        """
        The first line of the help.
        """
        return f"Usage: {NAME} [options] SOCKET COMMAND [options]"

    def getUsage(self, width: int | None = None) -> str:
        """
        The rest of it.
        """
        names = max(len(each.name) for each in COMMANDS)
        lines = [f"  {each.name:<{names}}  {str(each.__doc__).strip()}" for each in COMMANDS]
        return super().getUsage(width) + "\nCommands:\n" + "\n".join(lines) + "\n"

    def parseArgs(self, *arguments: str) -> None:
        """
        The socket, the command, and what belongs to that.
        """
        if len(arguments) < 2:
            names = ", ".join(each.name for each in COMMANDS)
            raise UsageError(f"SOCKET and COMMAND are needed; COMMAND is one of {names}")
        socket, name, *rest = arguments
        self.address = addressOf(socket)
        self.command = self._commandOf(name)
        self.command.parent = self
        self.command.parseOptions(rest)

    def _commandOf(self, name: str) -> Command:
        for each in COMMANDS:
            if each.name == name:
                return each()
        names = ", ".join(each.name for each in COMMANDS)
        raise InvalidOption("COMMAND", name, f"one of {names}")

    def postOptions(self) -> None:
        """
        Read the files, and check what holds for every command.
        """
        common = self.command.common
        self.json = bool(common("json"))
        timeout = common("timeout")
        self.timeout = ANSWER if timeout is None else _positive("--timeout", timeout)
        readers: dict[str, Callable[[str], Any]] = {
            "token-file": tokenIn,
            "certificate": certificateIn,
            "ca-file": authorityIn,
        }
        found = [
            None if common(name) is None else read(common(name)) for name, read in readers.items()
        ]
        self.credentials = Credentials(*found)


def _positive(option: str, text: str) -> float:
    return number(option, text, "seconds, as a number above 0", least=1e-3)
