"""
The options of each command.
"""

from __future__ import annotations

import math
import os
import sys
from typing import Any

from twisted.python.usage import Options as UsageOptions

from terminable.ctl import outcomes
from terminable.ctl.address import LONGEST
from terminable.errors import InvalidOption

#: How the command is called.
NAME = "python -m terminable ctl"

#: Seconds that an answer may take, and an upgrade, if nobody says so. The server gives its
#: successor sixty.
ANSWER = 10.0
UPGRADE = 75.0

#: The most seconds that can be meant.
_LONGEST = 1e9

#: The greatest number of a port.
MOST_PORT = 0xFFFF


def number(
    option: str, text: str, expected: str, least: float = 0.0, most: float = _LONGEST
) -> float:
    """
    @raise InvalidOption: it is no number between the two.
    """
    try:
        value = float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise InvalidOption(option, text, expected)
    return value


def seconds(option: str, text: str) -> float:
    """
    @raise InvalidOption: it is no length of time.
    """
    return number(option, text, "seconds, as a number from 0")


def whole(option: str, text: str) -> int:
    """
    @raise InvalidOption: it is no whole number.
    """
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidOption(option, text, "a whole number from 0")
    return int(text)


def portOf(option: str, text: str) -> int | str:
    """
    @raise InvalidOption: nobody can listen there.
    """
    if text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) <= MOST_PORT:
        return int(text)
    if text.isdecimal() or not 0 < len(os.fsencode(text)) <= LONGEST:
        expected = f"a port number from 1 to {MOST_PORT}, or the path of a UNIX socket"
        raise InvalidOption(option, text, expected)
    return text


#: What the server calls it, and what it is called here, where that is not the same.
_OPTIONS = {"olderThan": "older-than", "ids": "id", "gracePeriod": "grace"}
_SAME = ("percent", "peer", "port", "pid", "state", "protocol", "sort", "limit", "offset")


def asTyped(reason: str) -> str:
    """
    @param reason: why the server cannot mean what it was sent, with the name of a field first.
    @return: the same with the name of the option.
    """
    name, colon, rest = reason.partition(":")
    option = _OPTIONS.get(name, name if name in _SAME else "")
    return f"--{option}{colon}{rest}" if option and colon else reason


class Common(UsageOptions):
    """
    What can stand before the command and after it.
    """

    optFlags = [  # noqa: RUF012 - Twisted reads it from the class
        ["json", "j", "Print JSON, as the server has sent it, one value a line."],
    ]
    optParameters = [  # noqa: RUF012 - Twisted reads it from the class
        ["token-file", None, None, "Send the token that stands in this file."],
        ["ca-file", None, None, "Believe only the authority whose certificate is in this file."],
        ["certificate", None, None, "Show the certificate in this file, which has its key, too."],
        ["timeout", None, None, f"Seconds that an answer may take. [default: {ANSWER:g}]"],
    ]

    def opt_version(self) -> None:
        """
        Print the version, and exit.
        """
        # Loaded with the package; it imports nothing anew.
        print(f"terminable {getattr(sys.modules['terminable'], '__version__', '')}")
        sys.exit(outcomes.DONE)

    def common(self, name: str) -> Any:
        """
        @return: what was said after the command, or else before it.
        """
        own = self[name]
        parent: Any = getattr(self, "parent", None)
        return parent[name] if not own and parent is not None else own


class Command(Common):
    """
    One command.

    @cvar name: what it is called.
    @cvar path: where it is sent to; C{None} if it only asks.
    """

    name = ""
    path: str | None = None

    def getSynopsis(self) -> str:
        """
        The first line of the help.
        """
        return f"Usage: {NAME} SOCKET {self.name} [options]"

    def parseArgs(self, *words: str) -> None:
        """
        There is nothing but options.
        """
        if words:
            raise InvalidOption(self.name, words[0], "options only")

    def body(self) -> dict[str, object]:
        """
        What is sent with it.
        """
        return {}


class Status(Command):
    """
    How the server stands.
    """

    name = "status"
    longdesc = "Shows how the server stands: its phase, its connections, its ports."


class Watch(Command):
    """
    How it stands from now to its end, live.
    """

    name = "watch"
    longdesc = (
        "Shows how a server ends: who is busy, who is idle, the time left, and the ten oldest "
        "stragglers, until the end and its report; live on a terminal, line by line elsewhere. "
        "If another process takes over, it goes on with that."
    )


class Connections(Command):
    """
    Who is connected, and what for.
    """

    name = "connections"
    longdesc = "Lists the live connections."
    optParameters = [  # noqa: RUF012 - Twisted reads it from the class
        ["state", None, None, "Those that are busy, idle, opening, new, upgraded or waiting."],
        ["peer", None, None, "Those of one address or network."],
        ["protocol", None, None, "Those that speak this protocol."],
        ["sort", None, None, "By age, idle (the longest silent first) or peer. [default: age]"],
        ["limit", None, None, "At most so many. [default: 1000]"],
        ["offset", None, None, "Pass over so many first."],
    ]

    def parameters(self) -> dict[str, str]:
        """
        What stands behind the question mark.
        """
        for name in ("limit", "offset"):
            if self[name] is not None:
                whole(f"--{name}", self[name])
        names = ("state", "peer", "protocol", "sort", "limit", "offset")
        return {name: self[name] for name in names if self[name] is not None}

    def postOptions(self) -> None:
        """
        Check what can be checked here.
        """
        self.parameters()


class Deed(Command):
    """
    One command that changes something.
    """

    optParameters = [  # noqa: RUF012 - Twisted reads it from the class
        ["pid", None, None, "Only if the server is still this process."],
    ]

    def body(self) -> dict[str, object]:
        """
        See L{Command.body}.
        """
        return {} if self["pid"] is None else {"pid": whole("--pid", self["pid"])}

    def postOptions(self) -> None:
        """
        Check what can be checked here.
        """
        self.body()


class Drain(Deed):
    """
    End some connections politely, and go on serving.
    """

    name = "drain"
    path = "/drain"
    longdesc = (
        "Ends those connections politely that meet every condition, all of them if there is "
        "none, and goes on serving."
    )
    optParameters = [  # noqa: RUF012 - Twisted reads it from the class
        ["percent", None, None, "So many of those who meet the other conditions."],
        ["older-than", None, None, "Those that have been connected for so many seconds."],
        ["peer", None, None, "Those of one address or network, such as 10.1.0.0/16."],
        ["port", None, None, "Those that came by this port, or this UNIX socket."],
        ["grace", None, None, "Seconds until stragglers are aborted. [default: the server's]"],
    ]

    def __init__(self) -> None:
        super().__init__()
        self["ids"] = []

    def opt_id(self, name: str) -> None:
        """
        The one that "connections" lists by this name. May be repeated.
        """
        self["ids"].append(name)

    def body(self) -> dict[str, object]:
        """
        See L{Command.body}.
        """
        body = super().body()
        if self["percent"] is not None:
            expected = "a number from 0 to 100"
            body["percent"] = number("--percent", self["percent"], expected, 0, 100)
        if self["older-than"] is not None:
            body["olderThan"] = seconds("--older-than", self["older-than"])
        if self["peer"] is not None:
            body["peer"] = self["peer"]
        if self["port"] is not None:
            body["port"] = portOf("--port", self["port"])
        if self["ids"]:
            body["ids"] = self["ids"]
        if self["grace"] is not None:
            body["gracePeriod"] = seconds("--grace", self["grace"])
        return body


class Abort(Deed):
    """
    End the server at once.
    """

    name = "abort"
    path = "/abort"
    longdesc = "Ends the server at once; everybody who is connected is aborted."
    optFlags = [  # noqa: RUF012 - Twisted reads it from the class
        ["wait", "w", "Wait for the end; exit with 4 if somebody was aborted."],
    ]


class Terminate(Abort):
    """
    End the server politely.
    """

    name = "terminate"
    path = "/terminate"
    longdesc = "Ends the server politely."
    optParameters = [  # noqa: RUF012 - Twisted reads it from the class
        ["grace", None, None, "Seconds until stragglers are aborted. [default: the server's]"],
    ]

    def body(self) -> dict[str, object]:
        """
        See L{Command.body}.
        """
        body = super().body()
        if self["grace"] is not None:
            body["gracePeriod"] = seconds("--grace", self["grace"])
        return body


class Suspend(Deed):
    """
    Have the ports go away for a while.
    """

    name = "suspend"
    path = "/suspend"
    longdesc = "Lets the ports go away, until resume; connections live on."


class Resume(Deed):
    """
    Have them come back.
    """

    name = "resume"
    path = "/resume"
    longdesc = "Has the ports come back after suspend."


class Upgrade(Deed):
    """
    Have another process take over.
    """

    name = "upgrade"
    path = "/upgrade"
    longdesc = "Starts a successor of the server, by the same command line, which takes over."
    optFlags = [  # noqa: RUF012 - Twisted reads it from the class
        ["wait", "w", "Wait until the successor serves; exit with 1 if it does not."],
    ]
    optParameters = [  # noqa: RUF012 - Twisted reads it from the class
        ["within", None, None, f"Seconds to wait for it. [default: {UPGRADE:g}]"],
    ]

    def postOptions(self) -> None:
        """
        Check what can be checked here.
        """
        super().postOptions()
        text = self["within"]
        self["within"] = UPGRADE if text is None else seconds("--within", text)


class Restart(Upgrade):
    """
    Replace the workers.
    """

    name = "restart"
    path = "/restart"
    longdesc = "Replaces the workers of a server that has some, one after the other."
    optFlags = [  # noqa: RUF012 - Twisted reads it from the class
        ["wait", "w", "Wait until all are replaced; exit with 1 if one could not be."],
    ]


COMMANDS: tuple[type[Command], ...] = (
    Status,
    Connections,
    Watch,
    Drain,
    Terminate,
    Abort,
    Suspend,
    Resume,
    Upgrade,
    Restart,
)
